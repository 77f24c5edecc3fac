-- Last recorded at: when the newest interaction or dislike was recorded.
-- Grain: one row; null while there is nothing.
-- Parameters (feedback database): :recorded_through, inclusive bound on recorded_at.
SELECT max(recorded_at) AS recorded_at
FROM (
    SELECT max(recorded_at) AS recorded_at
    FROM interactions
    WHERE recorded_at <= :recorded_through
    UNION ALL
    SELECT max(recorded_at) AS recorded_at
    FROM user_dislikes
    WHERE recorded_at <= :recorded_through
) AS newest
