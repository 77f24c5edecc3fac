"""Which score a dislike is held against: that of the list its user was given, whatever a client says."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import select

from recsys.errors import InputError
from recsys.feedback.handler import record_feedback_impact, save_dislike
from recsys.records import Dislike, DislikeReason, Item, Promotion, RecommendationEntry, RecommendationSet, SetKind
from recsys.store import FeedbackStore
from recsys.store.tables import dislike_feedback_impact, negative_training_examples

NOW = datetime(2024, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def given_list(store: FeedbackStore, user: str | None, chance: float, at: datetime = NOW, item: str = "x") -> int:
    store.catalog.upsert_items([Item("x", "X", ("Action",)), Item("y", "Y")])
    entry = RecommendationEntry(1, item, 1.5, "Popular right now", {"trend": 1.5}, chance)
    return store.lists.add_list(RecommendationSet(user, "7", at, at, (entry,), kind=SetKind.ADJUSTED))


def saved(store: FeedbackStore, **fields: object) -> Dislike:
    number = save_dislike(store.feedback, **{"user_id": "u", "recorded_at": NOW, "item_id": "x", **fields})  # type: ignore[arg-type]
    return store.feedback.get_dislikes([number])[number].dislike


def test_the_lists_own_score_counts_and_not_the_clients(store: FeedbackStore) -> None:
    given = given_list(store, "u", 0.7)
    found = saved(store, recommendation_set_id=given, predicted_score=0.99)
    assert (found.predicted_score, found.recommendation_set_id) == (0.7, given)
    with store.database.reading() as connection:
        example = connection.execute(select(negative_training_examples)).one()
    assert (example.predicted_rating, example.error, example.weight) == (0.7, 0.7, 0.8)


def test_the_newest_list_with_the_item_is_found_where_none_is_named(store: FeedbackStore) -> None:
    given_list(store, "u", 0.2, NOW - 2 * DAY)
    newest = given_list(store, "u", 0.6, NOW - DAY)
    given_list(store, "u", 0.9, NOW + DAY)  # not yet given when the dislike came
    given_list(store, "u", 0.8, NOW, item="y")  # without the item
    found = saved(store)
    assert (found.predicted_score, found.recommendation_set_id) == (0.6, newest)


def test_each_of_two_dislikes_is_held_against_the_list_of_its_time(store: FeedbackStore) -> None:
    first, second = given_list(store, "u", 0.2, NOW - 2 * DAY), given_list(store, "u", 0.6, NOW)
    rows = [Dislike("u", at, at, item_id="x") for at in (NOW - DAY, NOW + DAY)]
    found = store.feedback.get_dislikes([recorded.dislike_id for recorded in store.feedback.record_dislikes(rows)])
    scores = [(found[n].dislike.recommendation_set_id, found[n].dislike.predicted_score) for n in sorted(found)]
    assert scores == [(first, 0.2), (second, 0.6)]


def test_what_is_told_of_a_new_dislike_is_what_is_read_back(store: FeedbackStore) -> None:
    given_list(store, "u", 0.7)
    zone = timezone(timedelta(hours=2))
    dislike = Dislike(
        "u", NOW.astimezone(zone), (NOW + DAY).astimezone(zone), item_id="x", reason=DislikeReason.WRONG_GENRE,
        genres=("Action",), idempotency_key="k", claimed_score=0.1,
    )  # fmt: skip
    ((told, is_new),) = store.feedback.record_and_read([dislike])
    ((again, is_new_again),) = store.feedback.record_and_read([dislike])
    assert (is_new, is_new_again) == (True, False)
    assert told == again == store.feedback.get_dislikes([told.dislike_id])[told.dislike_id]
    assert told.dislike.created_at.utcoffset() == again.dislike.created_at.utcoffset()


@pytest.mark.parametrize("named", ["another user's", "none", "too large a number"])
def test_a_list_that_this_user_was_not_given_says_nothing(store: FeedbackStore, named: str) -> None:
    number = {"another user's": given_list(store, "other", 0.9), "none": 10_000, "too large a number": 2**70}[named]
    dislike = Dislike("u", NOW, NOW, item_id="x", recommendation_set_id=number, claimed_score=0.95)
    (recorded,) = store.feedback.record_dislikes([dislike])
    found = store.feedback.get_dislikes([recorded.dislike_id])[recorded.dislike_id].dislike
    assert (found.predicted_score, found.recommendation_set_id, found.claimed_score) == (None, None, 0.95)


def test_the_newcomers_list_may_be_named_by_anybody(store: FeedbackStore) -> None:
    assert saved(store, recommendation_set_id=given_list(store, None, 0.4)).predicted_score == 0.4


def test_a_list_without_the_item_promised_nothing(store: FeedbackStore) -> None:
    given = given_list(store, "u", 0.7, item="y")
    found = saved(store, recommendation_set_id=given, predicted_score=0.9)
    assert (found.predicted_score, found.recommendation_set_id) == (None, given)


def test_a_backend_that_knows_no_list_may_say_the_score(store: FeedbackStore) -> None:
    assert saved(store, item_id=None, movie_id=5, movie_title="New", predicted_score=0.75).predicted_score == 0.75


def test_what_a_dislike_did_is_written_with_the_version(store: FeedbackStore) -> None:
    store.catalog.upsert_items([Item("x", "X", ("Action", "Drama"))])
    saved(store, reason="wrong_genre")
    store.audit.begin_promotion(Promotion(1, "r", None, "7", "test", NOW, is_complete=False))
    saved(store, reason="wrong_genre", user_id="v")
    store.audit.finish_promotion(NOW, lambda promotions: None)
    number = save_dislike(store.feedback, user_id="w", recorded_at=NOW, item_id="x", reason="already_watched")
    save_dislike(store.feedback, user_id="w", recorded_at=NOW, item_id="x", reason="not_interested")
    record_feedback_impact(store.feedback, number, "8", "manual", "genre:Drama", -0.5, NOW)
    table = dislike_feedback_impact.c
    with store.database.reading() as connection:
        columns = (table.model_version_id, table.impact_type, table.feature_affected, table.adjustment_magnitude)
        rows = [tuple(row) for row in connection.execute(select(*columns).order_by(table.impact_id))]
    genres = [("genre_deemphasis", f"genre:{name}") for name in ("Action", "Drama")]
    assert rows == [
        *((None, *genre, -0.15) for genre in genres),
        *((None, *genre, -0.15) for genre in genres),  # the promotion was not complete yet
        ("7", "filter", "item:x", -1.0),
        *(("7", *genre, -0.075) for genre in genres),
        ("8", "manual", "genre:Drama", -0.5),
    ]


@pytest.mark.parametrize(("magnitude", "number"), [(1.5, 1), (-0.1, 99)])
def test_an_impact_of_nothing_or_out_of_range_is_refused(store: FeedbackStore, magnitude: float, number: int) -> None:
    store.catalog.upsert_items([Item("x", "X")])
    saved(store)
    with pytest.raises(InputError):
        record_feedback_impact(store.feedback, number, "8", "manual", "genre:Drama", magnitude, NOW)


def test_features_of_an_unknown_film_are_those_the_client_saw(store: FeedbackStore) -> None:
    number = save_dislike(
        store.feedback,
        user_id="u",
        recorded_at=NOW,
        movie_id=9,
        movie_title="New",
        reason="wrong_genre",
        genres=["Noir"],
    )
    found = store.feedback.get_dislikes([number])[number]
    assert found.adjustments == {"genre:Noir": -0.15}
    assert not found.dislike.item_was_known
