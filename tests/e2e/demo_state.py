"""What a demo leaves behind, for the tests that run one."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
COUNTED = (
    "items", "interactions", "user_dislikes", "negative_training_examples", "training_batches", "model_promotions",
    "decisions", "recommendation_sets", "recommendation_entries",
)  # fmt: skip


def run_demo(home: Path) -> str:
    """Runs `make demo` on a folder, and gives what it printed."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "demo.py")],
        env={**os.environ, "RECSYS_HOME": str(home), "COLUMNS": "200"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    log = home / "demo.log"
    assert done.returncode == 0, done.stdout + done.stderr + (log.read_text()[-5000:] if log.is_file() else "")
    return done.stdout


def contents(home: Path) -> dict[str, Any]:
    """Counts, decisions, batches and versions: what a second demo must not change."""
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
