-- Feedback changed at: when the feedback of any user last changed.
-- Grain: one row; null for a user who never gave any.
-- Parameters (feedback database): :user_id.
SELECT max(changed_at) AS changed_at
FROM (
    SELECT max(recorded_at) AS changed_at
    FROM interactions
    WHERE user_id = :user_id
    UNION ALL
    SELECT max(recorded_at) AS changed_at
    FROM user_dislikes
    WHERE user_id = :user_id
    UNION ALL
    SELECT max(retracted_at) AS changed_at
    FROM user_dislikes
    WHERE user_id = :user_id
    UNION ALL
    SELECT max(recorded_at) AS changed_at
    FROM user_exclusions
    WHERE user_id = :user_id
    UNION ALL
    SELECT max(removed_at) AS changed_at
    FROM user_exclusions
    WHERE user_id = :user_id
) AS changes
