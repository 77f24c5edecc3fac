"""Hostile files for `recsys import`: good rows with hostile text in them, and bytes that are wrong, drawn from a seed."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import func, select

from recsys.errors import InputError
from recsys.ingest import ImportOptions, ImportReport, import_interactions, import_items
from recsys.store import FeedbackStore
from recsys.store.tables import interactions, items, user_dislikes
from tests.attack.strings import octets, text
from tests.attack.tally import Tally

NOW = datetime(2026, 11, 28, 8, tzinfo=UTC)
MAX_MESSAGE = 10_000  # characters
LABELS = ("like", "dislike", "seen")
PIECES = (b'"', b"\x00", b"\xff", b"\r", b"\r\n", b",,,", "\u202e".encode(), b"\x1b[2J", b"1e999", b"2099-01-01", b"nan",
          b"\xef\xbb\xbf")  # fmt: skip


def spoiled(content: bytes, rng: random.Random) -> bytes:
    """Content with one to three things wrong."""
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(max(1, len(content)))
        content = rng.choice([
            content[:at] + octets(rng, 2) + content[at + 1 :], content[:at] + content[at + rng.randrange(1, 20) :],
            content[:at] + rng.choice(PIECES) + content[at:], content[:at] + content[: rng.randrange(1, 200)] + content[at:],
            content + octets(rng, 30), content[:at],
        ])  # fmt: skip
    return content


def drawn_rows(rng: random.Random, number: int) -> list[dict[str, Any]]:
    """Interactions, or items, of which some hold hostile text."""
    rows: list[dict[str, Any]] = []
    is_items = rng.random() < 0.3
    for n in range(rng.randrange(1, 12)):
        at = NOW - timedelta(days=rng.randrange(5_000), seconds=n)
        if is_items:
            row: dict[str, Any] = {"item_id": f"file-{number}-{n}", "title": f"Film {n}"}
            row |= {"genres": "Drama|Action", "release_year": "1999"}
        else:
            row = {"user_id": f"file-{number}-{n}", "item_id": f"film-{n}", "occurred_at": at.isoformat()}
            row |= {"label": rng.choice(LABELS)}
        if rng.random() < 0.4:
            row[rng.choice(sorted(row))] = text(rng)
        rows.append(row)
    return rows


def as_file(path: Path, rows: list[dict[str, Any]], rng: random.Random) -> Path:
    """The rows as CSV or Parquet; two of three files are spoiled."""
    if rng.random() < 0.5:
        written = io.StringIO(newline="")
        writer = csv.DictWriter(written, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        path, content = path.with_suffix(".csv"), written.getvalue().encode("utf-8", "replace")
    else:
        path, buffer = path.with_suffix(".parquet"), io.BytesIO()
        columns = {name: [str(row[name]).encode("utf-8", "replace").decode() for row in rows] for name in rows[0]}
        pq.write_table(pa.table(columns), buffer)
        content = buffer.getvalue()
    path.write_bytes(spoiled(content, rng) if rng.random() < 0.67 else content)
    return path


def attack(
    store: FeedbackStore, folder: Path, seed: int, count: int, tally: Tally, moved: Callable[[int], None]
) -> None:
    """Imports so many hostile files: each writes what it reports and, a second time, nothing; or it is refused in few words."""
    rng = random.Random(seed)
    for number in range(count):
        rows = drawn_rows(rng, number)
        file = as_file(folder / f"{seed}-{number}", rows, rng)
        importer = import_items if "title" in rows[0] else import_interactions
        options = ImportOptions(skip_bad_rows=rng.random() < 0.5, imported_at=NOW)
        before = num_rows(store)
        report = _import(importer, store, file, options, tally)
        after = num_rows(store)
        new = 0 if report is None else report.num_new
        if after["feedback"] - before["feedback"] != new:
            tally.fail(f"{file.name} said {new} new rows, and there are {after['feedback'] - before['feedback']} more")
        if report is not None and importer(store, file, options).num_new:
            tally.fail(f"{file.name} was imported twice and wrote rows twice")
        file.unlink()
        moved(1)


def _import(
    importer: Callable[..., ImportReport], store: FeedbackStore, file: Path, options: ImportOptions, tally: Tally
) -> ImportReport | None:
    kind = f"file {file.suffix}"
    try:
        report = importer(store, file, options)
    except InputError as error:
        tally.add(kind, "refused")
        if len(str(error)) > MAX_MESSAGE:
            tally.fail(f"{file.name} was refused in {len(str(error)):,} characters")
        return None
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a failure that the attack looks for
        tally.add(kind, "error")
        tally.fail(f"{file.name} ended in {type(error).__name__}: {str(error)[:300]}")
        return None
    tally.add(kind, "imported in part" if report.num_bad else "imported")
    return report


def num_rows(store: FeedbackStore) -> dict[str, int]:
    """Rows of feedback, and items."""
    with store.database.reading() as connection:
        counts = {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (interactions, user_dislikes, items)
        }
    return {"feedback": counts["interactions"] + counts["user_dislikes"], "items": counts["items"]}
