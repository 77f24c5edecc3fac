-- Dislike rates: how much of what each model version showed was disliked.
-- Grain: one row per model version with a list that was served.
-- num_shown: films in served lists, each time a list was served. num_dislikes: films of these lists that their users
-- disliked, each once per list and user; mean_score: what the version had promised for them.
-- Parameters (feedback database): :recorded_after, :recorded_through bound served_at (exclusive, inclusive), and the latter
-- recorded_at too: a dislike of a list is recorded here, by the same clock. One taken back by then does not exist.
WITH served AS (
    SELECT
        recommendation_set_id,
        count(*) AS num_lists,
        sum(num_items) AS num_shown,
        max(num_items) AS most_items,
        min(served_at) AS first_served_at,
        max(served_at) AS last_served_at
    FROM recommendation_exposures
    WHERE served_at > :recorded_after AND served_at <= :recorded_through
    GROUP BY recommendation_set_id
),

disliked AS (
    SELECT DISTINCT
        user_dislikes.recommendation_set_id,
        user_dislikes.user_id,
        recommendation_entries.item_id,
        recommendation_entries.predicted_score
    FROM user_dislikes
    JOIN served ON served.recommendation_set_id = user_dislikes.recommendation_set_id
    JOIN recommendation_entries
        ON recommendation_entries.recommendation_set_id = user_dislikes.recommendation_set_id
        AND recommendation_entries.item_id = user_dislikes.item_id
        AND recommendation_entries.rank <= served.most_items
    WHERE user_dislikes.reason <> 'already_watched'
        AND user_dislikes.recorded_at <= :recorded_through
        AND (user_dislikes.retracted_at IS NULL OR user_dislikes.retracted_at > :recorded_through)
),

dislikes_of_set AS (
    SELECT
        recommendation_set_id,
        count(*) AS num_dislikes,
        count(predicted_score) AS num_scored,
        sum(predicted_score) AS score_sum
    FROM disliked
    GROUP BY recommendation_set_id
)

SELECT
    recommendation_sets.model_version,
    sum(served.num_lists) AS num_lists,
    sum(served.num_shown) AS num_shown,
    coalesce(sum(dislikes_of_set.num_dislikes), 0) AS num_dislikes,
    coalesce(sum(dislikes_of_set.num_scored), 0) AS num_scored,
    sum(dislikes_of_set.score_sum) AS score_sum,
    min(served.first_served_at) AS first_served_at,
    max(served.last_served_at) AS last_served_at
FROM served
JOIN recommendation_sets ON recommendation_sets.recommendation_set_id = served.recommendation_set_id
LEFT JOIN dislikes_of_set ON dislikes_of_set.recommendation_set_id = served.recommendation_set_id
GROUP BY recommendation_sets.model_version
ORDER BY min(served.first_served_at), recommendation_sets.model_version
