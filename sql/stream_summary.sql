-- Stream summary: what the feedback database holds as of a cut-off.
-- Grain: one row. first_recorded_at and last_recorded_at are null while there is nothing.
-- Parameters (feedback database): :recorded_through, inclusive bound on recorded_at. A dislike taken back by then does
-- not exist.
WITH stream AS (
    SELECT recorded_at, 0 AS is_dislike
    FROM interactions
    WHERE recorded_at <= :recorded_through
    UNION ALL
    SELECT recorded_at, 1 AS is_dislike
    FROM user_dislikes
    WHERE recorded_at <= :recorded_through AND (retracted_at IS NULL OR retracted_at > :recorded_through)
)

SELECT
    min(recorded_at) AS first_recorded_at,
    max(recorded_at) AS last_recorded_at,
    count(*) - coalesce(sum(is_dislike), 0) AS num_interactions,
    coalesce(sum(is_dislike), 0) AS num_dislikes
FROM stream
