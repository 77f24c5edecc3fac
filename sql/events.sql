-- Events: every signal of a user about an item that a model may know.
-- Grain: one row per stored signal (an interaction, a dislike).
-- signal: like, dislike, neutral (a rating without an opinion, a click) or seen (already watched). is_opinion: the user judged the item; a click or "already watched" only says that
-- they met it. reason: of a dislike, else empty. is_held_back: looks like brigading, must not train. weight: before time
-- decay. source_id: interaction_id, example_id or, for already_watched, dislike_id.
-- Parameters (feedback database): :recorded_after, :recorded_through bound recorded_at (exclusive, inclusive). A dislike
-- taken back by :recorded_through does not exist.
SELECT
    user_id,
    item_id,
    CASE WHEN is_like THEN 'like' ELSE 'neutral' END AS signal,
    is_like OR kind IN ('rating', 'like') AS is_opinion,
    '' AS reason,
    1 = 0 AS is_held_back,
    1.0 AS weight,
    occurred_at,
    recorded_at,
    interaction_id AS source_id
FROM interactions
WHERE recorded_at > :recorded_after AND recorded_at <= :recorded_through
UNION ALL
SELECT
    user_dislikes.user_id,
    user_dislikes.item_id,
    'dislike' AS signal,
    1 = 1 AS is_opinion,
    user_dislikes.reason,
    brigading_flags.dislike_id IS NOT NULL AS is_held_back,
    negative_training_examples.weight,
    user_dislikes.created_at AS occurred_at,
    user_dislikes.recorded_at,
    negative_training_examples.example_id AS source_id
FROM user_dislikes
JOIN negative_training_examples ON negative_training_examples.dislike_id = user_dislikes.dislike_id
LEFT JOIN brigading_flags ON brigading_flags.dislike_id = user_dislikes.dislike_id
    AND brigading_flags.ends_at <= :recorded_through
    AND (brigading_flags.released_at IS NULL OR brigading_flags.released_at > :recorded_through)
WHERE user_dislikes.recorded_at > :recorded_after AND user_dislikes.recorded_at <= :recorded_through
    AND (user_dislikes.retracted_at IS NULL OR user_dislikes.retracted_at > :recorded_through)
UNION ALL
SELECT
    user_id,
    item_id,
    'seen' AS signal,
    1 = 0 AS is_opinion,
    reason,
    1 = 0 AS is_held_back,
    1.0 AS weight,
    created_at AS occurred_at,
    recorded_at,
    dislike_id AS source_id
FROM user_dislikes
WHERE reason = 'already_watched'
    AND recorded_at > :recorded_after AND recorded_at <= :recorded_through
    AND (retracted_at IS NULL OR retracted_at > :recorded_through)
