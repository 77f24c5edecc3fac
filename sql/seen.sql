-- Seen: what a user has met without a like or dislike that still holds; it masks and never trains.
-- Grain: one row per (user, item) that is not in the training set. recorded_at: of the newest signal.
-- Parameters (DuckDB): none. Table: events, as read from events.sql, in UTC without zone.
SELECT user_id, item_id, recorded_at
FROM (
    SELECT *
    FROM events
    QUALIFY row_number() OVER (
        PARTITION BY user_id, item_id
        ORDER BY
            is_opinion DESC,
            occurred_at DESC,
            recorded_at DESC,
            CASE signal WHEN 'dislike' THEN 0 WHEN 'like' THEN 1 ELSE 2 END,
            source_id DESC
    ) = 1
)
WHERE signal = 'seen'
ORDER BY user_id, item_id
