-- Champion cut-offs: what each promoted version knows, and since when it was champion.
-- Grain: one row per complete promotion of a version that a batch of this database was refitted to. as_of is on the
-- stream's clock; claimed_at, when its data were frozen, and promoted_at are on the wall clock.
-- Parameters (feedback database): :recorded_after, :recorded_through bound as_of (exclusive, inclusive).
SELECT
    training_batches.as_of,
    training_batches.claimed_at,
    model_promotions.completed_at AS promoted_at
FROM model_promotions
JOIN training_batches ON training_batches.refit_version = model_promotions.to_version
WHERE model_promotions.is_complete
    AND training_batches.as_of > :recorded_after AND training_batches.as_of <= :recorded_through
ORDER BY model_promotions.sequence
