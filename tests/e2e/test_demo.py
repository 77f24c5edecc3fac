"""`make demo` on a folder that is not its own, and interrupted; `test_newcomer.py` follows it to its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recsys.records import Interaction, Item
from recsys.settings import Settings
from recsys.store import FeedbackStore, migrate
from tests.integration.command_line import state

ROOT = Path(__file__).resolve().parents[2]
LIKED_AT = datetime(2024, 3, 1, tzinfo=UTC)


@pytest.mark.airflow
@pytest.mark.parametrize("fresh", [False, True])
def test_a_folder_with_somebody_s_feedback_is_left_alone(fresh: bool, settings: Settings) -> None:
    migrate(settings.database_url)
    with FeedbackStore.open(settings.database_url) as store:
        store.catalog.upsert_items([Item("i1", "Item 1")])
        store.feedback.insert_interactions([Interaction("u1", "i1", "like", LIKED_AT, LIKED_AT, is_like=True)])
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
        # Tests that run in the background may ignore it, and what they start would, too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    )  # fmt: skip
    assert demo.stdout is not None
    assert "[1/6]" in demo.stdout.readline()
    os.killpg(demo.pid, signal.SIGINT)  # as a terminal does: all of them get it
    _, said = demo.communicate(timeout=60)
    assert demo.returncode == 130
    assert "`make demo` goes on from here" in said
    assert 'demo.py", line' not in said, "no traceback of its own"
