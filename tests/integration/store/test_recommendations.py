"""Published lists."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from recsys.errors import InputError
from recsys.feedback.handler import get_user_dislikes, save_dislike
from recsys.records import Item, RecommendationEntry, RecommendationSet
from recsys.store import FeedbackStore

NOW = datetime(2013, 6, 1, 12, tzinfo=UTC)


def list_for(user_id: str | None, first_item: int = 0, version: str = "1", num_items: int = 3) -> RecommendationSet:
    entries = tuple(
        RecommendationEntry(n + 1, f"i{(first_item + n) % 10}", 1.5 - n, "because", {"trend": 1.0, "likes": 0.5 - n})
        for n in range(num_items)
    )
    return RecommendationSet(user_id, version, NOW, NOW, entries)


@pytest.fixture
def stocked(store: FeedbackStore) -> FeedbackStore:
    store.catalog.upsert_items([Item(f"i{n}", f"Film {n}") for n in range(10)])
    return store


def test_lists_come_back(stocked: FeedbackStore) -> None:
    sets = [list_for(None), list_for("7", 2), list_for("8", num_items=0)]
    assert stocked.lists.replace_recommendation_sets("1", NOW, iter(sets)) == 3
    for one in sets:
        found = stocked.lists.get_recommendations(one.user_id)
        assert found is not None
        assert replace(found, recommendation_set_id=None) == one
    assert stocked.lists.get_recommendations("nobody") is None
    assert stocked.lists.count_recommendation_sets("1", NOW) == 3
    assert stocked.lists.count_recommendation_sets("1", NOW + timedelta(days=1)) == 0


def test_publishing_again_keeps_a_list_that_a_dislike_names(stocked: FeedbackStore) -> None:
    stocked.lists.replace_recommendation_sets("1", NOW, [list_for("7"), list_for("8"), list_for(None)])
    before = stocked.lists.get_recommendations("7")
    assert before is not None
    save_dislike(
        stocked.feedback, user_id="7", recorded_at=NOW, item_id="i0", recommendation_set_id=before.recommendation_set_id
    )
    moved = replace(list_for("7", 5), created_at=NOW + timedelta(hours=1))
    assert stocked.lists.replace_recommendation_sets("1", NOW, [moved, list_for("9"), list_for(None)]) == 3
    found = stocked.lists.get_recommendations("7")
    assert found is not None
    assert replace(found, recommendation_set_id=None) == moved
    assert found.recommendation_set_id != before.recommendation_set_id, "what was shown is not rewritten"
    assert stocked.lists.get_recommendations("8") is None
    assert stocked.lists.count_recommendation_sets("1", NOW) == 3
    (stored,) = get_user_dislikes(stocked.feedback, "7")
    assert stored.dislike.recommendation_set_id == before.recommendation_set_id
    stocked.lists.replace_recommendation_sets("1", NOW, [])
    assert stocked.lists.count_recommendation_sets("1", NOW) == 0
    assert stocked.lists.get_recommendations(None) is None
    (stored,) = get_user_dislikes(stocked.feedback, "7")
    assert stored.dislike.recommendation_set_id == before.recommendation_set_id


def test_a_user_whose_list_had_ended_gets_one_again(stocked: FeedbackStore) -> None:
    for sets in ([list_for("7")], [], [list_for("7")]):
        stocked.lists.replace_recommendation_sets("1", NOW, sets)
        found = stocked.lists.get_recommendations("7")
        assert (found is not None) == bool(sets)


@pytest.mark.parametrize(
    "sets",
    [
        [list_for("7"), list_for("7", 2)],
        [list_for(None), list_for(None)],
        [list_for("7"), list_for("8", version="2")],
        [list_for("7"), replace(list_for("8"), as_of=NOW + timedelta(days=1))],
        [list_for("7"), replace(list_for("8"), entries=(RecommendationEntry(1, "unknown", 1.0, "x", {}),))],
        [list_for("7"), replace(list_for("8"), entries=(RecommendationEntry(0, "i1", 1.0, "x", {}),))],
        [list_for("7"), replace(list_for("8"), entries=(RecommendationEntry(1, "i1", 1.0, "x", {}),) * 2)],
    ],
)
def test_bad_lists_leave_the_published_ones(stocked: FeedbackStore, sets: list[RecommendationSet]) -> None:
    published = list_for("5")
    stocked.lists.replace_recommendation_sets("1", NOW, [published])
    with pytest.raises(InputError):
        stocked.lists.replace_recommendation_sets("1", NOW, sets)
    assert stocked.lists.count_recommendation_sets("1", NOW) == 1
    found = stocked.lists.get_recommendations("5")
    assert found is not None
    assert found.entries == published.entries
    assert stocked.lists.replace_recommendation_sets("1", NOW, [list_for("6")]) == 1, "nor are the next ones refused"
    assert (stocked.lists.get_recommendations("5"), stocked.lists.get_recommendations("7")) == (None, None)


def test_more_lists_than_one_write_holds(stocked: FeedbackStore) -> None:
    sets = [list_for(f"u{n}", n) for n in range(2_500)]
    assert stocked.lists.replace_recommendation_sets("1", NOW, sets) == 2_500
    assert stocked.lists.replace_recommendation_sets("1", NOW, sets[::2]) == 1_250
    found = stocked.lists.get_recommendations("u2498")
    assert found is not None
    assert found.entries == sets[2_498].entries


def test_the_space_that_lists_take_grows_with_them(stocked: FeedbackStore) -> None:
    before = stocked.lists.lists_size()
    stocked.lists.replace_recommendation_sets("1", NOW, [list_for(f"u{number}", num_items=10) for number in range(300)])
    after = stocked.lists.lists_size()
    assert (before.num_lists, after.num_lists) == (0, 300)
    assert before.num_bytes is not None
    assert after.num_bytes is not None
    assert after.num_bytes > before.num_bytes + 100_000


def test_only_where_files_were_can_be_forgotten(stocked: FeedbackStore) -> None:
    with pytest.raises(InputError, match="Expected columns from training_set_uri, data_docs_uri, got evidence_uri"):
        stocked.backlog.forget_files("r", ["evidence_uri"])
    assert stocked.backlog.list_batches() == []
