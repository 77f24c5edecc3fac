-- Disputed opinions: every opinion on the items that enough users disliked to look at them.
-- Grain: one row per opinion (a like, a rating, a dislike); dislike_id is null for anything but a dislike.
-- Parameters (feedback database): :recorded_after, :recorded_through bound recorded_at (exclusive, inclusive);
-- :min_users, distinct users who disliked the item in that time. A dislike taken back by :recorded_through does not exist.
WITH dislikes AS (
    SELECT user_id, item_id, recorded_at, dislike_id
    FROM user_dislikes
    WHERE recorded_at > :recorded_after AND recorded_at <= :recorded_through
        AND reason <> 'already_watched'
        AND (retracted_at IS NULL OR retracted_at > :recorded_through)
),

disputed AS (
    SELECT item_id
    FROM dislikes
    GROUP BY item_id
    HAVING count(DISTINCT user_id) >= :min_users
)

SELECT user_id, item_id, recorded_at, dislike_id
FROM dislikes
WHERE item_id IN (SELECT item_id FROM disputed)
UNION ALL
SELECT user_id, item_id, recorded_at, NULL AS dislike_id
FROM interactions
WHERE recorded_at > :recorded_after AND recorded_at <= :recorded_through
    AND (is_like OR kind IN ('rating', 'like'))
    AND item_id IN (SELECT item_id FROM disputed)
