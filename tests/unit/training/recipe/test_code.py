"""What makes another recipe: the code that a fit executes, and nothing else."""

from __future__ import annotations

import ast
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from recsys.errors import TerminalError
from recsys.training.families.additive.fit import fit
from recsys.training.families.identity import recipe_id
from recsys.training.families.registry import candidates_of
from recsys.training.recipe.code import ROOTS, code_digest, found_code, without_comments
from recsys.training.recipe.recipe import CLOSED_FORM, EMBEDDING, EmbeddingConfig, FitConfig, HeadConfig
from tests.unit.training.families.additive.test_fit import CUT_OFF, catalog, taste_stream

NOT_FITTING = ("training/recipe/code.py", "training/recipe/code_modules.py")  # they only tell recipes apart
REPOSITORY = Path(__file__).resolve().parents[4]
CONFIG = FitConfig(
    trend_half_lives_days=(4.0, 36_500.0), reg_grid=(8.0,), transition_reg_grid=(4.0,), embedding_dims=(4,),
    embedding=EmbeddingConfig(epochs=1), head=HeadConfig(grid=(0.0, 0.4), trend_grid=(0.0, 1.0), epochs=1, min_refined=1),
)  # fmt: skip


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A copy of the package and its queries, to change."""
    for name in ("recsys", "sql"):
        shutil.copytree(REPOSITORY / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def edit(code: Path, file: str, old: str, new: str) -> None:
    text = (code / file).read_text(encoding="utf-8")
    assert old in text, f"{file} does not hold {old!r} any more: name something else"
    (code / file).write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("recsys/feedback/reasons.py", "CAST_DEEMPHASIS_FACTOR = 0.", "CAST_DEEMPHASIS_FACTOR = 0.9"),
        ("recsys/feedback/adjustments.py", "ADJUSTMENT_FLOOR = 0.25", "ADJUSTMENT_FLOOR = 0.5"),
        ("recsys/evaluation/behaviour/responsiveness.py", "LIST_LENGTH = 10", "LIST_LENGTH = 20"),
        ("recsys/statistics/bootstrap.py", "num_resamples: int = 2_000", "num_resamples: int = 3_000"),
        ("recsys/model/layers/feedback_adjustment.py", "def call(", "def call(*extra,"),
        ("sql/training_set.sql", "greatest(weight", "greatest(2 * weight"),
        ("sql/newest_signals.sql", "SELECT", "SELECT DISTINCT"),
    ],
)
def test_what_a_fit_executes_is_the_recipe(code: Path, file: str, old: str, new: str) -> None:
    edit(code, file, old, new)

    assert code_digest(code) != code_digest(REPOSITORY)


def test_what_no_fit_executes_is_not(code: Path) -> None:
    edit(
        code,
        "recsys/training/families/additive/fit.py",
        '"""Fits the additive model',
        '"""Fits, with a mended typo, the additive model',
    )
    edit(code, "recsys/training/families/additive/fit.py", "    data = _data(", "    # a comment\n    data  =  _data(")
    edit(code, "recsys/training/dataset/weights.py", "from __future__", "# another\nfrom __future__")
    edit(
        code,
        "recsys/evaluation/gate/decide.py",
        "from __future__ import annotations",
        "from __future__ import annotations\n\nTHRESHOLD = 3",
    )
    edit(
        code,
        "recsys/model/sentences.py",
        "from __future__ import annotations",
        "from __future__ import annotations\n\nWORD = 'x'",
    )
    edit(
        code,
        "recsys/training/dataset/checks.py",
        "from __future__ import annotations",
        "from __future__ import annotations\n\nCHECK = 1",
    )
    edit(code, "recsys/training/recipe/code.py", "found none: mend", "found nothing: mend")  # tells recipes apart
    edit(code, "recsys/__init__.py", "__version__ = ", "__version__ = '99' or ")
    edit(code, "sql/training_set.sql", "--", "-- a note\n--")
    edit(code, "sql/dislike_rates.sql", "SELECT", "SELECT 1,")

    assert code_digest(code) == code_digest(REPOSITORY)


def test_a_moved_file_alone_is_not(code: Path) -> None:
    (code / "recsys/numbers").mkdir()
    (code / "recsys/numbers/__init__.py").touch()
    shutil.move(code / "recsys/statistics/bootstrap.py", code / "recsys/numbers/intervals.py")
    for file in code.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace("recsys.statistics.bootstrap", "recsys.numbers.intervals"), encoding="utf-8")

    assert code_digest(code) == code_digest(REPOSITORY)


@pytest.mark.parametrize("family", [CLOSED_FORM, pytest.param(EMBEDDING, marks=pytest.mark.thorough)])
def test_every_function_that_a_fit_executes_is_found(family: str) -> None:
    executed: set[str] = set()
    config = replace(CONFIG, families=(family,))
    candidates_of(config)  # loads the family, which is no part of a fit
    recipe_id(config, 30.0)  # reads the code

    def watch(frame: FrameType, event: str, argument: Any) -> None:
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(str(REPOSITORY / "recsys")) and not file.endswith(NOT_FITTING):
            executed.add(frame.f_code.co_name)

    sys.settrace(watch)
    try:
        fit(taste_stream(num_users=60), catalog(), CUT_OFF, 30.0, config)
    finally:
        sys.settrace(None)

    found = {name for text in found_code(REPOSITORY) for name in functions(text)}
    assert {name for name in executed if not name.startswith("<")} <= found | {"__init__"}
    assert {"fit", "choose_power", "resampled_means"} <= executed


def functions(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            yield node.name


def test_a_root_that_is_not_there_says_where_to_mend_it() -> None:
    with pytest.raises(TerminalError, match=r"Expected gone in recsys.training.families.additive.fit, found"):
        found_code(REPOSITORY, [*ROOTS, "recsys.training.families.additive.fit:gone"])


def test_a_comment_sign_inside_a_text_stays() -> None:
    assert without_comments("SELECT '--' -- but not this\n  /* nor this */ , 1") == "SELECT '--' , 1"
