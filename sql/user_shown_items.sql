-- User shown items: how often each film stood in a list that was given to a user as their own.
-- Grain: one row per (user, film). Users whose list was the one for everybody else have none.
-- Parameters (feedback database): :user_ids; :recorded_through bounds served_at (inclusive).
SELECT
    recommendation_sets.user_id,
    recommendation_entries.item_id,
    count(*) AS num_met
FROM recommendation_sets
JOIN recommendation_exposures
    ON recommendation_exposures.recommendation_set_id = recommendation_sets.recommendation_set_id
JOIN recommendation_entries ON recommendation_entries.recommendation_set_id = recommendation_sets.recommendation_set_id
    AND recommendation_entries.rank <= recommendation_exposures.num_items
WHERE recommendation_sets.user_id IN :user_ids AND recommendation_exposures.served_at <= :recorded_through
GROUP BY recommendation_sets.user_id, recommendation_entries.item_id
