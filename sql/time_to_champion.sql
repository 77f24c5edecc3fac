-- Time to champion: when this machine learned of negative examples, and when the first champion that knows them came.
-- Grain: one row per (UTC minute in which they became known, promotion), of those recorded in a time; promoted_at is null
-- where no champion knows them yet. is_measured: 0 for what was imported before the first run claimed a backlog: how long
-- that waited says when the import was made, nothing about the loop.
-- A champion knows what was recorded up to its cut-off (the stream's clock) and was there when its run claimed the backlog
-- (the wall clock, like promoted_at and known_in): so no duration is negative. The session's zone is UTC, so the text of a
-- time begins with the UTC minute on either database.
-- Parameters (feedback database): :recorded_after, :recorded_through bound recorded_at and the cut-offs (exclusive,
-- inclusive; cut-offs only by the latter). A dislike taken back by :recorded_through does not exist.
WITH champions AS (
    SELECT
        model_promotions.sequence,
        model_promotions.completed_at,
        training_batches.as_of,
        training_batches.claimed_at
    FROM model_promotions
    JOIN training_batches ON training_batches.refit_version = model_promotions.to_version
    WHERE model_promotions.is_complete AND training_batches.as_of <= :recorded_through
),

dislikes AS (
    SELECT
        recorded_at,
        coalesce(imported_at, recorded_at) AS known_at,
        CASE
            WHEN imported_at IS NULL OR imported_at > (SELECT min(claimed_at) FROM training_batches) THEN 1
            ELSE 0
        END AS is_measured
    FROM user_dislikes
    WHERE recorded_at > :recorded_after AND recorded_at <= :recorded_through
        AND (retracted_at IS NULL OR retracted_at > :recorded_through)
        AND EXISTS (
            SELECT 1
            FROM negative_training_examples
            WHERE negative_training_examples.dislike_id = user_dislikes.dislike_id
        )
),

known AS (
    SELECT
        substr(CAST(dislikes.known_at AS TEXT), 1, 16) AS known_in,
        dislikes.is_measured,
        (
            SELECT min(champions.sequence)
            FROM champions
            WHERE champions.as_of >= dislikes.recorded_at
                AND champions.claimed_at >= dislikes.known_at AND champions.completed_at >= dislikes.known_at
        ) AS sequence
    FROM dislikes
)

SELECT
    known.known_in,
    known.is_measured,
    champions.completed_at AS promoted_at,
    count(*) AS num_dislikes
FROM known
LEFT JOIN champions ON champions.sequence = known.sequence
GROUP BY known.known_in, known.is_measured, champions.completed_at
ORDER BY known.known_in, champions.completed_at
