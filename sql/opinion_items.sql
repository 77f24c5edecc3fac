-- Opinion items: who liked and who disliked each film.
-- Grain: one row per film with an opinion (a like, or a dislike that can train).
-- num_met: users with an opinion. num_dislikes: users who disliked it; first_user_id, last_user_id: smallest and largest of
-- their ids, which tell one user from several.
-- Parameters (feedback database): :recorded_after, :recorded_through bound recorded_at (exclusive, inclusive). A dislike
-- that was taken back by :recorded_through, or is held back as brigading then, does not exist.
WITH opinions AS (
    SELECT item_id, user_id, 0 AS is_dislike
    FROM interactions
    WHERE is_like AND recorded_at > :recorded_after AND recorded_at <= :recorded_through
    UNION ALL
    SELECT item_id, user_id, 1 AS is_dislike
    FROM user_dislikes
    WHERE reason <> 'already_watched'
        AND recorded_at > :recorded_after AND recorded_at <= :recorded_through
        AND (retracted_at IS NULL OR retracted_at > :recorded_through)
        AND NOT EXISTS (
            SELECT 1
            FROM brigading_flags
            WHERE brigading_flags.dislike_id = user_dislikes.dislike_id
                AND brigading_flags.ends_at <= :recorded_through
                AND (brigading_flags.released_at IS NULL OR brigading_flags.released_at > :recorded_through)
        )
)

SELECT
    item_id,
    count(DISTINCT user_id) AS num_met,
    count(DISTINCT CASE is_dislike WHEN 1 THEN user_id END) AS num_dislikes,
    min(CASE is_dislike WHEN 1 THEN user_id END) AS first_user_id,
    max(CASE is_dislike WHEN 1 THEN user_id END) AS last_user_id
FROM opinions
GROUP BY item_id
