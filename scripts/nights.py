"""Nights of the DAGs in this process: `dag.test()` on the Airflow database that `make up` opens, without its services.

A run that ended well is found again, one that was interrupted goes on. What each task prints becomes the log that
Airflow's UI shows for it. The consumers of an asset are run here, so no event is left for the scheduler of `make up` to
start a run with.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from recsys.settings import PACKAGE_PARENT

FOLDER = PACKAGE_PARENT / "dags"
STARTS = re.compile(r"\[DAG TEST\] starting task_id=(\S+) map_index=(-?\d+)")
ENDS = re.compile(r"\[DAG TEST\] end task task_id=")
POLL_S = 0.2
OnTask = Callable[[str], None]


class NightFailed(Exception):
    """A run did not end well; the message names it and the log."""


def start_migration(environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Makes Airflow's own database in the background."""
    with log.open("ab") as sink:
        return subprocess.Popen(
            [sys.executable, "-m", "airflow", "db", "migrate"], env=environment, stdout=sink, stderr=sink
        )


@contextlib.contextmanager
def output_to(log: Path) -> Iterator[Any]:
    """Sends what Airflow and its tasks print to `log`; yields a file that still reaches the terminal."""
    sys.stdout.flush()
    sys.stderr.flush()
    terminal, kept = os.dup(2), os.dup(1)
    with log.open("ab") as sink, os.fdopen(terminal, "w") as screen:
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
        try:
            yield screen
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os.dup2(kept, 1)
            os.dup2(terminal, 2)
            os.close(kept)


class TaskLogs:
    """Follows the log of a run while it grows, and gives each task its own file where Airflow looks for it.

    Args:
        log: what the run prints.
        run_folder: `dag_id=.../run_id=...` under Airflow's log folder.
        on_task: called with a task's name when it starts.
    """

    def __init__(self, log: Path, run_folder: Path, on_task: OnTask) -> None:
        self._log, self._run_folder, self._on_task = log, run_folder, on_task
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._begin = log.stat().st_size

    def __enter__(self) -> TaskLogs:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self._is_over.set()
        self._thread.join()

    def _follow(self) -> None:
        own: list[str] | None = None  # the lines of the task that runs
        path = self._run_folder
        for line in self._lines():
            if started := STARTS.search(line):
                task_id, map_index = started[1], int(started[2])
                self._on_task(task_id if map_index < 0 else f"{task_id} [{map_index}]")
                mapped = f"map_index={map_index}" if map_index >= 0 else ""
                path, own = self._run_folder / f"task_id={task_id}" / mapped, []
            elif ENDS.search(line) and own is not None:
                path.mkdir(parents=True, exist_ok=True)
                attempt = 1 + len(list(path.glob("attempt=*.log")))
                (path / f"attempt={attempt}.log").write_text("".join(own), encoding="utf-8")
                own = None
            elif own is not None:
                own.append(line)

    def _lines(self) -> Iterator[str]:
        """Whole lines as they come, until the run is over and all is read."""
        with self._log.open("rb") as file:
            file.seek(self._begin)
            rest = b""
            while True:
                is_last = self._is_over.is_set()
                *whole, rest = (rest + file.read()).split(b"\n")
                for line in whole:
                    yield line.decode(errors="replace") + "\n"
                if is_last:
                    return
                self._is_over.wait(POLL_S)


def run_dag(dag_id: str, at: datetime, conf: dict[str, Any], log: Path, on_task: OnTask) -> Any:
    """One run of a DAG; gives its `DagRun`.

    Args:
        dag_id: which.
        at: wall clock of the run, its logical date; the same again finds the run that ended well, or goes on with it.
        conf: values of its form.
        log: where the output goes; standard output must be redirected there, see `output_to`.
        on_task: called when a task starts.

    Raises:
        NightFailed: if a DAG file does not load, or the run does not end well.
    """
    from airflow.configuration import conf as airflow_conf
    from airflow.dag_processing.dagbag import BundleDagBag
    from airflow.models.dagrun import DagRun
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunType

    if done := DagRun.find(dag_id=dag_id, logical_date=at, state=DagRunState.SUCCESS):
        return done[0]
    # A bag of its own for each run: `dag.test()` leaves the form's values in the DAG.
    bag = BundleDagBag(dag_folder=str(FOLDER), bundle_path=FOLDER, bundle_name="dags-folder")
    if bag.import_errors:
        raise NightFailed(f"The DAG files do not load: {bag.import_errors}")
    dag = bag.dags[dag_id]
    dag.deadline = None  # Airflow 3.3: a run that dag.test() started ends in an error where there is one
    run_id = DagRun.generate_run_id(run_type=DagRunType.MANUAL, logical_date=at, run_after=at)
    run_folder = Path(airflow_conf.get("logging", "base_log_folder")) / f"dag_id={dag_id}" / f"run_id={run_id}"
    with TaskLogs(log, run_folder, on_task):
        dag_run = dag.test(logical_date=at, run_after=at, run_conf=conf)
    _drop_asset_events()
    if str(dag_run.state) != "success":
        raise NightFailed(f"Expected {dag_id} to succeed, but it ended as {dag_run.state}; see {log}.")
    return dag_run


def _drop_asset_events() -> None:
    """Takes back what would make a scheduler start the consumers of the run's assets: they are run here."""
    from airflow.models.asset import AssetDagRunQueue
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session() as session:
        session.execute(delete(AssetDagRunQueue))


def result_of(dag_run: Any, task_id: str) -> Any:
    """What a task returned; None if it was skipped."""
    return dag_run.get_task_instance(task_id).xcom_pull(task_ids=task_id)


def seconds_of(dag_run: Any) -> dict[str, float]:
    """Task -> seconds, of those that ran."""
    seconds = {}
    for task in dag_run.get_task_instances():
        if str(task.state) == "success" and task.start_date and task.end_date:
            name = f"{task.task_id} {task.rendered_map_index}" if task.rendered_map_index else task.task_id
            seconds[name] = (task.end_date - task.start_date).total_seconds()
    return seconds
