-- Active users: who has given feedback, and how much.
-- Grain: one row per user with an interaction, or with a dislike that was not taken back; most items first, then by id.
-- Parameters (feedback database): :k, so many rows at most.
SELECT
    user_id,
    count(DISTINCT CASE WHEN signal = 'like' THEN item_id END) AS num_likes,
    count(DISTINCT CASE WHEN signal = 'dislike' THEN item_id END) AS num_dislikes,
    count(DISTINCT item_id) AS num_items,
    max(occurred_at) AS last_at
FROM (
    SELECT user_id, item_id, CASE WHEN is_like THEN 'like' ELSE 'seen' END AS signal, occurred_at
    FROM interactions
    UNION ALL
    SELECT user_id, item_id, 'dislike' AS signal, created_at AS occurred_at
    FROM user_dislikes
    WHERE retracted_at IS NULL
) AS signals
GROUP BY user_id
ORDER BY num_items DESC, user_id
LIMIT :k
