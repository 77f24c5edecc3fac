"""What training and scoring read, against a reference in plain Python."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sqlalchemy import Connection, text

from recsys.errors import InputError
from recsys.feedback.reasons import base_weight
from recsys.model.histories import validate_histories
from recsys.records import Dislike, DislikeReason, Interaction, Item
from recsys.store import FeedbackStore, events
from recsys.store.database_errors import parse_url
from recsys.store.engine import make_engine, writing
from recsys.store.events import EVENT_COLUMNS

T = datetime(2013, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Signal:
    """One stored signal as the reference sees it."""

    user_id: str
    item_id: str
    signal: str
    is_opinion: bool
    occurred_at: datetime
    recorded_at: datetime
    reason: str = ""


def interaction(item: str, kind: str, is_like: bool, at: float, late: float = 0.0, user: str = "7") -> Interaction:
    return Interaction(user, item, kind, T + at * DAY, T + (at + late) * DAY, is_like)


def dislike(item: str, at: float, late: float = 0.0, user: str = "7", **more: object) -> Dislike:
    return Dislike(user, T + at * DAY, T + (at + late) * DAY, item_id=item, **more)  # type: ignore[arg-type]


def write(store: FeedbackStore, *rows: Interaction | Dislike) -> None:
    store.catalog.upsert_items([Item(item_id, item_id) for item_id in sorted({str(row.item_id) for row in rows})])
    store.feedback.insert_interactions([row for row in rows if isinstance(row, Interaction)])
    store.feedback.record_dislikes([row for row in rows if isinstance(row, Dislike)])


def signals(store: FeedbackStore, as_of: float) -> dict[str, str]:
    """Item -> signal of user 7, after checking that every reader agrees."""
    frame = store.stream.read_histories(T + as_of * DAY, 30.0)
    validate_histories(frame)
    training_set = store.stream.read_training_set(T + as_of * DAY, T + as_of * DAY, 30.0).to_pylist()
    labelled = {(r["user_id"], r["item_id"]): "like" if r["label"] else "dislike" for r in training_set}
    found = {(r.user_id, r.item_id): r.signal for r in frame.itertuples()}
    assert {key: signal for key, signal in found.items() if signal not in ("neutral", "seen")} == labelled
    return {item: signal for (user, item), signal in found.items() if user == "7"}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([interaction("a", "rating", True, 1)], "like"),
        ([interaction("a", "rating", False, 1)], "neutral"),
        ([dislike("a", 1)], "dislike"),
        ([dislike("a", 1, reason=DislikeReason.ALREADY_WATCHED)], "seen"),
        ([interaction("a", "rating", True, 1), dislike("a", 2)], "dislike"),
        ([interaction("a", "rating", True, 2), dislike("a", 1)], "like"),
        ([interaction("a", "rating", True, 1), dislike("a", 1)], "dislike"),  # the same moment: dislike over like
        ([interaction("a", "rating", True, 1, late=2), dislike("a", 1)], "like"),  # ... known later
        ([interaction("a", "rating", True, 1), interaction("a", "rating", False, 2)], "neutral"),  # changed their mind
        ([dislike("a", 1), interaction("a", "rating", False, 2)], "neutral"),
        ([interaction("a", "rating", True, 1), interaction("a", "click", False, 2)], "like"),  # a click is no opinion
        ([dislike("a", 1), dislike("a", 2, reason=DislikeReason.ALREADY_WATCHED)], "dislike"),
        ([interaction("a", "click", False, 1), interaction("a", "watch", False, 2)], "neutral"),
        ([interaction("a", "watch", True, 1), dislike("a", 2, late=8)], "like"),  # recorded after the cut-off
    ],
)
def test_newest_opinion_wins(store: FeedbackStore, rows: list[Interaction | Dislike], expected: str) -> None:
    write(store, *rows)
    assert signals(store, as_of=9) == {"a": expected}


def test_training_set_columns(store: FeedbackStore) -> None:
    write(
        store, interaction("a", "rating", True, 0), dislike("b", 5, late=1), interaction("c", "click", False, 1),
        interaction("d", "like", True, 6, user="8"),
    )  # fmt: skip
    found = store.stream.read_training_set(T + 10 * DAY, T + 5.5 * DAY, half_life_days=10.0)
    moment = pa.timestamp("us", tz="UTC")
    assert found.schema == pa.schema([
        ("user_id", pa.string()), ("item_id", pa.string()), ("label", pa.int8()), ("sample_weight", pa.float64()),
        ("age_days", pa.float64()), ("occurred_at", moment), ("recorded_at", moment), ("base_weight", pa.float64()),
        ("reason", pa.string()), ("split", pa.string()), ("source_id", pa.int64()),
    ])  # fmt: skip
    rows = found.to_pylist()
    assert [(r["user_id"], r["item_id"], r["label"], r["split"]) for r in rows] == [
        ("7", "a", 1, "fit"), ("7", "b", 0, "holdout"), ("8", "d", 1, "holdout"),
    ]  # fmt: skip
    assert [r["age_days"] for r in rows] == [10.0, 5.0, 4.0]
    np.testing.assert_allclose([r["sample_weight"] for r in rows], [0.5, 0.8 * 0.5**0.5, 0.5**0.4], rtol=1e-12)
    assert rows[1]["occurred_at"] == T + 5 * DAY
    assert rows[1]["recorded_at"] == T + 6 * DAY


def test_nothing_recorded_after_the_cut_off_exists(store: FeedbackStore) -> None:
    instant = timedelta(microseconds=1)
    write(store, interaction("a", "rating", True, 1), dislike("b", 1, late=1))
    for as_of, expected in (
        (T + DAY - instant, []),
        (T + DAY, ["a"]),
        (T + 2 * DAY - instant, ["a"]),
        (T + 2 * DAY, ["a", "b"]),
    ):
        assert store.stream.read_training_set(as_of, as_of, 30.0)["item_id"].to_pylist() == expected
        assert store.stream.read_histories(as_of, 30.0)["item_id"].to_list() == expected
        assert sorted(store.stream.read_events(None, as_of)["item_id"].to_pylist()) == expected
    assert store.stream.read_events(T + DAY, T + 2 * DAY)["item_id"].to_pylist() == ["b"]


def test_a_dislike_taken_back_does_not_exist(store: FeedbackStore, database_url: str) -> None:
    write(store, interaction("a", "rating", True, 0), dislike("a", 1), dislike("b", 1))
    engine = make_engine(parse_url(database_url))
    with writing(engine) as connection:
        connection.execute(text("UPDATE user_dislikes SET retracted_at = '2013-06-03 00:00:00.000000Z'"))
    engine.dispose()
    assert signals(store, as_of=1.5) == {"a": "dislike", "b": "dislike"}
    assert signals(store, as_of=2) == {"a": "like"}
    assert store.stream.stream_summary(T + 1.5 * DAY).num_dislikes == 2
    assert store.stream.stream_summary(T + 2 * DAY).num_dislikes == 0


def test_empty_store(store: FeedbackStore) -> None:
    assert store.stream.read_events(None, T).column_names == list(EVENT_COLUMNS)
    assert store.stream.read_training_set(T, T, 30.0).num_rows == 0
    assert store.stream.read_histories(T, 30.0).columns.to_list() == [
        "user_id", "item_id", "signal", "weight", "reason", "age_days",
    ]  # fmt: skip
    assert store.stream.recorded_at_quantile(None, T, 0.5) is None
    summary = store.stream.stream_summary(T)
    assert (summary.first_recorded_at, summary.last_recorded_at) == (None, None)
    assert (summary.num_interactions, summary.num_dislikes) == (0, 0)


def test_weights_stay_above_zero(store: FeedbackStore) -> None:
    write(store, interaction("a", "rating", True, 0), dislike("b", 0))
    weights = store.stream.read_training_set(T + 9_000 * DAY, T, 1.0)["sample_weight"].to_pylist()
    assert all(0 < weight <= 1 for weight in weights)
    assert (store.stream.read_histories(T + 9_000 * DAY, 1.0)["weight"] > 0).all()


@pytest.mark.parametrize("half_life_days", [0.0, -1.0, float("nan")])
def test_half_life_must_be_positive(store: FeedbackStore, half_life_days: float) -> None:
    with pytest.raises(InputError, match="half_life_days"):
        store.stream.read_training_set(T, T, half_life_days)
    with pytest.raises(InputError, match="half_life_days"):
        store.stream.read_histories(T, half_life_days)


def test_histories_of_some_users(store: FeedbackStore) -> None:
    write(store, *(interaction("a", "rating", True, 1, user=f"u{n}") for n in range(20)), dislike("b", 2, user="u3"))
    everyone = store.stream.read_histories(T + 9 * DAY, 30.0)
    some = store.stream.read_histories(T + 9 * DAY, 30.0, user_ids=["u3", "u11", "u3", "nobody"])
    assert some.to_dict("records") == everyone[everyone["user_id"].isin(["u3", "u11"])].to_dict("records")
    assert store.stream.read_histories(T + 9 * DAY, 30.0, user_ids=[]).empty


def random_rows(seed: int, count: int) -> list[Interaction | Dislike]:
    rng = np.random.default_rng(seed)
    rows: list[Interaction | Dislike] = []
    for _ in range(count):
        user, item = f"u{rng.integers(25)}", f"i{rng.integers(12)}"
        at, late = float(rng.integers(40)) / 4, float(rng.choice([0.0, 0.0, 0.25, 3.0]))  # many at the same moment
        if rng.random() < 0.4:
            reason = DislikeReason(str(rng.choice([str(reason) for reason in DislikeReason])))
            rows.append(replace(dislike(item, at, late, user), reason=reason))
        else:
            kind = str(rng.choice(["rating", "click", "watch", "like"]))
            rows.append(interaction(item, kind, kind == "like" or bool(rng.random() < 0.5), at, late, user))
    return rows


def expected_signals(rows: list[Interaction | Dislike], as_of: datetime) -> dict[tuple[str, str], Signal]:
    best: dict[tuple[str, str], Signal] = {}
    once = {(r.user_id, r.item_id, r.kind, r.occurred_at): r for r in reversed(rows) if isinstance(r, Interaction)}
    for row in [*once.values(), *(r for r in rows if isinstance(r, Dislike))]:
        if isinstance(row, Dislike):
            trains = row.reason != DislikeReason.ALREADY_WATCHED
            signal = Signal(
                row.user_id, str(row.item_id), "dislike" if trains else "seen", trains, row.created_at, row.recorded_at,
                row.reason,
            )  # fmt: skip
        else:
            opinion = row.is_like or row.kind in {"rating", "like"}
            name = "like" if row.is_like else "neutral"
            signal = Signal(row.user_id, row.item_id, name, opinion, row.occurred_at, row.recorded_at)
        if signal.recorded_at > as_of:
            continue
        key = (signal.user_id, signal.item_id)
        if key not in best or _rank(signal) >= _rank(best[key]):
            best[key] = signal
    return best


def _rank(signal: Signal) -> tuple[bool, datetime, datetime, int]:
    strength = {"like": 1, "dislike": 2}.get(signal.signal, 0)
    return (signal.is_opinion, signal.occurred_at, signal.recorded_at, strength)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_same_as_the_reference_and_the_same_every_time(store: FeedbackStore, seed: int) -> None:
    rows = random_rows(seed, 800)
    write(store, *rows)
    as_of, fit_through, half_life = T + 8 * DAY, T + 6 * DAY, 3.0
    expected = expected_signals(rows, as_of)
    table = store.stream.read_training_set(as_of, fit_through, half_life)
    found = table.to_pylist()
    assert len(found) == sum(signal.signal in ("like", "dislike") for signal in expected.values())
    for row in found:
        signal = expected[(row["user_id"], row["item_id"])]
        age = (as_of - signal.occurred_at) / DAY
        base = 1.0 if signal.signal == "like" else base_weight(row["reason"])
        assert row["base_weight"] == base
        assert row["reason"] == signal.reason
        assert row["label"] == (signal.signal == "like")
        assert (row["occurred_at"], row["recorded_at"]) == (signal.occurred_at, signal.recorded_at)
        assert row["split"] == ("fit" if signal.recorded_at <= fit_through else "holdout")
        assert row["age_days"] == age
        assert row["sample_weight"] == pytest.approx(base * 0.5 ** (age / half_life), rel=1e-12)
    order = [(row["recorded_at"], row["user_id"], row["item_id"], row["label"]) for row in found]
    assert order == sorted(order)
    histories = store.stream.read_histories(as_of, half_life)
    assert {(r.user_id, r.item_id): r.signal for r in histories.itertuples()} == {
        key: signal.signal for key, signal in expected.items()
    }
    assert store.stream.read_training_set(as_of, fit_through, half_life).equals(table)
    neutral = store.stream.snapshot(as_of, fit_through, half_life).neutral.to_pylist()
    assert {(row["user_id"], row["item_id"]): row["occurred_at"] for row in neutral} == {
        key: signal.occurred_at for key, signal in expected.items() if signal.signal == "neutral"
    }


def test_an_import_that_commits_in_between_is_in_none_of_the_tables(
    store: FeedbackStore, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, *random_rows(1, 200))
    cut_offs = (T + 8 * DAY, T + 6 * DAY, 3.0)
    before = store.stream.snapshot(*cut_offs)
    read_events = events.read_events
    calls: list[datetime] = []

    def interrupted(connection: Connection, after: datetime | None, through: datetime) -> pa.Table:
        found = read_events(connection, after, through)
        if not calls:
            with FeedbackStore.open(database_url) as importer:
                importer.catalog.upsert_items([Item("new", "A new film")])
                importer.feedback.insert_interactions(
                    [
                        Interaction("new", "new", "like", T + DAY, T + DAY, is_like=True),
                        Interaction("met", "new", "click", T + DAY, T + DAY, is_like=False),
                    ]
                )
                importer.catalog.exclude_item("u1", "new", T + DAY)
        calls.append(through)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(events, "read_events", interrupted)
        during = store.stream.snapshot(*cut_offs)
    after = store.stream.snapshot(*cut_offs)

    assert calls == [T + 8 * DAY, T + 6 * DAY]
    assert during.items == before.items != after.items
    assert during.examples.equals(before.examples)
    assert during.neutral.equals(before.neutral)
    pd.testing.assert_frame_equal(during.histories, before.histories)
    assert not after.examples.equals(before.examples)
    assert not after.neutral.equals(before.neutral)
    assert len(after.histories) == len(before.histories) + 3


def test_quantile_of_recorded_at(store: FeedbackStore) -> None:
    write(
        store, *(interaction(f"i{n}", "rating", True, n) for n in range(8)), dislike("x", 8), dislike("y", 9),
        interaction("c", "click", False, 50), dislike("z", 60, reason=DislikeReason.ALREADY_WATCHED),
    )  # fmt: skip
    through = T + 99 * DAY

    def day(quantile: float, after: datetime | None = None, until: datetime = through) -> float:
        moment = store.stream.recorded_at_quantile(after, until, quantile)
        assert moment is not None
        return (moment - T) / DAY

    assert [day(quantile) for quantile in (0.0, 0.1, 0.5, 0.55, 0.9)] == [0, 0, 4, 5, 8]
    assert day(1.0) == 8  # the last one is left for the other side
    assert day(0.5, after=T + 5 * DAY) == 7
    assert day(0.5, until=T + 3 * DAY) == 1
    assert day(0.5, after=T + 8 * DAY) == 9  # a single moment has no other side
    with pytest.raises(InputError, match="between 0 and 1"):
        store.stream.recorded_at_quantile(None, through, 1.1)


def test_a_holdout_begins_where_enough_users_come_after_it(store: FeedbackStore) -> None:
    write(
        store, interaction("a", "like", True, 1, user="u1"), interaction("b", "like", True, 2, user="u2"),
        interaction("c", "like", True, 3, user="u2"), interaction("d", "like", True, 4, user="u3"),
        interaction("e", "click", False, 5, user="u4"), dislike("f", 6, user="u5"),
        interaction("g", "like", True, 9, user="u6"),
    )  # fmt: skip

    def begin(num_users: int, after: float | None = None) -> float | None:
        bound = None if after is None else T + after * DAY
        moment = store.stream.holdout_begin(bound, T + 8 * DAY, num_users)
        return None if moment is None else (moment - T) / DAY

    assert begin(1) == 3  # u3 comes after it
    assert begin(2) == 2  # u2 and u3: u2 is counted once
    assert begin(3) is None  # nothing was recorded before u1
    assert begin(4) is None  # clicks, dislikes and what comes later are no likes
    assert begin(2, after=2) is None
    with pytest.raises(InputError, match="at least one user"):
        store.stream.holdout_begin(None, T, 0)


def test_summary_counts_up_to_the_cut_off(store: FeedbackStore) -> None:
    write(store, interaction("a", "rating", True, 1, late=1), interaction("b", "click", False, 1), dislike("c", 3))
    summary = store.stream.stream_summary(T + 3 * DAY)
    assert (summary.first_recorded_at, summary.last_recorded_at) == (T + DAY, T + 3 * DAY)
    assert (summary.num_interactions, summary.num_dislikes) == (2, 1)
    assert store.stream.stream_summary(T + 1.5 * DAY).num_interactions == 1
