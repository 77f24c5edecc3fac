-- Histories: what a scorer may know of its users.
-- Grain: one row per (user, item), with the signal that holds; weight of neutral and seen is 1: they are no
-- opinions. reason: of a dislike, else empty. age_days: before the cut-off.
-- Parameters (DuckDB): $as_of, ages are counted from here; $half_life_days. View: newest_signals.
SELECT
    user_id,
    item_id,
    signal,
    CASE signal
        WHEN 'seen' THEN 1.0
        WHEN 'neutral' THEN 1.0
        ELSE greatest(
            weight * 0.5 ** ((epoch_us($as_of::TIMESTAMP) - epoch_us(occurred_at)) / 86400e6 / $half_life_days::DOUBLE),
            1e-300::DOUBLE
        )
    END::DOUBLE AS weight,
    CASE signal WHEN 'dislike' THEN reason ELSE '' END AS reason,
    (epoch_us($as_of::TIMESTAMP) - epoch_us(occurred_at)) / 86400e6 AS age_days
FROM newest_signals
ORDER BY user_id, item_id
