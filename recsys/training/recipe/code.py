"""The code of a recipe: exactly what a fit executes, found by following names from where it begins.

From the functions in `ROOTS` every name is followed to the function, class or constant that it stands for, over imports and
re-exports, and so on from there. Of a class the methods count whose names are spoken somewhere in what was found, or all of
them where a library calls them (a Keras layer). That takes in too much rather than too little: a method of another class with
the same name counts, too. It is the "rapid type analysis" of Bacon and Sweeney (OOPSLA 1996), by name.

What is found is compared by syntax tree without comments, docstrings, annotations and the imports of our own modules, so that
neither a mended sentence nor a moved file makes another recipe. The queries that build a training set belong to it.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from recsys.errors import TerminalError
from recsys.training.recipe.code_modules import Definition, Module, read_module

DATA_ROOTS = (
    "recsys.training.dataset.training_set:write_training_set",
    "recsys.training.dataset.training_set:TrainingSet",
    "recsys.model.eligible_items:catalog_frame",
)
ROOTS = (
    "recsys.training.families.additive.fit:fit",
    "recsys.training.families.additive.fit:try_candidate",
    "recsys.training.families.closed_form:ClosedForm",
    "recsys.training.families.embedding:Embedding",
    "recsys.training.recipe.recipe:FitConfig",
    *DATA_ROOTS,
)
HOW_RECIPES_ARE_COMPARED = (  # no fit executes it
    "recsys.training.recipe.code", "recsys.training.recipe.code_modules", "recsys.training.families.foreign",
)  # fmt: skip
QUERIES = ("events", "histories", "neutral_signals", "newest_signals", "training_set")
PACKAGE_PARENT = Path(__file__).resolve().parents[3]
_SQL_TEXT_OR_COMMENT = re.compile(r"('(?:[^']|'')*'|\"[^\"]*\")|--[^\n]*|/\*.*?\*/", re.DOTALL)


@cache
def code_digest(package_parent: Path = PACKAGE_PARENT) -> str:
    """Names what a fit executes.

    Args:
        package_parent: folder that holds `recsys`, and `sql` beside it or in it.

    Returns:
        sha256, in hex.

    Raises:
        TerminalError: if a root or a query is not there.
    """
    texts = [*sorted(found_code(package_parent)), *queries(package_parent)]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def queries(package_parent: Path = PACKAGE_PARENT) -> list[str]:
    """The queries that build a training set, without comments.

    Raises:
        TerminalError: if one is not there.
    """
    texts = []
    for name in QUERIES:
        files = [folder / f"{name}.sql" for folder in (package_parent / "recsys" / "sql", package_parent / "sql")]
        text = next((file.read_text(encoding="utf-8") for file in files if file.is_file()), None)
        if text is None:
            raise TerminalError(f"Expected the query {name}.sql in {package_parent}, found none: install recsys again.")
        texts.append(without_comments(text))
    return texts


def without_comments(sql: str) -> str:
    """A query with neither comments nor differences in white space."""
    return " ".join(_SQL_TEXT_OR_COMMENT.sub(lambda match: match.group(1) or " ", sql).split())


def found_code(package_parent: Path, roots: Iterable[str] = ROOTS) -> set[str]:
    """The normal text of every definition that the roots lead to.

    Args:
        package_parent: folder that holds the package.
        roots: `module:name`.

    Raises:
        TerminalError: if a root is not there.
    """
    search = _Search(package_parent)
    for root in roots:
        module, _, name = root.partition(":")
        if not search.reach(module, name):
            raise TerminalError(
                f"Expected {name} in {module}, found none: mend ROOTS in recsys/training/recipe/code.py."
            )
    return search.finish()


def reached_code(names: Iterable[str], package_parent: Path = PACKAGE_PARENT) -> set[str]:
    """The same from any names, `module:name`, that need not stand for a definition: a family that is not ours imports them."""
    search = _Search(package_parent)
    for name in names:
        search.reach(*name.split(":"))
    return search.finish()


class _Search:
    """Follows names until nothing new is found."""

    def __init__(self, package_parent: Path) -> None:
        self.parent = package_parent
        self.modules: dict[str, Module | None] = {}
        self.found: dict[tuple[str, str], Definition] = {}
        self.spoken: set[str] = set()
        self.to_read: list[tuple[str, ast.AST]] = []
        self.texts: set[str] = set()

    def finish(self) -> set[str]:
        """Reads all that was reached, and what that reaches."""
        while True:
            while self.to_read:
                self._read(*self.to_read.pop())
            waiting = [(key, one, method) for key, one in self.found.items() for method in one.called(self.spoken)]
            if not waiting:
                return self.texts
            for (module, _), one, method in waiting:
                self.to_read.append((module, one.methods.pop(method)))

    def reach(self, module: str, name: str) -> bool:
        """Marks a name of a module; False if the module has none."""
        if module in HOW_RECIPES_ARE_COMPARED or (module, name) in self.found:
            return True
        there = self._module(module)
        if there is None:
            return False
        if name in there.definitions:
            definition = there.definitions[name]
            self.found[module, name] = definition
            self.to_read.extend((module, node) for node in definition.always)
            self.to_read.extend((module, node) for node in there.take_statements())
            return True
        if name in there.imports:
            source, original = there.imports[name]
            return original is not None and self.reach(source, original)
        return False

    def _module(self, name: str) -> Module | None:
        if name not in self.modules:
            self.modules[name] = read_module(self.parent, name)
        return self.modules[name]

    def _read(self, module: str, node: ast.AST) -> None:
        self.texts.add(ast.unparse(node))
        there = self._module(module)
        assert there is not None
        imports = there.imports | dict(there.imports_in(node))
        for inner in ast.walk(node):
            if isinstance(inner, ast.Attribute):
                self.spoken.add(inner.attr)
            for source, name in _meant(inner, module, imports):
                self.reach(source, name)


def _meant(node: ast.AST, module: str, imports: dict[str, tuple[str, str | None]]) -> Iterator[tuple[str, str]]:
    """What a node may stand for: a name of this module, an imported one, or one of an imported module."""
    if isinstance(node, ast.Name):
        source, original = imports.get(node.id, (module, node.id))
        if original is not None:
            yield source, original
    elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in imports:
        source, original = imports[node.value.id]
        yield (source if original is None else f"{source}.{original}"), node.attr
