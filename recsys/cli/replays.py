"""`recsys replay`: the loop over the stored stream, night after night."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli.options import Json, parse_as_of, wall_clock
from recsys.cli.output import flush, print_json_lines, say, seconds, show, table
from recsys.cli.progress import progress_bar
from recsys.cli.setting_options import takes_settings
from recsys.config.run import FAMILIES, RunConfig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from recsys.settings import Settings
    from recsys.simulation.replay import ReplayedNight


@takes_settings("threshold", "half_life_days", "seed", "families", "keep_candidate", choices={"families": FAMILIES})
def replay(
    first: Annotated[str, typer.Option("--from", help="First night, such as 2013-06-01: it makes the first champion.")],
    last: Annotated[str, typer.Option("--to", help="Last night; its champion is scored on the day after.")],
    nights_file: Annotated[
        Path | None, typer.Option("--nights", help="One JSON object a night goes into this file, too.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Markdown of the totals; the plot goes beside it. Default: in the replay's folder."),
    ] = None,
    *,
    config: RunConfig,
    publish: Annotated[
        bool, typer.Option("--publish/--no-publish", help="Write every user's list each night, too.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Run the loop night after night over the stored stream, and score each champion on the next day.

    It works on a copy of the stream with an MLflow store of its own, in `replay/` of RECSYS_HOME: the champion that serves
    is not touched. A replay starts afresh each time. With --json, a line a night, as soon as it is over.
    """
    from recsys.settings import Settings
    from recsys.simulation import replay as simulated
    from recsys.simulation import replay_report

    nights_at = simulated.nights_between(parse_as_of(first), parse_as_of(last))
    source = Settings.from_environment()
    scratch = Settings.under(source.home / "replay" / f"{nights_at[0]:%Y%m%d}_{nights_at[-1]:%Y%m%d}")
    simulated.check_stream(source, nights_at)
    for file in (nights_file, report):
        if file is not None:  # a folder that cannot be made is found out now, not after the first night
            file.absolute().parent.mkdir(parents=True, exist_ok=True)
    nights: list[ReplayedNight] = []
    for night in _nights(source, scratch, nights_at, config, publish):
        nights.append(night)
        if nights_file is not None:
            nights_file.write_text("".join(json.dumps(n.as_dict()) + "\n" for n in nights), encoding="utf-8")
        if as_json:
            print_json_lines([night.as_dict()])
        else:
            _show_replayed(night)
        flush()
    chosen = "".join(f" --family {name}" for name in config.families) + " --keep-candidate" * config.keep_candidate
    written = replay_report.write_report(nights, report or scratch.home / "replay.md", config.seed, chosen)
    if not as_json:
        _show_totals(nights, config.seed)
        say(f"Report with plot: {written}")


def _nights(
    source: Settings, scratch: Settings, nights_at: list[datetime], config: RunConfig, publishes: bool
) -> Iterator[ReplayedNight]:
    import shutil

    from recsys.cli.tensorflow_loading import load_for
    from recsys.simulation import replay as simulated

    shutil.rmtree(scratch.home, ignore_errors=True)
    with progress_bar() as bar:
        task = bar.add_task("copying the stream", total=len(nights_at))
        simulated.start_from(source, scratch)
        scratch.use()

        def on_step(name: str, step: str) -> None:
            bar.update(task, description=f"{name} {step}")
            load_for(step)

        first, last = nights_at[0], nights_at[-1]
        for night in simulated.replay(first, last, config, clock=wall_clock, publishes=publishes, on_step=on_step):
            bar.advance(task)
            yield night


def _show_replayed(night: ReplayedNight) -> None:
    from recsys.simulation.replay import SYSTEMS

    scores = "  ".join(f"{system} {night.systems[system]['ndcg_at_10'] or 0:.4f}" for system in SYSTEMS)
    took = seconds(sum(night.seconds.values()))
    say(f"{night.as_of[:10]}  {night.outcome:<8} backlog {night.backlog:>4}  next day, NDCG@10: {scores}  ({took})")


def _show_totals(nights: list[ReplayedNight], seed: int) -> None:
    from recsys.simulation import replay_report

    metrics = ("NDCG@10", "Recall@20", "dislike exposure@10", "coverage@10")
    listed = table("system", *metrics, "champion beside it", title="All nights", right=metrics)
    ahead = replay_report.leads(nights, seed)
    for system, values in replay_report.totals(nights).items():
        lead = replay_report.lead_in_words(ahead.get(system))
        listed.add_row(system, *(f"{value:.4f}" for value in values.values()), lead)
    show(listed)
