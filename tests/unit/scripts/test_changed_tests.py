"""`make check` finds the unit tests of what changed: in a repository of its own, with real git."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"

FILES = {
    "recsys/__init__.py": "",
    "recsys/feedback/__init__.py": "",
    "recsys/feedback/reasons.py": "GENRE = 0.15\n",
    "recsys/feedback/effects.py": "from recsys.feedback.reasons import GENRE\n",
    "recsys/store/__init__.py": "from recsys.store.rows import Rows\n",
    "recsys/store/rows.py": 'Rows = list\nQUERY = "newest_signals"\n',
    "recsys/lonely.py": "",
    "sql/newest_signals.sql": "SELECT 1\n",
    "scripts/stack.py": "",
    "compose.yaml": "services: {}\n",
    "tests/unit/feedback/conftest.py": "",
    "tests/unit/feedback/test_reasons.py": "from recsys.feedback.reasons import GENRE\n",
    "tests/unit/feedback/test_effects.py": "from recsys.feedback import effects\n",
    "tests/unit/store/test_counts.py": "from recsys.store import Rows\n",
    "tests/unit/test_compose.py": 'TEXT = "docker/compose.yaml"\n',
    "tests/unit/test_up.py": "def test_up():\n    import stack\n",
    "tests/integration/test_night.py": "from recsys.feedback.reasons import GENRE\n",
}
REASONS, EFFECTS = "tests/unit/feedback/test_reasons.py", "tests/unit/feedback/test_effects.py"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import changed_tests

    return changed_tests


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """On a branch `work`, whose files are those of `main`."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)  # a hook's own would point elsewhere
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "A")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "a@example.org")
    for name, text in FILES.items():
        write(tmp_path, name, text)
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    commit(tmp_path)
    git(tmp_path, "checkout", "--quiet", "-b", "work")
    return tmp_path


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(root), *arguments], check=True)


def commit(root: Path) -> None:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "A step")


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_a_module_has_its_mirror_and_then_what_imports_it(script: ModuleType, repository: Path) -> None:
    write(repository, "recsys/feedback/reasons.py", "GENRE = 0.2\n")
    assert script.select(repository, "main") == ({"recsys/feedback/reasons.py"}, [REASONS])
    # An integration test that imports it is none of these.


def test_the_mirror_comes_before_other_importers(script: ModuleType, repository: Path) -> None:
    write(repository, EFFECTS, "from recsys.feedback import reasons\n")
    commit(repository)
    git(repository, "branch", "--force", "main")
    write(repository, "recsys/feedback/reasons.py", "GENRE = 0.2\n")
    assert script.select(repository, "main")[1] == [REASONS, EFFECTS]


@pytest.mark.parametrize(
    ("name", "tests"),
    [
        ("recsys/store/rows.py", ["tests/unit/store/test_counts.py"]),  # by way of the package that hands it on
        ("sql/newest_signals.sql", ["tests/unit/store/test_counts.py"]),  # of the module that runs the query
        ("compose.yaml", ["tests/unit/test_compose.py"]),  # which names the file
        ("scripts/stack.py", ["tests/unit/test_up.py"]),  # which imports it by its bare name
        ("tests/unit/feedback/conftest.py", [EFFECTS, REASONS]),  # all that it serves
        ("recsys/lonely.py", []),
    ],
)
def test_what_has_no_mirror_has_the_nearest_that_use_it(
    script: ModuleType, repository: Path, name: str, tests: list[str]
) -> None:
    write(repository, name, "# changed\n")
    assert script.select(repository, "main") == ({name}, tests)


def test_committed_staged_unstaged_and_unknown_files_count(script: ModuleType, repository: Path) -> None:
    write(repository, "recsys/feedback/effects.py", "# committed\n")
    commit(repository)
    write(repository, "compose.yaml", "# staged\n")
    git(repository, "add", "compose.yaml")
    write(repository, "scripts/stack.py", "# unstaged\n")
    write(repository, "tests/unit/test_new.py", "# unknown to git\n")
    changed, tests = script.select(repository, "main")
    assert changed == {"recsys/feedback/effects.py", "compose.yaml", "scripts/stack.py", "tests/unit/test_new.py"}
    assert set(tests) == {EFFECTS, "tests/unit/test_compose.py", "tests/unit/test_up.py", "tests/unit/test_new.py"}


def test_what_main_did_meanwhile_does_not_count(script: ModuleType, repository: Path) -> None:
    git(repository, "checkout", "--quiet", "main")
    write(repository, "recsys/lonely.py", "# theirs\n")
    commit(repository)
    git(repository, "checkout", "--quiet", "work")
    assert script.select(repository, "main") == (set(), [])


def test_who_still_imports_a_removed_module_is_tested(script: ModuleType, repository: Path) -> None:
    git(repository, "rm", "--quiet", "recsys/feedback/effects.py")
    assert script.select(repository, "main")[1] == [EFFECTS]


def test_without_a_main_only_uncommitted_files_count(script: ModuleType, repository: Path) -> None:
    write(repository, "recsys/lonely.py", "# committed\n")
    commit(repository)
    git(repository, "branch", "--quiet", "--delete", "--force", "main")
    write(repository, EFFECTS, "# unstaged\n")
    assert script.select(repository, "main") == ({EFFECTS}, [EFFECTS])


def test_what_is_not_run_is_said(script: ModuleType) -> None:
    said = script.describe({"recsys/errors.py", "tests/integration/test_night.py"}, ["a", "b", "c"], 2)
    assert said.splitlines() == [
        "2 changed files, 2 files of unit tests to run.",
        "1 more use what changed: `make test` runs them, too.",
        'Changed, but no unit tests: make test ARGS="tests/integration/test_night.py"',
    ]
