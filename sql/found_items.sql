-- Found items: items by their title, and how many users like and dislike them.
-- Grain: one row per item; most opinions first, then by id.
-- Parameters (feedback database): :pattern of LIKE on the title's key, with \ before a character that means itself; :k, so
-- many rows at most.
SELECT items.item_id, coalesce(likes.num_users, 0) AS num_likes, coalesce(dislikes.num_users, 0) AS num_dislikes
FROM items
LEFT JOIN (
    SELECT item_id, count(DISTINCT user_id) AS num_users
    FROM interactions
    WHERE is_like
    GROUP BY item_id
) AS likes ON likes.item_id = items.item_id
LEFT JOIN (
    SELECT item_id, count(DISTINCT user_id) AS num_users
    FROM user_dislikes
    WHERE retracted_at IS NULL
    GROUP BY item_id
) AS dislikes ON dislikes.item_id = items.item_id
WHERE items.title_key LIKE :pattern ESCAPE '\'
ORDER BY coalesce(likes.num_users, 0) + coalesce(dislikes.num_users, 0) DESC, items.item_id
LIMIT :k
