-- Histories: what a scorer may know of its users.
-- Grain: one row per (user, item), with the signal that holds (see training_set.sql); weight of seen is 1, it only masks.
-- Parameters (DuckDB): $as_of, ages are counted from here; $half_life_days. Table: events, as read from events.sql, in
-- UTC without zone.
SELECT
    user_id,
    item_id,
    signal,
    CASE signal
        WHEN 'seen' THEN 1.0
        ELSE greatest(
            weight * 0.5 ** ((epoch_us($as_of::TIMESTAMP) - epoch_us(occurred_at)) / 86400e6 / $half_life_days::DOUBLE),
            1e-300::DOUBLE
        )
    END::DOUBLE AS weight
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
ORDER BY user_id, item_id
