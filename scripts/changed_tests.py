"""Runs the unit tests of what changed: of every file that differs from `main`, whether it is committed or not.

    scripts/changed_tests.py [--base main] [--most 24] [--list]

`recsys/a/b.py` has its tests in `tests/unit/a/test_b.py`; so the mirror comes first, then the tests that import what changed,
or that name the file, if it is not Python. If there are none, those of the modules that import it, and so on. It answers in
seconds, not for everything: `make test` runs all tests, also those that need a database server.
"""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

TESTS = "tests/unit/"
PATH_FOLDERS = ("scripts", "dags", "plugins")  # their files import each other by bare names
NOT_HERE = "not thorough and not postgres"
NONE_COLLECTED = 5  # pytest's exit status when the marks leave no test


def is_unit_test(path: str) -> bool:
    """Whether pytest collects the file as a unit test."""
    return path.startswith(TESTS) and PurePosixPath(path).name.startswith("test_") and path.endswith(".py")


def mirror_of(path: str) -> str:
    """Where the unit tests of a module stand: `recsys/a/b.py` -> `tests/unit/a/test_b.py`."""
    own = PurePosixPath(path)
    own = own.parent if own.name == "__init__.py" else own.with_suffix("")
    parts = own.parts[1:] if own.parts[0] == "recsys" else own.parts
    return str(PurePosixPath(TESTS, *parts[:-1], f"test_{own.name}.py"))


@dataclass(frozen=True)
class Uses:
    """Which files of a repository use which.

    Attributes:
        root: the repository.
        paths: its files, relative to the root, also those that were removed.
    """

    root: Path
    paths: frozenset[str]

    @cached_property
    def users(self) -> dict[str, set[str]]:
        """For each file, the Python files that import it or name it."""
        found = defaultdict(set)
        for path in self.paths:
            if path.endswith(".py") and (self.root / path).is_file():
                for used in self._used_by(path):
                    found[used].add(path)
        return found

    @cached_property
    def _modules(self) -> dict[str, str]:
        names = {}
        for path in self.paths:
            if path.endswith(".py"):
                parts = PurePosixPath(path.removesuffix("/__init__.py").removesuffix(".py")).parts
                names[".".join(parts)] = path
                if parts[0] in PATH_FOLDERS:
                    names[".".join(parts[1:])] = path
        return names

    @cached_property
    def _file_names(self) -> dict[str, str]:
        """How source text names what is not Python: a query by its stem, any other file by its name."""
        others = (PurePosixPath(path) for path in self.paths if not path.endswith(".py"))
        return {other.stem if other.suffix == ".sql" else other.name: str(other) for other in others}

    def _used_by(self, path: str) -> Iterator[str]:
        for node in ast.walk(ast.parse((self.root / path).read_bytes())):
            if isinstance(node, ast.Import):
                yield from filter(None, (self._modules.get(name.name) for name in node.names))
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for name in node.names:
                    module = self._modules.get(f"{node.module}.{name.name}") or self._modules.get(node.module)
                    yield from (module,) if module else ()
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                named = self._modules.get(node.value) or self._file_names.get(PurePosixPath(node.value).name)
                yield from (named,) if named else ()
        for folder in PurePosixPath(path).parents:
            if (conftest := str(folder / "conftest.py")) in self.paths and conftest != path:
                yield conftest

    def nearest_tests(self, changed: Iterable[str]) -> list[str]:
        """The unit tests of each changed file, nearest first: changed ones and mirrors, then those that use the file."""
        distances: dict[str, int] = {}
        for path in changed:
            for test, distance in self._nearest(path):
                distances[test] = min(distance, distances.get(test, distance))
        return sorted(distances, key=lambda test: (distances[test], test))

    def _nearest(self, path: str) -> Iterator[tuple[str, int]]:
        own = set(filter(self._is_there, (path, mirror_of(path))))
        yield from ((test, 0) for test in own)
        seen, frontier, distance = {path}, {path}, 1
        while frontier:
            users = self._users_of(frontier) - seen
            tests = set(filter(self._is_there, users))
            yield from ((test, distance) for test in tests - own)
            if own | tests:
                return
            seen, frontier, distance = seen | users, users, distance + 1

    def _users_of(self, paths: set[str]) -> set[str]:
        """Who uses one of these, also by way of a package that hands on what its modules hold."""
        users = set().union(*(self.users.get(path, set()) for path in paths))
        packages = {user for user in users if user.endswith("/__init__.py")} - paths
        return users | (self._users_of(packages) if packages else set())

    def _is_there(self, path: str) -> bool:
        return is_unit_test(path) and (self.root / path).is_file()


def git(root: Path, *arguments: str) -> list[str]:
    """Lines that git prints."""
    command = ["git", "-C", str(root), "-c", "core.quotePath=off", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def changed_files(root: Path, base: str) -> set[str]:
    """What differs from where this branch left `base`, committed, staged or neither, and what git does not know yet."""
    for branch in (base, f"origin/{base}"):
        if git(root, "branch", "--all", "--list", branch, f"remotes/{branch}"):
            start = git(root, "merge-base", "HEAD", branch)[0]
            break
    else:
        start = "HEAD"
    return {
        *git(root, "diff", "--name-only", "--no-renames", start),
        *git(root, "ls-files", "--others", "--exclude-standard"),
    }


def select(root: Path, base: str) -> tuple[set[str], list[str]]:
    """The changed files and their unit tests, nearest first."""
    changed = changed_files(root, base)
    paths = changed | set(git(root, "ls-files"))
    return changed, Uses(root, frozenset(paths)).nearest_tests(changed)


def describe(changed: set[str], tests: list[str], most: int) -> str:
    """What is run and what is not, in a sentence each."""
    said = [f"{len(changed)} changed files, {min(len(tests), most)} files of unit tests to run."]
    if tests[most:]:
        said.append(f"{len(tests) - most} more use what changed: `make test` runs them, too.")
    if others := sorted(path for path in changed if path.startswith("tests/") and not is_unit_test(path)):
        said.append(f'Changed, but no unit tests: make test ARGS="{" ".join(others)}"')
    return "\n".join(said)


def main() -> int:
    """Ends with what pytest ends with, or with 0 if there is nothing to run."""
    parser = argparse.ArgumentParser(description="Runs the unit tests of what changed.")
    parser.add_argument("--base", default="main", help="branch to compare with (%(default)s)")
    parser.add_argument("--most", type=int, default=24, help="files of tests to run at most (%(default)s)")
    parser.add_argument("--list", action="store_true", help="name them and run none")
    options = parser.parse_args()
    root = Path(__file__).resolve().parents[1]
    changed, tests = select(root, options.base)
    print(describe(changed, tests, options.most), flush=True)
    if options.list or not tests:
        print("\n".join(tests[: options.most]))
        return 0
    workers = ["-n", "2", "--dist", "loadfile"] if len(tests) > 1 else []
    command = [sys.executable, "-m", "pytest", "-q", *workers, "-m", NOT_HERE, *tests[: options.most]]
    code = subprocess.run(command, cwd=root, check=False).returncode
    return 0 if code == NONE_COLLECTED else code


if __name__ == "__main__":
    sys.exit(main())
