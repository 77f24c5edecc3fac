"""Files become tables of text with the right lines, or an InputError that says what came."""

from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import InputError
from recsys.ingest import raw_table
from recsys.ingest.raw_table import RefusedRow, read_csv, read_double_colon, read_parquet

COLUMNS = ("left", "right")
EXPECTED = "left::right, such as 1::2"


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_double_colon_keeps_lines_across_blank_lines_windows_ends_and_byte_order_mark(tmp_path: Path) -> None:
    table = read_double_colon(write(tmp_path / "a.dat", "\ufeff1:: x \r\n\r\n2::\r\n3::z"), COLUMNS, EXPECTED)
    assert table.frame["left"].tolist() == ["1", "2", "3"]
    assert table.frame["line"].tolist() == [1, 3, 4]
    assert table.frame["right"].fillna("<NA>").tolist() == ["x", "<NA>", "z"]
    assert table.num_rows == 3


def test_rows_with_the_wrong_number_of_fields_are_refused_with_their_line(tmp_path: Path) -> None:
    table = read_double_colon(write(tmp_path / "a.dat", "1::2\n1\n1::2::3\n"), COLUMNS, EXPECTED)
    assert table.refused.first == [RefusedRow(2, "1 fields instead of 2"), RefusedRow(3, "3 fields instead of 2")]
    assert (table.num_rows, table.refused.num_rows) == (3, 2)


def test_chunks_make_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw_table, "ROWS_PER_CHUNK", 3)
    path = write(tmp_path / "a.dat", "bad\n" * 3 + "".join(f"{n}::{n}\n" for n in range(10)))
    table = read_double_colon(path, COLUMNS, EXPECTED)
    assert table.frame["left"].tolist() == [str(n) for n in range(10)]
    assert table.frame["line"].tolist() == list(range(4, 14))
    assert table.frame.index.tolist() == list(range(10))


def test_only_the_first_refused_rows_are_kept_but_all_are_counted(tmp_path: Path) -> None:
    table = read_double_colon(write(tmp_path / "a.dat", "x\n" * 50), COLUMNS, EXPECTED)
    assert table.refused.num_rows == 50
    assert [row.line for row in table.refused.first] == list(range(1, 21))


def test_latin_1_is_read_where_utf_8_does_not_fit(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dat", "1::Cité\n".encode("latin-1"))
    assert read_double_colon(path, COLUMNS, EXPECTED, ("utf-8", "latin-1")).frame["right"].tolist() == ["Cité"]


def test_wrong_encoding_names_line_and_bytes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dat", b"1::ok\n2::Cit\xe9\n")
    with pytest.raises(InputError, match=r"(?s)not utf-8 text.*expected: left::right.*line 2, byte 12.*iconv"):
        read_double_colon(path, COLUMNS, EXPECTED)


@pytest.mark.parametrize("content", ["", "\n\n  \n", "\ufeff"])
def test_empty_file(tmp_path: Path, content: str) -> None:
    with pytest.raises(InputError, match="has no rows"):
        read_double_colon(write(tmp_path / "a.dat", content), COLUMNS, EXPECTED)


@pytest.mark.parametrize("content", ["", "left,right\n", "\n"])
def test_empty_csv(tmp_path: Path, content: str) -> None:
    with pytest.raises(InputError, match="has no rows"):
        read_csv(write(tmp_path / "a.csv", content), COLUMNS, (), EXPECTED)


def test_missing_file_and_folder_instead_of_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_double_colon(tmp_path / "none.dat", COLUMNS, EXPECTED)
    with pytest.raises(InputError, match="came: a folder"):
        read_double_colon(tmp_path, COLUMNS, EXPECTED)


def test_unreadable_file_says_what_the_system_said(tmp_path: Path) -> None:
    # A file that even the superuser cannot read: a process's own memory at address 0.
    path = tmp_path / "a.dat"
    path.symlink_to("/proc/self/mem")
    with pytest.raises(InputError, match="Input/output error"):
        read_double_colon(path, COLUMNS, EXPECTED)


def test_csv_lines_count_line_breaks_inside_quotes(tmp_path: Path) -> None:
    content = 'right,extra,left\n"a\nb",1,x\n\nc,2,y\n"d ""q"", e",3\nf,4,z\n'
    table = read_csv(write(tmp_path / "a.csv", content), COLUMNS, (), EXPECTED)
    assert table.frame[["left", "right", "line"]].values.tolist() == [["x", "a\nb", 2], ["y", "c", 5], ["z", "f", 7]]
    assert table.refused.first == [RefusedRow(6, "2 fields instead of 3")]
    assert table.ignored_columns == ("extra",)


def test_a_lost_quote_stops_the_import_and_names_its_line(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'left,right\n1,2\n3,"4\n5,6\n')
    with pytest.raises(InputError, match="row that starts on line 3 is not valid CSV"):
        read_csv(path, COLUMNS, (), EXPECTED)


@pytest.mark.parametrize(
    ("header", "problem"), [("left", "lacks right"), ("left;right", "lacks left, right"), ("left,right,left", "twice")]
)
def test_wrong_columns(tmp_path: Path, header: str, problem: str) -> None:
    path = write(tmp_path / "a.csv", f"{header}\n1,2,3\n")
    with pytest.raises(InputError, match=f"(?s){problem}.*expected: left::right.*came: the columns {header[:4]}"):
        read_csv(path, COLUMNS, (), EXPECTED)


def test_parquet_types_become_text(tmp_path: Path) -> None:
    noon = datetime(2013, 3, 1, 12, tzinfo=UTC)
    table = pa.table(
        {
            "whole": pa.array([1, None], pa.int64()),
            "whole_with_gap": pa.array([7.0, None], pa.float64()),
            "fraction": pa.array([2.5, None], pa.float64()),
            "naive": pa.array([noon.replace(tzinfo=None), None], pa.timestamp("ns")),
            "zoned": pa.array([noon, None], pa.timestamp("ms", "America/New_York")),
            "day": pa.array([date(2013, 3, 1), None]),
            "parts": pa.array([["a", None, "b"], None], pa.list_(pa.string())),
            "category": pa.array(["x", None]).dictionary_encode(),
            "blank": ["  ", "t "],
            "other": [1, 2],
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    wanted = [name for name in table.column_names if name != "other"]
    read = read_parquet(tmp_path / "a.parquet", wanted, (), EXPECTED)
    first = read.frame.iloc[0].to_dict()
    assert pd.Timestamp(first.pop("naive")) == pd.Timestamp(first.pop("zoned")) == pd.Timestamp(noon)
    assert pd.isna(first.pop("blank"))
    assert first == {
        **{"whole": "1", "whole_with_gap": "7", "fraction": "2.5", "day": "2013-03-01", "parts": "a|b"},
        **{"category": "x", "line": 1},
    }
    assert read.frame.loc[1, "blank"] == "t"
    assert read.frame.drop(columns=["blank", "line"]).loc[1].isna().all()
    assert (read.ignored_columns, read.line_name) == (("other",), "row")


def test_parquet_that_is_not_parquet(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        read_parquet(write(tmp_path / "a.parquet", b"PAR1 but not really"), COLUMNS, (), EXPECTED)


def test_parquet_without_rows_and_without_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"left": pa.array([], pa.string()), "right": pa.array([], pa.string())}), path)
    with pytest.raises(InputError, match="has no rows"):
        read_parquet(path, COLUMNS, (), EXPECTED)
    with pytest.raises(InputError, match="lacks other"):
        read_parquet(path, ("other",), (), EXPECTED)


FIELD = st.text(st.characters(exclude_characters=":\r\n", exclude_categories=("Cs",)), min_size=1).map(str.strip)


@given(rows=st.lists(st.tuples(FIELD.filter(bool), FIELD), min_size=1, max_size=20))
def test_what_is_written_with_double_colons_comes_back(tmp_path_factory: pytest.TempPathFactory, rows) -> None:
    path = tmp_path_factory.mktemp("rows") / "a.dat"
    path.write_text("".join(f"{left}::{right}\n" for left, right in rows), encoding="utf-8", newline="")
    table = read_double_colon(path, COLUMNS, EXPECTED)
    assert table.frame["left"].str.removeprefix("\ufeff").tolist() == [left.removeprefix("\ufeff") for left, _ in rows]
    assert table.frame["right"].fillna("").tolist() == [right for _, right in rows]


@given(content=st.binary(max_size=200))
def test_any_bytes_give_a_table_or_an_input_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("bytes")
    for read in (
        lambda: read_double_colon(write(folder / "a.dat", content), COLUMNS, EXPECTED, ("utf-8", "latin-1")),
        lambda: read_csv(write(folder / "a.csv", b"left,right\n" + content), COLUMNS, (), EXPECTED),
        lambda: read_parquet(write(folder / "a.parquet", content), COLUMNS, (), EXPECTED),
    ):
        try:
            table = read()
        except InputError as error:
            message = str(error)
        else:
            message = "expected: "
            assert len(table.frame) + table.refused.num_rows == table.num_rows
        assert "expected: " in message
