"""The frozen inputs of a batch: named by their content, there as a whole or not at all."""

from __future__ import annotations

import errno
import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from recsys.errors import InputError
from recsys.training.dataset.training_set import (
    DIGEST,
    HISTORIES,
    ITEMS,
    NEUTRAL,
    TRAINING_SET,
    TrainingSet,
    content_digest,
    read_summary,
    write_training_set,
)

START = datetime(2024, 3, 1, tzinfo=UTC)
SCHEMA = pa.schema([
    ("user_id", pa.string()), ("item_id", pa.string()), ("label", pa.int8()), ("sample_weight", pa.float64()),
    ("age_days", pa.float64()), ("occurred_at", pa.timestamp("us", "UTC")), ("recorded_at", pa.timestamp("us", "UTC")),
    ("split", pa.string()), ("source_id", pa.int64()), ("tags", pa.list_(pa.string())),
])  # fmt: skip
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))
WHOLE, REAL = st.integers(0, 2**62), st.floats(allow_nan=False, allow_infinity=False)
VALUES = {
    "user_id": TEXT, "item_id": TEXT, "label": st.integers(0, 1), "sample_weight": REAL, "age_days": REAL,
    "occurred_at": MOMENTS, "recorded_at": MOMENTS, "split": st.sampled_from(["fit", "holdout"]), "source_id": WHOLE,
    "tags": st.lists(TEXT, max_size=3),
}  # fmt: skip
ROWS = st.lists(st.fixed_dictionaries(VALUES), min_size=1, max_size=6)


def to_table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, SCHEMA)


@given(ROWS, st.data())
def test_the_digest_changes_with_any_value(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    row, column = data.draw(st.integers(0, len(rows) - 1)), data.draw(st.sampled_from(sorted(VALUES)))
    value = data.draw(VALUES[column])
    assume(value != rows[row][column])
    changed = [dict(one) for one in rows]
    changed[row][column] = value
    assert content_digest(to_table(rows)) != content_digest(to_table(changed))


@given(ROWS, st.data())
def test_the_digest_changes_with_the_order_and_the_number_of_rows(
    rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(rows))))
    moved = [rows[n] for n in order]
    assert (content_digest(to_table(moved)) == content_digest(to_table(rows))) == (moved == rows)
    assert content_digest(to_table(rows[:-1])) != content_digest(to_table(rows))


@given(ROWS, st.integers(1, 3), st.sampled_from(["none", "zstd"]), st.booleans())
def test_the_digest_does_not_depend_on_the_file(
    rows: list[dict[str, Any]], size: int, compression: str, dictionary: bool
) -> None:
    table = to_table(rows)
    file = pa.BufferOutputStream()
    pq.write_table(table, file, row_group_size=size, compression=compression, use_dictionary=dictionary)
    assert content_digest(pq.read_table(pa.BufferReader(file.getvalue()))) == content_digest(table)
    pieces = pa.concat_tables([to_table(rows[n : n + size]) for n in range(0, len(rows), size)])
    assert content_digest(pieces) == content_digest(table)


@given(ROWS, st.sampled_from(sorted(set(VALUES) - {"tags"})))
def test_a_missing_value_is_not_a_zero_or_an_empty_text(rows: list[dict[str, Any]], column: str) -> None:
    empty = {
        "user_id": "",
        "item_id": "",
        "split": "",
        "label": 0,
        "source_id": 0,
        "sample_weight": 0.0,
        "age_days": 0.0,
    }
    with_empty = [{**rows[0], column: empty.get(column, datetime(1970, 1, 1, tzinfo=UTC))}, *rows[1:]]
    with_none = [{**rows[0], column: None}, *rows[1:]]
    assert content_digest(to_table(with_none)) != content_digest(to_table(with_empty))


def test_the_digest_knows_names_and_types() -> None:
    table = to_table([{"user_id": "u", "label": 1}])
    renamed = table.rename_columns([*table.column_names[:-1], "labels"])
    assert content_digest(renamed) != content_digest(table)
    retyped = table.set_column(2, "label", table["label"].cast(pa.int16()))
    assert content_digest(retyped) != content_digest(table)


EXAMPLES = pd.DataFrame({
    "user_id": ["ann", "ann", "bob", "bob", "cid"],
    "item_id": ["x", "y", "x", "z", "y"],
    "label": pd.array([1, 0, 1, 0, 1], "int8"),
    "sample_weight": [1.0, 0.8, 0.5, 0.4, 0.25],
    "recorded_at": pd.to_datetime([START + timedelta(days=n) for n in range(5)], utc=True).as_unit("us"),
    "split": ["fit", "fit", "holdout", "holdout", "holdout"],
})  # fmt: skip
HISTORY = pd.DataFrame({
    "user_id": ["ann", "ann", "bob"],
    "item_id": ["x", "y", "z"],
    "signal": ["like", "dislike", "seen"],
    "weight": [1.0, 0.8, 1.0],
})  # fmt: skip
NEUTRALS = pa.table({
    "user_id": ["ann", "bob"],
    "item_id": ["z", "y"],
    "occurred_at": pa.array([START, START + timedelta(days=3)], pa.timestamp("us", "UTC")),
    "recorded_at": pa.array([START, START + timedelta(days=3)], pa.timestamp("us", "UTC")),
})  # fmt: skip
CATALOG = pd.DataFrame({
    "item_id": ["x", "y", "z"], "title": ["X", "Y", "Z"], "genres": [("A", "B"), (), ("A",)],
    "cast": [("Ann", "Bob"), (), ()], "franchise": ["Saga", None, None],
})  # fmt: skip


def examples() -> pa.Table:
    return pa.Table.from_pandas(EXAMPLES, preserve_index=False).replace_schema_metadata()


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_it_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    folder = tmp_path / "batch" / "training_set"
    summary = write_training_set(folder, examples(), HISTORY, NEUTRALS, CATALOG, 1.0)
    assert read_summary(folder) == summary
    files = (
        pq.read_table(folder / name).replace_schema_metadata() for name in (TRAINING_SET, HISTORIES, NEUTRAL, ITEMS)
    )
    assert content_digest(*files) == summary.digest
    counts = (summary.num_rows, summary.num_dislikes, summary.num_holdout, summary.num_users, summary.num_items)
    assert counts == (5, 2, 3, 3, 3)
    assert summary.trained_through == "2024-03-05T00:00:00+00:00"
    assert json.loads((folder / DIGEST).read_text())["digest"] == summary.digest
    found = TrainingSet.read(folder)
    pd.testing.assert_frame_equal(found.examples, EXAMPLES)
    pd.testing.assert_frame_equal(found.histories, HISTORY)
    assert [tuple(genres) for genres in found.items["genres"]] == [("A", "B"), (), ("A",)]
    assert [tuple(cast) for cast in found.items["cast"]] == [("Ann", "Bob"), (), ()]
    assert found.items["franchise"].to_list()[0] == "Saga"
    assert found.items["franchise"].isna().to_list() == [False, True, True]
    assert found.examples_through(START + timedelta(days=1))["item_id"].tolist() == ["x", "y"]
    assert found.neutral_through(START + timedelta(days=1))["item_id"].tolist() == ["z"]


def test_the_same_inputs_give_the_same_digest_and_others_another(tmp_path: Path) -> None:
    first = write_training_set(tmp_path / "one", examples(), HISTORY, NEUTRALS, CATALOG, 1.0).digest
    assert (
        write_training_set(tmp_path / "two", examples(), HISTORY.copy(), NEUTRALS, CATALOG.copy(), 1.0).digest == first
    )
    other_weight = HISTORY.assign(weight=[1.0, 0.8, 0.5])
    assert write_training_set(tmp_path / "three", examples(), other_weight, NEUTRALS, CATALOG, 1.0).digest != first
    other_genres = CATALOG.assign(genres=[("A",), (), ("A",)])
    assert write_training_set(tmp_path / "four", examples(), HISTORY, NEUTRALS, other_genres, 1.0).digest != first
    assert (
        write_training_set(tmp_path / "five", examples(), HISTORY, NEUTRALS.slice(0, 1), CATALOG, 1.0).digest != first
    )


def test_an_empty_one_has_a_summary(tmp_path: Path) -> None:
    summary = write_training_set(
        tmp_path / "empty", examples().slice(0, 0), HISTORY.head(0), NEUTRALS.slice(0, 0), CATALOG.head(0), 1.0
    )
    assert (summary.num_rows, summary.trained_through) == (0, None)
    assert TrainingSet.read(tmp_path / "empty").holdout.empty


def test_the_holdout_leaves_out_what_was_known_before(tmp_path: Path) -> None:
    write_training_set(tmp_path / "set", examples(), HISTORY, NEUTRALS, CATALOG, 1.0)
    holdout = TrainingSet.read(tmp_path / "set").holdout
    opinions = holdout.drop(columns="recorded_at")
    assert opinions.to_dict("list") == {"user_id": ["bob", "cid"], "item_id": ["x", "y"], "label": [1, 1]}
    assert [at.isoformat()[:10] for at in holdout["recorded_at"]] == ["2024-03-03", "2024-03-05"]
    assert holdout.index.tolist() == [0, 1]


@contextmanager
def files_up_to(num_bytes: int) -> Iterator[None]:
    """No file may grow beyond this in this process: what is written first fits, what comes then does not."""
    mine = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, mine[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, mine)


def test_a_failure_in_the_middle_leaves_what_was_there(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write_training_set(folder, examples(), HISTORY, NEUTRALS, CATALOG, 1.0)
    before = content(folder)
    assert set(before) == {TRAINING_SET, HISTORIES, NEUTRAL, ITEMS, DIGEST}
    limit = 4 * max(map(len, before.values()))
    titles = [f"{n} {hash(str(n))}" for n in range(limit // 8)]  # no compression makes this small enough
    long = pd.DataFrame({"item_id": titles, "title": titles, "genres": [("A",)] * len(titles)})
    long = long.assign(cast=[()] * len(titles), franchise=None)
    with pytest.raises(OSError, match="File too large") as caught, files_up_to(limit):
        write_training_set(folder, examples(), HISTORY.assign(weight=0.1), NEUTRALS, long, 1.0)
    assert caught.value.errno == errno.EFBIG
    assert content(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_what_a_killed_process_left_is_removed_and_never_read(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    left = tmp_path / "set.1234.building"
    left.mkdir()
    (left / TRAINING_SET).write_text("half")
    assert read_summary(folder) is None
    with pytest.raises(InputError, match=r"Expected a training set in .*found none: run build_training_set"):
        TrainingSet.read(folder)
    write_training_set(folder, examples(), HISTORY, NEUTRALS, CATALOG, 1.0)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
