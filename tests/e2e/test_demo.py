"""`make demo`, as a person runs it: once from nothing, and once more on what it left."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from recsys.records import Interaction, Item
from recsys.settings import Settings
from recsys.store import FeedbackStore, migrate
from tests.integration.command_line import state

ROOT = Path(__file__).resolve().parents[2]
LIKED_AT = datetime(2024, 3, 1, tzinfo=UTC)
COUNTED = (
    "items", "interactions", "user_dislikes", "negative_training_examples", "training_batches", "model_promotions",
    "decisions", "recommendation_sets", "recommendation_entries",
)  # fmt: skip


def run_demo(home: Path) -> str:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "demo.py")],
        env={**os.environ, "RECSYS_HOME": str(home), "COLUMNS": "200"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    log = home / "demo.log"
    assert done.returncode == 0, done.stdout + done.stderr + (log.read_text()[-5000:] if log.is_file() else "")
    return done.stdout


def contents(home: Path) -> dict[str, Any]:
    with sqlite3.connect(home / "feedback.db") as connection:
        counts = {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in COUNTED}
        batches = connection.execute("SELECT batch_id, status, training_set_digest FROM training_batches ORDER BY 1")
        used = connection.execute("SELECT count(*) FROM negative_training_examples WHERE used_in_training").fetchone()
        verdicts = connection.execute("SELECT run_id, step, verdict, reasons FROM decisions ORDER BY 1, 2").fetchall()
        found = {**counts, "batches": batches.fetchall(), "used": used[0], "verdicts": verdicts}
    with sqlite3.connect(home / "mlflow" / "mlflow.db") as connection:
        found["versions"] = connection.execute("SELECT version, run_id FROM model_versions ORDER BY 1").fetchall()
        found["aliases"] = connection.execute(
            "SELECT alias, version FROM registered_model_aliases ORDER BY 1"
        ).fetchall()
    return found


def largest_explanation_error(home: Path) -> float:
    """Of every published recommendation: what its contributions miss of its score."""
    with sqlite3.connect(home / "feedback.db") as connection:
        entries = connection.execute("SELECT score, contributions FROM recommendation_entries")
        return max(abs(math.fsum(json.loads(text).values()) - score) for score, text in entries)


@pytest.mark.airflow
@pytest.mark.parametrize("fresh", [False, True])
def test_a_folder_with_somebody_s_feedback_is_left_alone(fresh: bool, settings: Settings) -> None:
    migrate(settings.database_url)
    with FeedbackStore.open(settings.database_url) as store:
        store.upsert_items([Item("i1", "Item 1")])
        store.insert_interactions([Interaction("u1", "i1", "like", LIKED_AT, LIKED_AT, is_like=True)])
    before = state(settings.home)
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "demo.py"), *(["--fresh"] if fresh else [])],
        env={**os.environ, "RECSYS_HOME": str(settings.home)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "it holds somebody's data, and nothing was touched" in done.stderr
    assert state(settings.home) == before


@pytest.mark.airflow
def test_ctrl_c_ends_it_with_a_word_on_how_to_go_on(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [sys.executable, "-u", str(ROOT / "scripts" / "demo.py")], env={**os.environ, "RECSYS_HOME": str(tmp_path)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert demo.stdout is not None
    assert "[1/4]" in demo.stdout.readline()
    os.killpg(demo.pid, signal.SIGINT)  # as a terminal does: all of them get it
    _, said = demo.communicate(timeout=60)
    assert demo.returncode == 130
    assert "`make demo` goes on from here" in said
    assert 'demo.py", line' not in said, "no traceback of its own"


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.airflow
@pytest.mark.timeout(900)
def test_demo_shows_a_skip_and_a_promotion_and_doubles_nothing(tmp_path: Path) -> None:
    home = tmp_path / "var"
    shown = run_demo(home)
    first = contents(home)

    verdicts = {(run, step): verdict for run, step, verdict, _ in first["verdicts"]}
    assert verdicts["manual__2013-06-13T00:00:00+00:00", "check_backlog"] == "skip"
    assert verdicts["manual__2013-06-14T00:00:00+00:00", "check_backlog"] == "retrain"
    assert verdicts["manual__2013-06-14T00:00:00+00:00", "decide_promotion"] == "promote"
    assert first["interactions"] + first["user_dislikes"] == 70_000
    assert first["used"] == 7_729 + 8 + 55  # up to 12 June; the skipped night's; the second night's
    assert first["model_promotions"] == 2
    assert dict(first["aliases"]) == {"challenger": 3, "champion": 4, "previous_champion": 2}
    for text in ("8 new dislikes, threshold 20: not enough to retrain", "NDCG@10", "digest", "Popular right now",
                 "because you liked", "decayed_popularity", "make up",
                 "closed_form-lasting", "embedding-64"):  # fmt: skip
        assert text in shown
    assert re.search(r"train_challenger\s*│\s*\d+\.\d", shown)

    assert largest_explanation_error(home) <= 1e-5

    assert "Done in" in run_demo(home)
    assert contents(home) == first
