-- Shown items: how often each film stood in a list that was given to a user.
-- Grain: one row per film that was shown.
-- Parameters (feedback database): :recorded_after, :recorded_through bound served_at (exclusive, inclusive).
WITH served AS (
    SELECT recommendation_set_id, num_items, count(*) AS num_times
    FROM recommendation_exposures
    WHERE served_at > :recorded_after AND served_at <= :recorded_through
    GROUP BY recommendation_set_id, num_items
)

SELECT recommendation_entries.item_id, sum(served.num_times) AS num_met
FROM served
JOIN recommendation_entries ON recommendation_entries.recommendation_set_id = served.recommendation_set_id
    AND recommendation_entries.rank <= served.num_items
GROUP BY recommendation_entries.item_id
