"""Erasing while others read, write, publish, import, freeze, fit and measure.

When all have ended, nothing of the erased is left but what their proofs name.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete, select, text

from recsys.config.run import RunConfig
from recsys.errors import ConflictError, ErasedError, NotFoundError
from recsys.feedback.brigading import BrigadingConfig
from recsys.feedback.patterns import identify_patterns
from recsys.ingest import ImportOptions, import_interactions
from recsys.pipeline import kept_files
from recsys.pipeline.context import Context
from recsys.pipeline.erasure import holders, refreezing
from recsys.pipeline.retraining import frozen_sets
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
from recsys.registry.registry import Registry
from recsys.run_ids import folder_name
from recsys.serving.lists import serve_list
from recsys.settings import Settings
from recsys.store.tables import interactions, items, metadata
from tests.integration.turns import InterleavedStore, Turns

START = datetime(2026, 11, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FILMS = [Item(f"i{n}", f"Film {n}", ("Drama",), (f"Actor {n}",)) for n in range(6)]
NUM_USERS = 3
NUM_OPERATIONS = 6
ALLOWED = (ErasedError, NotFoundError, ConflictError)
BURSTS = BrigadingConfig(min_users=2, max_p_value=1.0)


@dataclass
class World:
    """One sequence: its users, and what they were promised.

    Attributes:
        store: whose transactions take turns.
        folder: for files.
        seed: of all choices.
        recorded: user -> dislikes that were acknowledged.
        fitted: batch -> digest of the set that was fitted on, and its users.
        refused: what operations raised.
        named: batches that the proofs name in the end.
    """

    store: InterleavedStore
    folder: Path
    seed: int
    recorded: dict[str, list[int]] = field(default_factory=dict)
    fitted: dict[str, tuple[str, set[str]]] = field(default_factory=dict)
    refused: list[Exception] = field(default_factory=list)
    named: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.choice = random.Random(self.seed)
        self.users = [f"person-{self.seed}-{n}-of-a-test" for n in range(NUM_USERS)]
        self.num_moments = 0
        self.settings = Settings.under(self.folder / "home")

    def context(self) -> Context:
        """As each step opens its own."""
        registry = Registry(self.settings.tracking_uri, self.settings.mlflow_artifacts)
        return Context(self.settings, self.store, registry)

    def moment(self) -> datetime:
        """Later than all before."""
        self.num_moments += 1
        return START + self.num_moments * MINUTE

    def prepare(self) -> None:
        """Everybody has a history and a list; of some, a version has learned already."""
        clear(self.store)
        now = self.moment()
        self.store.feedback.insert_interactions(
            [Interaction(u, self.film(), "like", now, now, is_like=True) for u in self.users]
        )
        self.record([dislike for user in self.users for dislike in (self.known(user), self.new(user))])
        self.publish()
        if self.seed % 5 == 0:
            self.train("")

    # What interleaves

    def erase(self, user: str) -> None:
        self.store.erasures.erase_user(user, "a test", self.moment())

    def bring_back(self, user: str) -> None:
        self.store.erasures.bring_back(user, "a test", self.moment())

    def get(self, user: str) -> None:
        served = serve_list(self.store, user, self.moment(), k=self.choice.choice([2, 5]))
        assert served.user_id in (user, None)

    def like(self, user: str) -> None:
        now = self.moment()
        rows = [Interaction(user, self.film(), "like", now, now, is_like=True)]
        self.store.feedback.insert_interactions(rows, makes_placeholders=True)

    def dislike(self, user: str) -> None:
        self.record([self.known(user)])

    def dislike_something_new(self, user: str) -> None:
        self.record([self.new(user)])

    def known(self, user: str) -> Dislike:
        now = self.moment()
        return Dislike(user, now, now, item_id=self.film(), reason=DislikeReason.WRONG_GENRE)

    def new(self, user: str) -> Dislike:
        """Half of them name the same film as another user does."""
        title = f"typed by {self.choice.choice([user, 'several people of a test'])}"
        now = self.moment()
        return Dislike(user, now, now, movie_title=title, genres=("Typed",), cast=(f"cast of {user}",))

    def record(self, dislikes: list[Dislike]) -> None:
        for stored, _ in self.store.feedback.record_and_read(dislikes):
            self.recorded.setdefault(stored.dislike.user_id, []).append(stored.dislike_id)

    def undo(self, user: str) -> None:
        for stored in self.store.feedback.list_dislikes(user, limit=1):
            self.store.feedback.retract_dislike(user, stored.dislike_id, self.moment())

    def exclude(self, user: str) -> None:
        self.store.catalog.exclude_item(user, self.film(), self.moment())

    def publish(self, user: str = "") -> None:
        """Reads who there is, computes, and writes; `user` does not matter."""
        as_of = self.moment()
        with self.store.database.reading() as connection:
            users = sorted(connection.scalars(select(interactions.c.user_id).distinct()))
        films = self.choice.sample([film.item_id for film in FILMS], 4)
        entries = tuple(
            RecommendationEntry(n, film, 1.0 / n, "", {"trend": 1.0 / n}) for n, film in enumerate(films, 1)
        )
        lists = [RecommendationSet(user, "1", as_of, as_of, entries) for user in (*users, None)]
        self.store.lists.replace_recommendation_sets("1", as_of, lists, as_of)

    def import_file(self, user: str) -> None:
        at = self.moment().isoformat()
        file = self.folder / f"{self.seed}-{self.num_moments}.csv"
        rows = [f"{name},{self.film()},{at},{label}" for name in self.users for label in ("like", "dislike")]
        file.write_text("user_id,item_id,occurred_at,label\n" + "\n".join(rows), encoding="utf-8")
        import_interactions(self.store, file, ImportOptions(rows_per_batch=2, imported_at=START))
        file.unlink()  # whoever has the file keeps it

    def measure(self, user: str) -> None:
        now = self.moment()
        identify_patterns(self.store.insights, now, now)
        self.store.brigading.flag_brigading(now, BURSTS)

    def train(self, user: str) -> None:
        """Claims, freezes, fits and settles, as the steps do; what a fit does with the rows that it reads is left out."""
        context = self.context()
        now, name = self.moment(), f"batch-{self.seed}-{self.num_moments}"
        planned = Batch(
            name, now, now, None, BatchStatus.CLAIMED, 0, RunConfig(), now, now + MINUTE, planned_half_life_days=30.0
        )
        batch = self.store.backlog.claim_backlog(planned)
        folder = context.folder(name) / refreezing.TRAINING_SET
        kept_files.record_training_set(context, name, frozen_sets.freeze_training_set(context, batch, folder))
        batch = refreezing.require_forgotten(context, self.store.backlog.get_batch(name), "train_challenger")
        self.fitted[name] = (str(batch.training_set_digest), refreezing.users_of(folder))
        self.store.backlog.update_batch(name, challenger_version=name)
        self.store.backlog.settle_backlog(name, now)

    def film(self) -> str:
        return self.choice.choice(FILMS).item_id

    def operations(self) -> list[Callable[[], None]]:
        """At least one erasure, and whatever else."""
        kinds: Sequence[Callable[[str], None]] = [
            self.erase, self.bring_back, self.get, self.get, self.like, self.dislike, self.dislike_something_new, self.undo,
            self.exclude, self.publish, self.import_file, self.measure, self.train,
        ]  # fmt: skip
        chosen = [self.erase, *self.choice.choices(kinds, k=NUM_OPERATIONS - 1)]
        # Mostly the same user: that is where they meet.
        users = self.choice.choices(self.users, weights=[4, 1, 1], k=len(chosen))
        return [lambda kind=kind, user=user: kind(user) for kind, user in zip(chosen, users, strict=True)]  # type: ignore[misc]

    # What must hold when all have ended

    def check_files(self, user: str) -> None:
        """The proof names every frozen set that holds an erased user, and what was fitted on one that did."""
        holders.complete_erasures(self.context(), self.moment())
        newest, *earlier = self.store.erasures.list_erasures(user)
        named = set((newest.remaining or {}).get("batches", ()))
        self.named |= named
        folders = self.settings.artifacts.glob("*/training_set*")
        holding_user = {path.parent.name for path in folders if user in refreezing.users_of(path)}
        assert holding_user == set(map(folder_name, named))
        assert newest.is_open == bool(named)
        digests = {one["training_set_digest"] for erasure in (newest, *earlier) for one in erasure.batches}
        learned = {name for name, (digest, users) in self.fitted.items() if user in users and digest not in digests}
        assert learned <= named, "nobody says who learned from the user"

    def check(self) -> None:
        erased = self.store.erasures.erased_users(self.users)
        for user in erased:
            served = serve_list(self.store, user, self.moment())
            assert (served.user_id, served.kind) == (None, SetKind.PUBLISHED), served
        self.store.database.wipe_log()
        for user in erased:
            assert traces(self.store, user) == [], user
            self.check_files(user)
        for user in set(self.users) - erased:
            if not self.store.erasures.list_erasures(user):
                there = self.store.feedback.get_dislikes(self.recorded[user])
                assert sorted(there) == sorted(self.recorded[user]), "what was acknowledged is there"


def clear(store: InterleavedStore) -> None:
    def work(connection: Connection) -> None:
        for table in reversed(metadata.sorted_tables):
            if table.name not in {"user_keys", "items"}:
                connection.execute(delete(table))
        connection.execute(delete(items).where(items.c.is_placeholder))

    store.database.write(work)


def traces(store: InterleavedStore, user: str) -> list[str]:
    """Where the database holds a user's id, even as a part of some text: files of SQLite, tables of a server."""
    if store.database.engine.dialect.name == "sqlite":
        database = Path(str(store.database.engine.url.database))
        return [path.name for path in database.parent.glob(f"{database.name}*") if user.encode() in path.read_bytes()]
    asked = " UNION ALL ".join(
        f"SELECT '{table.name}' FROM {table.name} AS row WHERE row::text LIKE :part" for table in metadata.sorted_tables
    )
    with store.database.reading() as connection:
        return list(connection.scalars(text(asked), {"part": f"%{user}%"}))


@pytest.fixture
def interleaved(database_url: str) -> Iterator[InterleavedStore]:
    with InterleavedStore.open(database_url) as store:
        store.database.watch()
        store.catalog.upsert_items(FILMS)
        yield store


def run_sequence(store: InterleavedStore, folder: Path, seed: int) -> World:
    world = World(store, folder, seed)
    world.prepare()
    turns = Turns(random.Random(seed), store.database.is_blocked)
    store.database.turns = turns
    try:
        turns.run(world.operations())
    finally:
        store.database.turns = None
    world.refused = list(turns.errors.values())
    wrong = [error for error in world.refused if not isinstance(error, ALLOWED)]
    if wrong:
        raise AssertionError(f"Sequence {seed} failed.") from wrong[0]
    world.check()
    shutil.rmtree(world.settings.artifacts, ignore_errors=True)
    return world


# Seeds of `make test`, and of `make test-thorough`: 2,000 sequences, a hundred in a test. A server takes longer: there every
# statement is a turn.
SOME = {"sqlite": range(40), "postgresql": range(20)}
MANY = [{"sqlite": range(n, n + 100), "postgresql": range(n // 5, n // 5 + 20)} for n in range(100, 1_800, 100)]


@pytest.mark.parametrize(
    "seeds",
    [
        pytest.param(SOME, id="some"),
        *(pytest.param(many, id=f"from {many['sqlite'].start}", marks=pytest.mark.thorough) for many in MANY),
    ],
)
def test_nothing_of_an_erased_user_is_left(
    interleaved: InterleavedStore, backend: str, tmp_path: Path, seeds: dict[str, range]
) -> None:
    done = [run_sequence(interleaved, tmp_path, seed) for seed in seeds[backend]]
    assert any(isinstance(error, ErasedError) for world in done for error in world.refused), (
        "no operation met an erasure"
    )
    assert any(world.named for world in done), "no proof had anything to name"
