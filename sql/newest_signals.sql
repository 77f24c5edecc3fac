-- Newest signals: what holds between a user and an item, of all that was recorded about them.
-- Grain: one row per (user, item), with the columns of events.
-- The newest opinion wins by occurred_at, then recorded_at, then dislike over like over neutral. A neutral rating ends an
-- earlier like or dislike; a click or "already watched" does not.
-- Parameters (DuckDB, feedback database): none. Over the table or subquery events, as events.sql gives it.
SELECT *
FROM (
    SELECT
        events.*,
        row_number() OVER (
            PARTITION BY user_id, item_id
            ORDER BY
                is_opinion DESC,
                occurred_at DESC,
                recorded_at DESC,
                CASE signal WHEN 'dislike' THEN 0 WHEN 'like' THEN 1 ELSE 2 END,
                source_id DESC
        ) AS place
    FROM events
) AS ranked
WHERE place = 1
