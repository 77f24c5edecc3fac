-- Quantile of recorded_at over likes and dislikes that may train: where a share of them was recorded.
-- Grain: one row; null if there are none. The smallest moment by which at least the share :quantile was recorded; if all
-- were recorded by then, the last moment before, so that something is left on either side where that is possible.
-- Parameters (feedback database): :recorded_after, :recorded_through bound recorded_at (exclusive, inclusive);
-- :quantile in [0, 1].
WITH trainable AS (
    SELECT recorded_at
    FROM interactions
    WHERE is_like AND recorded_at > :recorded_after AND recorded_at <= :recorded_through
    UNION ALL
    SELECT user_dislikes.recorded_at
    FROM user_dislikes
    JOIN negative_training_examples ON negative_training_examples.dislike_id = user_dislikes.dislike_id
    WHERE user_dislikes.recorded_at > :recorded_after AND user_dislikes.recorded_at <= :recorded_through
        AND (user_dislikes.retracted_at IS NULL OR user_dislikes.retracted_at > :recorded_through)
),

shares AS (
    SELECT recorded_at, cume_dist() OVER (ORDER BY recorded_at) AS share_by_then
    FROM trainable
)

SELECT
    coalesce(
        min(recorded_at) FILTER (WHERE share_by_then >= :quantile AND share_by_then < 1),
        max(recorded_at) FILTER (WHERE share_by_then < 1),
        max(recorded_at)
    ) AS recorded_at
FROM shares
