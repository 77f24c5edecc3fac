"""Files and folders of a home are closed to others: what is made, and what an older version left open."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from recsys.files.atomic import whole_folder
from recsys.files.private import keep_private, make_private


@pytest.fixture(autouse=True)
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    found = {".": folder.stat().st_mode & 0o777}
    return found | {str(path.relative_to(folder)): path.lstat().st_mode & 0o777 for path in sorted(folder.rglob("*"))}


def write_home(home: Path) -> None:
    (home / "artifacts" / "night" / "evidence").mkdir(parents=True)
    (home / "feedback.db").write_text("tastes")
    (home / "artifacts" / "night" / "evidence" / "per_user.parquet").write_text("tastes")
    (home / "own notes.txt").write_text("mine")
    (home / "artifacts" / "tool.sh").write_text("#!/bin/sh")
    (home / "artifacts" / "tool.sh").chmod(0o755)


def test_what_is_made_after_it_is_private_also_by_a_child(tmp_path: Path) -> None:
    keep_private(tmp_path / "none yet")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("x")
    assert os.system(f"touch '{tmp_path}/of a child'") == 0
    assert {name: mode for name, mode in modes(tmp_path).items() if name != "."} == {
        "folder": 0o700, "folder/file": 0o600, "of a child": 0o600,
    }  # fmt: skip


def test_a_wide_old_home_is_mended_and_one_line_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_home(tmp_path / "home")
    with caplog.at_level(logging.WARNING, "recsys"):
        keep_private(tmp_path / "home")
        keep_private(tmp_path / "home")
    assert modes(tmp_path / "home") == {
        ".": 0o700, "artifacts": 0o700, "artifacts/night": 0o700, "artifacts/night/evidence": 0o700,
        "artifacts/night/evidence/per_user.parquet": 0o600, "artifacts/tool.sh": 0o700, "feedback.db": 0o600,
        "own notes.txt": 0o600,
    }  # fmt: skip
    (line,) = caplog.messages
    assert "4 files and 4 folders" in line
    assert str(tmp_path / "home") in line


def test_one_look_at_a_private_home_is_enough_for_a_command_but_not_for_a_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_home(tmp_path / "home")
    keep_private(tmp_path / "home")
    (tmp_path / "home" / "feedback.db").chmod(0o644)
    with monkeypatch.context() as patched:
        patched.setattr(os, "walk", lambda *_: pytest.fail("it looked at every file"))
        assert keep_private(tmp_path / "home") == 0
    assert keep_private(tmp_path / "home", looks_inside=True) == 1
    assert modes(tmp_path / "home")["feedback.db"] == 0o600


def test_links_lead_nowhere(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o755)
    (outside / "file").write_text("not ours")
    write_home(tmp_path / "home")
    (tmp_path / "home" / "link").symlink_to(outside)
    (tmp_path / "home" / "file").symlink_to(outside / "file")
    (tmp_path / "home" / "broken").symlink_to(tmp_path / "nothing")
    keep_private(tmp_path / "home")
    assert modes(outside) == {".": 0o755, "file": 0o666}


@pytest.mark.parametrize("kind", ["sticky", "checkout", "user's own"])
def test_in_a_folder_with_other_things_only_ours_are_closed(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_home(tmp_path / "home")
    (tmp_path / "home").chmod(0o1777 if kind == "sticky" else 0o755)
    if kind == "checkout":
        (tmp_path / "home" / ".git").mkdir(mode=0o755)
    if kind == "user's own":
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
    keep_private(tmp_path / "home")
    found = modes(tmp_path / "home")
    assert (found["feedback.db"], found["artifacts/night/evidence/per_user.parquet"]) == (0o600, 0o600)
    assert (found["."], found["own notes.txt"]) == (0o777 if kind == "sticky" else 0o755, 0o666)


def test_a_folder_that_appears_whole_is_private_also_what_was_copied_into_it(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "docs") as building:
        (building / "static").mkdir()
        (building / "static" / "style.css").write_text("x")
    assert modes(tmp_path / "docs") == {".": 0o700, "static": 0o700, "static/style.css": 0o600}


def test_what_is_private_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "file").chmod(0o400)
    tmp_path.chmod(0o700)
    make_private(tmp_path)
    assert modes(tmp_path) == {".": 0o700, "file": 0o400}
