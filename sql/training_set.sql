-- Training set: labelled examples of a run, with weight and split.
-- Grain: one row per (user, item) whose newest opinion is a like (label 1) or a dislike (label 0).
-- The newest opinion wins by occurred_at, then recorded_at, then dislike over like over neutral. A neutral rating ends an
-- earlier like or dislike; a click or "already watched" does not.
-- Parameters (DuckDB): $as_of, ages are counted from here; $fit_through, what was recorded later is the holdout;
-- $half_life_days. Table: events, as read from events.sql, in UTC without zone.
WITH newest AS (
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
),

aged AS (
    SELECT *, (epoch_us($as_of::TIMESTAMP) - epoch_us(occurred_at)) / 86400e6 AS age_days
    FROM newest
    WHERE signal IN ('like', 'dislike')
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
    CASE WHEN recorded_at <= $fit_through::TIMESTAMP THEN 'fit' ELSE 'holdout' END AS split,
    source_id
FROM aged
ORDER BY recorded_at, user_id, item_id, label
