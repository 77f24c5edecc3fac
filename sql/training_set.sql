-- Training set: labelled examples of a run, with weight and split.
-- Grain: one row per (user, item) whose newest signal is a like (label 1) or a dislike (label 0) that is not held back.
-- base_weight: of the signal and its reason, before time decay. sample_weight: after it. reason: of a dislike, else empty.
-- Parameters (DuckDB): $as_of, ages are counted from here; $fit_through, what was recorded later is the holdout;
-- $half_life_days. View: newest_signals.
WITH aged AS (
    SELECT *, (epoch_us($as_of::TIMESTAMP) - epoch_us(occurred_at)) / 86400e6 AS age_days
    FROM newest_signals
    WHERE signal IN ('like', 'dislike') AND NOT is_held_back
)

SELECT
    user_id,
    item_id,
    CASE signal WHEN 'like' THEN 1 ELSE 0 END::TINYINT AS label,
    -- An age of more than a thousand half-lives would underflow to 0, which is no weight.
    greatest(weight * 0.5 ** (age_days / $half_life_days::DOUBLE), 1e-300::DOUBLE)::DOUBLE AS sample_weight,
    age_days,
    occurred_at,
    recorded_at,
    weight AS base_weight,
    reason,
    CASE WHEN recorded_at <= $fit_through::TIMESTAMP THEN 'fit' ELSE 'holdout' END AS split,
    source_id
FROM aged
ORDER BY recorded_at, user_id, item_id, label
