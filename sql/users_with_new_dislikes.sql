-- Users with new dislikes: whose patterns are worth measuring anew.
-- Grain: one row per user with a new dislike and at least :min_dislikes in all; most new ones first.
-- Parameters (feedback database): :recorded_after, :recorded_through bound recorded_at of the new ones (exclusive,
-- inclusive); :min_dislikes. A dislike that was taken back by :recorded_through does not exist.
WITH newcomers AS (
    SELECT user_id, count(*) AS num_new
    FROM user_dislikes
    WHERE reason <> 'already_watched'
        AND recorded_at > :recorded_after AND recorded_at <= :recorded_through
        AND (retracted_at IS NULL OR retracted_at > :recorded_through)
    GROUP BY user_id
)

SELECT newcomers.user_id
FROM newcomers
JOIN user_dislikes ON user_dislikes.user_id = newcomers.user_id
WHERE user_dislikes.reason <> 'already_watched'
    AND user_dislikes.recorded_at <= :recorded_through
    AND (user_dislikes.retracted_at IS NULL OR user_dislikes.retracted_at > :recorded_through)
GROUP BY newcomers.user_id, newcomers.num_new
HAVING count(*) >= :min_dislikes
ORDER BY newcomers.num_new DESC, newcomers.user_id
