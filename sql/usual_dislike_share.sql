-- Usual dislike share: of all opinions as of a cut-off, how many are dislikes.
-- Grain: one row; null while there are no opinions.
-- Parameters (feedback database): :recorded_through, inclusive bound on recorded_at.
SELECT 1.0 * sum(is_dislike) / nullif(count(*), 0) AS dislike_share
FROM (
    SELECT 0 AS is_dislike
    FROM interactions
    WHERE recorded_at <= :recorded_through AND (is_like OR kind IN ('rating', 'like'))
    UNION ALL
    SELECT 1 AS is_dislike
    FROM user_dislikes
    WHERE recorded_at <= :recorded_through AND reason <> 'already_watched'
        AND (retracted_at IS NULL OR retracted_at > :recorded_through)
) AS opinions
