-- User opinion items: the films that a user liked or disliked.
-- Grain: one row per (user, film) with an opinion (a like, or a dislike that can train).
-- is_disliked: 1 if the user disliked it at least once, else 0.
-- Parameters (feedback database): :user_ids; :recorded_through bounds recorded_at (inclusive). A dislike that was taken back
-- by then does not exist.
WITH opinions AS (
    SELECT user_id, item_id, 0 AS is_dislike
    FROM interactions
    WHERE user_id IN :user_ids AND is_like AND recorded_at <= :recorded_through
    UNION ALL
    SELECT user_id, item_id, 1 AS is_dislike
    FROM user_dislikes
    WHERE user_id IN :user_ids AND reason <> 'already_watched' AND recorded_at <= :recorded_through
        AND (retracted_at IS NULL OR retracted_at > :recorded_through)
)

SELECT user_id, item_id, max(is_dislike) AS is_disliked
FROM opinions
GROUP BY user_id, item_id
