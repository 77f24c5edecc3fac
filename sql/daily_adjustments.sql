-- Daily adjustments: by how much dislikes played features down, by the day of the dislike.
-- Grain: one row per UTC day with a dislike that adjusted a feature (filters and negative examples are none). Magnitudes
-- are counted without their sign. The day is the stream's, as in daily_errors: applied_at is by the wall clock.
-- Parameters (feedback database): :recorded_after, :recorded_through bound recorded_at of the dislike (exclusive, inclusive).
SELECT
    substr(CAST(user_dislikes.recorded_at AS TEXT), 1, 10) AS recorded_on,
    count(*) AS num_values,
    sum(abs(dislike_feedback_impact.adjustment_magnitude)) AS value_sum
FROM user_dislikes
JOIN dislike_feedback_impact ON dislike_feedback_impact.dislike_id = user_dislikes.dislike_id
WHERE dislike_feedback_impact.impact_type LIKE '%deemphasis'
    AND user_dislikes.recorded_at > :recorded_after AND user_dislikes.recorded_at <= :recorded_through
GROUP BY 1
ORDER BY 1
