"""Who is erased stays erased: the key that names them, what refuses them, and what is left of them."""

import os
import sqlite3
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, text

from recsys.errors import ErasedError, InputError, NotFoundError, TerminalError
from recsys.feedback.patterns import Pattern, Severity
from recsys.home.moving import move_home
from recsys.records import (
    Dislike,
    Interaction,
    Item,
    RecommendationEntry,
    RecommendationSet,
    SetKind,
)
from recsys.settings import Settings, user_key_file
from recsys.store import FeedbackStore, migrate
from recsys.store.tables import erasures, items, metadata, recommendation_sets, tombstones
from recsys.store.user_key import KeyFile, UserKey, plain_hash
from tests.integration.store.test_publications_migration import at_revision

NOW = datetime(2026, 11, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
FILMS = [Item("a", "A", ("Drama",)), Item("b", "B", ("Drama",))]
ENTRY = RecommendationEntry(1, "a", 1.0, "", {"trend": 1.0})


def like(user: str, item: str = "a") -> Interaction:
    return Interaction(user, item, "like", NOW, NOW, is_like=True)


def made_list(user: str, kind: SetKind = SetKind.ADJUSTED) -> RecommendationSet:
    return RecommendationSet(user, "1", NOW, NOW, (ENTRY,), kind=kind)


@pytest.fixture
def stocked(store: FeedbackStore) -> FeedbackStore:
    store.catalog.upsert_items(FILMS)
    store.feedback.insert_interactions([like("u1"), like("u2")])
    return store


def key_path(url: str) -> Path:
    return user_key_file(Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite") else None)


REFUSED: list[Callable[[FeedbackStore, str], Any]] = [
    lambda store, user: store.feedback.insert_interactions([like(user)]),
    lambda store, user: store.feedback.record_dislikes([Dislike(user, NOW, NOW, item_id="a")]),
    lambda store, user: store.feedback.record_and_read([Dislike(user, NOW, NOW, movie_title="New")]),
    lambda store, user: store.feedback.retract_dislike(user, 1, NOW),
    lambda store, user: store.catalog.exclude_item(user, "a", NOW),
    lambda store, user: store.catalog.include_item(user, "a", NOW),
]


@pytest.mark.parametrize("write", REFUSED)
def test_nothing_is_written_about_an_erased_user(stocked: FeedbackStore, write: Callable[..., Any]) -> None:
    stocked.erasures.erase_user("u1", "the user", NOW)
    before = tables(stocked)
    with pytest.raises(ErasedError, match="bring-back") as refused:
        write(stocked, "u1")
    assert refused.value.user_ids == {"u1"}
    assert "u1" not in str(refused.value), "messages end in logs"
    assert tables(stocked) == before


def tables(store: FeedbackStore) -> dict[str, list[str]]:
    with store.database.reading() as connection:
        return {t.name: [str(tuple(row)) for row in connection.execute(select(t))] for t in metadata.sorted_tables}


def test_lists_and_patterns_of_an_erased_user_are_left_out(stocked: FeedbackStore) -> None:
    stocked.erasures.erase_user("u1", "the user", NOW)
    assert stocked.lists.add_list(made_list("u1")) is None
    published = [made_list(user, SetKind.PUBLISHED) for user in ("u1", "u2")]
    assert stocked.lists.replace_recommendation_sets("1", NOW, published) == 1
    assert stocked.lists.count_recommendation_sets("1", NOW) == 1
    patterns = [Pattern(user, "genre", "Drama", 3, 2.0, Severity.LOW, NOW) for user in ("u1", "u2", None)]
    assert stocked.insights.replace_patterns(NOW, patterns) == 2
    assert not [row for rows in tables(stocked).values() for row in rows if "'u1'" in row]


def test_who_is_brought_back_is_as_any_new_user_and_the_audit_says_who_did_it(stocked: FeedbackStore) -> None:
    stocked.erasures.erase_user("u1", "the user", NOW)
    assert stocked.erasures.erased_users(["u1", "u2"]) == {"u1"}
    with pytest.raises(NotFoundError):
        stocked.erasures.bring_back("u2", "an operator", NOW)
    with pytest.raises(InputError):
        stocked.erasures.bring_back("u1", "", NOW)
    proof = stocked.erasures.bring_back("u1", "an operator", NOW + HOUR)
    assert (proof.lifted_at, proof.lifted_by) == (NOW + HOUR, "an operator")
    assert stocked.erasures.erased_users(["u1", "u2"]) == set()
    assert stocked.feedback.insert_interactions([like("u1")]) == 1
    again = stocked.erasures.erase_user("u1", "the user", NOW + 2 * HOUR)
    assert again.lifted_at is None
    assert stocked.erasures.erased_users(["u1"]) == {"u1"}
    assert [one.lifted_by for one in stocked.erasures.list_erasures("u1")] == [None, "an operator"]


def test_open_proofs_come_first(stocked: FeedbackStore) -> None:
    numbers = [stocked.erasures.erase_user(f"u{n}", "the user", NOW).erasure_id for n in (1, 2, 3)]
    done = stocked.erasures.note_remaining(numbers[2], {"files": []}, NOW + HOUR)
    assert (done.is_open, done.completed_at, done.remaining) == (False, NOW + HOUR, {"files": []})
    assert stocked.erasures.note_remaining(numbers[1], {"files": ["x"]}).is_open
    assert [one.erasure_id for one in stocked.erasures.list_erasures()] == [numbers[1], numbers[0], numbers[2]]
    stocked.erasures.bring_back("u2", "an operator", NOW)
    assert [one.erasure_id for one in stocked.erasures.list_erasures()] == [numbers[0], numbers[2], numbers[1]]
    with pytest.raises(NotFoundError):
        stocked.erasures.note_remaining(99, {})


# The key


def test_the_id_cannot_be_found_from_the_database_alone(stocked: FeedbackStore, database_url: str) -> None:
    stocked.feedback.insert_interactions([like("17")])
    proof = stocked.erasures.erase_user("17", "the user", NOW)
    key = key_path(database_url)
    secret = UserKey(bytes.fromhex(key.read_text(encoding="ascii").strip()))
    assert proof.user_hash == secret.hash_of("17") == secret.keyed(plain_hash("17"))
    assert proof.user_hash not in {plain_hash(str(n)) for n in range(100)}
    assert secret.secret.hex() not in str(tables(stocked))
    assert stat.S_IMODE(os.stat(key).st_mode) == 0o600
    assert sorted(path.name for path in key.parent.iterdir() if "user.key" in path.name) == ["user.key"]


@pytest.mark.parametrize("what", ["missing", "another", "no key"])
def test_a_database_is_refused_without_its_key(stocked: FeedbackStore, database_url: str, what: str) -> None:
    stocked.erasures.erase_user("u1", "the user", NOW)
    key = key_path(database_url)
    was = key.read_text(encoding="ascii")
    key.unlink()
    if what != "missing":
        key.write_text("ab" * 32 if what == "another" else "a secret", encoding="ascii")
    with pytest.raises(TerminalError, match="RECSYS_USER_KEY_FILE"):
        FeedbackStore.open(database_url)
    key.write_text(was, encoding="ascii")
    with FeedbackStore.open(database_url) as store:
        assert store.erasures.erased_users(["u1"]) == {"u1"}


def test_a_database_without_erased_users_needs_no_key(stocked: FeedbackStore, database_url: str) -> None:
    assert stocked.erasures.erased_users(["u1"]) == set()
    assert not key_path(database_url).exists()
    stocked.require_ready()


def test_processes_that_need_a_key_at_once_make_one(tmp_path: Path) -> None:
    files = [KeyFile(tmp_path / "keys" / "user.key") for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        assert len({key.secret for key in threads.map(KeyFile.make, files)}) == 1


def test_hashes_are_the_same_for_everybody_who_has_the_key(stocked: FeedbackStore, database_url: str) -> None:
    named = stocked.erasures.user_hashes(["u1", "u2"])
    assert len(set(named.values())) == 2
    with FeedbackStore.open(database_url) as other:
        assert other.erasures.user_hashes(["u2", "u1"]) == named
    proof = stocked.erasures.erase_user("u1", "the user", NOW)
    assert (proof.user_hash, stocked.erasures.erased_hashes()) == (named["u1"], {named["u1"]})


def test_a_home_that_moves_takes_the_key_along(tmp_path: Path) -> None:
    old, new = Settings.under(tmp_path / "old"), Settings.under(tmp_path / "new")
    migrate(old.database_url)
    with FeedbackStore.open(old.database_url) as store:
        store.erasures.erase_user("u1", "the user", NOW)
    move_home(old.home, new.home)
    with FeedbackStore.open(new.database_url) as store:
        assert store.erasures.erased_users(["u1", "u2"]) == {"u1"}


# What is left


def test_the_files_of_sqlite_do_not_hold_the_id(tmp_path: Path, sqlite_template: Path) -> None:
    database = tmp_path / "feedback.db"
    database.write_bytes(sqlite_template.read_bytes())
    user = "somebody-who-wants-to-be-forgotten"
    with FeedbackStore.open(f"sqlite:///{database}") as store:
        store.catalog.upsert_items(FILMS)
        for n in range(200):
            store.feedback.insert_interactions(
                [Interaction(name, "a", "like", NOW + n * HOUR, NOW + n * HOUR, True) for name in (user, f"u{n}")]
            )
        store.feedback.record_dislikes([Dislike(user, NOW, NOW, item_id="a", feedback_text=f"{user} says so")])
        store.lists.replace_recommendation_sets("1", NOW, [made_list(name, SetKind.PUBLISHED) for name in (user, "u1")])
        assert traces(tmp_path, user)
        store.erasures.erase_user(user, "the user", NOW)
        assert traces(tmp_path, user) == []  # also while it is open


def traces(folder: Path, user: str) -> list[str]:
    return [path.name for path in folder.iterdir() if user.encode() in path.read_bytes()]


def test_an_old_file_loses_what_was_deleted_before(tmp_path: Path) -> None:
    """SQLite left deleted rows in pages that it no longer used."""
    database = tmp_path / "feedback.db"
    url, user = f"sqlite:///{database}", "somebody-who-was-deleted"
    migrate(url)
    with closing(sqlite3.connect(database)) as old:
        old.execute("PRAGMA secure_delete=OFF")
        old.execute("PRAGMA user_version=0")
        row = ("'x'", "'x'", f"'{user}'", "'[]'", "'[]'", "0")
        old.execute(
            f"INSERT INTO items (item_id, title, title_key, genres, cast_members, is_placeholder) VALUES ({', '.join(row)})"
        )
        old.commit()
        old.execute("DELETE FROM items")
        old.commit()
    assert traces(tmp_path, user)
    migrate(url)
    assert traces(tmp_path, user) == []


# What the user typed


def test_what_only_the_user_typed_goes_and_what_others_said_stays(stocked: FeedbackStore) -> None:
    def say(user: str, title: str, cast: str) -> None:
        dislike = Dislike(user, NOW, NOW, movie_title=title, cast=(cast,), genres=(f"genre of {user}",))
        stocked.feedback.record_dislikes([dislike])

    say("u1", "My secret film", "My neighbour")
    say("u1", "Shared", "My neighbour")
    say("u2", "shared", "Ann")
    stocked.feedback.insert_interactions(
        [like("u1", "own-id"), like("u1", "known-id"), like("u2", "known-id")], makes_placeholders=True
    )
    proof = stocked.erasures.erase_user("u1", "the user", NOW)
    assert proof.num_rows["items"] == 2
    left = {item.title: item for item in stocked.catalog.all_items().values()}
    assert set(left) == {"A", "B", "shared", "known-id"}
    assert (left["shared"].cast, left["shared"].genres) == (("Ann",), ("genre of u2",))
    assert not [row for rows in tables(stocked).values() for row in rows if "neighbour" in row or "secret" in row]


def test_a_film_that_came_since_keeps_its_own_text(stocked: FeedbackStore) -> None:
    stocked.feedback.record_dislikes([Dislike("u1", NOW, NOW, movie_id=7, movie_title="Alien", cast=("My neighbour",))])
    stocked.catalog.upsert_items([Item("film", "Alien", ("Horror",), ("Weaver",), tmdb_id=7)])
    stocked.erasures.erase_user("u1", "the user", NOW)
    assert stocked.catalog.get_items(["film"])["film"].cast == ("Weaver",)
    assert "neighbour" not in str(tables(stocked)[items.name]), "the placeholder of the film goes"


def test_lists_of_others_lose_a_film_that_went(stocked: FeedbackStore) -> None:
    ((stored, _),) = stocked.feedback.record_and_read([Dislike("u1", NOW, NOW, movie_title="My secret film")])
    entries = (ENTRY, RecommendationEntry(2, str(stored.dislike.item_id), 0.5, "", {"trend": 0.5}))
    number = stocked.lists.add_list(RecommendationSet("u2", "1", NOW, NOW, entries, kind=SetKind.ADJUSTED))
    stocked.erasures.erase_user("u1", "the user", NOW)
    assert not [row for rows in tables(stocked).values() for row in rows if "secret" in row]
    with stocked.database.reading() as connection:
        query = text("SELECT item_id FROM recommendation_entries WHERE recommendation_set_id = :n ORDER BY rank")
        (kept, gone) = connection.scalars(query, {"n": number})
    assert kept == "a"
    assert stocked.catalog.get_items([gone])[gone].is_hidden


# From before


def test_proofs_from_before_there_was_a_key_are_named_by_it(empty_database_url: str) -> None:
    with at_revision(empty_database_url, "0008") as connection:
        connection.execute(text(
            "INSERT INTO items (item_id, title, title_key, genres, cast_members, is_placeholder, is_hidden)"
            " VALUES ('a', 'A', 'a', '[]', '[]', false, false)"
        ))  # fmt: skip
        row = {"requested_by": "x", "erased_at": NOW, "num_rows": {}, "batches": [], "model_versions": []}
        columns = [erasures.c[name] for name in ("user_hash", *row)]
        for user in ("gone", "back", "gone"):
            connection.execute(
                insert(erasures).values(dict(zip(columns, (plain_hash(user), *row.values()), strict=True)))
            )
        connection.execute(text(
            "INSERT INTO interactions (user_id, item_id, kind, is_like, occurred_at, recorded_at)"
            " VALUES ('back', 'a', 'like', true, :now, :now)"
        ), {"now": "2026-11-01 00:00:00.000000Z"})  # fmt: skip
        for user in ("gone", "back"):  # what a request that overlapped the erasure wrote
            adjusted = {"user_id": user, "model_version": "1", "as_of": NOW, "created_at": NOW, "kind": "adjusted"}
            connection.execute(insert(recommendation_sets).values(**adjusted))
    migrate(empty_database_url)
    with FeedbackStore.open(empty_database_url) as store:
        assert store.erasures.erased_users(["gone", "back"]) == {"gone"}
        assert [len(store.erasures.list_erasures(user)) for user in ("gone", "back")] == [2, 1]
        rows = tables(store)
        assert plain_hash("gone") not in str(rows)
        assert len(rows[tombstones.name]) == 1
        assert [("back" in row) for row in rows[recommendation_sets.name]] == [True]
