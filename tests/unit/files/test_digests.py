"""Bytes of files: what is recorded of them, and what is said of one that has others."""

from __future__ import annotations

import hashlib
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recsys.errors import DigestError
from recsys.files.digests import (
    NOTHING_KNOWN,
    below,
    checked_bytes,
    differences,
    digest_folder,
    require_same,
    unexpected,
)

ADVICE = "Put it back."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model" / "code" / "__pycache__").mkdir(parents=True)
    (tmp_path / "model" / "weights").write_bytes(b"w" * 3_000_000)
    (tmp_path / "model" / "code" / "a.py").write_text("a = 1\n")
    (tmp_path / "model" / "code" / "__pycache__" / "a.pyc").write_bytes(b"made by Python")
    return tmp_path / "model"


def test_every_file_is_named_by_its_path_and_its_bytes(folder: Path) -> None:
    found = digest_folder(folder, "judged")
    assert set(found) == {"judged/weights", "judged/code/"}
    weights = found["judged/weights"]
    assert weights.sha256 == hashlib.sha256(b"w" * 3_000_000).hexdigest()
    written = datetime.fromtimestamp((folder / "weights").stat().st_mtime, UTC)
    assert (weights.size, weights.written_at) == (3_000_000, written)
    assert set(below(found, "judged")) == {"weights", "code/"}
    assert differences(folder, below(found, "judged")) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"w" * 2_999_999 + b"v", "got 3,000,000 bytes with SHA-256"),
        (b"w" * 1_500_000, "got 1,500,000 bytes with SHA-256"),
        (b"", "got 0 bytes with SHA-256 e3b0c44298fc"),
        (None, "got no such file"),
    ],
    ids=["one byte", "half", "empty", "gone"],
)
def test_other_bytes_are_refused_with_name_expectation_and_advice(
    folder: Path, content: bytes | None, words: str
) -> None:
    known = digest_folder(folder)
    file = folder / "weights"
    file.unlink() if content is None else file.write_bytes(content)
    expected = (
        f"Expected {file} with 3,000,000 bytes with SHA-256 {known['weights'].sha256[:12]}..., as it was recorded"
    )
    with pytest.raises(DigestError, match=r"Put it back\.$") as refused:
        require_same(folder, known, ADVICE)
    assert expected in str(refused.value)
    assert words in str(refused.value)
    with pytest.raises(DigestError) as read:
        checked_bytes(file, known["weights"], ADVICE)
    assert expected in str(read.value)
    assert words in str(read.value)
    require_same(folder, known, ADVICE, names=["code/"])
    require_same(folder, NOTHING_KNOWN, ADVICE)


def test_a_file_is_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = digest_folder(folder)
    opened: list[str] = []
    whole = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: opened.append(path.name) or whole(path))  # type: ignore[func-returns-value]
    assert checked_bytes(folder / "weights", known["weights"], ADVICE) == b"w" * 3_000_000
    assert opened == ["weights"], "what is hashed is what is parsed"


def test_a_model_is_the_same_wherever_its_folder_was_moved(folder: Path) -> None:
    here, there = "file:///home/a/models/m-1", "file:///srv/homes/b/models/m-1"
    (folder / "MLmodel").write_text(f"artifact_path: {here}\nloader: mlflow\n")
    known = digest_folder(folder, location=here)
    (folder / "MLmodel").write_text(f"artifact_path: {there}\nloader: mlflow\n")
    assert differences(folder, known, location=there) == []
    (folder / "MLmodel").write_text(f"artifact_path: {there}\nloader: malice\n")
    assert [one.file.name for one in differences(folder, known, location=there)] == ["MLmodel"]


def test_source_files_of_a_model_have_one_digest(folder: Path) -> None:
    known = digest_folder(folder)
    assert set(known) == {"weights", "code/"}
    assert known["code/"].size == 6
    (folder / "code" / "__pycache__" / "b.pyc").write_bytes(b"made by Python")
    assert differences(folder, known) == []
    assert unexpected(folder, known) == []
    (folder / "code" / "b.py").write_text("")
    (folder / "weights.old").write_text("")
    assert unexpected(folder, known) == [folder / "weights.old"]
    assert [one.file.name for one in differences(folder, known)] == ["code"]
    shutil.rmtree(folder / "code")
    assert [one.got for one in differences(folder, known)] == ["no such file"]
