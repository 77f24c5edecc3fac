"""Files as tables of text: every value is still text here, and every row knows its line.

    read_double_colon   `a::b::c`, no header (MovieTweetings, ml-1m, ml-10m)
    read_csv            comma separated, with a header
    read_parquet        Parquet, whatever types its columns have

Rows that do not even have the right number of fields are refused here; what the values mean is checked later
(`table_check`). A file that cannot be read at all is an `InputError`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import pandas as pd

from recsys.errors import InputError
from recsys.foreign_text import shortened

MAX_REFUSED_SHOWN = 20
ROWS_PER_CHUNK = 50_000  # bounds the memory of Python objects while a large file becomes a compact frame


@dataclass(frozen=True, order=True)
class RefusedRow:
    """A row that cannot be imported: where it is, and why."""

    line: int
    reason: str


@dataclass
class Refused:
    """The refused rows of one file: all are counted, only the first few of each kind of check are kept."""

    num_rows: int = 0
    first: list[RefusedRow] = field(default_factory=list)

    def add(self, line: int, reason: str) -> None:
        """Counts one row; keeps it while there is room."""
        self.num_rows += 1
        if len(self.first) < MAX_REFUSED_SHOWN:
            self.first.append(RefusedRow(line, reason))


@dataclass
class RawTable:
    """One file's rows as text.

    Attributes:
        path: the file.
        expected: what a row should look like, for messages; with an example.
        frame: one text column per field, surrounding blanks removed, missing or empty = NA; and `line` (int64), the
            line that the row starts on (Parquet: the row number from 1).
        num_rows: rows in the file, the refused ones included.
        refused: rows with the wrong number of fields.
        ignored_columns: columns of the file that nothing reads.
        line_name: what `line` counts, "line" or "row".
    """

    path: Path
    expected: str
    frame: pd.DataFrame
    num_rows: int
    refused: Refused = field(default_factory=Refused)
    ignored_columns: tuple[str, ...] = ()
    line_name: str = "line"


def read_double_colon(
    path: Path, columns: Sequence[str], expected: str, encodings: Sequence[str] = ("utf-8",)
) -> RawTable:
    """Reads `a::b::c` rows without a header; blank lines are passed over."""
    lines = enumerate(read_text(path, expected, encodings).split("\n"), start=1)
    rows = ((line, text.rstrip("\r").split("::")) for line, text in lines if text.strip())
    return _table_of_rows(path, expected, columns, rows, wanted=columns)


def read_csv(path: Path, required: Sequence[str], optional: Sequence[str], expected: str) -> RawTable:
    """Reads a comma-separated file with a header in UTF-8; columns may come in any order."""
    text = read_text(path, expected)
    rows = _csv_rows(path, text, expected)
    header = [name.strip() for name in next(rows, (0, []))[1]]
    wanted = _wanted_columns(path, header, required, optional, expected)
    return _table_of_rows(path, expected, header, rows, wanted)


def read_parquet(path: Path, required: Sequence[str], optional: Sequence[str], expected: str) -> RawTable:
    """Reads a Parquet file; lists become `a|b`, times become ISO 8601 in UTC, whole floats lose their `.0`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from recsys.ingest.arrow_text import text_column

    _require_file(path, expected)
    try:
        file = pq.ParquetFile(path)
        header = list(file.schema_arrow.names)
        wanted = _wanted_columns(path, header, required, optional, expected)
        table = file.read(columns=wanted)
        columns = {name: pd.Series(text_column(table[name]), dtype="str") for name in wanted}
    except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: names and lists that are no text
        raise InputError(
            f"{path} cannot be read as Parquet.\nexpected: {expected}\ncame: {shortened(str(error), 500)}"
        ) from error
    if not table.num_rows:
        raise _empty(path, expected)
    frame = _cleaned(pd.DataFrame(columns))
    frame["line"] = range(1, table.num_rows + 1)
    ignored = tuple(name for name in header if name not in wanted)
    return RawTable(path, expected, frame, table.num_rows, ignored_columns=ignored, line_name="row")


def read_text(path: Path, expected: str, encodings: Sequence[str] = ("utf-8",)) -> str:
    """Reads a whole file, with or without a byte order mark, in the first encoding that fits."""
    _require_file(path, expected)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read.\nexpected: {expected}\ncame: {error.strerror}\n"
            "What to do: check the file's permissions and the disk, then import again."
        ) from error
    for encoding in encodings:
        try:
            return data.decode(encoding).removeprefix("\ufeff")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            last = f"line {line}, byte {error.start}: {data[error.start : error.start + 8]!r}"
    raise InputError(
        f"{path} is not {' or '.join(encodings)} text.\nexpected: {expected}\ncame: {last}\n"
        f"What to do: convert it, for example `iconv -f latin1 -t utf-8 {path.name} > converted`, then import that."
    )


def _require_file(path: Path, expected: str) -> None:
    if path.is_file():
        return
    came = "a folder" if path.is_dir() else "no such file"
    raise InputError(f"{path} is not a file.\nexpected: {expected}\ncame: {came}\nWhat to do: check the path.")


def _empty(path: Path, expected: str) -> InputError:
    return InputError(
        f"{path} has no rows.\nexpected: {expected}\ncame: an empty file, or a header alone\n"
        "What to do: check that the download or export finished."
    )


def _csv_rows(path: Path, text: str, expected: str) -> Iterator[tuple[int, list[str]]]:
    """Yields the rows with the line that each starts on (a quoted field may hold line breaks)."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    start = 1
    try:
        for row in reader:
            if row:
                yield start, row
            start = reader.line_num + 1
    except csv.Error as error:
        # Not a bad row: past a lost quote nobody knows where rows begin, so --skip-bad-rows must not pass over it.
        raise InputError(
            f"{path}: the row that starts on line {start} is not valid CSV.\nexpected: {expected}\ncame: {error}\n"
            'What to do: close the quotes that it opens ("" stands for a quote inside quotes), then import again.'
        ) from error


def _wanted_columns(
    path: Path, header: Sequence[str], required: Sequence[str], optional: Sequence[str], expected: str
) -> list[str]:
    if not any(header):
        raise _empty(path, expected)
    missing = [name for name in required if name not in header]
    wanted = [name for name in (*required, *optional) if name in header]
    twice = [name for name in wanted if header.count(name) > 1]
    if not missing and not twice:
        return wanted
    problem = f"lacks {', '.join(missing)}" if missing else f"has {', '.join(twice)} twice"
    raise InputError(
        f"{path} {problem}.\nexpected: {expected}\ncame: the columns {', '.join(header)[:500]}\n"
        "What to do: name the columns as expected, in the first line."
    )


def _table_of_rows(
    path: Path,
    expected: str,
    header: Sequence[str],
    rows: Iterable[tuple[int, list[str]]],
    wanted: Sequence[str],
) -> RawTable:
    refused = Refused()
    frames = list(_frames(rows, header, wanted, refused))
    frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    if not len(frame) and not refused.num_rows:
        raise _empty(path, expected)
    ignored = tuple(name for name in header if name and name not in wanted)
    return RawTable(path, expected, frame, len(frame) + refused.num_rows, refused, ignored)


def _frames(
    rows: Iterable[tuple[int, list[str]]], header: Sequence[str], wanted: Sequence[str], refused: Refused
) -> Iterator[pd.DataFrame]:
    iterator = iter(rows)
    positions = [header.index(name) for name in wanted]
    while chunk := list(islice(iterator, ROWS_PER_CHUNK)):
        good = [(line, row) for line, row in chunk if len(row) == len(header)]
        if len(good) < len(chunk):
            for line, row in chunk:
                if len(row) != len(header):
                    refused.add(line, f"{len(row)} fields instead of {len(header)}")
        columns = {
            name: pd.Series([row[position] for _, row in good], dtype="str")
            for name, position in zip(wanted, positions, strict=True)
        }
        frame = _cleaned(pd.DataFrame(columns))
        frame["line"] = pd.Series([line for line, _ in good], dtype="int64")
        yield frame


def _cleaned(frame: pd.DataFrame) -> pd.DataFrame:
    stripped = pd.DataFrame({name: frame[name].str.strip() for name in frame})
    return stripped.mask(stripped == "")
