"""`recsys replay` over a few nights of a small stream."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recsys.errors import InputError
from recsys.settings import Settings
from recsys.simulation.replay import METRICS, SYSTEMS, nights_between
from recsys.store import FeedbackStore, migrate
from tests.integration.command_line import Finished, quick, state
from tests.integration.small_stream import FAMILY, FIRST_AS_OF, write_stream

pytestmark = pytest.mark.thorough

SECOND_AS_OF, LAST_AS_OF = (FIRST_AS_OF + timedelta(days=n) for n in (1, 2))
THRESHOLD = "60"  # a day brings about 38 dislikes: the second night is skipped, the third retrains
KEYS = {"as_of", "outcome", "reasons", "backlog", "champion_version", "systems", "num_users", "seconds"}


@dataclass(frozen=True)
class Replayed:
    """What one replay said and wrote."""

    finished: Finished
    nights: list[dict[str, Any]]
    home: Path


@dataclass(frozen=True)
class Replays:
    """A replay of three nights, and the home that their stream is in before and after."""

    folder: Path
    source: Settings
    longer: Replayed
    before: dict[str, str]
    after: dict[str, str]


@pytest.fixture(scope="module")
def replays(tmp_path_factory: pytest.TempPathFactory) -> Replays:
    folder = tmp_path_factory.mktemp("replays")
    source = Settings.under(folder / "source")
    migrate(source.database_url)
    with FeedbackStore.open(source.database_url) as store:
        write_stream(store)
    before = state(source.home)
    longer = replay(folder, source, LAST_AS_OF)
    return Replays(folder, source, longer, before, state(source.home))


def replay(folder: Path, source: Settings, last: datetime) -> Replayed:
    """Replays through a night, in a home of its own where an older replay was left."""
    name = f"{FIRST_AS_OF:%Y%m%d}_{last:%Y%m%d}"
    settings = replace(Settings.under(folder / name), database_url=source.database_url)
    left_behind = settings.home / "replay" / name / "feedback.db"
    left_behind.parent.mkdir(parents=True)
    left_behind.write_text("what an interrupted replay left")
    days = ("--from", f"{FIRST_AS_OF:%Y-%m-%d}", "--to", f"{last:%Y-%m-%d}")
    how = ("--threshold", THRESHOLD, "--family", FAMILY, "--nights", str(folder / f"{name}.jsonl"))
    finished = quick(settings, "replay", *days, *how)
    assert finished.code == 0, finished.err
    lines = (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return Replayed(finished, [json.loads(line) for line in lines], settings.home)


def test_it_gives_one_object_a_night(replays: Replays) -> None:
    nights = replays.longer.nights
    assert [night["as_of"] for night in nights] == [
        (FIRST_AS_OF + timedelta(days=n)).isoformat() for n in range(len(nights))
    ]
    assert len(nights) == 3
    for night in nights:
        assert set(night) == KEYS
        assert set(night["systems"]) == set(SYSTEMS)
        assert night["outcome"] in {"skip", "promote", "reject", "insufficient_evidence"}
        assert night["reasons"]
        assert night["num_users"] > 0
        assert all(seconds >= 0 for seconds in night["seconds"].values())
        for metrics in night["systems"].values():
            assert set(metrics) == {*METRICS, "coverage_at_10"}
            assert all(value is None or 0 <= value <= 1 for value in metrics.values())
    assert [night["outcome"] for night in nights[:2]] == ["promote", "skip"]
    assert list(nights[1]["seconds"]) == ["check_backlog"]
    assert "evaluate_challenger" in nights[2]["seconds"]


def test_the_first_champion_stays_for_comparison(replays: Replays) -> None:
    for night in replays.longer.nights:
        serving, first = night["systems"]["champion"], night["systems"]["first_champion"]
        if night["champion_version"] == replays.longer.nights[0]["champion_version"]:
            assert serving == first
        else:
            assert serving != first


def test_retraining_beats_what_stands_still(replays: Replays) -> None:
    last = replays.longer.nights[-1]["systems"]
    assert last["champion"]["ndcg_at_10"] > last["popularity"]["ndcg_at_10"]


def test_a_night_does_not_depend_on_what_comes_after_it(replays: Replays) -> None:
    again = replay(replays.folder, replays.source, SECOND_AS_OF)
    longer, shorter = (
        [{**night, "seconds": None} for night in replayed.nights] for replayed in (replays.longer, again)
    )
    assert longer[:2] == shorter


def test_the_stream_it_reads_is_not_touched(replays: Replays) -> None:
    assert replays.after == replays.before


def test_what_it_prints_and_writes_can_be_read(replays: Replays) -> None:
    replayed = replays.longer
    assert replayed.finished.err == ""
    assert "All nights" in replayed.finished.out
    folder = replayed.home / "replay" / f"{FIRST_AS_OF:%Y%m%d}_{LAST_AS_OF:%Y%m%d}"
    assert "replay.md" in replayed.finished.out
    report = (folder / "replay.md").read_text(encoding="utf-8")
    assert "| what serves |" in report
    for system in ("first champion", "decayed popularity", "popularity"):
        line = next(line for line in report.splitlines() if line.startswith(f"| {system} |"))
        assert re.search(r"\| [+-][0-9.]+% \([+-][0-9.]+% to [+-][0-9.]+%\) \|$", line), line
    assert "![NDCG@10 night by night](replay.png)" in report
    assert (folder / "replay.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert {path.name for path in replayed.home.iterdir()} == {"replay"}


def test_nights_are_a_day_apart() -> None:
    assert nights_between(FIRST_AS_OF, FIRST_AS_OF) == [FIRST_AS_OF]
    assert len(nights_between(FIRST_AS_OF, LAST_AS_OF)) == 3
    with pytest.raises(InputError, match="Expected whole days"):
        nights_between(FIRST_AS_OF, LAST_AS_OF + timedelta(hours=1))
