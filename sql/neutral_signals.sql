-- Neutral signals: what users met without an opinion, which trains only what comes next.
-- Grain: one row per (user, item) whose newest signal is neutral.
-- Parameters (DuckDB): none. View: newest_signals.
SELECT
    user_id,
    item_id,
    occurred_at,
    recorded_at
FROM newest_signals
WHERE signal = 'neutral'
ORDER BY recorded_at, user_id, item_id
