-- Error summary: how wrong the model was about what users disliked.
-- Grain: one row. Errors are null without a negative example that has a predicted score; mean_score is over all dislikes
-- with one.
-- Parameters (feedback database): :recorded_through, inclusive bound on recorded_at. A dislike taken back by then does not
-- exist.
SELECT
    count(negative_training_examples.example_id) AS num_examples,
    avg(negative_training_examples.error) AS mean_error,
    max(negative_training_examples.error) AS max_error,
    min(negative_training_examples.error) AS min_error,
    avg(user_dislikes.predicted_score) AS mean_score
FROM user_dislikes
LEFT JOIN negative_training_examples ON negative_training_examples.dislike_id = user_dislikes.dislike_id
WHERE user_dislikes.recorded_at <= :recorded_through
    AND (user_dislikes.retracted_at IS NULL OR user_dislikes.retracted_at > :recorded_through)
