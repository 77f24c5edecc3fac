"""A full disk: the message says so, nothing half-written is used, and with room the same command succeeds.

The disk is a small file system of its own where this user may mount one. Elsewhere a limit on the size of files stands
in: no file may grow beyond so many KiB, which stops writers in the same places, with another number from the system.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from recsys.records import BatchStatus
from recsys.settings import Settings
from recsys.store import FeedbackStore, migrate
from recsys.training.families.registry import candidates_of
from recsys.training.recipe.recipe import FitConfig
from tests.integration.command_line import Finished, recsys, state
from tests.integration.command_line import copy_database as copied
from tests.integration.conftest import Champion
from tests.integration.small_stream import FAMILY, FIRST_AS_OF, SECOND_AS_OF, write_stream

DISK_KIB = 65_536
TRY_AGAIN = 75
FULL = ("disk is full", "No space left on device", "disk may be full", "disk I/O error", "File too large")


@dataclass
class Disk:
    """A folder where the room to write can be taken away and given back."""

    folder: Path
    is_mounted: bool
    limit_kib: int | None = None

    def leave(self, kib: int) -> None:
        """Leaves so much room."""
        self.free()
        if not self.is_mounted:
            self.limit_kib = kib
            return
        found = os.statvfs(self.folder)
        with (self.folder / "ballast").open("wb") as file:
            file.write(bytes(max(found.f_bavail * found.f_frsize - kib * 1024, 0)))

    def free(self) -> None:
        """Gives all room back."""
        (self.folder / "ballast").unlink(missing_ok=True)
        self.limit_kib = None

    def recsys(self, settings: Settings, *arguments: str) -> Finished:
        """Runs a command that finds no more room than is left, for its temporary files neither."""
        if self.limit_kib is None:
            return recsys(settings, *arguments, TMPDIR=str(self.folder))
        mine = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.limit_kib * 1024, mine[1]))  # the command inherits it
        try:
            return recsys(settings, *arguments)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, mine)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_KIB}k", "tmpfs", str(folder)]
    is_mounted = sys.platform == "linux" and shutil.which("mount") is not None and (
        subprocess.run(command, check=False, capture_output=True).returncode == 0
    )  # fmt: skip
    try:
        yield Disk(folder, is_mounted)
    finally:
        if is_mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def assert_says_full(finished: Finished) -> None:
    assert finished.code == TRY_AGAIN, finished.err
    assert any(words in finished.message for words in FULL), finished.err
    assert "free" in finished.message.lower()
    assert "Traceback" not in finished.err
    assert not finished.out


def step(disk: Disk, settings: Settings, name: str, **arguments: object) -> Finished:
    return disk.recsys(settings, "step", name, "--arguments", json.dumps(arguments))


def test_an_import_goes_on_when_there_is_room_and_ends_as_if_nothing_had_been(disk: Disk) -> None:
    settings = Settings.under(disk.folder / "home")
    file = disk.folder / "own.csv"
    rows = (f"u{n},x{n % 50},2024-01-01T00:00:{n % 60:02d},{'dis' if n % 3 == 0 else ''}like\n" for n in range(2_000))
    file.write_text("user_id,item_id,occurred_at,label\n" + "".join(rows))
    undisturbed = Settings.under(disk.folder / "undisturbed")
    for places in (settings, undisturbed):
        migrate(places.database_url)
    assert disk.recsys(undisturbed, "import", "interactions", str(file)).code == 0
    disk.leave(300)
    assert_says_full(disk.recsys(settings, "import", "interactions", str(file)))
    disk.free()
    with FeedbackStore.open(settings.database_url) as store:
        assert store.stream.stream_summary(SECOND_AS_OF).num_interactions in {0, 1_333}  # whole batches
    assert disk.recsys(settings, "import", "interactions", str(file)).code == 0
    for places in (settings, undisturbed):  # when a row was imported is all that may differ
        with contextlib.closing(sqlite3.connect(places.home / "feedback.db")) as database, database:
            for table in ("interactions", "user_dislikes"):
                database.execute(f"UPDATE {table} SET imported_at = NULL")
    assert state(settings.home) == state(undisturbed.home)


@pytest.mark.thorough
def test_a_disk_without_any_room_is_named_by_commands_that_only_look(disk: Disk, champion: Champion) -> None:
    if not disk.is_mounted:  # a limit on files keeps nobody from opening a database
        return
    settings = copy_database(champion.settings, disk)
    disk.leave(0)
    assert_says_full(disk.recsys(settings, "status"))
    disk.free()
    assert disk.recsys(settings, "status").code == 0


def copy_database(source: Settings, disk: Disk) -> Settings:
    """The places of `source`, with the feedback database copied to the disk."""
    file = copied(source.home, disk.folder)
    return replace(source, database_url=f"sqlite:///{file}")


@pytest.mark.thorough
def test_lists_are_published_as_a_whole_or_not_at_all(disk: Disk, champion: Champion) -> None:
    settings = copy_database(champion.settings, disk)
    before = what_is_served(settings)
    times = {"as_of": SECOND_AS_OF.isoformat(), "now": SECOND_AS_OF.isoformat()}
    disk.leave(400 if disk.is_mounted else 200)
    assert_says_full(step(disk, settings, "publish_recommendations", **times))
    disk.free()
    assert what_is_served(settings) == before
    assert step(disk, settings, "publish_recommendations", **times).code == 0
    (publication, *_), (earlier, *_) = what_is_served(settings), before
    assert publication.publication_id > earlier.publication_id


def what_is_served(settings: Settings) -> list[Any]:
    """The publication, and everybody's list in it."""
    with FeedbackStore.open(settings.database_url) as store:
        users = sorted(store.stream.read_histories(SECOND_AS_OF, 30.0)["user_id"].unique())
        lists = [store.lists.get_recommendations(user) for user in (*users[:50], None)]
        return [store.lists.served_publication(), *lists]


@pytest.mark.thorough
def test_a_night_on_a_full_disk_gives_its_claim_back_and_goes_on_when_there_is_room(disk: Disk) -> None:
    settings = Settings.under(disk.folder / "home")
    migrate(settings.database_url)
    with FeedbackStore.open(settings.database_url) as store:
        write_stream(store)
    disk.leave(120)
    night = disk.recsys(settings, "run", "--as-of", FIRST_AS_OF.isoformat(), "--run-id", "r", "--family", FAMILY)
    assert_says_full(night)
    with FeedbackStore.open(settings.database_url) as store:
        backlog = store.stream.stream_summary(FIRST_AS_OF).num_dislikes
        assert store.backlog.count_backlog(FIRST_AS_OF) == backlog > 0
    assert list(settings.artifacts.rglob("*.*")) == []
    disk.free()
    times = {"as_of": FIRST_AS_OF.isoformat(), "now": FIRST_AS_OF.isoformat()}
    assert step(disk, settings, "claim_backlog", run_id="r", config={"families": [FAMILY]}, **times).code == 0
    for name in ("build_training_set", "validate_training_set"):
        assert step(disk, settings, name, batch_id="r").code == 0
    for candidate in candidates_of(FitConfig(families=(FAMILY,))):
        assert step(disk, settings, "try_candidate", batch_id="r", candidate=candidate).code == 0
    trains_with_room(disk, settings)
    with FeedbackStore.open(settings.database_url) as store:
        batch = store.backlog.get_batch("r")
    assert (batch.status, batch.challenger_version, batch.num_examples) == (BatchStatus.CLAIMED, "1", backlog)


def trains_with_room(disk: Disk, settings: Settings) -> None:
    """Trains where the new MLflow store has no room: half of one would be there for good."""
    disk.leave(250)
    assert_says_full(step(disk, settings, "train_challenger", batch_id="r"))
    disk.free()
    assert not (settings.home / "mlflow" / "mlflow.db").exists()
    assert [path for path in settings.home.rglob("*") if path.name.endswith((".building", ".partial"))] == []
    assert step(disk, settings, "train_challenger", batch_id="r").code == 0
