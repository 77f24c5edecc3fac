"""`make demo`: the whole loop on the shipped stream, on this machine, in a few minutes.

    embedded stores -> import -> first champion as of 12 June 2013 -> two nights of the Airflow DAGs, in this process:
    one with too few new dislikes (skips, and says why), one that retrains, judges, promotes or refuses, and publishes.

Everything lands under `var/` (or RECSYS_HOME). Run it again: what is there is found again, nothing is doubled; what was
interrupted goes on. `--fresh` starts over.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow_environment import airflow_environment
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from recsys.settings import PACKAGE_PARENT, Settings

STREAM = PACKAGE_PARENT / "data" / "movietweetings"
FIRST_CHAMPION_AT = datetime(2013, 6, 12, tzinfo=UTC)
NIGHTS = (datetime(2013, 6, 13, tzinfo=UTC), datetime(2013, 6, 14, tzinfo=UTC))
SHOWN_USERS = 3
LOG = "demo.log"  # it is there from the first second on, and says whose folder it is
out = Console()


def require_own_folder(settings: Settings, fresh: bool) -> None:
    """Ends the demo before it touches a folder with somebody's data: it imports, and `--fresh` removes all of it."""
    home = settings.home
    if (home / LOG).exists() or not home.exists():
        return
    if (fresh and any(home.iterdir())) or has_events(settings):
        sys.exit(
            f"Expected a folder that an earlier demo made, or one without feedback, got {home}: it holds somebody's data, and "
            "nothing was touched. Name another one: RECSYS_HOME=FOLDER make demo"
        )


def has_events(settings: Settings) -> bool:
    """Whether somebody's stream is in the feedback database; one that cannot be read may hold anything."""
    from recsys.errors import RecsysError
    from recsys.store import FeedbackStore

    if not (settings.home / "feedback.db").exists():
        return False
    try:
        with FeedbackStore.open(settings.database_url) as store:
            return store.stream_summary(datetime.max.replace(tzinfo=UTC)).last_recorded_at is not None
    except RecsysError:
        return True


def run_command(settings: Settings, *arguments: str) -> None:
    """Runs `recsys ...` with these places; ends the demo with its exit code if it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "recsys", *arguments], env={**os.environ, **settings.as_environment()}, check=False
    )
    if done.returncode:
        sys.exit(f"`recsys {' '.join(arguments)}` failed with code {done.returncode}: its message is above. "
                 "Mend that and run `make demo` again: it goes on from here.")  # fmt: skip


def start_airflow_migration(environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Makes Airflow's own database in the background, while the stream is imported."""
    with log.open("ab") as sink:
        return subprocess.Popen(
            [sys.executable, "-m", "airflow", "db", "migrate"], env=environment, stdout=sink, stderr=sink
        )


@contextlib.contextmanager
def quiet(log: Path) -> Iterator[Console]:
    """Sends what Airflow and its tasks print to `log`; yields a console that still reaches the terminal."""
    sys.stdout.flush()
    sys.stderr.flush()
    terminal = os.dup(2)
    kept = os.dup(1)
    with log.open("ab") as sink, os.fdopen(terminal, "w") as screen:
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
        try:
            yield Console(file=screen, force_terminal=os.isatty(terminal))
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os.dup2(kept, 1)
            os.dup2(terminal, 2)
            os.close(kept)


@dataclass(frozen=True)
class Nights:
    """What the nights in Airflow did.

    Attributes:
        seconds: of each task.
        batch_id: of the last night that trained; None if none did.
        checks: what its data checks said.
    """

    seconds: dict[str, float]
    batch_id: str | None
    checks: dict[str, Any]


def run_nights(log: Path) -> Nights:
    """Runs the DAGs for each night with `dag.test()`, as the scheduler would by their assets.

    What an earlier demo finished is not run again; what it left unfinished is.
    """
    from airflow.dag_processing.dagbag import BundleDagBag
    from airflow.models.dagrun import DagRun
    from airflow.utils.state import DagRunState

    folder = PACKAGE_PARENT / "dags"
    seconds: dict[str, float] = {}
    batch_id, checks = None, {}

    def run(screen: Progress, line: Any, dag_id: str, as_of: datetime, conf: dict[str, Any]) -> Any:
        screen.update(line, description=f"night {as_of:%Y-%m-%d}: {dag_id}")
        # A bag of its own for each run: `dag.test()` leaves the form's values in the DAG.
        bag = BundleDagBag(dag_folder=str(folder), bundle_path=folder, bundle_name="dags-folder")
        if bag.import_errors:
            sys.exit(f"The DAG files do not load: {bag.import_errors}")
        done = DagRun.find(dag_id=dag_id, logical_date=as_of, state=DagRunState.SUCCESS)  # by an earlier demo
        dag = bag.dags[dag_id]
        dag.deadline = None  # Airflow 3.3: a run that dag.test() started ends in an error where there is one
        dag_run = done[0] if done else dag.test(logical_date=as_of, run_after=as_of, run_conf=conf)
        for instance in dag_run.get_task_instances():
            if str(instance.state) == "success" and instance.start_date and instance.end_date:
                which = f" {instance.rendered_map_index}" if instance.rendered_map_index else ""
                took = instance.end_date - instance.start_date
                seconds[f"{as_of:%m-%d} {instance.task_id}{which}"] = took.total_seconds()
        if str(dag_run.state) != "success":
            raise SystemExit(
                f"{dag_id} for {as_of:%Y-%m-%d} ended as {dag_run.state}; see {log}. Run `make demo` again."
            )
        return dag_run

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with quiet(log) as terminal, Progress(*columns, console=terminal, transient=True) as screen:
        line = screen.add_task("loading the DAGs")
        for as_of in NIGHTS:
            night = run(screen, line, "feedback_retraining", as_of, {"as_of": as_of.isoformat()})
            trained = night.get_task_instance("train_challenger").xcom_pull(task_ids="train_challenger")
            if trained is None:
                continue
            batch_id = trained["batch_id"]
            checks = night.get_task_instance("validate_training_set").xcom_pull(task_ids="validate_training_set")
            promotion = run(screen, line, "model_promotion", as_of, {"model_version": trained["model_version"]})
            promoted = promotion.get_task_instance("promote").xcom_pull(task_ids="promote")
            if promoted is not None:
                conf = {"model_version": promoted["to_version"], "as_of": as_of.isoformat()}
                run(screen, line, "recommendation_publishing", as_of, conf)
    return Nights(seconds, batch_id, checks)


def show_results(nights: Nights) -> None:
    """Prints what happened, from what the run left in its stores."""
    from recsys.nightly.workplace import Workplace

    with Workplace.open() as place:
        decisions = sorted(place.store.list_decisions(limit=50), key=lambda d: (d.as_of, d.decision_id))
        table = Table("run", "step", "verdict", "why", title="Decisions")
        for d in decisions:
            table.add_row(d.run_id, d.step, d.verdict, "\n".join(d.reasons))
        out.print(table)
        if nights.batch_id is not None:
            show_batch(place, place.store.get_batch(nights.batch_id), nights.checks)
        show_lists(place)
    if nights.seconds:
        table = Table("night and step", "seconds", title="Seconds per step in Airflow (fresh processes included)")
        for name, value in nights.seconds.items():
            table.add_row(name, f"{value:.1f}")
        out.print(table)


def show_batch(place: Any, batch: Any, checks: dict[str, Any]) -> None:
    """Training set, data checks, and every system on the same holdout."""
    from recsys.nightly.fitting import trials_of

    table = Table("", Column(overflow="fold"), show_header=False, title=f"Batch {batch.batch_id}")
    table.add_row("new dislikes claimed", str(batch.num_examples))
    table.add_row("training set", f"{batch.num_rows} rows, digest {batch.training_set_digest}")
    tried = trials_of(place.folder(batch.batch_id), batch)
    table.add_row(
        "candidates, NDCG@10 on validation", ", ".join(f"{t.candidate.name} {t.ndcg_at_10:.4f}" for t in tried)
    )
    warned = "".join(f"; warning: {warning}" for warning in checks["warnings"])
    passed = "passed" if checks["success"] else "failed"
    said = (
        f"{checks['num_expectations']} checks {passed}{warned}; Data Docs: {place.settings.locate(batch.data_docs_uri)}"
    )
    table.add_row("data checks", said)
    table.add_row(
        "holdout", f"recorded after {batch.fit_through:%Y-%m-%d %H:%M}, up to {batch.as_of:%Y-%m-%d %H:%M} UTC"
    )
    table.add_row("champion now", f"version {place.registry.get_alias('champion')}")
    out.print(table)
    from recsys.nightly.judging import load_evidence, metrics_of

    metrics = metrics_of(load_evidence(place, batch))
    table = Table("system", "NDCG@10", "Recall@20", "dislike exposure@10", "coverage@10",
                  title=f"On the same holdout, {metrics['holdout_users']:.0f} users with a like")  # fmt: skip
    for system in ("challenger", "champion", "decayed_popularity", "popularity"):
        names = ("ndcg_at_10", "recall_at_20", "dislike_exposure_at_10", "coverage_at_10")
        values = [metrics.get(f"{system}_{name}") for name in names]
        if values[0] is not None:
            table.add_row(system, *("-" if value is None else f"{value:.4f}" for value in values))
    out.print(table)


def show_lists(place: Any) -> None:
    """The first recommendations of three users who have some history, each with its reason."""
    histories = place.store.read_histories(NIGHTS[-1], 30.0)
    liked = histories[histories["signal"] == "like"]["user_id"].value_counts()
    users = sorted(liked[liked >= 5].index)[: SHOWN_USERS * 400 : 400]
    catalog = place.store.catalog()
    table = Table("user", "#", "film", "score", "reason", title="Recommendations")
    for user_id in users:
        found = place.store.get_recommendations(user_id)
        for entry in found.entries[:3] if found else ():
            table.add_row(user_id, str(entry.rank), catalog[entry.item_id].title, f"{entry.score:.3f}", entry.reason)
    out.print(table)


def main() -> None:
    """Runs the demo."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fresh", action="store_true", help="remove what an earlier demo left, and start over")
    fresh = parser.parse_args().fresh
    started = time.monotonic()
    settings = Settings.under(Settings.from_environment().home)
    require_own_folder(settings, fresh)
    if fresh:
        shutil.rmtree(settings.home, ignore_errors=True)
    settings.home.mkdir(parents=True, exist_ok=True)
    settings.use()
    log = settings.home / LOG
    environment = {**os.environ, **airflow_environment(settings)}
    os.environ.update(environment)

    migration = start_airflow_migration(environment, log)
    out.print(f"[1/4] Stores under {settings.home}")
    run_command(settings, "db", "upgrade")
    out.print(f"[2/4] Import of {STREAM}")
    run_command(settings, "import", "movietweetings", str(STREAM))
    out.print(f"[3/4] First champion, as of {FIRST_CHAMPION_AT:%d %B %Y}")
    champion = (
        "--as-of",
        FIRST_CHAMPION_AT.isoformat(),
        "--force",
        "first champion",
        "--run-id",
        "demo-first-champion",
    )
    run_command(settings, "run", *champion)
    if migration.wait():
        sys.exit(f"Airflow's database could not be made; see {log}.")
    out.print("[4/4] Two nights in Airflow")
    show_results(run_nights(log))
    out.print(f"Done in {time.monotonic() - started:.0f} s. Where to look next:")
    out.print("  make up                          Airflow and MLflow with what you see above; prints URLs and login")
    out.print("  .venv/bin/recsys --help          the tour of the commands")
    out.print("  .venv/bin/recsys recommend 1500 --contributions")
    out.print(f"  {log}   what Airflow said")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("\nInterrupted. `make demo` goes on from here; `make demo ARGS=--fresh` starts over.", file=sys.stderr)
        sys.exit(130)
