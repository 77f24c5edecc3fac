"""Every code sample of the document "Feedback Reinforcement System", translated to our imports, with what it promises.

Where the original opened its own database and read the clock, ours takes the store and the time as arguments.
"""

from datetime import UTC, datetime, timedelta

import pytest

from recsys.feedback import reinforcement
from recsys.feedback.handler import (
    calculate_dislike_weight,
    get_dislike_pattern_analysis,
    get_user_dislikes,
    record_feedback_impact,
    save_dislike,
)
from recsys.feedback.reinforcement import (
    apply_dislike_to_training_data,
    apply_feature_adjustments,
    calculate_feature_adjustment_from_dislike,
    get_feedback_improvement_metrics,
    get_untrained_negative_feedback_count,
    should_retrain_from_feedback,
)
from recsys.records import Interaction, Item
from recsys.store import FeedbackStore
from tests.integration.serving.live_api import serving

NOW = datetime(2024, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def test_recording_a_dislike_from_the_frontend(store: FeedbackStore) -> None:
    with serving(store) as api:
        response = api.client.post(
            "/api/dislike",
            headers={"Content-Type": "application/json", **api.server("7")},  # `X-User-ID` with the server's key
            json={
                "movie_id": 12345,
                "movie_title": "Movie Title",
                "recommendation_set_id": 456,
                "predicted_score": 0.75,
                "reason": "wrong_genre",
                "feedback_text": "Not my type of movie",
                "genres": ["Action", "Sci-Fi"],
                "cast": ["Actor 1", "Actor 2"],
            },
        )
        assert response.status_code == 201
        history = api.history("7")
    (stored,) = get_user_dislikes(store.feedback, "7")
    assert [row["dislike_id"] for row in history] == [response.json()["dislike_id"]] == [stored.dislike_id]
    dislike = stored.dislike
    assert (dislike.movie_id, dislike.movie_title, dislike.reason) == (12345, "Movie Title", "wrong_genre")
    assert (dislike.feedback_text, dislike.predicted_score) == ("Not my type of movie", 0.75)
    assert stored.adjustments == {"genre:Action": -0.15, "genre:Sci-Fi": -0.15}


def test_recording_a_dislike_from_the_backend(store: FeedbackStore) -> None:
    dislike_id = save_dislike(
        store.feedback,
        recorded_at=NOW,
        user_id="7",
        movie_id=12345,
        movie_title="Movie Title",
        predicted_score=0.75,
        reason="wrong_genre",
        feedback_text="Not my type",
    )
    training_data = apply_dislike_to_training_data(
        user_id="7", movie_id=12345, movie_title="Movie Title", predicted_score=0.75
    )
    assert isinstance(dislike_id, int)
    assert (training_data.actual_rating, training_data.predicted_rating) == (0.0, 0.75)
    assert (training_data.error, training_data.weight) == (0.75, 0.8)
    assert get_untrained_negative_feedback_count(store.backlog, NOW) == 1  # saving it made the example, too
    assert record_feedback_impact(store.feedback, dislike_id, "3", "genre_deemphasis", "genre:Drama", -0.15, NOW) > 0


def test_analyzing_dislike_patterns(store: FeedbackStore) -> None:
    store.catalog.upsert_items([Item("film", "Film")])
    days = [NOW - number * DAY for number in range(45)]  # others give feedback every day
    store.feedback.insert_interactions([Interaction("others", "film", "watch", at, at, is_like=False) for at in days])
    reasons = ["wrong_genre"] * 5 + ["poor_quality"] * 3 + ["not_interested"] * 7
    for number, reason in enumerate(reasons):
        recent = number < 8
        at = NOW - (DAY if recent else 40 * DAY)
        save_dislike(
            store.feedback,
            user_id="123",
            recorded_at=at,
            movie_id=number + 1,
            predicted_score=0.72 if recent else 0.1,
            reason=reason,
        )
    patterns = get_dislike_pattern_analysis(store.insights, user_id="123", as_of=NOW)
    assert patterns["reason_distribution"] == {"wrong_genre": 5, "poor_quality": 3, "not_interested": 7}
    assert patterns["recent_trend"]["total_dislikes"] == 8
    assert patterns["recent_trend"]["avg_predicted_score"] == pytest.approx(0.72)
    assert patterns["total_dislikes"] == 15


def test_checking_the_retraining_trigger(store: FeedbackStore) -> None:
    for number in range(19):
        save_dislike(store.feedback, user_id=str(number), recorded_at=NOW, movie_id=number + 1)
    assert not should_retrain_from_feedback(store.backlog, NOW)
    save_dislike(store.feedback, user_id="20", recorded_at=NOW, movie_id=20)
    assert should_retrain_from_feedback(store.backlog, NOW)


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("wrong_genre", {"genre:Action": -0.15}),  # reduce importance of that genre (-15%)
        ("poor_quality", {"cast:Actor 1": -0.10}),  # reduce cast importance (-10%)
        ("not_interested", {"genre:Action": -0.075}),  # light genre adjustment (-7.5%)
        ("already_watched", {}),  # flag for filtering
    ],
)
def test_feature_adjustment(reason: str, change: dict[str, float]) -> None:
    adjustment = calculate_feature_adjustment_from_dislike(reason, ["Action"], ["Actor 1"])
    assert adjustment == pytest.approx(change)
    importances = apply_feature_adjustments({"genre:Action": 1.0, "cast:Actor 1": 1.0}, [adjustment])
    assert importances == pytest.approx({name: 1 + change.get(name, 0) for name in importances})


def test_training_data_weighting() -> None:
    assert calculate_dislike_weight(0.0, 30.0) == 0.8
    assert calculate_dislike_weight(30.0, 30.0) == pytest.approx(0.4)  # older dislikes weighted less


def test_available_metrics(store: FeedbackStore) -> None:
    scores = [0.95, 0.05, *[(45 * 0.68 - 1.0) / 43] * 43]  # errors of 45 negative examples: mean .68
    watched = [0.9] * 10  # no examples, but dislikes with a predicted score: mean .72 over all
    for number, score in enumerate([*scores, *watched]):
        reason = "unspecified" if number < 45 else "already_watched"
        save_dislike(
            store.feedback,
            user_id=str(number),
            recorded_at=NOW,
            movie_id=number + 1,
            predicted_score=score,
            reason=reason,
        )
    metrics = get_feedback_improvement_metrics(store.insights, NOW)
    promised = {
        "total_negative_examples": 45,
        "avg_prediction_error": 0.68,
        "max_error": 0.95,
        "min_error": 0.05,
        "average_dislike_predicted_score": 0.72,
    }
    assert {name: metrics[name] for name in promised} == pytest.approx(promised)


def test_configuration() -> None:
    constants = {
        "DISLIKE_WEIGHT_MULTIPLIER": 0.8,
        "FEEDBACK_ACCUMULATION_THRESHOLD": 20,
        "GENRE_DEEMPHASIS_FACTOR": 0.15,
        "CAST_DEEMPHASIS_FACTOR": 0.10,
        "FRANCHISE_DEEMPHASIS_FACTOR": 0.12,
    }
    assert {name: getattr(reinforcement, name) for name in constants} == constants
