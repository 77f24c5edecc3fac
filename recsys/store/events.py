"""Reads the stored events as Arrow and turns them into training sets and histories with DuckDB.

The queries are in `sql/`: `events.sql` runs in the feedback database, the others over its rows in DuckDB, which has no
files and no state of its own here. Times go through DuckDB as UTC without zone, so that no session's zone matters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, column, select, text

from recsys.records import UserSignal
from recsys.store.catalog import chunks
from recsys.store.column_types import EARLIEST, UtcDateTime
from recsys.store.queries import load_query
from recsys.store.tables import interactions

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_PER_BATCH = 50_000
EVENT_COLUMNS = (
    "user_id", "item_id", "signal", "is_opinion", "reason", "is_held_back", "weight", "occurred_at", "recorded_at",
    "source_id",
)  # fmt: skip
BOUNDS = (bindparam("recorded_after", type_=UtcDateTime), bindparam("recorded_through", type_=UtcDateTime))


@dataclass(frozen=True)
class StreamSummary:
    """What the database holds as of a cut-off; the times are None while there is nothing."""

    first_recorded_at: datetime | None
    last_recorded_at: datetime | None
    num_interactions: int
    num_dislikes: int


def event_schema() -> pa.Schema:
    """Columns of the events; see `sql/events.sql`."""
    import pyarrow as pa

    moment = pa.timestamp("us", tz="UTC")
    types = (
        pa.string(), pa.string(), pa.string(), pa.bool_(), pa.string(), pa.bool_(), pa.float64(), moment, moment,
        pa.int64(),
    )  # fmt: skip
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in zip(EVENT_COLUMNS, types, strict=True)])


def training_set_schema() -> pa.Schema:
    """Columns of a training set; see `sql/training_set.sql`."""
    import pyarrow as pa

    moment = pa.timestamp("us", tz="UTC")
    return pa.schema([
        ("user_id", pa.string()), ("item_id", pa.string()), ("label", pa.int8()), ("sample_weight", pa.float64()),
        ("age_days", pa.float64()), ("occurred_at", moment), ("recorded_at", moment), ("base_weight", pa.float64()),
        ("reason", pa.string()), ("split", pa.string()), ("source_id", pa.int64()),
    ])  # fmt: skip


def history_schema() -> pa.Schema:
    """Columns of histories; see `sql/histories.sql`."""
    import pyarrow as pa

    return pa.schema([
        ("user_id", pa.string()), ("item_id", pa.string()), ("signal", pa.string()), ("weight", pa.float64()),
        ("reason", pa.string()), ("age_days", pa.float64()),
    ])  # fmt: skip


def neutral_schema() -> pa.Schema:
    """Columns of neutral signals; see `sql/neutral_signals.sql`."""
    import pyarrow as pa

    moment = pa.timestamp("us", tz="UTC")
    return pa.schema([
        ("user_id", pa.string()), ("item_id", pa.string()), ("occurred_at", moment), ("recorded_at", moment),
    ])  # fmt: skip


def read_events(
    connection: Connection,
    recorded_after: datetime | None,
    recorded_through: datetime,
    user_ids: Iterable[str] | None = None,
) -> pa.Table:
    """Events with `recorded_after` < recorded_at <= `recorded_through`, of all users or of some; in no order."""
    import pyarrow as pa

    # Without types the driver's own values come through: parsing times row by row would take most of the time.
    events = text(load_query("events")).bindparams(*BOUNDS).columns(*map(column, EVENT_COLUMNS)).subquery("events")
    query = select(events)
    bounds = {"recorded_after": recorded_after or EARLIEST, "recorded_through": recorded_through}
    parts = [query]
    if user_ids is not None:
        parts = [query.where(events.c.user_id.in_(ids)) for ids in chunks(sorted(set(user_ids)))]
    batches: list[pa.RecordBatch] = []
    for part in parts:
        result = connection.execution_options(yield_per=ROWS_PER_BATCH).execute(part, bounds)
        batches.extend(_to_batch(list(rows)) for rows in result.partitions())
    return pa.Table.from_batches(batches, schema=event_schema())


def _to_batch(rows: list[Any]) -> pa.RecordBatch:
    import pyarrow as pa

    columns = zip(*rows, strict=True)
    schema = event_schema()
    arrays = [_to_array(values, field.type) for values, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _to_array(values: tuple[Any, ...], kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    if pa.types.is_timestamp(kind) and isinstance(values[0], str):
        return pa.array(values, pa.string()).cast(kind)
    if pa.types.is_boolean(kind):
        return pa.array(map(bool, values), kind)  # SQLite has 0 and 1
    if pa.types.is_floating(kind):
        return pa.array(map(float, values), kind)  # PostgreSQL reads 1.0 as a decimal number
    return pa.array(values, kind)


def run_duckdb(query_name: str, events: pa.Table, params: Mapping[str, Any], schema: pa.Schema) -> pa.Table:
    """Runs `sql/<query_name>.sql` over the view `newest_signals` of some events.

    Args:
        query_name: the file's name without ending.
        events: as `read_events` gives them.
        params: name in the query -> value; datetimes must be aware.
        schema: what the result is cast to.
    """
    import duckdb

    offline = {"autoinstall_known_extensions": False, "autoload_known_extensions": False, "temp_directory": ""}
    with duckdb.connect(":memory:", config=offline) as connection:
        connection.register("events", _without_zone(events))
        connection.execute(f"CREATE VIEW newest_signals AS {load_query('newest_signals')}")
        result = connection.sql(load_query(query_name), params={k: _naive(v) for k, v in params.items()})
        return _cast(result.to_arrow_table(), schema)


def _naive(value: Any) -> Any:
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) else value


def _without_zone(table: pa.Table) -> pa.Table:
    import pyarrow as pa

    fields = [pa.field(f.name, pa.timestamp("us")) if pa.types.is_timestamp(f.type) else f for f in table.schema]
    return table.cast(pa.schema(fields))


def _cast(table: pa.Table, schema: pa.Schema) -> pa.Table:
    return table.select(schema.names).cast(schema).combine_chunks()


def stream_summary(connection: Connection, recorded_through: datetime) -> StreamSummary:
    """First and last time and counts of what was recorded up to a cut-off."""
    query = (
        text(load_query("stream_summary"))
        .bindparams(BOUNDS[1])
        .columns(column("first_recorded_at", UtcDateTime), column("last_recorded_at", UtcDateTime),
                 column("num_interactions"), column("num_dislikes"))
    )  # fmt: skip
    row = connection.execute(query, {"recorded_through": recorded_through}).one()
    return StreamSummary(row.first_recorded_at, row.last_recorded_at, int(row.num_interactions), int(row.num_dislikes))


def recorded_at_quantile(
    connection: Connection, recorded_after: datetime | None, recorded_through: datetime, quantile: float
) -> datetime | None:
    """See `sql/recorded_at_quantile.sql`."""
    query = text(load_query("recorded_at_quantile")).bindparams(*BOUNDS).columns(column("recorded_at", UtcDateTime))
    bounds = {"recorded_after": recorded_after or EARLIEST, "recorded_through": recorded_through, "quantile": quantile}
    moment: datetime | None = connection.execute(query, bounds).scalar_one()
    return moment


def holdout_begin(
    connection: Connection, recorded_after: datetime | None, recorded_through: datetime, num_users: int
) -> datetime | None:
    """See `sql/holdout_begin.sql`."""
    query = text(load_query("holdout_begin")).bindparams(*BOUNDS).columns(column("recorded_at", UtcDateTime))
    bounds = {
        "recorded_after": recorded_after or EARLIEST,
        "recorded_through": recorded_through,
        "num_users": num_users,
    }
    moment: datetime | None = connection.execute(query, bounds).scalar_one()
    return moment


def holdout_begin_without(
    connection: Connection,
    recorded_after: datetime | None,
    recorded_through: datetime,
    num_users: int,
    barred: frozenset[str],
) -> datetime | None:
    """The same, where likes of some items do not count: those are too many for one statement."""
    likes = interactions.c
    query = select(likes.user_id, likes.item_id, likes.recorded_at).where(
        likes.is_like, likes.recorded_at > (recorded_after or EARLIEST), likes.recorded_at <= recorded_through
    )
    newest: dict[str, datetime] = {}
    moments = []
    for row in connection.execution_options(yield_per=ROWS_PER_BATCH).execute(query):
        if row.item_id not in barred:
            newest[row.user_id] = max(newest.get(row.user_id, EARLIEST), row.recorded_at)
            moments.append(row.recorded_at)
    if len(newest) < num_users:
        return None
    last = sorted(newest.values(), reverse=True)[num_users - 1]
    return max((moment for moment in moments if moment < last), default=None)


def read_user_signals(connection: Connection, user_id: str, as_of: datetime) -> list[UserSignal]:
    """What holds between one user and every item they met, as of a cut-off; asked of the feedback database alone."""
    own = f"SELECT * FROM ({load_query('events')}) AS everybody WHERE user_id = :user_id"
    query = (
        text(f"WITH events AS ({own}) {load_query('newest_signals')}")
        .bindparams(*BOUNDS)
        .columns(column("user_id"), column("item_id"), column("signal"), column("is_opinion"), column("reason"),
                 column("is_held_back"), column("weight"), column("occurred_at", UtcDateTime),
                 column("recorded_at", UtcDateTime), column("source_id"), column("place"))
    )  # fmt: skip
    params = {"user_id": user_id, "recorded_after": EARLIEST, "recorded_through": as_of}
    return [
        UserSignal(row.item_id, row.signal, row.reason if row.signal == "dislike" else "", row.occurred_at)
        for row in connection.execute(query, params)
    ]


def feedback_changed_at(connection: Connection, user_id: str, through: datetime) -> datetime | None:
    """When a user's feedback last changed, of what changed up to `through`: an interaction, a dislike, one taken back."""
    query = text(load_query("feedback_changed_at")).bindparams(BOUNDS[1]).columns(column("changed_at", UtcDateTime))
    moment: datetime | None = connection.execute(query, {"user_id": user_id, "recorded_through": through}).scalar_one()
    return moment
