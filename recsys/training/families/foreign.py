"""What names the recipe of a family that is not ours: its name, version and grid, and the source of its module."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from recsys.config.run import FAMILIES
from recsys.errors import InputError
from recsys.training.families.registry import find_family
from recsys.training.recipe.code import DATA_ROOTS, queries, reached_code
from recsys.training.recipe.code_modules import normal_source
from recsys.training.recipe.recipe import FitConfig


def code_of(name: str) -> list[Path]:
    """The files that a family's code is in: its module, or the whole package that holds it; none of ours.

    Raises:
        InputError: if there is no such family, or its source is nowhere.
    """
    if name in FAMILIES or not name:
        return []
    top = type(find_family(name)).__module__.partition(".")[0]
    file = getattr(sys.modules.get(top), "__file__", None)
    if file is None:
        raise InputError(
            f"Expected the source of {name} in a file, found none: put the family into a module of its own."
        )
    return [Path(file).parent if Path(file).name == "__init__.py" else Path(file)]


def foreign_digest(name: str, config: FitConfig) -> str:
    """Names what a fit of a family executes.

    That is all of its module, or package, without comments and docstrings, and what that imports from `recsys`; not other
    libraries: `Family.version` speaks for these.

    Returns:
        sha256, in hex.
    """
    family = find_family(name)
    about: dict[str, Any] = {
        "name": family.name,
        "version": family.version,
        "candidates": [asdict(candidate) for candidate in family.candidates(config)],
    }
    texts, ours = [], set(DATA_ROOTS)
    for path in code_of(name):
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            text, imported = normal_source(file)
            texts.append(text)
            ours |= imported
    texts += [*sorted(reached_code(ours)), *queries()]
    return hashlib.sha256("\0".join([json.dumps(about, sort_keys=True), *texts]).encode()).hexdigest()
