"""How far the newest days are from what the champion learned from: measured, written down, and looked up by the trigger."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsys.errors import InputError
from recsys.feedback.triggers import DriftEvidence
from recsys.pipeline.champion.aliases import audited_champion, champion_cut_off
from recsys.pipeline.context import Context
from recsys.records import Decision
from recsys.times import days_long

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from recsys.evaluation.drift.inputs import DriftStream, Window
    from recsys.evaluation.drift.verdict import Array, Drift, DriftConfig

STEP = "measure_drift"
DRIFT, NOT_ENOUGH = "drift", "not_enough"
LIST_LENGTH = 10  # whose mean score stands for a user
RECENT = 200  # decisions of a step that are looked at


@dataclass(frozen=True)
class DriftMeasurement:
    """What was found.

    Attributes:
        verdict: `drift`, `stable` or `not_enough`.
        reasons: in plain words; of drift, one for each quantity that has drifted.
        as_of: end of the newest days: the cut-off, or the newest event.
        champion: version; None if there is none.
        cut_off: what the champion knows ends here.
        start: begin of the newest days; None if there are none.
        drifts: one per quantity; empty if nothing could be compared.
    """

    verdict: str
    reasons: tuple[str, ...]
    as_of: datetime
    champion: str | None = None
    cut_off: datetime | None = None
    start: datetime | None = None
    drifts: tuple[Drift, ...] = ()

    @property
    def alerts(self) -> list[str]:
        """What needs a look: one for each quantity that has drifted."""
        return [f"Drift of {reason}" for reason in self.reasons] if self.verdict == DRIFT else []

    def metrics(self) -> dict[str, float]:
        """For the champion's run: `drift_<quantity>` and its limit, as far as they are known, and how many drifted."""
        known = {f"drift_{one.name}": one.distance for one in self.drifts}
        known |= {f"drift_{one.name}_limit": one.limit for one in self.drifts}
        found = {name: value for name, value in known.items() if value is not None}
        return found | {"drift_num_alerts": float(len(self.alerts))} if found else {}

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        moments = {"as_of": self.as_of, "cut_off": self.cut_off, "start": self.start}
        return {
            "verdict": self.verdict, "reasons": list(self.reasons), "champion_version": self.champion,
            **{name: None if at is None else at.isoformat() for name, at in moments.items()},
            "drifts": [one.as_dict() for one in self.drifts],
        }  # fmt: skip


@dataclass(frozen=True)
class NewestDays:
    """What there is to compare: events up to `newest` that `champion`, which knows everything up to `cut_off`, has not seen."""

    champion: str
    cut_off: datetime
    first: datetime
    newest: datetime


def newest_days(context: Context, as_of: datetime) -> NewestDays | DriftMeasurement:
    """What there is to compare, or the measurement that says why there is nothing. Loads no model: it costs two queries."""
    summary = context.store.stream.stream_summary(as_of)
    champion = audited_champion(context)
    cut_off = champion_cut_off(context, champion)
    if champion is None or cut_off is None or summary.first_recorded_at is None or summary.last_recorded_at is None:
        return DriftMeasurement(NOT_ENOUGH, ("There is no champion to compare with.",), as_of)
    newest = min(as_of, summary.last_recorded_at)  # an imported stream may end years before the clock
    if newest <= cut_off:
        reason = f"Champion version {champion} knows everything up to {cut_off:%Y-%m-%d %H:%M} UTC: nothing is newer."
        return DriftMeasurement(NOT_ENOUGH, (reason,), newest, champion, cut_off)
    return NewestDays(champion, cut_off, summary.first_recorded_at, newest)


def measure(context: Context, as_of: datetime, config: DriftConfig) -> DriftMeasurement:
    """Compares the newest days up to a cut-off with what the champion learned from. Writes nothing."""
    days = newest_days(context, as_of)
    return days if isinstance(days, DriftMeasurement) else compare(context, days, config)


def compare(context: Context, days: NewestDays, config: DriftConfig) -> DriftMeasurement:
    """The same, where there is something to compare."""
    from recsys.evaluation.drift.inputs import DriftStream, cut_windows, input_drifts
    from recsys.evaluation.drift.verdict import overall_verdict

    champion, cut_off, newest = days.champion, days.cut_off, days.newest
    table = context.store.stream.read_events(None, newest)
    stream = DriftStream(_training_events(table), _catalog(context))
    windows = cut_windows(days.first, cut_off, newest, config)
    drifts = [
        *input_drifts(stream, windows, cut_off, config),
        _score_drift(context, champion, table, stream, windows, config),
    ]
    verdict = str(overall_verdict(drifts))
    told = [one.reason for one in drifts if verdict != DRIFT or one.verdict == DRIFT]
    return DriftMeasurement(verdict, tuple(told), newest, champion, cut_off, windows[-1].start, tuple(drifts))


def _training_events(table: pa.Table) -> pd.DataFrame:
    """Without what looks like brigading: the champion did not learn from it."""
    import pyarrow.compute as pc

    kept = table.filter(pc.invert(table["is_held_back"]))
    frame: pd.DataFrame = kept.select(["user_id", "item_id", "signal", "reason", "recorded_at"]).to_pandas()
    return frame


def _catalog(context: Context) -> pd.DataFrame:
    import pandas as pd

    rows = [(item.item_id, item.title, item.genres) for item in context.store.catalog.all_items().values()]
    return pd.DataFrame(rows, columns=["item_id", "title", "genres"])


def _score_drift(
    context: Context,
    champion: str,
    table: pa.Table,
    stream: DriftStream,
    windows: Sequence[Window],
    config: DriftConfig,
) -> Drift:
    """Drift of the mean score of the lists of those who were active, with their histories as of the window's end."""
    import numpy as np
    import pandas as pd

    from recsys.evaluation.drift.verdict import number_drift

    recommender, rng = context.recommender(champion), np.random.default_rng(config.seed)
    half_life_days = float(recommender.recipe["half_life_days"])
    histories, active = [], []
    for number, window in enumerate(windows):
        users = stream.active_users(window, config.max_scored_users, rng)
        own = context.store.stream.histories_of(_known(table, users, window.end), window.end, half_life_days)
        # One person in two windows has two histories.
        histories.append(own.assign(user_id=f"{number} " + own["user_id"]))
        active.append([f"{number} {user}" for user in users])
    every = [user for users in active for user in users]
    tops = recommender.top_items(pd.concat(histories, ignore_index=True), every, LIST_LENGTH)
    means = tops.groupby("user_id")["score"].mean()
    scores: list[Array] = [means.reindex(users).dropna().to_numpy(np.float64) for users in active]
    return number_drift("scores", scores, config)


def _known(table: pa.Table, users: Sequence[str], through: datetime) -> pa.Table:
    """Events of some users up to a time."""
    import pyarrow as pa
    import pyarrow.compute as pc

    own = table.filter(pc.is_in(table["user_id"], value_set=pa.array(users, pa.string())))
    return own.filter(pc.less_equal(own["recorded_at"], pa.scalar(through, own["recorded_at"].type)))


def write_down(context: Context, found: DriftMeasurement, run_id: str, as_of: datetime, now: datetime) -> str | None:
    """Writes a measurement to the ledger and to the champion's MLflow run; the same again changes nothing.

    Returns:
        Name of the report among the run's artifacts; None where there was nothing to report.
    """
    name = None
    if found.champion and found.drifts:
        context.registry.log_measurement(found.champion, found.metrics(), found.as_of)
        with tempfile.TemporaryDirectory(prefix="recsys-drift-") as folder:
            page = Path(folder) / f"drift_{found.as_of:%Y%m%dT%H%M%SZ}.html"
            page.write_text(report_of(found), encoding="utf-8")
            context.registry.log_files(found.champion, "drift", [page])
        name = f"drift/{page.name}"
    context.store.audit.record_decision(
        Decision(run_id, STEP, found.verdict, found.reasons, as_of, now, found.as_dict())
    )
    return name


def report_of(found: DriftMeasurement) -> str:
    """A measurement as an HTML page that needs no other file.

    Raises:
        InputError: if nothing could be compared.
    """
    from recsys.evaluation.drift.report import drift_page

    if found.champion is None or found.cut_off is None or found.start is None:
        raise InputError(f"Expected something to report, but nothing was compared: {' '.join(found.reasons)}")
    return drift_page(found.drifts, found.champion, found.cut_off, found.start, found.as_of)


def title_of(drift: Drift) -> str:
    """What a quantity is called."""
    from recsys.evaluation.drift.verdict import TITLES

    return TITLES[drift.name]


def last_drift(context: Context, run_id: str, as_of: datetime) -> DriftEvidence | None:
    """What was last measured of the champion up to a cut-off, for the trigger; None if nothing was.

    A measurement asks for one retraining: it is answered once another run has decided to retrain at or after it.
    """
    asked = context.store.audit.list_decisions
    measured = next((one for one in asked(limit=RECENT, step=STEP) if one.as_of <= as_of), None)
    if measured is None or measured.numbers["champion_version"] != audited_champion(context):
        return None
    answers = [
        one for one in asked(limit=RECENT, step="check_backlog", verdict="retrain")
        if one.run_id != run_id and measured.as_of <= one.as_of <= as_of
    ]  # fmt: skip
    return DriftEvidence(
        measured_at=measured.as_of.isoformat(),
        is_large=measured.verdict == DRIFT,
        reasons=measured.reasons,
        answered_by=answers[-1].run_id if answers else None,
    )


def drift_config(days: float) -> DriftConfig:
    """The configuration with a number of days.

    Raises:
        InputError: if that makes no sense.
    """
    from recsys.evaluation.drift.verdict import DriftConfig

    days_long(days, "drift_days", may_be_zero=False)
    return DriftConfig(days=days)
