"""What a user is served acts on what they just said, and every list that was given is on record."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from recsys.config.eligibility import EligibilityRule
from recsys.config.run import RunConfig
from recsys.errors import NotFoundError
from recsys.model.calibration import Calibration
from recsys.records import (
    Batch,
    BatchStatus,
    Dislike,
    DislikeReason,
    Interaction,
    Item,
    RecommendationEntry,
    RecommendationSet,
    SetKind,
)
from recsys.serving.lists import serve_list
from recsys.store import FeedbackStore
from recsys.store.tables import recommendation_exposures

NOW = datetime(2024, 5, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
CALIBRATION = Calibration(2.0, -1.0, "opinions")
# Films 0, 2, 4 ... are Action, the others Drama; each has a cast of its own, and the first four are one franchise.
FILMS = [
    Item(f"i{n}", f"Film {n}", ("Action" if n % 2 == 0 else "Drama",), (f"Star {n}",), "Saga" if n < 4 else None)
    for n in range(12)
]


def entries(first: int, count: int, **terms: float) -> tuple[RecommendationEntry, ...]:
    result = []
    for rank in range(1, count + 1):
        contributions = {"trend": 2.0 - 0.05 * rank, **terms}
        score = sum(contributions.values())
        chance = float(CALIBRATION.predict(score))
        result.append(RecommendationEntry(rank, f"i{first + rank - 1}", score, "Popular", contributions, chance))
    return tuple(result)


@pytest.fixture
def published(store: FeedbackStore) -> FeedbackStore:
    store.catalog.upsert_items([*FILMS, Item("liked", "Liked"), Item("disliked", "Disliked")])
    store.feedback.insert_interactions([Interaction("u", "liked", "like", NOW - MINUTE, NOW - MINUTE, is_like=True)])
    store.feedback.record_dislikes([Dislike("u", NOW - MINUTE, NOW - MINUTE, item_id="disliked")])
    own = entries(0, 6, **{"like:liked": 0.3, "recent:liked": 0.2, "dislike:disliked": -0.1})
    chances = CALIBRATION.as_dict()
    store.lists.replace_recommendation_sets(
        "7",
        NOW,
        [
            RecommendationSet("u", "7", NOW, NOW, own, calibration=chances),
            RecommendationSet(None, "7", NOW, NOW, entries(0, 12), calibration=chances),
        ],
    )
    return store


def ids(served: RecommendationSet) -> list[str]:
    return [entry.item_id for entry in served.entries]


def dislike(
    store: FeedbackStore, item: str, reason: DislikeReason, at: datetime = NOW + MINUTE, user: str = "u"
) -> int:
    return store.feedback.record_dislikes([Dislike(user, at, at, item_id=item, reason=reason)])[0].dislike_id


def check_sums(served: RecommendationSet) -> None:
    for entry in served.entries:
        assert entry.score == pytest.approx(sum(entry.contributions.values()), abs=1e-9)
        assert entry.predicted_score == pytest.approx(float(CALIBRATION.predict(entry.score)))
    assert [entry.rank for entry in served.entries] == list(range(1, len(served.entries) + 1))
    scores = [entry.score for entry in served.entries]
    assert scores == sorted(scores, reverse=True)


def test_a_list_that_nothing_changed_is_served_as_published(published: FeedbackStore) -> None:
    served = serve_list(published, "u", NOW + MINUTE, k=3)
    assert (ids(served), served.kind) == (["i0", "i1", "i2"], SetKind.PUBLISHED)
    check_sums(served)
    serve_list(published, "u", NOW + 2 * MINUTE, k=5)
    with published.database.reading() as connection:
        table = recommendation_exposures.c
        rows = connection.execute(select(table.recommendation_set_id, table.num_items, table.served_at)).all()
    assert [tuple(row) for row in rows] == [
        (served.recommendation_set_id, 3, NOW + MINUTE), (served.recommendation_set_id, 5, NOW + 2 * MINUTE),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "disliked", "lowered"),
    [
        (DislikeReason.WRONG_GENRE, "i0", {"i2": 0.85, "i4": 0.85}),
        (DislikeReason.NOT_INTERESTED, "i0", {"i2": 0.925, "i4": 0.925}),
        (DislikeReason.TIRED_OF_FRANCHISE, "i0", {"i1": 0.88, "i2": 0.88, "i3": 0.88}),
        (DislikeReason.POOR_QUALITY, "i0", {}),
        (DislikeReason.ALREADY_WATCHED, "i0", {}),
        (DislikeReason.UNSPECIFIED, "i0", {}),
    ],
)
def test_a_dislike_acts_at_once_and_its_undo_undoes_it_exactly(
    published: FeedbackStore, reason: DislikeReason, disliked: str, lowered: dict[str, float]
) -> None:
    before = {entry.item_id: entry for entry in serve_list(published, "u", NOW, k=6).entries}
    number = dislike(published, disliked, reason)
    served = serve_list(published, "u", NOW + MINUTE, k=5)
    check_sums(served)
    assert set(ids(served)) == set(before) - {disliked}
    for entry in served.entries:
        assert entry.score == pytest.approx(before[entry.item_id].score * lowered.get(entry.item_id, 1.0), abs=1e-9)
        assert ("since you disliked Film 0" in entry.reason) == (entry.item_id in lowered)
    published.feedback.retract_dislike("u", number, NOW + 2 * MINUTE)
    after = serve_list(published, "u", NOW + 3 * MINUTE, k=6)
    assert {e.item_id: (e.score, e.contributions) for e in after.entries} == {
        e.item_id: (e.score, e.contributions) for e in before.values()
    }


def test_a_list_answers_as_strongly_as_its_version(published: FeedbackStore) -> None:
    """Between two nights the same dislike does what it will do in the next published list."""
    version = RecommendationSet(
        "u", "8", NOW, NOW, entries(0, 6), calibration=CALIBRATION.as_dict(), adjustment_power=3.0
    )
    published.lists.replace_recommendation_sets(
        "8", NOW + MINUTE, [replace(version, as_of=NOW + MINUTE, created_at=NOW + MINUTE)]
    )
    before = {entry.item_id: entry.score for entry in version.entries}
    dislike(published, "i0", DislikeReason.WRONG_GENRE, NOW + 2 * MINUTE)
    for at in (3 * MINUTE, 4 * MINUTE):  # made, and then found again
        served = serve_list(published, "u", NOW + at, k=5)
        check_sums(served)
        assert (served.kind, served.adjustment_power) == (SetKind.ADJUSTED, 3.0)
        scores = {entry.item_id: entry.score for entry in served.entries}
        assert scores["i2"] == pytest.approx(before["i2"] * 0.85**3)
        assert scores["i1"] == pytest.approx(before["i1"])


def test_an_adjustment_fades_with_the_half_life_of_the_version(published: FeedbackStore) -> None:
    batch = Batch(
        "r", NOW, NOW, None, BatchStatus.CLAIMED, 0, RunConfig(), NOW, NOW + MINUTE, planned_half_life_days=10.0
    )
    published.backlog.claim_backlog(batch)
    published.backlog.update_batch("r", challenger_version="6", refit_version="7")
    dislike(published, "i0", DislikeReason.WRONG_GENRE, NOW + MINUTE)
    served = serve_list(published, "u", NOW + MINUTE + timedelta(days=10), k=5)
    terms = {entry.item_id: entry for entry in served.entries}["i2"].contributions
    left = sum(terms.values()) / (sum(terms.values()) - terms["adjustment:genre:Action"])
    assert left == pytest.approx(1 - 0.15 / 2)


def test_an_adjustment_that_has_faded_away_has_no_row(published: FeedbackStore) -> None:
    batch = Batch(
        "r", NOW, NOW, None, BatchStatus.CLAIMED, 0, RunConfig(), NOW, NOW + MINUTE, planned_half_life_days=10.0
    )
    published.backlog.claim_backlog(batch)
    published.backlog.update_batch("r", challenger_version="6", refit_version="7")
    dislike(published, "i0", DislikeReason.WRONG_GENRE, NOW + MINUTE)
    served = serve_list(published, "u", NOW + MINUTE + timedelta(days=300), k=5)
    check_sums(served)
    values = [value for entry in served.entries for value in entry.contributions.values()]
    assert not [value for value in values if f"{abs(value):.6f}" == "0.000000"]


def test_what_moves_up_to_the_top_was_not_visibly_lowered(published: FeedbackStore) -> None:
    """The film that stood before it is gone; the sentence of the published list would now be wrong."""
    version = published.lists.get_recommendations("u")
    assert version is not None
    terms = {"trend": 2.0, "dislike:disliked": -0.3}
    said = "Popular right now; ranked lower since you disliked Disliked"
    own = [replace(entry, contributions=terms, score=1.7, reason=said) for entry in version.entries[1:]]
    own = [replace(entry, rank=rank) for rank, entry in enumerate([version.entries[0], *own], start=1)]
    later = NOW + MINUTE
    published.lists.replace_recommendation_sets(
        "7", later, [RecommendationSet("u", "7", later, later, tuple(own), calibration=version.calibration)]
    )
    dislike(published, "i0", DislikeReason.ALREADY_WATCHED, NOW + 2 * MINUTE)
    served = serve_list(published, "u", NOW + 3 * MINUTE, k=5)
    assert ids(served)[0] == "i1"
    assert served.entries[0].reason == "Popular right now"


def test_one_users_dislike_changes_nobody_elses_list(published: FeedbackStore) -> None:
    before = serve_list(published, "stranger", NOW)
    dislike(published, "i0", DislikeReason.WRONG_GENRE)
    assert serve_list(published, "stranger", NOW + 2 * MINUTE).entries == before.entries


def test_a_stranger_gets_the_newcomers_list_in_their_own_name(published: FeedbackStore) -> None:
    served = serve_list(published, "stranger", NOW + MINUTE)
    assert (served.user_id, served.kind, len(served.entries)) == ("stranger", SetKind.ADJUSTED, 10)
    again = serve_list(published, "stranger", NOW + 2 * MINUTE)
    assert again.recommendation_set_id == served.recommendation_set_id  # nothing changed: the same list
    dislike(published, "i3", DislikeReason.ALREADY_WATCHED, NOW + 3 * MINUTE, user="stranger")
    changed = serve_list(published, "stranger", NOW + 4 * MINUTE)
    assert changed.recommendation_set_id != served.recommendation_set_id
    assert "i3" not in ids(changed)


def test_what_was_met_since_is_left_out_and_newcomers_films_fill_up(published: FeedbackStore) -> None:
    rows = [Interaction("u", f"i{n}", "watch", NOW + MINUTE, NOW + MINUTE, is_like=False) for n in (0, 1, 2)]
    published.feedback.insert_interactions(rows)
    assert ids(serve_list(published, "u", NOW + MINUTE, k=6)) == ["i3", "i4", "i5", "i6", "i7", "i8"]


def test_an_opinion_that_no_longer_holds_is_no_reason(published: FeedbackStore) -> None:
    dislike(published, "liked", DislikeReason.UNSPECIFIED)
    published.feedback.insert_interactions([
        Interaction("u", "disliked", "like", NOW + MINUTE, NOW + MINUTE, is_like=True)
    ])  # fmt: skip
    for entry in serve_list(published, "u", NOW + MINUTE, k=5).entries:
        assert set(entry.contributions) == {"trend"}


def test_a_dislike_is_held_against_the_list_that_was_served(published: FeedbackStore) -> None:
    dislike(published, "i0", DislikeReason.WRONG_GENRE)
    served = serve_list(published, "u", NOW + MINUTE, k=5)
    chosen: Any = served.entries[2]
    number = dislike(published, chosen.item_id, DislikeReason.UNSPECIFIED, NOW + 2 * MINUTE)
    found = published.feedback.get_dislikes([number])[number].dislike
    assert (found.recommendation_set_id, found.predicted_score) == (
        served.recommendation_set_id,
        chosen.predicted_score,
    )


@pytest.mark.parametrize(
    ("barred", "back"),
    [
        ({"is_hidden": True}, {"is_hidden": False}),
        ({"available_until": NOW + MINUTE}, {"available_until": None}),
        ({"available_from": NOW + timedelta(days=9)}, {"available_from": None}),
    ],
)
def test_what_may_not_be_recommended_any_more_leaves_published_lists_and_others_fill_them(
    published: FeedbackStore, barred: dict[str, Any], back: dict[str, Any]
) -> None:
    before = serve_list(published, "u", NOW, k=6)
    assert "i0" in ids(before)
    published.catalog.change_item("i0", barred, NOW + MINUTE)
    for at in (2, 3):  # made, and then found again
        served = serve_list(published, "u", NOW + at * MINUTE, k=6)
        assert ids(served) == ["i1", "i2", "i3", "i4", "i5", "i6"]
        assert "i0" not in ids(serve_list(published, "stranger", NOW + at * MINUTE))
        check_sums(served)
    published.catalog.change_item("i0", back, NOW + 4 * MINUTE)
    assert ids(serve_list(published, "u", NOW + 5 * MINUTE, k=6)) == ids(before)
    assert "i0" in ids(serve_list(published, "stranger", NOW + 5 * MINUTE))


def test_a_film_that_comes_back_is_in_adjusted_lists_again(published: FeedbackStore) -> None:
    dislike(published, "i2", DislikeReason.POOR_QUALITY)  # from here on the list is made when it is served
    before = serve_list(published, "u", NOW + 2 * MINUTE, k=5)
    published.catalog.change_item("i0", {"is_hidden": True}, NOW + 3 * MINUTE)
    assert "i0" not in ids(serve_list(published, "u", NOW + 4 * MINUTE, k=5))
    published.catalog.change_item("i0", {"is_hidden": False}, NOW + 5 * MINUTE)
    assert ids(serve_list(published, "u", NOW + 6 * MINUTE, k=5)) == ids(before)


def test_a_film_expires_while_nobody_changes_anything(published: FeedbackStore) -> None:
    published.catalog.change_item("i0", {"available_until": NOW + 2 * MINUTE}, NOW - MINUTE)
    assert ids(serve_list(published, "u", NOW + MINUTE, k=3)) == ["i0", "i1", "i2"]
    assert ids(serve_list(published, "u", NOW + 2 * MINUTE, k=3)) == ["i1", "i2", "i3"]


def test_an_exclusion_acts_at_once_on_its_user_alone_and_can_be_taken_back(published: FeedbackStore) -> None:
    before = serve_list(published, "u", NOW, k=6)
    published.catalog.exclude_item("u", "i0", NOW + MINUTE)
    served = serve_list(published, "u", NOW + MINUTE, k=6)
    assert ids(served) == ["i1", "i2", "i3", "i4", "i5", "i6"]
    check_sums(served)
    assert "i0" in ids(serve_list(published, "stranger", NOW + MINUTE))
    for entry in served.entries[:5]:  # no opinion: nothing else changes
        same = next(one for one in before.entries if one.item_id == entry.item_id)
        assert (entry.score, entry.contributions) == (same.score, same.contributions)
    published.catalog.include_item("u", "i0", NOW + 2 * MINUTE)
    assert ids(serve_list(published, "u", NOW + 3 * MINUTE, k=6)) == ids(before)


def test_live_lists_follow_the_rule_of_the_version_and_the_catalog_of_now(published: FeedbackStore) -> None:
    batch = Batch("r", NOW, NOW, None, BatchStatus.CLAIMED, 0, RunConfig(), NOW, NOW + MINUTE)
    published.backlog.claim_backlog(
        replace(batch, planned_half_life_days=10.0, rule=EligibilityRule(genres=("Action",)))
    )
    published.backlog.update_batch("r", challenger_version="6", refit_version="7")
    assert set(ids(serve_list(published, "u", NOW + MINUTE))) == {"i0", "i2", "i4", "i6", "i8", "i10"}
    published.catalog.change_item("i4", {"genres": ("Drama",)}, NOW + 2 * MINUTE)
    assert "i4" not in ids(serve_list(published, "u", NOW + 3 * MINUTE))


def test_before_anything_was_published_it_says_so(store: FeedbackStore) -> None:
    with pytest.raises(NotFoundError, match="recsys run"):
        serve_list(store, "u", NOW)


def test_a_row_of_the_future_writes_no_list_at_each_request(published: FeedbackStore) -> None:
    future = NOW + timedelta(days=27_000)
    dislike(published, "i0", DislikeReason.UNSPECIFIED)
    published.feedback.insert_interactions([Interaction("u", "i1", "like", future, future, is_like=True)])
    asked = [serve_list(published, "u", NOW + (2 + n) * MINUTE, 3) for n in range(5)]
    assert len({one.recommendation_set_id for one in asked}) == 1
    assert "i0" not in ids(asked[0]), "what is not in the future acts"
    assert "i1" in ids(asked[0]), "what is in the future does not act yet"
    dislike(published, "i2", DislikeReason.UNSPECIFIED, NOW + 9 * MINUTE)
    later = [serve_list(published, "u", NOW + (10 + n) * MINUTE, 3) for n in range(3)]
    assert len({one.recommendation_set_id for one in later} - {asked[0].recommendation_set_id}) == 1
    assert "i2" not in ids(later[0])


def test_a_list_whose_scores_are_no_sums_is_served_as_published_without_what_may_not_be_shown(
    published: FeedbackStore,
) -> None:
    """A model of another family shows its nearest items, not what its scores are made of."""
    own = tuple(
        RecommendationEntry(rank, f"i{rank - 1}", 2.0 - 0.05 * rank, "Near Liked", {"like:liked": 0.9}, None)
        for rank in range(1, 7)
    )
    lists = [RecommendationSet(user, "8", NOW, NOW, own) for user in ("u", None)]
    published.lists.replace_recommendation_sets("8", NOW, lists)
    assert ids(serve_list(published, "u", NOW, k=6)) == ["i0", "i1", "i2", "i3", "i4", "i5"]
    dislike(published, "i0", DislikeReason.WRONG_GENRE)
    published.catalog.exclude_item("u", "i3", NOW + MINUTE)
    served = serve_list(published, "u", NOW + 2 * MINUTE, k=4)
    assert ids(served) == ["i1", "i2", "i4", "i5"]
    assert [entry.rank for entry in served.entries] == [1, 2, 3, 4]
    before = {entry.item_id: entry for entry in own}
    for entry in served.entries:
        was = before[entry.item_id]
        assert (entry.score, entry.reason, entry.contributions) == (was.score, was.reason, was.contributions)
