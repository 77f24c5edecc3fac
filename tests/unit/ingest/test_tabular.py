"""Own interactions and items in CSV and Parquet."""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import InputError
from recsys.ingest.parsed import Thresholds
from recsys.ingest.table_check import MISSING
from recsys.ingest.tabular import read_interactions, read_items
from recsys.records import DislikeReason, Item

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Writes the same rows as CSV or Parquet, by the name of the file."""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
        return path
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return path


def interaction(**fields: Any) -> dict[str, Any]:
    empty = dict.fromkeys(("kind", "value", "label", "reason", "recorded_at"))
    return {"user_id": "u", "item_id": "i", "occurred_at": NOON, **empty, **fields}


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "A.CSV"])
def test_how_a_row_gets_its_signal(tmp_path: Path, name: str) -> None:
    rows = [
        interaction(user_id="labelled", label="like", value=1.0),
        interaction(user_id="high", value=9.0),
        interaction(user_id="low", value=2.0, reason="wrong_genre"),
        interaction(user_id="middle", value=5.0),
        interaction(user_id="clicked", kind="click"),
        interaction(user_id="hearted", kind="like"),
        interaction(user_id="watched", kind="watch", value=9.0),
        interaction(user_id="disliked", label="dislike", reason="already_watched"),
        interaction(user_id="saw", label="seen"),
    ]
    parsed = read_interactions(write(tmp_path / name, rows), Thresholds(8, 4))
    assert parsed.num_bad == 0
    back = parsed.feedback[["user_id", "kind", "signal", "reason"]].fillna("").values.tolist()
    assert back == [
        ["labelled", "rating", "like", ""],
        ["high", "rating", "like", ""],
        ["low", "rating", "dislike", "wrong_genre"],
        ["middle", "rating", "seen", ""],
        ["clicked", "click", "seen", ""],
        ["hearted", "like", "like", ""],
        ["watched", "watch", "like", ""],
        ["disliked", "rating", "dislike", "already_watched"],
        ["saw", "watch", "seen", ""],
    ]


def test_times_and_order_of_recording(tmp_path: Path) -> None:
    rows = [
        interaction(user_id="late", label="like", recorded_at=NOON + timedelta(days=2)),
        interaction(user_id="early", label="like", occurred_at=NOON + timedelta(days=1)),
    ]
    for name in ("a.csv", "a.parquet"):
        feedback = read_interactions(write(tmp_path / name, rows)).feedback
        assert feedback["user_id"].tolist() == ["early", "late"]
        assert feedback["occurred_at"].tolist() == [NOON + timedelta(days=1), NOON]
        assert feedback["recorded_at"].tolist() == [NOON + timedelta(days=1), NOON + timedelta(days=2)]


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_every_kind_of_bad_row(tmp_path: Path, name: str) -> None:
    rows = [
        interaction(user_id=None, label="like"),
        interaction(item_id="x" * 129, label="like"),
        interaction(label="love"),
        interaction(kind="view", label="like"),
        interaction(value=3.0),
        interaction(label="like", reason="wrong_genre"),
        interaction(label="dislike", reason="boring"),
        interaction(label="like", recorded_at=NOON - timedelta(seconds=1)),
        interaction(occurred_at=None, label="like"),
        interaction(label="dislike"),
    ]
    parsed = read_interactions(write(tmp_path / name, rows))
    first = 2 if name == "a.csv" else 1
    reasons = [row.reason.split(", ")[0] for row in parsed.files[0].refused.first]
    assert [row.line for row in parsed.files[0].refused.first] == list(range(first, first + 9))
    assert reasons == [
        "user_id is missing",
        "item_id is not 1 to 128 printable characters",
        "label is not like | dislike | seen",
        "kind is not rating | click | watch | like",
        "nothing says whether it is a like: the row needs a label",
        "reason belongs to a dislike only",
        f"reason is not {' | '.join(DislikeReason)}",
        "recorded_at lies before occurred_at",
        "occurred_at is missing",
    ]
    assert len(parsed.feedback) == 1


def test_whole_number_ids_of_parquet_are_text(tmp_path: Path) -> None:
    rows = [interaction(user_id=7, item_id=8.0, label="like", occurred_at=int(NOON.timestamp()))]
    feedback = read_interactions(write(tmp_path / "a.parquet", rows)).feedback
    assert feedback[["user_id", "item_id"]].values.tolist() == [["7", "8"]]
    assert feedback["occurred_at"].tolist() == [NOON]


def test_needed_columns_and_known_suffix(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"(?s)lacks occurred_at.*columns user_id, item_id, occurred_at; optional"):
        read_interactions(write(tmp_path / "a.csv", [{"user_id": "u", "item_id": "i"}]))
    with pytest.raises(InputError, match=r"(?s)no known format.*came: \.xlsx"):
        read_interactions(tmp_path / "a.xlsx")
    with pytest.raises(InputError, match="came: no suffix"):
        read_items(tmp_path / "items")


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_items(tmp_path: Path, name: str) -> None:
    rows: list[dict[str, Any]] = [
        {"item_id": "1", "title": "Alien (1979)", "genres": "Horror|Sci-Fi", "release_year": 1979, "tmdb_id": 348},
        {"item_id": "2", "title": "Aliens", "genres": None, "release_year": None, "tmdb_id": None},
    ]
    extra = [
        {"cast": "Sigourney Weaver|Tom Skerritt", "franchise": "Alien", "imdb_id": "tt0078748", "note": "x"},
        {"cast": None, "franchise": None, "imdb_id": None, "note": "y"},
    ]
    rows = [{**row, **more} for row, more in zip(rows, extra, strict=True)]
    parsed = read_items(write(tmp_path / name, rows))
    assert parsed.items == {
        "1": Item(
            "1",
            "Alien (1979)",
            ("Horror", "Sci-Fi"),
            ("Sigourney Weaver", "Tom Skerritt"),
            "Alien",
            1979,
            348,
            "tt0078748",
        ),
        "2": Item("2", "Aliens"),
    }
    assert parsed.ignored_columns == ("note",)


def test_items_with_lists(tmp_path: Path) -> None:
    rows = [{"item_id": "1", "title": "Alien", "genres": ["Horror", "Sci-Fi"], "cast": []}]
    item = read_items(write(tmp_path / "a.parquet", rows)).items["1"]
    assert (item.genres, item.cast) == (("Horror", "Sci-Fi"), ())


def test_bad_items(tmp_path: Path) -> None:
    item = {"item_id": "1", "title": "T", "release_year": "1999", "tmdb_id": "3", "imdb_id": ""}
    rows = [
        item,
        {**item, "item_id": ""},
        {**item, "item_id": "2", "title": " "},
        {**item, "item_id": "3", "release_year": "soon"},
        {**item, "item_id": "4", "tmdb_id": "0"},
        {**item, "item_id": "5", "imdb_id": "nm123"},
        {**item, "title": "Other"},
    ]
    parsed = read_items(write(tmp_path / "a.csv", rows))
    assert [(row.line, row.reason.split(", ")[0]) for row in parsed.files[0].refused.first] == [
        (3, "item_id is missing"),
        (4, "title is missing"),
        (5, "release_year is not a whole number from 1870 to 2100"),
        (6, "tmdb_id is not a whole number from 1 to 2147483647"),
        (7, "imdb_id is not like tt0114709"),
        (8, "contradicts line 2: same item"),
    ]


NAME = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=20).filter(
    lambda name: name not in MISSING
)
MOMENT = st.datetimes(datetime(1980, 1, 1), datetime(2090, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))
ROW = st.fixed_dictionaries(
    {"user_id": NAME, "item_id": NAME, "occurred_at": MOMENT, "label": st.sampled_from(["like", "dislike", "seen"])}
)


@given(rows=st.lists(ROW, min_size=1, max_size=15, unique_by=lambda row: (row["user_id"], row["item_id"])))
def test_interactions_round_trip(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]) -> None:
    folder = tmp_path_factory.mktemp("rows")
    wanted = sorted((row["user_id"], row["item_id"], row["occurred_at"], row["label"]) for row in rows)
    for name in ("a.csv", "a.parquet"):
        parsed = read_interactions(write(folder / name, rows))
        assert parsed.num_bad == 0
        columns = [parsed.feedback[column] for column in ("user_id", "item_id", "occurred_at", "signal")]
        assert sorted(zip(*columns, strict=True)) == wanted
        assert isinstance(parsed.feedback["occurred_at"].dtype, pd.DatetimeTZDtype)


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_items_say_when_they_may_be_recommended(tmp_path: Path, name: str) -> None:
    empty = dict.fromkeys(("tags", "available_from", "available_until", "is_hidden"))
    rows = [
        {"item_id": "1", "title": "All", "tags": "a|b", "available_from": NOON, "available_until": "1893456000",
         "is_hidden": "True"},
        {"item_id": "2", "title": "Visible", **empty, "is_hidden": "false"},
        {"item_id": "3", "title": "Unsaid", **empty},
    ]  # fmt: skip
    rows[0]["available_from"] = NOON.isoformat()
    parsed = read_items(write(tmp_path / name, rows))
    assert parsed.num_bad == 0
    assert parsed.items == {
        "1": Item("1", "All", tags=("a", "b"), available_from=NOON, available_until=datetime(2030, 1, 1, tzinfo=UTC),
                  is_hidden=True),
        "2": Item("2", "Visible"), "3": Item("3", "Unsaid"),
    }  # fmt: skip
    assert parsed.says_hidden == {"1", "2"}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"is_hidden": "maybe"}, "is_hidden is not true or false, came 'maybe'"),
        ({"available_from": "tomorrow"}, "available_from is not a time in ISO 8601 or unix seconds"),
        ({"available_from": "2024-05-02", "available_until": "2024-05-02"}, "available_until does not lie after"),
    ],
)
def test_bad_availability_is_named(tmp_path: Path, fields: dict[str, str], reason: str) -> None:
    parsed = read_items(write(tmp_path / "a.csv", [{"item_id": "1", "title": "Film", **fields}]))
    with pytest.raises(InputError, match=reason):
        parsed.require_good()
