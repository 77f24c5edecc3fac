"""Publishing makes no dislike wait, shows all lists or none, doubles nothing, and leaves no more than is needed."""

import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select

from recsys.errors import ConflictError
from recsys.records import Dislike, Item, Promotion, RecommendationEntry, RecommendationSet, SetKind
from recsys.serving.lists import serve_list
from recsys.store import FeedbackStore
from recsys.store.publications import LISTS_PER_TRANSACTION
from recsys.store.tables import publications, recommendation_entries, recommendation_exposures, recommendation_sets

ROOT = Path(__file__).resolve().parents[3]
AS_OF = datetime(2013, 6, 12, tzinfo=UTC)
NOW = datetime(2026, 11, 28, tzinfo=UTC)
DAY = timedelta(days=1)
NUM_USERS = 2 * LISTS_PER_TRANSACTION + 7
USERS = [f"u{n:03}" for n in range(NUM_USERS)]


def one_list(user_id: str | None, version: str = "1", first: int = 0, at: datetime = NOW) -> RecommendationSet:
    entries = tuple(
        RecommendationEntry(n + 1, f"i{(first + n) % 10}", 1.5 - n, "because", {"trend": 1.0, "likes": 0.5 - n})
        for n in range(5)
    )
    return RecommendationSet(user_id, version, AS_OF, at, entries)


def lists(version: str = "1", first: int = 0) -> Iterator[RecommendationSet]:
    return (one_list(user, version, first) for user in (*USERS, None))


@pytest.fixture
def stocked(store: FeedbackStore) -> FeedbackStore:
    store.catalog.upsert_items([Item(f"i{n}", f"Film {n}") for n in range(10)])
    return store


def make_champion(store: FeedbackStore, version: str, at: datetime = NOW) -> None:
    last = store.audit.last_promotion()
    sequence, before = (1, None) if last is None else (last.sequence + 1, last.to_version)
    store.audit.begin_promotion(Promotion(sequence, f"run-{sequence}", before, version, "x", at, is_complete=False))
    store.audit.finish_promotion(at, lambda rows: None)


def rows(store: FeedbackStore, table: Any) -> list[Any]:
    with store.database.reading() as connection:
        return list(connection.execute(select(table).order_by(*table.primary_key)))


def served(store: FeedbackStore) -> Counter[tuple[str, str]]:
    """How many users are served a version with a first item."""
    found = [store.lists.get_recommendations(user) for user in (*USERS, None)]
    return Counter((one.model_version, one.entries[0].item_id) for one in found if one is not None)


class Killed(BaseException):
    """Ends a publication as a kill does: nothing is put in order."""


def killed_at(sets: Iterator[RecommendationSet], position: int) -> Iterator[RecommendationSet]:
    for place, one in enumerate(sets):
        if place == position:
            raise Killed
        yield one


def test_no_transaction_is_open_while_lists_are_computed_and_each_holds_few(stocked: FeedbackStore) -> None:
    stocked.lists.replace_recommendation_sets("1", AS_OF, lists())
    sizes: list[int] = []
    write = stocked.database.write

    def counted(work: Callable[[Connection], Any], **options: Any) -> Any:
        def counting(connection: Connection) -> Any:
            numbers = select(recommendation_sets.c.recommendation_set_id)
            before = set(connection.scalars(numbers))
            result = work(connection)
            sizes.append(len(before ^ set(connection.scalars(numbers))))
            return result

        return write(counting, **options)

    stocked.database.write = counted  # type: ignore[method-assign]

    def computed() -> Iterator[RecommendationSet]:
        for n, one in enumerate(lists(first=3)):
            assert stocked.database.engine.pool.checkedout() == 0, "no connection is in use, and so no transaction open"
            if stocked.database.engine.dialect.name == "sqlite" and n % 50 == 0:
                write_beside(stocked, n)
            yield one

    stocked.lists.replace_recommendation_sets("1", AS_OF, computed())
    assert served(stocked) == {("1", "i3"): NUM_USERS + 1}
    assert max(sizes) == LISTS_PER_TRANSACTION
    assert sum(sizes) == 2 * (NUM_USERS + 1), "all are written, and what they replace is deleted"
    if stocked.database.engine.dialect.name == "sqlite":
        assert len(stocked.feedback.list_dislikes("someone")) == len(range(0, NUM_USERS + 1, 50))


def write_beside(store: FeedbackStore, n: int) -> None:
    """Writes a dislike from another connection, which fails at once if anybody holds the write lock."""
    with closing(
        sqlite3.connect(store.database.engine.url.database or "", timeout=0, isolation_level=None)
    ) as connection:
        at = f"2026-11-28 00:00:00.{n:06}Z"
        connection.execute(
            "INSERT INTO user_dislikes (user_id, movie_title, item_id, reason, genres, cast_members, created_at, recorded_at)"
            " VALUES ('someone', 'Film 1', 'i1', 'unspecified', '[]', '[]', ?, ?)",
            (at, at),
        )


def test_whoever_is_served_meanwhile_gets_the_old_lists_and_then_all_get_the_new_ones(stocked: FeedbackStore) -> None:
    stocked.lists.replace_recommendation_sets("1", AS_OF, lists())
    old = {("1", "i0"): NUM_USERS + 1}

    def watched() -> Iterator[RecommendationSet]:
        for n, one in enumerate(lists(first=3)):
            if n % 40 == 0:
                assert served(stocked) == old
            if n % 7 == 0:
                shown = serve_list(stocked, USERS[n % NUM_USERS], NOW, k=5)
                assert [entry.item_id for entry in shown.entries] == [f"i{place}" for place in range(5)]
            yield one
        assert served(stocked) == old

    stocked.lists.replace_recommendation_sets("1", AS_OF, watched())
    assert served(stocked) == {("1", "i3"): NUM_USERS + 1}


def test_a_publication_that_died_shows_nothing_and_is_finished_by_the_next(stocked: FeedbackStore) -> None:
    stocked.lists.replace_recommendation_sets("1", AS_OF, lists())
    for position in (0, LISTS_PER_TRANSACTION + 1, NUM_USERS):
        with pytest.raises(Killed):
            stocked.lists.replace_recommendation_sets("1", AS_OF, killed_at(lists(first=3), position))
        assert served(stocked) == {("1", "i0"): NUM_USERS + 1}
    left = {row.recommendation_set_id for row in rows(stocked, recommendation_sets)}
    assert len(left) > NUM_USERS + 1, "it had written something"
    assert stocked.lists.replace_recommendation_sets("1", AS_OF, lists(first=3)) == NUM_USERS + 1
    assert served(stocked) == {("1", "i3"): NUM_USERS + 1}
    now = rows(stocked, recommendation_sets)
    assert len(now) == NUM_USERS + 1, "nothing is doubled, and what nobody was shown is gone"
    assert len(left & {row.recommendation_set_id for row in now}) == 2 * LISTS_PER_TRANSACTION, "the rest was written"
    assert len(rows(stocked, publications)) == 2
    assert len(rows(stocked, recommendation_entries)) == 5 * (NUM_USERS + 1)


DYING = """
import os, signal, sys
from recsys.store import FeedbackStore, publications
from tests.integration.store.test_publications import AS_OF, lists

written, insert = 0, publications._insert

def dies_in_its_second_transaction(*arguments):
    global written
    insert(*arguments)
    written += 1
    if written == 2:
        os.kill(os.getpid(), signal.SIGKILL)

publications._insert = dies_in_its_second_transaction
with FeedbackStore.open(sys.argv[1]) as store:
    store.lists.replace_recommendation_sets("1", AS_OF, lists(first=3))
"""


def test_a_process_that_is_killed_while_it_publishes_changes_nothing_for_users(
    stocked: FeedbackStore, database_url: str
) -> None:
    stocked.lists.replace_recommendation_sets("1", AS_OF, lists())
    died = subprocess.run([sys.executable, "-c", DYING, database_url], cwd=ROOT, check=False)
    assert died.returncode == -signal.SIGKILL
    assert served(stocked) == {("1", "i0"): NUM_USERS + 1}
    assert len(rows(stocked, recommendation_sets)) == NUM_USERS + 1 + LISTS_PER_TRANSACTION, "one transaction's"
    assert stocked.lists.replace_recommendation_sets("1", AS_OF, lists(first=3)) == NUM_USERS + 1
    assert served(stocked) == {("1", "i3"): NUM_USERS + 1}
    assert len(rows(stocked, recommendation_sets)) == NUM_USERS + 1


def test_lists_of_users_that_a_dead_publication_had_and_the_next_has_not_are_dropped(stocked: FeedbackStore) -> None:
    with pytest.raises(Killed):
        stocked.lists.replace_recommendation_sets("1", AS_OF, killed_at(lists(), LISTS_PER_TRANSACTION + 1))
    stocked.lists.replace_recommendation_sets("1", AS_OF, [one_list(None)])
    assert [row.user_id for row in rows(stocked, recommendation_sets)] == [None]


def test_of_two_processes_that_publish_a_version_the_later_one_goes_on(stocked: FeedbackStore) -> None:
    def overtaken() -> Iterator[RecommendationSet]:
        for n, one in enumerate(lists()):
            if n == LISTS_PER_TRANSACTION + 1:
                stocked.lists.replace_recommendation_sets("1", AS_OF, lists(first=3))
            yield one

    with pytest.raises(ConflictError, match="another process took it over"):
        stocked.lists.replace_recommendation_sets("1", AS_OF, overtaken())
    assert served(stocked) == {("1", "i3"): NUM_USERS + 1}
    assert len(rows(stocked, recommendation_sets)) == NUM_USERS + 1


def test_lists_that_did_not_change_are_not_written_again(stocked: FeedbackStore) -> None:
    stocked.lists.replace_recommendation_sets("1", AS_OF, lists())
    before = rows(stocked, recommendation_sets)
    later = [replace(one, as_of=AS_OF + DAY, created_at=NOW + DAY) for one in lists()]
    later[5] = replace(later[5], entries=one_list(None, first=1).entries)
    stocked.lists.replace_recommendation_sets("1", AS_OF + DAY, later)
    after = rows(stocked, recommendation_sets)
    assert len({*after} - {*before}) == 1, "the one that changed"
    assert len(after) == len(before)
    assert stocked.lists.count_recommendation_sets("1", AS_OF + DAY) == NUM_USERS + 1
    found = stocked.lists.get_recommendations(USERS[0])
    assert found is not None
    assert (found.as_of, found.created_at) == (AS_OF + DAY, NOW), "it knows what was recorded up to the newest cut-off"


def test_a_change_of_anything_that_is_served_is_a_change(stocked: FeedbackStore) -> None:
    base = one_list("u")
    first = base.entries[0]
    changes = [
        replace(base, calibration={"slope": 1.0}),
        replace(base, adjustment_power=2.0),
        replace(base, entries=(replace(first, reason="since"), *base.entries[1:])),
        replace(base, entries=(replace(first, contributions={"trend": 1.0 + 2**-52}), *base.entries[1:])),
        replace(base, entries=(replace(first, predicted_score=0.5), *base.entries[1:])),
        replace(base, entries=base.entries[:-1]),
        base,
    ]
    for changed in changes:
        stocked.lists.replace_recommendation_sets("1", AS_OF, [changed])
        found = stocked.lists.get_recommendations("u")
        assert found is not None
        assert replace(found, recommendation_set_id=None) == changed


def test_a_list_that_was_shown_or_disliked_from_stays_as_it_was(stocked: FeedbackStore) -> None:
    stocked.lists.replace_recommendation_sets("1", AS_OF, lists())
    shown = serve_list(stocked, "u000", NOW, k=5)
    named = stocked.lists.get_recommendations("u001")
    assert named is not None
    stocked.feedback.record_dislikes([
        Dislike("u001", NOW, NOW, item_id="i9", recommendation_set_id=named.recommendation_set_id)
    ])  # fmt: skip
    stocked.lists.replace_recommendation_sets("1", AS_OF, lists(first=3))
    kept = {row.recommendation_set_id: row for row in rows(stocked, recommendation_sets)}
    assert len(kept) == NUM_USERS + 3
    assert {kept[shown.recommendation_set_id].user_id, kept[named.recommendation_set_id].user_id} == {"u000", "u001"}
    entries = [row for row in rows(stocked, recommendation_entries) if row[0] == shown.recommendation_set_id]
    assert [row.item_id for row in entries] == [entry.item_id for entry in shown.entries]


def test_a_list_that_is_replaced_between_reading_and_showing_is_read_again(stocked: FeedbackStore) -> None:
    stocked.lists.replace_recommendation_sets("1", AS_OF, lists())
    replaced: list[int] = []
    add_exposure = stocked.lists.add_exposure

    def slow(set_id: int, num_items: int, served_at: datetime) -> bool:
        if not replaced:
            replaced.append(set_id)
            stocked.lists.replace_recommendation_sets("1", AS_OF, lists(first=3))
        return add_exposure(set_id, num_items, served_at)

    stocked.lists.add_exposure = slow  # type: ignore[method-assign]
    given = serve_list(stocked, "u000", NOW, k=5)
    assert [entry.item_id for entry in given.entries] == ["i3", "i4", "i5", "i6", "i7"]
    (exposure,) = rows(stocked, recommendation_exposures)
    assert exposure.recommendation_set_id == given.recommendation_set_id != replaced[0]


def test_old_lists_are_deleted_but_for_those_that_are_served_or_were_shown(stocked: FeedbackStore) -> None:
    """What dead processes left, and what was made for a user and never given, goes too."""
    for version in ("1", "2"):
        make_champion(stocked, version)
        stocked.lists.replace_recommendation_sets(version, AS_OF, lists(version))
    shown = serve_list(stocked, "u000", NOW, k=5).recommendation_set_id
    stocked.lists.add_list(replace(one_list("u003", "2"), kind=SetKind.ADJUSTED))
    with pytest.raises(Killed):
        stocked.lists.replace_recommendation_sets("2", AS_OF, killed_at(lists("2", 3), LISTS_PER_TRANSACTION + 1))
    kept = ("2", "1")
    assert stocked.lists.unseen_lists(kept, NOW) == [], "none is older"
    assert len(stocked.lists.unseen_lists(kept, NOW + DAY)) == LISTS_PER_TRANSACTION + 1
    stocked.lists.withdraw_lists(kept, NOW)
    assert stocked.lists.delete_unseen_lists(NOW + DAY) == LISTS_PER_TRANSACTION + 1
    assert stocked.lists.delete_unseen_lists(NOW + DAY) == 0
    assert len(rows(stocked, recommendation_sets)) == 2 * (NUM_USERS + 1)
    stocked.lists.withdraw_lists(("1",), NOW)
    assert stocked.lists.unseen_lists(made_before=NOW + DAY) == [], "what is served is not withdrawn"
    stocked.lists.withdraw_lists(("2",), NOW)
    assert stocked.lists.delete_unseen_lists(NOW + DAY) == NUM_USERS + 1
    assert shown in {row.recommendation_set_id for row in rows(stocked, recommendation_sets)}
    assert served(stocked) == {("2", "i0"): NUM_USERS + 1}


def test_a_publication_whose_rows_were_pruned_does_not_go_on(stocked: FeedbackStore) -> None:
    def pruned() -> Iterator[RecommendationSet]:
        for n, one in enumerate(lists()):
            if n == LISTS_PER_TRANSACTION + 1:
                assert stocked.lists.delete_unseen_lists(NOW + DAY) == LISTS_PER_TRANSACTION
            yield one

    with pytest.raises(ConflictError, match="deleted its lists as old ones"):
        stocked.lists.replace_recommendation_sets("1", AS_OF, pruned())
    stocked.lists.replace_recommendation_sets("1", AS_OF, lists())
    assert served(stocked) == {("1", "i0"): NUM_USERS + 1}


def test_a_list_in_the_making_is_held_against_no_dislike(stocked: FeedbackStore) -> None:
    with pytest.raises(Killed):
        stocked.lists.replace_recommendation_sets("1", AS_OF, killed_at(lists(), LISTS_PER_TRANSACTION + 1))
    (recorded,) = stocked.feedback.record_dislikes([Dislike("u000", NOW, NOW, item_id="i1")])
    found = stocked.feedback.get_dislikes([recorded.dislike_id])[recorded.dislike_id].dislike
    assert found.recommendation_set_id is None
