-- Dislike minutes: when negative examples were recorded.
-- Grain: one row per UTC minute with one. The session's zone is UTC, so the text of a time begins with the UTC minute on
-- either database.
-- Parameters (feedback database): :recorded_after, :recorded_through bound recorded_at (exclusive, inclusive); :as_of: a
-- dislike taken back by then does not exist.
SELECT
    substr(CAST(user_dislikes.recorded_at AS TEXT), 1, 16) AS recorded_in,
    count(*) AS num_dislikes
FROM user_dislikes
JOIN negative_training_examples ON negative_training_examples.dislike_id = user_dislikes.dislike_id
WHERE user_dislikes.recorded_at > :recorded_after AND user_dislikes.recorded_at <= :recorded_through
    AND (user_dislikes.retracted_at IS NULL OR user_dislikes.retracted_at > :as_of)
GROUP BY 1
ORDER BY 1
