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
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import results
import story
from airflow_environment import airflow_environment
from nights import NightFailed, output_to, result_of, run_dag, seconds_of, start_migration
from plan import LOG, Plan, require_own_folder
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from recsys.files.private import keep_private
from recsys.settings import PACKAGE_PARENT, Settings

STREAM = PACKAGE_PARENT / "data" / "movietweetings"
NEWEST_YEAR = 2011  # of what may be recommended
FIRST_RUN = "demo-first-champion"
STORY = "demo-story.json"
PICTURE_COLUMNS = 140
NUM_TASKS = 22  # of both nights, about
out = Console()


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


def show_all(told: story.Story, done: Tonight, log: Path, settings: Settings) -> story.Story:
    """Prints what happened, from what the nights left in their stores; gives the story with its end."""
    from recsys.pipeline.context import Context
    from recsys.pipeline.retraining.evaluation import load_evidence

    with Context.open() as context:
        champion = str(context.registry.aliases.get_alias("champion"))
        results.show_decisions(context, out)
        results.show_systems(
            load_evidence(context, context.store.backlog.get_batch(FIRST_RUN)), "The first champion", out
        )
        if done.batch_id is not None:
            batch = context.store.backlog.get_batch(done.batch_id)
            results.show_batch(context, batch, done.checks, out)
            results.show_systems(load_evidence(context, batch), "Tonight's challenger", out)
        results.show_lists(context, champion, out)
        if champion != told.version:
            with story.front_end(settings, told.user_id, log) as front:
                told = story.with_learned(told, front)
            story.show_learned(told, out)
        results.show_seconds(done.seconds, out)
        out.print(f"Champion now: version {champion}.")
    return told


def draw(told: story.Story, path: Path) -> None:
    """The story as a picture, for a page; it loads nothing from elsewhere."""
    screen = Console(record=True, width=PICTURE_COLUMNS, file=io.StringIO(), force_terminal=True)
    story.show_click(told, screen)
    if told.learned:
        story.show_learned(told, screen)
    svg = re.sub(r"@font-face \{.*?\}", "", screen.export_svg(title="make demo"), flags=re.DOTALL)
    path.write_text(svg, encoding="utf-8")


def where_next(settings: Settings, user_id: str) -> None:
    """Commands that can be pasted as they are."""
    folder = "" if settings.home == PACKAGE_PARENT / "var" else f"RECSYS_HOME={shlex.quote(str(settings.home))} "
    recsys = f"{folder}{Path(sys.executable).parent / 'recsys'}"
    out.print("Where to look next:")
    lines = {
        f"{folder}make up": "Airflow with these nights, MLflow and the API; prints URLs and logins",
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
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the story of the thumbs-down as SVG, too")
    given = parser.parse_args()
    fresh = given.fresh
    began = time.monotonic()
    settings = Settings.under(Settings.from_environment().home)
    require_own_folder(settings, fresh)
    if fresh:
        shutil.rmtree(settings.home, ignore_errors=True)
    keep_private(settings.home, looks_inside=True)
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
    told = show_all(told, done, log, settings)
    if given.picture is not None:
        draw(told, given.picture)
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
