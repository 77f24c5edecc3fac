-- Daily errors: how wrong the model was about what users disliked, day by day.
-- Grain: one row per UTC day with a negative example that has a predicted score. The session's zone is UTC, so the text of
-- a time begins with the UTC day on either database.
-- Parameters (feedback database): :recorded_after, :recorded_through bound recorded_at (exclusive, inclusive). A dislike
-- taken back by :recorded_through does not exist.
SELECT
    substr(CAST(user_dislikes.recorded_at AS TEXT), 1, 10) AS recorded_on,
    count(*) AS num_values,
    sum(negative_training_examples.error) AS value_sum
FROM user_dislikes
JOIN negative_training_examples ON negative_training_examples.dislike_id = user_dislikes.dislike_id
WHERE negative_training_examples.error IS NOT NULL
    AND user_dislikes.recorded_at > :recorded_after AND user_dislikes.recorded_at <= :recorded_through
    AND (user_dislikes.retracted_at IS NULL OR user_dislikes.retracted_at > :recorded_through)
GROUP BY 1
ORDER BY 1
