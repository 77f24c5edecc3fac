-- Last served at: when a list was last given to a user.
-- Grain: one row; null while none was.
-- Parameters (feedback database): :recorded_through, inclusive bound on served_at.
SELECT max(served_at) AS served_at
FROM recommendation_exposures
WHERE served_at <= :recorded_through
