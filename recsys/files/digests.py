"""What bytes a file had when it was written, and whether it still has them. Standard library only.

Whoever writes files that decide what users see notes their digests in the feedback database; whoever uses one compares first.
A file that is parsed in memory is read once: the bytes that are hashed are the bytes that are parsed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from recsys.errors import DigestError

MLMODEL = "MLmodel"  # MLflow writes into it where the model lies, which changes when the home folder is moved
LOCATION = b"LOCATION"
SOURCES = "code/"
CACHE = "__pycache__"  # Python makes it beside source files that it loads
SHOWN_DIGITS = 12


@dataclass(frozen=True)
class FileDigest:
    """The bytes of one file.

    Attributes:
        path: of the file, relative to the folder that was hashed, with `/`.
        sha256: of its content, as hexadecimal digits.
        size: of its content, bytes.
        written_at: when it was last written, by the wall clock of the machine that did.
    """

    path: str
    sha256: str
    size: int
    written_at: datetime

    def is_same(self, other: FileDigest) -> bool:
        """Whether both are of the same content, whenever it was written."""
        return (self.sha256, self.size) == (other.sha256, other.size)

    def __str__(self) -> str:
        return f"{self.size:,} bytes with SHA-256 {self.sha256[:SHOWN_DIGITS]}..."


Known = Mapping[str, FileDigest]  # path -> digest, as it was recorded
NOTHING_KNOWN: Known = {}


@dataclass(frozen=True)
class Difference:
    """One file that is not as it was recorded; `got` says what came instead."""

    file: Path
    expected: str
    got: str

    def __str__(self) -> str:
        return f"Expected {self.file} with {self.expected}, as it was recorded, got {self.got}."


def digest_file(file: Path, path: str, location: str = "") -> FileDigest:
    """Hashes one file, a block at a time.

    Args:
        file: to read.
        path: what to call it.
        location: where MLflow says that the model lies: left out of what is hashed of an `MLmodel`.
    """
    at = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    if location and file.name == MLMODEL:
        content = file.read_bytes().replace(location.encode(), LOCATION)
        return FileDigest(path, hashlib.sha256(content).hexdigest(), len(content), at)
    with file.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
        return FileDigest(path, found, os.fstat(opened.fileno()).st_size, at)


def digest_folder(folder: Path, name: str = "", location: str = "") -> dict[str, FileDigest]:
    """Hashes every file in a folder: path -> digest, where each path begins with `name`.

    The source files that a model in MLflow carries are hundreds, the same in most versions: they get one digest, whose path is
    that of their folder and ends with `/`.
    """
    start, found = f"{name}/" if name else "", {}
    for file in _files(folder):
        path = file.relative_to(folder).as_posix()
        if path.startswith(SOURCES):
            continue
        found[f"{start}{path}"] = digest_file(file, f"{start}{path}", location)
    if (folder / SOURCES).is_dir():
        found[f"{start}{SOURCES}"] = digest_tree(folder / SOURCES, f"{start}{SOURCES}")
    return found


def digest_tree(folder: Path, path: str) -> FileDigest:
    """Hashes names and contents of all files in a folder as one."""
    hashed = hashlib.sha256()
    files = [digest_file(file, file.relative_to(folder).as_posix()) for file in _files(folder)]
    for file in files:
        hashed.update(f"{file.sha256} {file.size} {file.path}\n".encode())
    at = max((file.written_at for file in files), default=datetime.fromtimestamp(folder.stat().st_mtime, UTC))
    return FileDigest(path, hashed.hexdigest(), sum(file.size for file in files), at)


def _files(folder: Path) -> list[Path]:
    """All files, in the order of their names, without what Python keeps of source files."""
    return [file for file in sorted(folder.rglob("*")) if file.is_file() and CACHE not in file.parts]


def unexpected(folder: Path, known: Known) -> list[Path]:
    """Files of a folder that nothing was recorded of."""
    trees = tuple(name for name in known if name.endswith("/"))
    names = {file.relative_to(folder).as_posix(): file for file in _files(folder)}
    return [file for name, file in names.items() if name not in known and not name.startswith(trees)]


def below(known: Known, name: str) -> dict[str, FileDigest]:
    """What is known of the files in one sub-folder: their paths in it -> digest."""
    start = f"{name}/"
    return {path.removeprefix(start): digest for path, digest in known.items() if path.startswith(start)}


def differences(folder: Path, known: Known, names: Iterable[str] | None = None, location: str = "") -> list[Difference]:
    """Which files of a folder are not as they were recorded.

    Args:
        folder: where they are.
        known: what was recorded of its files.
        names: look at these only; None: at all that are known.
        location: see `digest_file`.
    """
    found = []
    for name in sorted(known) if names is None else names:
        if name not in known:
            continue
        file = folder / name
        is_tree = name.endswith("/")
        if not (file.is_dir() if is_tree else file.is_file()):
            found.append(Difference(file, str(known[name]), "no such file"))
            continue
        digest = digest_tree(file, name) if is_tree else digest_file(file, name, location)
        if not digest.is_same(known[name]):
            found.append(Difference(file, str(known[name]), str(digest)))
    return found


def require_same(folder: Path, known: Known, advice: str, names: Iterable[str] | None = None) -> None:
    """Refuses files that are not as they were recorded; says nothing of what was never recorded.

    Args:
        folder: where they are.
        known: what was recorded of its files.
        advice: what to do about one that differs.
        names: look at these only; None: at all that are known.

    Raises:
        DigestError: naming the first that differs.
    """
    if found := differences(folder, known, names):
        more = f"{len(found) - 1} more files beside it differ, too. " if len(found) > 1 else ""
        raise DigestError(f"{found[0]} {more}Nothing was done with it. {advice}")


def checked_bytes(file: Path, known: FileDigest | None, advice: str) -> bytes:
    """Reads a file once, and refuses content that is not what was recorded; None: nothing was.

    Raises:
        DigestError: if it differs, or is not there although it was recorded.
    """
    if known is None:
        return file.read_bytes()
    try:
        content = file.read_bytes()
    except FileNotFoundError as error:
        raise DigestError(f"{Difference(file, str(known), 'no such file')} {advice}") from error
    found = FileDigest(known.path, hashlib.sha256(content).hexdigest(), len(content), known.written_at)
    if not found.is_same(known):
        raise DigestError(f"{Difference(file, str(known), str(found))} Nothing was done with it. {advice}")
    return content
