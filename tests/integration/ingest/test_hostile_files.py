"""Files that no honest program writes: each is imported exactly, or refused in a few words."""

from __future__ import annotations

import csv
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from recsys.cli import app
from recsys.errors import InputError
from recsys.ingest import (
    ImportOptions,
    ImportReport,
    ShiftRequest,
    import_interactions,
    import_items,
    import_movietweetings,
)
from recsys.settings import Settings
from recsys.store import FeedbackStore, migrate
from tests.attack.files import MAX_MESSAGE, spoiled
from tests.integration.ingest.test_import import num_rows, stream, table_file

NOW = datetime(2026, 11, 28, 8, tzinfo=UTC)
OPTIONS = ImportOptions(imported_at=NOW)
SKIP = ImportOptions(imported_at=NOW, skip_bad_rows=True)
HEADER = "user_id,item_id,occurred_at,label"
SEED = 15


def parquet(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize("at", ["2099-01-01", "2026-11-29T08:00:01Z", "2026-11-30"])
def test_a_row_of_the_future_is_refused_and_counted(store: FeedbackStore, tmp_path: Path, at: str) -> None:
    file = table_file(tmp_path / "own.csv", HEADER, f"u,x,{at},like", "v,x,2026-11-29T07:59:59Z,like")
    with pytest.raises(
        InputError, match=r"line 2: occurred_at lies in the future, after 2026-11-29 08:00 UTC, came '2"
    ):
        import_interactions(store, file, OPTIONS)
    report = import_interactions(store, file, SKIP)
    assert (report.num_bad, report.num_new) == (1, 1)
    assert report.last_at is not None
    assert report.last_at <= NOW + timedelta(days=1)


def test_what_is_said_to_be_recorded_in_the_future_is_refused_in_every_format(
    store: FeedbackStore, tmp_path: Path
) -> None:
    rows = f"{HEADER},recorded_at", "u,x,2020-01-01,like,2099-01-01"
    with pytest.raises(InputError, match="recorded_at lies in the future"):
        import_interactions(store, table_file(tmp_path / "own.csv", *rows), OPTIONS)
    ratings = ["7::0000001::8::1362062300", f"7::0000002::8::{int(datetime(2099, 1, 1, tzinfo=UTC).timestamp())}"]
    with pytest.raises(InputError, match="line 2: seconds lies in the future"):
        import_movietweetings(store, stream(tmp_path / "mt", ratings), OPTIONS)
    assert not store.stream.has_feedback()


def test_one_row_of_the_future_moves_no_stream_into_the_past(store: FeedbackStore, tmp_path: Path) -> None:
    rows = ["7::0000001::8::1362062300", f"7::0000002::8::{int(datetime(2099, 1, 1, tzinfo=UTC).timestamp())}"]
    shifted = ImportOptions(
        imported_at=NOW, skip_bad_rows=True, shift=ShiftRequest(ends_on=NOW.date() - timedelta(days=1))
    )
    report = import_movietweetings(store, stream(tmp_path / "mt", rows), shifted)
    assert (report.num_bad, report.num_new, report.shift_days) == (1, 1, 5020)


def test_no_stream_is_moved_into_the_future(store: FeedbackStore, tmp_path: Path) -> None:
    shifted = ImportOptions(imported_at=NOW, shift=ShiftRequest(ends_on=NOW.date() + timedelta(days=2)))
    with pytest.raises(InputError, match="leads into the future"):
        import_movietweetings(store, stream(tmp_path / "mt"), shifted)
    assert not store.stream.has_feedback()


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
@pytest.mark.parametrize("column", ["user_id", "item_id"])
def test_a_missing_id_is_nobody(store: FeedbackStore, tmp_path: Path, name: str, column: str) -> None:
    ids = {"user_id": [1.0, 2.0], "item_id": [7.0, 8.0]}
    ids[column][1] = float("nan")
    if name.endswith("parquet"):
        file = parquet(tmp_path / name, **ids, occurred_at=["2020-01-01"] * 2, label=["like"] * 2)
    else:
        rows = [f"{user:g},{item:g},2020-01-01,like" for user, item in zip(*ids.values(), strict=True)]
        file = table_file(tmp_path / name, HEADER, *rows)
    with pytest.raises(InputError, match=f"(line 3|row 2): {column} is missing"):
        import_interactions(store, file, OPTIONS)
    assert import_interactions(store, file, SKIP).num_new == 1
    with store.database.reading() as connection:
        assert connection.scalars(text("select user_id || ':' || item_id from interactions")).all() == ["1:7"]


def test_a_missing_part_of_a_list_is_no_genre(store: FeedbackStore, tmp_path: Path) -> None:
    import_items(
        store, parquet(tmp_path / "i.parquet", item_id=["1"], title=["One"], genres=[[1.0, float("nan")]]), OPTIONS
    )
    assert store.catalog.all_items()["1"].genres == ("1.0",)


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_a_file_of_bad_rows_only_leaves_all_of_them_out(store: FeedbackStore, tmp_path: Path, name: str) -> None:
    row = {"user_id": "u", "item_id": "i", "occurred_at": "2020-01-01", "label": "maybe"}
    if name.endswith("parquet"):
        file = parquet(tmp_path / name, **{column: [value] for column, value in row.items()})
    else:
        file = table_file(tmp_path / name, ",".join(row), ",".join(row.values()))
    report = import_interactions(store, file, SKIP)
    assert (report.num_bad, report.num_new, report.num_placeholders, report.last_at) == (1, 0, 0, None)
    assert not store.catalog.all_items()


def test_parquet_of_text_that_is_none_is_refused(store: FeedbackStore, tmp_path: Path) -> None:
    good = {"item_id": ["item"], "occurred_at": ["2020-01-01"], "label": ["like"]}
    written = parquet(tmp_path / "a.parquet", user_id=["some user"], **good)
    content = written.read_bytes()
    written.write_bytes(content.replace(b"some user", b"some\xffuser"))
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        import_interactions(store, written, OPTIONS)
    written.write_bytes(content.replace(b"occurred_at", b"occurred\xffat"))  # also in the names
    with pytest.raises(InputError):
        import_interactions(store, written, OPTIONS)
    assert not store.stream.has_feedback()


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_file_of_very_many_columns_says_little_about_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    settings = Settings.under(tmp_path / "home")
    for name, value in settings.as_environment().items():
        monkeypatch.setenv(name, value)
    migrate(settings.database_url)
    more = [f"column number {n} \x1b[31m" for n in range(100_000 if kind == "csv" else 2_000)]
    row = dict.fromkeys(more, "1") | {"user_id": "u", "item_id": "i", "occurred_at": "2020-01-01", "label": "like"}
    file = tmp_path / f"wide.{kind}"
    if kind == "csv":
        file.write_text("\n".join(",".join(part) for part in (row, row.values())))
    else:
        pq.write_table(pa.Table.from_pylist([row]), file)
    for words in ((), ("--json",)):
        done = CliRunner().invoke(app, ["import", "interactions", str(file), *words])
        assert done.exit_code == 0, done.output
        assert len(done.output) < MAX_MESSAGE
        assert "column number 0" in done.output
        assert "\x1b" not in done.output
    assert f"{len(more) - 20:,} more" in CliRunner().invoke(app, ["import", "interactions", str(file)]).output


def hostile(folder: Path) -> dict[str, Path]:
    """Files that are refused as a whole, and what they are."""
    made = {
        "a null byte": b"user_id,item_id,occurred_at,label\nu\x00,i,2020-01-01,like\n",
        "bytes of latin1": "user_id,item_id,occurred_at,label\nMüller,i,2020-01-01,like\n".encode("latin1"),
        "UTF-16": "user_id,item_id,occurred_at,label\nu,i,2020-01-01,like\n".encode("utf-16"),
        "UTF-16 without a mark": "user_id,item_id,occurred_at,label\nu,i,2020-01-01,like\n".encode("utf-16-le"),
        "a huge field": b"user_id,item_id,occurred_at,label\n" + b"u" * 300_000 + b",i,2020-01-01,like\n",
        "a huge id": b"user_id,item_id,occurred_at,label\n" + b"u" * 129 + b",i,2020-01-01,like\n",
        "an open quote": b'user_id,item_id,occurred_at,label\n"u,i,2020-01-01,like\n' + b"x,y,2020-01-01,like\n" * 2_000,
        "a column twice": b"user_id,user_id,item_id,occurred_at,label\nu,v,i,2020-01-01,like\n",
        "no needed column, but many": ",".join(f"\x1b[2J{n}" for n in range(50_000)).encode(),
        "a terminal's escape in an id": b"user_id,item_id,occurred_at,label\n\x1b[31mu,i,2020-01-01,like\n",
        "a year of five digits": b"user_id,item_id,occurred_at,label\nu,i,99999-01-01,like\n",
        "an endless time": b"user_id,item_id,occurred_at,label\nu,i,1e308,like\n",
        "a negative time": b"user_id,item_id,occurred_at,label\nu,i,-1,like\n",
        "no line break at all": b"x" * 1_000_000,
        "only line breaks": b"\n" * 100_000,
        "a picture": bytes(range(256)) * 400,
    }  # fmt: skip
    found = {}
    for number, (name, content) in enumerate(made.items()):
        found[name] = folder / f"{number}.csv"
        found[name].write_bytes(content)
    good = {"item_id": pa.array(["i"]), "occurred_at": pa.array(["2020-01-01"]), "label": pa.array(["like"])}
    for name, users in {
        "nested ids": pa.array([{"a": [{"b": "u"}]}]),
        "ids in a map": pa.array([[("k", "v")]], pa.map_(pa.string(), pa.string())),
        "ids as bytes that are no text": pa.array([b"\xff\xfe"]),
        "ids of no type": pa.array([None]),
        "endless ids": pa.array([float("nan")]),
    }.items():
        found[name] = folder / f"{name}.parquet"
        pq.write_table(pa.table({"user_id": users, **good}), found[name])
    twice = pa.table([pa.array(["u"]), pa.array(["v"]), *good.values()], names=["user_id", "user_id", *good])
    found["a column twice in Parquet"] = folder / "twice.parquet"
    pq.write_table(twice, found["a column twice in Parquet"])
    found["half a Parquet file"] = folder / "half.parquet"
    whole = parquet(folder / "whole.parquet", user_id=["u"], **good).read_bytes()
    found["half a Parquet file"].write_bytes(whole[: len(whole) // 2])
    return found


def test_a_hostile_file_is_refused_in_few_words_and_writes_nothing(
    store: FeedbackStore, database_url: str, tmp_path: Path
) -> None:
    for name, file in hostile(tmp_path).items():
        with pytest.raises(InputError) as refused:
            import_interactions(store, file, OPTIONS)
        assert len(str(refused.value)) < MAX_MESSAGE, name
    assert set(num_rows(database_url).values()) == {0}


def tried(store: FeedbackStore, file: Path) -> tuple[ImportReport | None, str]:
    try:
        return import_interactions(store, file, ImportOptions(imported_at=NOW, dry_run=True)), ""
    except InputError as error:
        return None, str(error)


def test_a_spoiled_file_imports_what_it_says_or_nothing(sqlite_template: Path, tmp_path: Path) -> None:
    rng, refused = random.Random(SEED), 0
    database = tmp_path / "feedback.db"
    database.write_bytes(sqlite_template.read_bytes())
    rows = [HEADER.split(","), *([f"u{n}", f"i{n % 3}", f"2020-01-{n + 1:02d}", "like"] for n in range(9))]
    content = "\n".join(",".join(row) for row in rows).encode()
    with FeedbackStore.open(f"sqlite:///{database}") as store:
        for number in range(150):
            file = tmp_path / f"{number}.csv"
            file.write_bytes(spoiled(content, rng))
            report, message = tried(store, file)
            assert len(message) < MAX_MESSAGE
            if report is None:
                refused += 1
                continue
            with file.open(newline="", encoding="utf-8-sig") as read:
                whole = [row for row in csv.reader(read) if row]
            assert report.num_likes <= len(whole) - 1
        assert not store.stream.has_feedback()
    assert 50 < refused < 150, "Expected the fuzzing to spoil some files, and some not."
