"""How sure the champion's lead over a replay is, and what `make replay` replays."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recsys.simulation.replay import SYSTEMS, ReplayedNight
from recsys.simulation.replay_report import lead_in_words, leads

OTHERS = SYSTEMS[1:]
ROOT = Path(__file__).resolve().parents[3]


def night(number: int, ndcg: dict[str, list[float]]) -> ReplayedNight:
    """A night with a user for each value; `champion` is given, every other system has `others`."""
    rows = [
        {"system": system, "user_id": f"u{user}", "ndcg_at_10": value}
        for system in SYSTEMS
        for user, value in enumerate(ndcg["champion" if system == "champion" else "others"])
    ]
    return ReplayedNight(f"2024-03-{number:02d}", "promote", [], 0, "1", {}, 0, {}, pd.DataFrame(rows))


def test_a_lead_is_the_ratio_of_the_means_over_all_users_and_nights() -> None:
    nights = [night(1, {"champion": [0.6, 0.3], "others": [0.4, 0.2]}), night(2, {"champion": [0.3], "others": [0.2]})]
    found = leads(nights, seed=0)
    assert set(found) == set(OTHERS)
    for lead in found.values():
        assert (lead.mean, lead.low, lead.high) == pytest.approx((0.5, 0.5, 0.5))  # so it is for every user


def test_the_same_users_on_more_days_are_no_more_evidence() -> None:
    rng = np.random.default_rng(0)
    ndcg = {"champion": list(rng.uniform(0.1, 0.6, 50)), "others": list(rng.uniform(0.1, 0.5, 50))}
    once, often = leads([night(1, ndcg)], seed=0), leads([night(n, ndcg) for n in range(1, 9)], seed=0)
    for system in OTHERS:
        assert (often[system].low, often[system].high) == pytest.approx((once[system].low, once[system].high))
        assert once[system].low < once[system].mean < once[system].high


def test_days_on_which_nobody_liked_anything_say_nothing() -> None:
    assert leads([night(1, {"champion": [np.nan], "others": [np.nan]})], seed=0) == {}
    assert lead_in_words(None) == ""


def test_make_replay_brings_its_own_stream_at_its_own_dates() -> None:
    """The demo's store holds the stream moved to these days: a replay of June 2013 would find nothing there."""
    # What the tests themselves were started with is not for this one.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "-n", "replay", "RECSYS_HOME=/somewhere"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    home = "env -u RECSYS_DATABASE_URL -u MLFLOW_TRACKING_URI RECSYS_HOME=/somewhere/replay-stream"
    commands = [line for line in done.stdout.splitlines() if ".venv/bin/recsys" in line]
    assert commands == [
        f"{home} .venv/bin/recsys db upgrade",
        f"{home} .venv/bin/recsys import movietweetings data/movietweetings",
        f"{home} .venv/bin/recsys replay --from 2013-06-01 --to 2013-06-30 ",
    ]
