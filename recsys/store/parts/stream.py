"""The stream as training, evaluation and serving read it: Arrow tables and data frames, as of a cut-off."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from recsys.errors import InputError
from recsys.records import Item, UserSignal
from recsys.store import catalog, events, stream_shifts
from recsys.store.database import Database
from recsys.store.events import StreamSummary
from recsys.store.exclusions import Exclusion, read_exclusions
from recsys.store.stream_shifts import StreamShift

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


@dataclass(frozen=True)
class StreamSnapshot:
    """What a training set is made of.

    Attributes:
        examples: labelled, one per (user, item), the newest opinion; see `sql/training_set.sql`.
        histories: what a scorer may know of its users; see `sql/histories.sql`.
        neutral: what users met without an opinion; see `sql/neutral_signals.sql`.
        items: the catalog, by id.
    """

    examples: pa.Table
    histories: pd.DataFrame
    neutral: pa.Table
    items: dict[str, Item]


class Stream:
    """Reads everything that was recorded up to a cut-off, and keeps by how much an import moved it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read_events(self, recorded_after: datetime | None, recorded_through: datetime) -> pa.Table:
        """All signals in (`recorded_after`, `recorded_through`]; see `sql/events.sql`."""
        with self._database.reading() as connection:
            return events.read_events(connection, recorded_after, recorded_through)

    def read_training_set(self, as_of: datetime, fit_through: datetime, half_life_days: float) -> pa.Table:
        """Labelled examples as of `as_of`, one per (user, item), the newest opinion; see `sql/training_set.sql`."""
        _require_positive(half_life_days)
        params = {"as_of": as_of, "fit_through": fit_through, "half_life_days": half_life_days}
        return events.run_duckdb("training_set", self.read_events(None, as_of), params, events.training_set_schema())

    def snapshot(self, as_of: datetime, fit_through: datetime, half_life_days: float) -> StreamSnapshot:
        """All that a frozen training set holds, from one snapshot of the database: what commits meanwhile is in none of it.

        Args:
            as_of: cut-off of the examples and of the neutral signals.
            fit_through: cut-off of the histories and of exclusions, and where the examples are split.
            half_life_days: age at which a weight has halved.
        """
        _require_positive(half_life_days)
        with self._database.reading() as connection:
            items = catalog.read_catalog(connection)
            found = events.read_events(connection, None, as_of)
            # Not the same rows, filtered: what was taken back in between was there at the earlier cut-off.
            known = events.read_events(connection, None, fit_through)
            excluded = read_exclusions(connection, fit_through, None)
        params = {"as_of": as_of, "fit_through": fit_through, "half_life_days": half_life_days}
        return StreamSnapshot(
            events.run_duckdb("training_set", found, params, events.training_set_schema()),
            _with_exclusions(self.histories_of(known, fit_through, half_life_days), excluded),
            events.run_duckdb("neutral_signals", found, {}, events.neutral_schema()),
            items,
        )

    def read_histories(
        self,
        as_of: datetime,
        half_life_days: float,
        user_ids: Iterable[str] | None = None,
        *,
        excluded_through: datetime | None = None,
    ) -> pd.DataFrame:
        """What a scorer may know of all users, or of some, as of `as_of`; see `sql/histories.sql`.

        Items that users excluded are there as `seen`: they carry no signal, and no list holds them. `excluded_through`: those
        that were recorded up to then; None: those that hold now, whatever `as_of` is.
        """
        _require_positive(half_life_days)
        with self._database.reading() as connection:
            chosen = None if user_ids is None else sorted(set(user_ids))
            found = events.read_events(connection, None, as_of, chosen)
            excluded = read_exclusions(connection, excluded_through, chosen)
        return _with_exclusions(self.histories_of(found, as_of, half_life_days), excluded)

    @staticmethod
    def histories_of(found: pa.Table, as_of: datetime, half_life_days: float) -> pd.DataFrame:
        """The same of events that were read before, all of them recorded up to `as_of`."""
        params = {"as_of": as_of, "half_life_days": half_life_days}
        frame: pd.DataFrame = events.run_duckdb("histories", found, params, events.history_schema()).to_pandas()
        return frame

    def recorded_at_quantile(self, after: datetime | None, through: datetime, quantile: float) -> datetime | None:
        """The time in (`after`, `through`] by which a share of likes and dislikes was recorded; None without any."""
        if not 0.0 <= quantile <= 1.0:
            raise InputError(f"Expected a quantile between 0 and 1, got {quantile}.")
        with self._database.reading() as connection:
            return events.recorded_at_quantile(connection, after, through, quantile)

    def holdout_begin(
        self, after: datetime | None, through: datetime, num_users: int, barred: frozenset[str] = frozenset()
    ) -> datetime | None:
        """The latest time in (`after`, `through`) after which so many users recorded a like; None if fewer did.

        Likes of `barred` items do not count.
        """
        if num_users < 1:
            raise InputError(f"Expected at least one user, got {num_users}.")
        with self._database.reading() as connection:
            if not barred:
                return events.holdout_begin(connection, after, through, num_users)
            return events.holdout_begin_without(connection, after, through, num_users, barred)

    def stream_summary(self, through: datetime) -> StreamSummary:
        """First and last time and counts of what was recorded up to `through`."""
        with self._database.reading() as connection:
            return events.stream_summary(connection, through)

    def has_feedback(self) -> bool:
        """Whether anything at all was recorded."""
        with self._database.reading() as connection:
            return stream_shifts.has_feedback(connection)

    def list_stream_shifts(self) -> list[StreamShift]:
        """Imported files whose times were moved, oldest first."""
        with self._database.reading() as connection:
            return stream_shifts.read_all(connection)

    def keep_stream_shift(self, shift: StreamShift) -> None:
        """Writes by how much a file is moved, before its first row; ConflictError if it is moved otherwise already."""
        self._database.write_against_others(lambda c: stream_shifts.keep(c, shift), f"move {shift.file_name}")

    def user_signals(self, user_id: str, as_of: datetime) -> list[UserSignal]:
        """What holds between a user and every item they met, as of a cut-off."""
        with self._database.reading() as connection:
            return events.read_user_signals(connection, user_id, as_of)

    def feedback_changed_at(self, user_id: str, through: datetime) -> datetime | None:
        """When a user's feedback last changed, of what changed up to a time; None for a user who gave none until then."""
        with self._database.reading() as connection:
            return events.feedback_changed_at(connection, user_id, through)


def _with_exclusions(histories: pd.DataFrame, excluded: list[Exclusion]) -> pd.DataFrame:
    """Histories with a row for each excluded item that has none, in the order of users and items."""
    import pandas as pd

    if not excluded:
        return histories
    keys = pd.DataFrame([(one.user_id, one.item_id) for one in excluded], columns=["user_id", "item_id"])
    rows = keys.assign(signal="seen", weight=1.0, reason="", age_days=0.0)
    both = pd.concat([histories, rows.astype(histories.dtypes)], ignore_index=True)
    first = both.drop_duplicates(["user_id", "item_id"])  # a history's own row says more
    return first.sort_values(["user_id", "item_id"], kind="stable", ignore_index=True)


def _require_positive(half_life_days: float) -> None:
    if not half_life_days > 0:
        raise InputError(f"Expected half_life_days > 0, got {half_life_days}.")
