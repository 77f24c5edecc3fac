"""Replay: the loop night after night over a stored stream, each night's champion scored on the next day's events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys.config.eligibility import EligibilityRule
from recsys.config.run import RunConfig
from recsys.errors import InputError
from recsys.pipeline.context import Context
from recsys.pipeline.night import Clock, run_night
from recsys.settings import Settings
from recsys.store import FeedbackStore, migrate
from recsys.store.stream_copy import copy_stream

if TYPE_CHECKING:
    import pandas as pd

    from recsys.model.protocol import RecommenderProtocol

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
    """One time a day from `first` to `last`, both included."""
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
        summary = store.stream.stream_summary(datetime.max.replace(tzinfo=UTC))
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
    config: RunConfig,
    *,
    clock: Clock,
    on_step: OnStep = lambda night, step: None,
    publishes: bool = True,
) -> Iterator[ReplayedNight]:
    """Runs a night at every midnight from `first` to `last` on the stores of the environment, and scores what serves.

    The cut-offs are the stream's; what the nights write of themselves carries the wall clock, as in any night. The first
    night is forced: it makes the first champion. Whichever system is scored knows each user's history through
    the night's cut-off and nothing later.
    """
    first_champion: RecommenderProtocol | None = None
    for as_of in nights_between(first, last):
        name = f"{as_of:%Y-%m-%d}"
        forced = "first champion of the replay" if first_champion is None else config.force_reason
        night = run_night(
            f"replay-{name}", as_of, clock, replace(config, force_reason=forced),
            on_step=partial(on_step, name), publishes=publishes,
        )  # fmt: skip
        with Context.open() as context:
            version = context.registry.aliases.get_alias("champion")
            if version is None:
                raise InputError(
                    f"Expected the first night, {name}, to end with a champion, but its challenger was not promoted: "
                    + " ".join(night.reasons) + " Start later, when the stream holds more."
                )  # fmt: skip
            on_step(name, "score_next_day")
            champion = context.recommender(version)
            first_champion = first_champion or champion
            per_user, shares = score_day(context.store, champion, first_champion, as_of)
        yield ReplayedNight(
            as_of=as_of.isoformat(), outcome=night.outcome, reasons=night.reasons,
            backlog=int(night.results["check_backlog"]["backlog"]), champion_version=version,
            systems=_means(per_user, shares), num_users=_num_users(per_user), seconds=night.seconds, per_user=per_user,
        )  # fmt: skip


def score_day(
    store: FeedbackStore, champion: RecommenderProtocol, first_champion: RecommenderProtocol, as_of: datetime
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Per-user metrics of every system on the day after `as_of`, and their coverage."""
    import pandas as pd

    from recsys.evaluation.baselines import compared_lists
    from recsys.evaluation.metrics.accuracy import coverage, evaluate_lists
    from recsys.model.eligible_items import barred_items, catalog_frame

    half_life_days = float(champion.recipe["half_life_days"])
    examples = store.stream.read_training_set(as_of + DAY, as_of, half_life_days).to_pandas()
    histories = store.stream.read_histories(as_of, half_life_days, excluded_through=as_of)
    rule = EligibilityRule.from_dict(champion.recipe.get("eligible"))
    barred = barred_items(catalog_frame(store.catalog.all_items().values()), rule, as_of)
    past, ahead = examples[examples["split"] == "fit"], examples[examples["split"] == "holdout"]
    known = pd.MultiIndex.from_frame(histories[["user_id", "item_id"]])
    ahead = ahead[~pd.MultiIndex.from_frame(ahead[["user_id", "item_id"]]).isin(known)]
    ahead = ahead[~ahead["item_id"].isin(barred)]
    users = sorted(ahead["user_id"].unique())
    lists = compared_lists(
        {"champion": champion, "first_champion": first_champion}, past, histories, users, as_of,
        float(champion.recipe.get("best_trend_half_life_days", half_life_days)), barred,
    )  # fmt: skip
    per_user = evaluate_lists(lists, ahead[["user_id", "item_id", "label"]])
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
