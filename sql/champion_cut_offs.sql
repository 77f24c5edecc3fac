-- Champion cut-offs: what each promoted version knows, and when it began to serve.
-- Grain: one row per complete promotion of a version that a batch of this database was refitted to.
-- Parameters (feedback database): :recorded_through bounds completed_at (inclusive).
SELECT
    model_promotions.sequence,
    model_promotions.completed_at AS promoted_at,
    training_batches.as_of
FROM model_promotions
JOIN training_batches ON training_batches.refit_version = model_promotions.to_version
WHERE model_promotions.is_complete AND model_promotions.completed_at <= :recorded_through
ORDER BY model_promotions.sequence
