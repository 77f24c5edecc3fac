-- Known dislikes: when negative examples were recorded, and when this machine learned of them.
-- Grain: one row per (recorded_at, known_at, is_measured) with one. recorded_at is on the stream's clock, known_at on the
-- wall clock: of an imported dislike the time of the import. is_measured: 0 for what was imported before the first run
-- claimed a backlog: how long that waited says when the import was made, nothing about the loop.
-- Parameters (feedback database): :recorded_after, :recorded_through bound recorded_at (exclusive, inclusive). A dislike
-- taken back by :recorded_through does not exist.
SELECT
    user_dislikes.recorded_at,
    coalesce(user_dislikes.imported_at, user_dislikes.recorded_at) AS known_at,
    CASE
        WHEN user_dislikes.imported_at IS NULL THEN 1
        WHEN user_dislikes.imported_at > (SELECT min(training_batches.claimed_at) FROM training_batches) THEN 1
        ELSE 0
    END AS is_measured,
    count(*) AS num_dislikes
FROM user_dislikes
JOIN negative_training_examples ON negative_training_examples.dislike_id = user_dislikes.dislike_id
WHERE user_dislikes.recorded_at > :recorded_after AND user_dislikes.recorded_at <= :recorded_through
    AND (user_dislikes.retracted_at IS NULL OR user_dislikes.retracted_at > :recorded_through)
GROUP BY 1, 2, 3
