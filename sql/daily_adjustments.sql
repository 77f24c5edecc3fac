-- Daily adjustments: by how much dislikes played features down, day by day.
-- Grain: one row per UTC day with an adjustment of a feature (filters and negative examples are none). Magnitudes are
-- counted without their sign.
-- Parameters (feedback database): :recorded_after, :recorded_through bound applied_at (exclusive, inclusive).
SELECT
    substr(CAST(applied_at AS TEXT), 1, 10) AS recorded_on,
    count(*) AS num_values,
    sum(abs(adjustment_magnitude)) AS value_sum
FROM dislike_feedback_impact
WHERE impact_type LIKE '%deemphasis' AND applied_at > :recorded_after AND applied_at <= :recorded_through
GROUP BY 1
ORDER BY 1
