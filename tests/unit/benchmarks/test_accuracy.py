"""The benchmark beside peers: nothing leaks, all rank the same candidates, and a run that was interrupted goes on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from benchmarks.accuracy import __main__ as command
from benchmarks.accuracy import exposure
from benchmarks.accuracy.job import Job
from benchmarks.accuracy.judging import Train, judgements, top_lists, worth
from benchmarks.accuracy.judging import test_users as users_of
from benchmarks.accuracy.peers import PEERS, draws, ease
from benchmarks.accuracy.streams import Split, read_stream, splits_of, validation_split

NUM_USERS, NUM_ITEMS = 60, 25


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small MovieLens folder: two groups of users, each of which likes its own half of the films."""
    rng = np.random.default_rng(0)
    rows = []
    for user in range(NUM_USERS):
        for item in rng.permutation(NUM_ITEMS)[:14]:
            stars = 5.0 if item % 2 == user % 2 else float(rng.choice([1.0, 3.0, 5.0], p=[0.5, 0.4, 0.1]))
            rows.append((user + 1, item + 1, stars, int(1_000_000_000 + rng.integers(0, 90 * 86_400))))
    made = tmp_path_factory.mktemp("small")
    pd.DataFrame(rows, columns=["userId", "movieId", "rating", "timestamp"]).to_csv(made / "ratings.csv", index=False)
    films = [(n + 1, f"Film {n} (2000)", "Drama" if n % 2 else "Comedy") for n in range(NUM_ITEMS)]
    pd.DataFrame(films, columns=["movieId", "title", "genres"]).to_csv(made / "movies.csv", index=False)
    return made


@pytest.mark.parametrize("protocol", ["time", "user"])
def test_nothing_of_the_test_part_is_in_training_or_validation(folder: Path, protocol: str) -> None:
    splits = splits_of(read_stream(folder, 0), protocol)
    assert len(splits) == (6 if protocol == "time" else 1)
    for split in splits:
        validation = validation_split(split, protocol)
        for known, ahead in ((split.train, split.test), (validation.train, validation.test)):
            assert len(ahead)
            assert known.merge(ahead, on=["user_id", "item_id"]).empty
            if protocol == "time":
                assert known["occurred_at"].max() <= ahead["occurred_at"].min()
            else:
                newest = known.groupby("user_id")["occurred_at"].max()
                oldest = ahead.groupby("user_id")["occurred_at"].min()
                assert (newest.reindex(oldest.index) <= oldest).all()
        assert len(validation.train) + len(validation.test) == len(split.train)


def test_the_protocol_follows_the_stream(folder: Path, tmp_path: Path) -> None:
    assert read_stream(folder, 0).protocol == "time"
    ratings = pd.read_csv(folder / "ratings.csv")
    ratings["timestamp"] = 1_000_000_000 + ratings["userId"] * 86_400 * 3 + ratings.groupby("userId").cumcount()
    ratings.to_csv(tmp_path / "ratings.csv", index=False)
    (tmp_path / "movies.csv").write_text((folder / "movies.csv").read_text())
    assert read_stream(tmp_path, 0).protocol == "user"


def test_candidates_are_what_a_user_has_not_met(folder: Path) -> None:
    split = splits_of(read_stream(folder, 0), "user")[0]
    train = Train.of(split)
    lists = top_lists(train, ease(train, {"reg": 10.0}, 0), users_of(train))
    assert lists.merge(split.train, on=["user_id", "item_id"]).empty
    unseen = NUM_ITEMS - split.train.groupby("user_id").size()
    assert (lists.groupby("user_id").size() == unseen).all()
    assert set(judgements(split)["label"]) == {0, 1}


def test_a_list_of_exactly_what_is_liked_is_worth_1() -> None:
    at = pd.Timestamp("2020-01-01", tz="UTC")
    events = pd.DataFrame({
        "user_id": ["a", "a", "b", "a", "a", "b"], "item_id": ["x", "y", "x", "z", "w", "z"],
        "signal": ["like", "like", "neutral", "like", "dislike", "like"], "occurred_at": [at] * 6,
    })  # fmt: skip
    split = Split("hand-made", events.iloc[:3], events.iloc[3:])
    lists = pd.DataFrame({"user_id": ["a", "a", "b", "b"], "rank": [1, 2, 1, 2], "item_id": ["z", "w", "y", "z"]})
    found = worth(split, lists).set_index("user_id")
    assert found["ndcg_at_10"].to_dict() == {"a": 1.0, "b": pytest.approx(1 / np.log2(3))}
    assert found.loc["a", "dislike_exposure_at_10"] == 0.1
    assert found["is_known"].to_dict() == {"a": True, "b": False}


def test_all_peers_get_as_many_draws_of_different_settings() -> None:
    for name, (_, space) in PEERS.items():
        found = draws(space, 12, 3)
        assert len(found) == min(12, int(np.prod([len(values) for values in space.values()]))), name
        assert len({json.dumps(settings, sort_keys=True) for settings in found}) == len(found)
        assert found == draws(space, 12, 3)


def test_a_run_writes_the_page_and_an_interrupted_one_goes_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []

    def measured(job: Job, target: Path) -> None:
        started.append(job.system)
        command.run(job, target)

    monkeypatch.setattr(command, "_in_own_process", measured)
    monkeypatch.setattr(command, "RESULTS", tmp_path / "bench")
    page = tmp_path / "docs" / "benchmark.md"
    arguments = [f"{folder}:user", "--only", "ours,EASE,popularity", "--trials", "2", "--report", str(page)]
    ended = CliRunner().invoke(command.app, arguments)
    assert ended.exit_code == 0, ended.output
    text = page.read_text()
    assert started == ["ours", "EASE", "popularity"]
    assert "| **ours** |" in text
    assert "- Best peer: " in text
    assert page.with_suffix(".png").stat().st_size > 5_000
    next((tmp_path / "bench").glob("*EASE*.json")).unlink()  # as if it had been killed there
    assert CliRunner().invoke(command.app, arguments).exit_code == 0
    assert started == ["ours", "EASE", "popularity", "EASE"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere"], "Expected a data folder"),
        (["data:week"], "FOLDER:time"),
        (["--only", "magic"], "Expected systems"),
    ],
)
def test_a_wrong_argument_is_named(arguments: list[str], told: str) -> None:
    ended = CliRunner().invoke(command.app, arguments)
    assert ended.exit_code == 2
    assert told in " ".join(ended.output.split())


def test_further_powers_of_the_regard_lower_what_is_disliked_and_what_is_below_0_stays(folder: Path) -> None:
    train = Train.of(splits_of(read_stream(folder, 0), "user")[0])
    users, scores = np.arange(2), np.tile([[0.5, 0.5, -0.5]], (2, 1)).astype(np.float32)
    own = exposure.Fitted(train, lambda users: scores[users], np.array([0.5, 1.0, 0.5]), np.array([1.0, 3.0]))
    found = own.with_power(exposure.VARIANTS["4 times, who dislikes more than others"](own.often))(users)
    np.testing.assert_allclose(found, [[0.5, 0.5, -0.5], [0.5**9, 0.5, -0.5]])


def test_the_page_about_exposure_shows_every_variant_beside_the_model_as_fitted(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "exposure.md"
    exposure.main([f"{folder}:user"], 0, page)
    text = page.read_text()
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    assert [row[0].removeprefix("| ") for row in rows[1:]] == list(exposure.VARIANTS)
    assert rows[1][2] == rows[1][4] == "+0.0%"
    assert f"## {folder.name}" in text
