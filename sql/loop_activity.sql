-- Loop activity: what the nightly loop decided in a time.
-- Grain: one row per (step, verdict). num_examples: of check_backlog/retrain, the negative examples that its runs used.
-- Parameters (feedback database): :recorded_after, :recorded_through bound the cut-off of the decision, which is on the
-- stream's clock as the bounds are (exclusive, inclusive); when it was recorded is by the wall clock.
SELECT
    decisions.step,
    decisions.verdict,
    count(*) AS num_decisions,
    count(CASE WHEN training_batches.status = 'used' THEN 1 END) AS num_used,
    coalesce(sum(CASE WHEN training_batches.status = 'used' THEN training_batches.num_examples END), 0) AS num_examples
FROM decisions
LEFT JOIN training_batches ON training_batches.batch_id = decisions.run_id
WHERE decisions.as_of > :recorded_after AND decisions.as_of <= :recorded_through
GROUP BY decisions.step, decisions.verdict
ORDER BY decisions.step, decisions.verdict
