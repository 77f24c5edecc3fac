"""Replay: the loop night after night over a stored stream, each night's champion scored on the next day's events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys.errors import InputError
from recsys.loop import NightOptions, run_night
from recsys.nightly.workplace import Workplace
from recsys.settings import Settings
from recsys.store import FeedbackStore, migrate
from recsys.store.stream_copy import copy_stream

if TYPE_CHECKING:
    import pandas as pd

    from recsys.model.recommender import Recommender

DAY = timedelta(days=1)
METRICS = ("ndcg_at_10", "recall_at_20", "dislike_exposure_at_10")
SYSTEMS = ("champion", "first_champion", "decayed_popularity", "popularity")
OnStep = Callable[[str, str], None]


@dataclass(frozen=True)
class ReplayedNight:
    """One night of a replay; JSON-able.

    Attributes:
        as_of: the night's cut-off, ISO 8601.
        outcome: skip, promote, reject or insufficient_evidence.
        reasons: why.
        backlog: new dislikes at the cut-off.
        champion_version: who serves the next day.
        systems: system -> metric -> mean over the next day's users.
        num_users: next day's users with a like.
        seconds: step -> wall-clock seconds.
        per_user: the table behind `systems`.
    """

    as_of: str
    outcome: str
    reasons: list[str]
    backlog: int
    champion_version: str | None
    systems: dict[str, dict[str, float | None]]
    num_users: int
    seconds: dict[str, float]
    per_user: pd.DataFrame = field(repr=False, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """Without the per-user table."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "per_user"}


def nights_between(first: datetime, last: datetime) -> list[datetime]:
    """One moment a day from `first` to `last`, both included."""
    if last < first:
        raise InputError(f"Expected --to on or after --from, got {first:%Y-%m-%d} to {last:%Y-%m-%d}.")
    if (last - first) % DAY:
        raise InputError(
            f"Expected whole days from --from to --to, got {first.isoformat()} to {last.isoformat()}: name two days, or the "
            "same time of both."
        )
    return [first + n * DAY for n in range((last - first).days + 1)]


def check_stream(source: Settings, nights: list[datetime]) -> None:
    """Checks that the stored stream reaches over all nights.

    Raises:
        InputError: if it does not.
    """
    with FeedbackStore.open(source.database_url) as store:
        summary = store.stream_summary(datetime.max.replace(tzinfo=UTC))
    first, last = summary.first_recorded_at, summary.last_recorded_at
    if first is None or last is None or first >= nights[0] or last <= nights[-1]:
        held = "none" if first is None or last is None else f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"
        raise InputError(
            f"Expected a stored stream that begins before {nights[0]:%Y-%m-%d} and goes on after {nights[-1]:%Y-%m-%d}, "
            f"found {held}: choose nights within it, or import more (`recsys import --help`)."
        )


def start_from(source: Settings, target: Settings) -> None:
    """Makes a database at `target` that holds the stream of `source`, with the whole backlog unclaimed."""
    migrate(target.database_url)
    copy_stream(source.database_url, target.database_url)


def replay(
    first: datetime,
    last: datetime,
    options: NightOptions,
    *,
    now: datetime,
    on_step: OnStep = lambda night, step: None,
    publishes: bool = True,
) -> Iterator[ReplayedNight]:
    """Runs a night at every midnight from `first` to `last` on the stores of the environment, and scores what serves.

    The first night is forced: it makes the first champion. Whichever system is scored knows each user's history through
    the night's cut-off and nothing later.
    """
    first_champion: Recommender | None = None
    for as_of in nights_between(first, last):
        name = f"{as_of:%Y-%m-%d}"
        forced = "first champion of the replay" if first_champion is None else options.force_reason
        night = run_night(
            f"replay-{name}", as_of, now, replace(options, force_reason=forced),
            on_step=partial(on_step, name), publishes=publishes,
        )  # fmt: skip
        with Workplace.open() as place:
            version = place.registry.get_alias("champion")
            if version is None:
                raise InputError(
                    f"Expected the first night, {name}, to end with a champion, but its challenger was not promoted: "
                    + " ".join(night.reasons) + " Start later, when the stream holds more."
                )  # fmt: skip
            on_step(name, "score_next_day")
            champion = place.recommender(version)
            first_champion = first_champion or champion
            per_user, shares = score_day(place.store, champion, first_champion, as_of)
        yield ReplayedNight(
            as_of=as_of.isoformat(), outcome=night.outcome, reasons=night.reasons,
            backlog=int(night.results["check_backlog"]["backlog"]), champion_version=version,
            systems=_means(per_user, shares), num_users=_num_users(per_user), seconds=night.seconds, per_user=per_user,
        )  # fmt: skip


def score_day(
    store: FeedbackStore, champion: Recommender, first_champion: Recommender, as_of: datetime
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Per-user metrics of every system on the day after `as_of`, and their coverage."""
    import pandas as pd

    from recsys.evaluation.holdout import compared_lists
    from recsys.evaluation.ranking_metrics import coverage, judge

    half_life_days = float(champion.recipe["half_life_days"])
    examples = store.read_training_set(as_of + DAY, as_of, half_life_days).to_pandas()
    histories = store.read_histories(as_of, half_life_days)
    past, ahead = examples[examples["split"] == "fit"], examples[examples["split"] == "holdout"]
    known = pd.MultiIndex.from_frame(histories[["user_id", "item_id"]])
    ahead = ahead[~pd.MultiIndex.from_frame(ahead[["user_id", "item_id"]]).isin(known)]
    users = sorted(ahead["user_id"].unique())
    lists = compared_lists(
        {"champion": champion, "first_champion": first_champion}, past, histories, users, as_of,
        float(champion.recipe["best_trend_half_life_days"]),
    )  # fmt: skip
    per_user = judge(lists, ahead[["user_id", "item_id", "label"]])
    return per_user, {name: coverage(top, len(champion.item_ids), 10) for name, top in lists.items()}


def _means(per_user: pd.DataFrame, shares: dict[str, float]) -> dict[str, dict[str, float | None]]:
    result: dict[str, dict[str, float | None]] = {}
    for system in SYSTEMS:
        rows = per_user[per_user["system"] == system]
        means = {name: rows[name].mean() for name in METRICS}
        result[system] = {name: None if np.isnan(value) else float(value) for name, value in means.items()}
        result[system]["coverage_at_10"] = float(shares[system])
    return result


def _num_users(per_user: pd.DataFrame) -> int:
    return int(per_user.loc[per_user["system"] == "champion", "ndcg_at_10"].notna().sum())


def totals(nights: list[ReplayedNight]) -> dict[str, dict[str, float]]:
    """Means over all users of all nights (users weigh alike, nights by their users); coverage over nights."""
    import pandas as pd

    everyone = pd.concat([night.per_user for night in nights], ignore_index=True)
    result: dict[str, dict[str, float]] = {}
    for system in SYSTEMS:
        rows = everyone[everyone["system"] == system]
        result[system] = {name: float(rows[name].mean()) for name in METRICS}
        shares = [night.systems[system]["coverage_at_10"] for night in nights]
        result[system]["coverage_at_10"] = float(np.mean([share for share in shares if share is not None]))
    return result


def write_report(nights: list[ReplayedNight], path: Path, options: str = "") -> Path:
    """Writes the totals as markdown, with the plot beside it under the same name; returns `path`.

    `options` are those of the command beside the days, as they were given.
    """
    first, last = nights[0].as_of[:10], nights[-1].as_of[:10]
    outcomes = [night.outcome for night in nights]
    counts = ", ".join(f"{outcomes.count(name)} {name.replace('_', ' ')}" for name in sorted(set(outcomes)))
    lines = [
        f"# Replay, {first} to {last}",
        "",
        f"Written by `recsys replay --from {first} --to {last} --report FILE{options}`. {len(nights)} nights: {counts}.",
        "After each night, everything is scored on the next day's events, with each user's history up to the night; means",
        "over users.",
        "",
        "| what serves | NDCG@10 | Recall@20 | dislike exposure@10 | coverage@10 |",
        "|---|---|---|---|---|",
        *(
            f"| {system.replace('_', ' ')} | " + " | ".join(f"{value:.4f}" for value in metrics.values()) + " |"
            for system, metrics in totals(nights).items()
        ),
        "",
        f"{sum(night.num_users for night in nights)} user-days with a like; seconds a night, median "
        f"{np.median([sum(night.seconds.values()) for night in nights]):.0f}.",
        "",
        "- champion: retrained, judged and promoted by the loop",
        "- first champion: the first night's, never retrained",
        "- decayed popularity: likes with the half-life that the champion's own validation found best, counted anew each night",
        "- popularity: all likes so far, counted anew each night",
        "",
        f"![NDCG@10 night by night]({path.stem}.png)",
        "",
    ]
    plot_replay(nights, path.with_suffix(".png"))
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def plot_replay(nights: list[ReplayedNight], path: Path) -> None:
    """NDCG@10 on the next day, night by night, one line per system; promotions are marked."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5), layout="constrained")
    axes = figure.subplots()
    days = [night.as_of[:10] for night in nights]
    for system in SYSTEMS:
        values = [night.systems[system]["ndcg_at_10"] for night in nights]
        numbers = [np.nan if value is None else value for value in values]
        axes.plot(days, numbers, label=system.replace("_", " "), linewidth=2.5 if system == "champion" else 1.2)
        if system == "champion":
            promoted = [n for n, night in enumerate(nights) if night.outcome == "promote"]
            axes.plot([days[n] for n in promoted], [numbers[n] for n in promoted], "o", label="promoted that night")
    axes.set(
        title="Next-day accuracy of what serves, night by night", xlabel="night (UTC)", ylabel="NDCG@10 on the next day"
    )
    axes.tick_params(axis="x", rotation=70)
    axes.grid(alpha=0.3)
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
