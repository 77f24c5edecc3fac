"""A module of this package as text: what it defines, what it imports, and what it does when it is loaded."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PACKAGE = "recsys"
_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
Imports = dict[str, tuple[str, str | None]]  # name here -> module, name there; None: the module itself


@dataclass
class Definition:
    """A function, class or constant of a module.

    Attributes:
        always: nodes that count as soon as the name is reached.
        methods: of a class, by name: they count once something calls them.
    """

    always: list[ast.stmt]
    methods: dict[str, ast.stmt] = field(default_factory=dict)

    def called(self, spoken: set[str]) -> list[str]:
        """The methods that have not been taken yet and whose names are spoken."""
        return [name for name in self.methods if name in spoken]


@dataclass
class Module:
    """What is in a file.

    Attributes:
        name: dotted.
        definitions: by name.
        imports: of the whole file, from our own package.
        statements: what runs when it is loaded and defines nothing.
    """

    name: str
    definitions: dict[str, Definition] = field(default_factory=dict)
    imports: Imports = field(default_factory=dict)
    statements: list[ast.stmt] = field(default_factory=list)

    def take_statements(self) -> list[ast.stmt]:
        """What runs when the module is loaded; only the first time."""
        taken, self.statements = self.statements, []
        return taken

    @staticmethod
    def imports_in(node: ast.AST) -> Iterator[tuple[str, tuple[str, str | None]]]:
        """The imports inside a definition, from our own package."""
        for inner in ast.walk(node):
            if isinstance(inner, _Import):
                yield from inner.brings


class _Import(ast.Pass):
    """Stands for an import of our own: says nothing when compared, so that a moved file is no change."""

    brings: tuple[tuple[str, tuple[str, str | None]], ...] = ()


class _Normal(ast.NodeTransformer):
    """Takes out docstrings and annotations, and puts `_Import` for imports from our own package."""

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and _has_docstring(
            node
        ):
            node.body = node.body[1:] or [ast.Pass()]
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
        visited: ast.AST = super().visit(node)
        return visited

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(value=None)  # the field stays: a dataclass's order is its constructor
        return self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> ast.AST:
        own = [alias for alias in node.names if alias.name.split(".")[0] == PACKAGE]
        if not own:
            return node
        bring = _Import()
        bring.brings = tuple((alias.asname or alias.name, (alias.name, None)) for alias in own)
        return bring

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        if (node.module or "").split(".")[0] != PACKAGE:
            return node
        bring = _Import()
        bring.brings = tuple((alias.asname or alias.name, (str(node.module), alias.name)) for alias in node.names)
        return bring


def read_module(package_parent: Path, name: str) -> Module | None:
    """Reads a module of the package; None if there is none of this name."""
    base = package_parent.joinpath(*name.split("."))
    files = [base.with_suffix(".py"), base / "__init__.py"]
    file = next((one for one in files if one.is_file()), None)
    if file is None:
        return None
    tree = _Normal().visit(ast.parse(file.read_text(encoding="utf-8")))
    module = Module(name)
    assert isinstance(tree, ast.Module)
    for node in tree.body:
        _add(module, node)
    return module


def normal_source(file: Path) -> tuple[str, set[str]]:
    """A module of another package in the form in which recipes are compared, and what it imports from ours: `module:name`."""
    tree = _Normal().visit(ast.parse(file.read_text(encoding="utf-8")))
    brings = [name for _, name in Module.imports_in(tree)]
    return ast.unparse(tree), {f"{module}:{name}" for module, name in brings if name is not None}


def _add(module: Module, node: ast.stmt) -> None:
    if isinstance(node, _Import):
        module.imports |= dict(node.brings)
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        module.definitions[node.name] = Definition([node])
    elif isinstance(node, ast.ClassDef):
        module.definitions[node.name] = _class(node, module)
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            for inner in ast.walk(target):
                if isinstance(inner, ast.Name):
                    module.definitions[inner.id] = Definition([node])
    elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        pass  # nothing of it is executed
    elif not isinstance(node, ast.Import | ast.ImportFrom | ast.Pass):
        module.statements.append(node)


def _class(node: ast.ClassDef, module: Module) -> Definition:
    """A class: its head and fields always; methods when called, unless a library may call them."""
    own = {*module.definitions, *module.imports, "object", "Generic", "Protocol", "Enum", "StrEnum"}
    if any(not isinstance(base, ast.Name) or base.id not in own for base in node.bases):
        return Definition([node])
    methods: dict[str, ast.stmt] = {}
    head: list[ast.stmt] = []
    for one in node.body:
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and not one.name.startswith("__"):
            methods[one.name] = one
        else:
            head.append(one)
    node.body = head or [ast.Pass()]
    return Definition([node], methods)


def _has_docstring(node: ast.AST) -> bool:
    return isinstance(node, _Documented) and ast.get_docstring(node, clean=False) is not None
