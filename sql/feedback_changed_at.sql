-- Feedback changed at: when the feedback of a user last changed, of what changed up to a time.
-- Grain: one row; null for a user who never gave any.
-- Parameters (feedback database): :user_id, :recorded_through (timestamp).
SELECT max(changed_at) AS changed_at
FROM (
    SELECT max(recorded_at) AS changed_at
    FROM interactions
    WHERE user_id = :user_id AND recorded_at <= :recorded_through
    UNION ALL
    SELECT max(recorded_at) AS changed_at
    FROM user_dislikes
    WHERE user_id = :user_id AND recorded_at <= :recorded_through
    UNION ALL
    SELECT max(retracted_at) AS changed_at
    FROM user_dislikes
    WHERE user_id = :user_id AND retracted_at <= :recorded_through
    UNION ALL
    SELECT max(recorded_at) AS changed_at
    FROM user_exclusions
    WHERE user_id = :user_id AND recorded_at <= :recorded_through
    UNION ALL
    SELECT max(removed_at) AS changed_at
    FROM user_exclusions
    WHERE user_id = :user_id AND removed_at <= :recorded_through
) AS changes
