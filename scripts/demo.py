"""`make demo`: the whole loop on the shipped stream, on this machine, in a few minutes.

    embedded stores -> import -> a first champion -> a night in Airflow with too few new dislikes (it skips, and says why)
    -> one thumbs-down through the API, taken back, and made again -> tonight: a night that learns from it, is evaluated,
    promoted or refused, and published.

The stream ends yesterday: the import moves it by whole days, so that everything here lives in one time. What may be
recommended is a back catalogue, films up to 2011, as a shop or a library has it: on this stream everybody rates what is new,
and a list of new films is the same for everybody. The model learns from all of it.

Everything lands under `var/` (or RECSYS_HOME). Run it again: what is there is found again, nothing is doubled; what was
interrupted goes on. `--fresh` starts over.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import results
import story
from airflow_environment import airflow_environment
from nights import NightFailed, output_to, result_of, run_dag, seconds_of, start_migration
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from recsys.settings import PACKAGE_PARENT, Settings

STREAM = PACKAGE_PARENT / "data" / "movietweetings"
NEWEST_YEAR = 2011  # of what may be recommended
FIRST_RUN = "demo-first-champion"
LOG, PLAN, STORY = (
    "demo.log",
    "demo.json",
    "demo-story.json",
)  # the log is there from the first second: whose folder it is
NUM_TASKS = 22  # of both nights, about
out = Console()


@dataclass(frozen=True)
class Plan:
    """When things happen, fixed by the first demo of a folder, so that a later one finds them again.

    Attributes:
        started_at: wall clock, ISO 8601.
    """

    started_at: str

    @classmethod
    def of(cls, home: Path) -> Plan:
        """The plan of the folder; made now if it has none."""
        path = home / PLAN
        if not path.is_file():
            path.write_text(json.dumps(asdict(cls(datetime.now(UTC).isoformat(timespec="seconds")))), encoding="utf-8")
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    @property
    def now(self) -> datetime:
        """When the demo was first started."""
        return datetime.fromisoformat(self.started_at)

    @property
    def stream_ends_on(self) -> datetime:
        """The day before: the last of the stream, as it is imported."""
        return self.now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)

    @property
    def first_champion_as_of(self) -> datetime:
        """A month before the stream's end: what follows is for tonight's run to learn from."""
        return self.stream_ends_on - timedelta(days=30)

    @property
    def quiet_night_as_of(self) -> datetime:
        """The night after it, when hardly anybody had clicked yet."""
        return self.first_champion_as_of + timedelta(days=1)


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
    """Runs `recsys ...` on these stores; ends the demo with its exit code if it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "recsys", *arguments], env={**os.environ, **settings.as_environment()}, check=False
    )
    if done.returncode:
        sys.exit(
            f"`recsys {shlex.join(arguments)}` failed with code {done.returncode}: its message is above. "
            "Fix that and run `make demo` again: it goes on from here."
        )


@contextmanager
def airflow_nights(log: Path) -> Iterator[Any]:
    """Yields `run(dag_id, at, conf)`, which runs a DAG with a progress bar that names its tasks."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with output_to(log) as screen:
        console = Console(file=screen, force_terminal=screen.isatty())
        with Progress(*columns, console=console, transient=True) as progress:
            line = progress.add_task("loading the DAGs", total=NUM_TASKS)

            def run(dag_id: str, at: datetime, conf: dict[str, Any]) -> Any:
                def on_task(name: str) -> None:
                    progress.update(line, description=f"{dag_id}: {name}", advance=1)

                return run_dag(dag_id, at, conf, log, on_task)

            yield run


def quiet_night(plan: Plan, log: Path) -> None:
    """A night with too few new dislikes: it skips."""
    with airflow_nights(log) as run:
        run("feedback_retraining", plan.now, {"as_of": plan.quiet_night_as_of.isoformat()})


@dataclass(frozen=True)
class Tonight:
    """What the night that learns did.

    Attributes:
        batch_id: of it; None if nothing was trained.
        checks: what its data checks said.
        seconds: of each task.
    """

    batch_id: str | None
    checks: dict[str, Any]
    seconds: dict[str, float]


def tonight(plan: Plan, log: Path, as_of: datetime) -> Tonight:
    """The night that learns: retraining, promotion and publishing, one after the other as their assets would start them."""
    at = plan.now + timedelta(seconds=1)  # a run of its own beside that of the quiet night
    with airflow_nights(log) as run:
        night = run("feedback_retraining", at, {"as_of": as_of.isoformat()})
        seconds, trained = seconds_of(night), result_of(night, "train_challenger")
        if trained is None:
            return Tonight(None, {}, seconds)
        promotion = run("model_promotion", at, {"model_version": trained["model_version"]})
        seconds |= seconds_of(promotion)
        promoted = result_of(promotion, "promote")
        if promoted is not None:
            conf = {"model_version": promoted["to_version"], "as_of": as_of.isoformat()}
            seconds |= seconds_of(run("recommendation_publishing", at, conf))
    return Tonight(trained["batch_id"], result_of(night, "validate_training_set"), seconds)


def click(settings: Settings, log: Path) -> story.Story:
    """The thumbs-down of the story, or the one that an earlier demo made."""
    path = settings.home / STORY
    found = story.Story.load(path)
    if found is None:
        user_id = story.choose_user(settings)
        with story.front_end(settings, user_id, log) as front:
            found = story.play(front, user_id)
        found.save(path)
    story.show_click(found, out)
    return found


def show_all(told: story.Story, done: Tonight, log: Path, settings: Settings) -> None:
    """Prints what happened, from what the nights left in their stores."""
    from recsys.nightly.judging import load_evidence
    from recsys.nightly.workplace import Workplace

    with Workplace.open() as place:
        champion = str(place.registry.get_alias("champion"))
        results.show_decisions(place, out)
        results.show_systems(load_evidence(place, place.store.get_batch(FIRST_RUN)), "The first champion", out)
        if done.batch_id is not None:
            batch = place.store.get_batch(done.batch_id)
            results.show_batch(place, batch, done.checks, out)
            results.show_systems(load_evidence(place, batch), "Tonight's challenger", out)
        results.show_lists(place, champion, out)
        if champion != told.version:
            with story.front_end(settings, told.user_id, log) as front:
                told = story.with_learned(told, front)
            story.show_learned(told, out)
        results.show_seconds(done.seconds, out)
        out.print(f"Champion now: version {champion}.")


def where_next(settings: Settings, user_id: str) -> None:
    """Commands that can be pasted as they are."""
    folder = "" if settings.home == PACKAGE_PARENT / "var" else f"RECSYS_HOME={shlex.quote(str(settings.home))} "
    recsys = f"{folder}{Path(sys.executable).parent / 'recsys'}"
    out.print("Where to look next:")
    lines = {
        f"{folder}make up": "Airflow with these nights, MLflow and the API; prints URLs and login",
        f"{recsys} --help": "the tour of the commands",
        f"{recsys} recommend {user_id} --contributions": "what the user of the story gets, and why",
        f"{recsys} decisions": "why each night skipped, trained, promoted or refused",
        str(settings.home / LOG): "what Airflow said",
    }
    for command, meaning in lines.items():
        out.print(f"  {command}\n      {meaning}", soft_wrap=True, markup=False, highlight=False)


def main() -> None:
    """Runs the demo."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fresh", action="store_true", help="remove what an earlier demo left, and start over")
    fresh = parser.parse_args().fresh
    began = time.monotonic()
    settings = Settings.under(Settings.from_environment().home)
    require_own_folder(settings, fresh)
    if fresh:
        shutil.rmtree(settings.home, ignore_errors=True)
    settings.home.mkdir(parents=True, exist_ok=True)
    settings.use()
    log = settings.home / LOG
    environment = {**os.environ, **airflow_environment(settings)}
    os.environ.update(environment)
    migration = start_migration(environment, log)
    plan = Plan.of(settings.home)

    out.print(f"[1/6] Stores under {settings.home}", highlight=False)
    run_command(settings, "db", "upgrade")
    out.print(f"[2/6] Import of {STREAM}, moved so that it ends on {plan.stream_ends_on:%d %B %Y}", highlight=False)
    run_command(settings, "import", "movietweetings", str(STREAM), "--ends-on", f"{plan.stream_ends_on:%Y-%m-%d}")
    as_of = plan.first_champion_as_of
    out.print(f"[3/6] First champion, as of {as_of:%d %B %Y}, for films up to {NEWEST_YEAR}", highlight=False)
    run_command(
        settings, "run", "--as-of", as_of.isoformat(), "--force", "first champion", "--run-id", FIRST_RUN,
        "--max-year", str(NEWEST_YEAR),
    )  # fmt: skip
    if migration.wait():
        sys.exit(f"Airflow's database could not be made; see {log}.")
    out.print(
        f"[4/6] The night as of {plan.quiet_night_as_of:%d %B %Y %H:%M} in Airflow: few new dislikes", highlight=False
    )
    quiet_night(plan, log)
    out.print("[5/6] One thumbs-down, through the API")
    told = click(settings, log)
    out.print("[6/6] Tonight in Airflow: it learns from the month's dislikes and from that one")
    done = tonight(plan, log, datetime.fromisoformat(told.clicked_at))
    show_all(told, done, log, settings)
    where_next(settings, told.user_id)
    out.print(f"Done in {time.monotonic() - began:.0f} s.")


if __name__ == "__main__":
    try:
        main()
    except NightFailed as error:
        sys.exit(f"{error} Fix that and run `make demo` again: it goes on from here.")
    except KeyboardInterrupt:
        print("\nInterrupted. `make demo` goes on from here; `make demo ARGS=--fresh` starts over.", file=sys.stderr)
        sys.exit(130)
