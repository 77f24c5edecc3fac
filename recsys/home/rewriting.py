"""Replaces the path of a moved folder wherever files and databases in it mention it.

MLflow and Airflow write absolute paths into their databases, `MLmodel` files, configurations and logs. Rather than know
each of their tables and files, this looks at every text file and at every text column of every SQLite database.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from recsys.errors import ConflictError

SQLITE_HEADER = b"SQLite format 3\x00"
BESIDE_A_DATABASE = ("-wal", "-shm", "-journal")  # SQLite's own, and gone once it has read them
NAME_BEFORE, NAME_AFTER = r"(?<![\w.%~-])", r"(?![\w%~-]|\.\w)"  # else `/a/home` would be found in `/a/home-2`
BUSY_TIMEOUT_S = 5.0


@dataclass
class Rewritten:
    """What mentioned the old path.

    Attributes:
        files: text files and links.
        rows: values in databases, each in one column of one row.
        left: files that mention it and are neither text nor a database: they keep it.
    """

    files: int = 0
    rows: int = 0
    left: tuple[Path, ...] = ()


def rewrite_paths(folder: Path, old: Path, new: Path, last: Path, journal: str, *, writes: bool = True) -> Rewritten:
    """Replaces `old` by `new` in all files and SQLite databases under `folder`. Done twice, the second finds nothing.

    A file is replaced as a whole, a database changes in one transaction: a killed process leaves each in the old or in
    the new form.

    Args:
        folder: where to look.
        old: absolute path to replace; as a path and as a `file:` URI.
        new: absolute path instead of it.
        last: database that is changed after all else, so that it still shows the old path of a half-done folder.
        journal: name of the file in `folder` that says what moves; it is not touched.
        writes: False only counts.

    Raises:
        ConflictError: if a database is in use.
    """
    moved, found = replacement(old, new), Rewritten()
    needles = sorted({str(old), old.as_uri().removeprefix("file://")})
    databases: list[Path] = []
    for path in _files(folder):
        if path == folder / journal:
            continue
        if path.is_symlink():
            found.files += _relink(path, moved, writes)
        elif path.name.endswith(BESIDE_A_DATABASE):
            continue
        elif _starts_with(path, SQLITE_HEADER):
            databases.append(path)
        elif _mentions(path, needles):
            changed = _rewrite_file(path, moved, writes)
            found.files += bool(changed)
            found.left += (path,) if changed is None else ()
    for path in sorted(databases, key=lambda path: (path == last, path)):
        try:
            found.rows += _rewrite_database(path, moved, needles, writes)
        except sqlite3.Error as error:
            raise ConflictError(
                f"Expected to rewrite {path}, but: {error}. Stop whatever uses it, then run the same command again: it goes on "
                "where it stopped."
            ) from error
    return found


def replacement(old: Path, new: Path) -> Callable[[str], str]:
    """A function that replaces a path in a text, as a path and as a `file:` URI, but not where it begins a longer name."""
    pattern = re.compile(f"{NAME_BEFORE}(?:({re.escape(old.as_uri())})|{re.escape(str(old))}){NAME_AFTER}")
    return lambda text: pattern.sub(lambda match: new.as_uri() if match[1] else str(new), text)


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        for name in sorted(names + links):
            path = Path(parent) / name
            if path.is_symlink() or path.is_file():
                yield path


def _relink(path: Path, moved: Callable[[str], str], writes: bool) -> int:
    target = str(path.readlink())
    if moved(target) == target:
        return 0
    if writes:
        fresh = path.with_name(f"{path.name}.moving")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(moved(target))
        fresh.replace(path)
    return 1


def _starts_with(path: Path, header: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(header)) == header


def _mentions(path: Path, needles: list[str]) -> bool:
    if path.stat().st_size == 0:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return any(content.find(needle.encode()) >= 0 for needle in needles)


def _rewrite_file(path: Path, moved: Callable[[str], str], writes: bool) -> bool | None:
    """Whether the file mentions the path; None if it does, but is not text."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if "\x00" in text:
        return None
    if moved(text) == text:
        return False
    if writes:
        fresh = path.with_name(f"{path.name}.moving")
        fresh.write_bytes(moved(text).encode())
        fresh.chmod(path.stat().st_mode & 0o7777)
        fresh.replace(path)
    return True


def _rewrite_database(path: Path, moved: Callable[[str], str], needles: list[str], writes: bool) -> int:
    with contextlib.closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)) as database:
        database.create_function("moved", 1, moved, deterministic=True)
        database.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
        rows = 0
        for table, column in _text_columns(database):
            name, which = f'"{column}"', " OR ".join(f'instr("{column}", ?)' for _ in needles)
            condition = f"typeof({name}) = 'text' AND ({which}) AND moved({name}) <> {name}"
            if writes:
                query = f'UPDATE "{table}" SET {name} = moved({name}) WHERE {condition}'
                rows += database.execute(query, needles).rowcount
            else:
                counting = f'SELECT count(*) FROM "{table}" WHERE {condition}'
                rows += database.execute(counting, needles).fetchone()[0]
        database.execute("COMMIT")
        if writes and rows:
            database.execute("VACUUM")  # else free pages still hold what was there
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return rows


def _text_columns(database: sqlite3.Connection) -> list[tuple[str, str]]:
    """(table, column) of all columns that may hold text, whatever they are declared as."""
    tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    return [
        (table, column)
        for (table,) in tables.fetchall()
        for _, column, kind, *_ in database.execute(f'PRAGMA table_info("{table}")').fetchall()
        if not kind.upper().startswith(("INT", "BIGINT", "FLOAT", "REAL", "BOOL"))
    ]
