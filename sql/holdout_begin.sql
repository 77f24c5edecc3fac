-- Latest moment after which enough users recorded a like: a holdout has to begin there, or earlier, to be judged by them.
-- Grain: one row; null if there are fewer users, or nothing was recorded before.
-- Parameters (feedback database): :recorded_after, :recorded_through bound recorded_at (exclusive, inclusive);
-- :num_users, how many are enough.
WITH likes AS (
    SELECT user_id, recorded_at
    FROM interactions
    WHERE is_like AND recorded_at > :recorded_after AND recorded_at <= :recorded_through
),

newest_likes AS (
    SELECT user_id, max(recorded_at) AS recorded_at
    FROM likes
    GROUP BY user_id
),

counted AS (
    SELECT recorded_at, row_number() OVER (ORDER BY recorded_at DESC) AS num_users
    FROM newest_likes
)

SELECT max(likes.recorded_at) AS recorded_at
FROM likes
JOIN counted ON likes.recorded_at < counted.recorded_at AND counted.num_users = :num_users
