"""The recipe of a family that is not ours: its name, version, grid and source; not what is written about it."""

import importlib
import sys
from pathlib import Path

import pytest

from recsys.training.families.foreign import code_of
from recsys.training.families.identity import recipe_id
from recsys.training.recipe.code import code_digest
from recsys.training.recipe.recipe import FitConfig, Trial

SOURCE = '''
"""A family of one's own."""

from recsys.model.trend import decayed_counts
from recsys.training.recipe.recipe import Candidate

SCALE = 2.0


class Mine:
    """See `Family`."""

    name, version = "mine", "1"

    def candidates(self, config):
        return [Candidate(self.name, "mine-1", {"size": 8})]

    def try_candidate(self, candidate, data, config):
        return None  # never asked for here

    def fit(self, trial, data, config, judged=None):
        return decayed_counts(data, SCALE)

    def keep(self, trial, params):
        return trial
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def recipe(folder: Path, source: str, name: str = "own_family", config: FitConfig | None = None) -> str:
    """What the recipe is called with this source."""
    (folder / f"{name}.py").write_text(source, encoding="utf-8")
    sys.modules.pop(name, None)
    importlib.invalidate_caches()
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode  # two versions within a second
    try:
        return recipe_id(config or FitConfig(families=(f"{name}:Mine",)), 30.0)
    finally:
        sys.dont_write_bytecode = before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SCALE = 2.0", "SCALE = 3.0"),
        ('"size": 8', '"size": 16'),
        ('"mine", "1"', '"mine", "2"'),
        ('"mine", "1"', '"other", "1"'),
        ("import decayed_counts", "import trend_matrix as decayed_counts"),
    ],
)
def test_what_its_fit_executes_is_its_recipe(folder: Path, old: str, new: str) -> None:
    assert old in SOURCE
    assert recipe(folder, SOURCE) != recipe(folder, SOURCE.replace(old, new))


def test_what_is_written_about_it_is_not(folder: Path) -> None:
    mended = SOURCE.replace("A family of one's own.", "My family.").replace("# never asked for here", "# never")
    assert recipe(folder, SOURCE) == recipe(folder, mended)


def test_seed_and_families_beside_it(folder: Path) -> None:
    alone = recipe(folder, SOURCE)
    assert recipe(folder, SOURCE, config=FitConfig(families=("own_family:Mine",), seed=3)) == alone
    assert recipe(folder, SOURCE, config=FitConfig(families=("own_family:Mine", "closed_form"))) != alone
    assert recipe_id(FitConfig(), 30.0) == recipe_id(FitConfig(), 30.0)
    assert code_of("closed_form") == []


def test_of_a_package_every_module_counts(folder: Path) -> None:
    package = folder / "own_package"
    package.mkdir()
    (package / "__init__.py").write_text("from own_package.family import Mine\n", encoding="utf-8")
    (package / "family.py").write_text(SOURCE, encoding="utf-8")
    (package / "other.py").write_text("SIZE = 1\n", encoding="utf-8")
    config = FitConfig(families=("own_package:Mine",))
    before = recipe_id(config, 30.0)
    assert code_of("own_package:Mine") == [package]
    (package / "other.py").write_text("SIZE = 2\n", encoding="utf-8")
    assert recipe_id(config, 30.0) != before


def test_the_code_of_ours_has_one_digest() -> None:
    assert code_digest() == code_digest()


@pytest.mark.parametrize(
    ("candidate", "name"),
    [
        ({"family": "closed_form", "decay_power": 1.0, "embedding_dim": 0}, "closed_form-decayed"),
        ({"family": "closed_form", "decay_power": 0.0}, "closed_form-lasting"),
        ({"family": "closed_form", "decay_power": 0.5, "embedding_dim": 0}, "closed_form-0.5"),
        ({"family": "embedding", "decay_power": 0.0, "embedding_dim": 16}, "embedding-16"),
    ],
)
def test_a_trial_that_was_kept_before_is_read_as_the_candidate_that_it_is(candidate: dict, name: str) -> None:
    old = {"candidate": candidate, "reg": 8.0, "ndcg_at_10": 0.2, "num_lists": 5, "transition_reg": 4.0}
    trial = Trial.from_dict(old)
    assert (trial.candidate.name, trial.settings) == (name, {"reg": 8.0, "transition_reg": 4.0})
    assert trial.candidate.settings == {"embedding_dim": 0, **{k: v for k, v in candidate.items() if k != "family"}}
    assert Trial.from_dict(trial.as_dict()) == trial
    assert "transition_reg" not in Trial.from_dict({**old, "transition_reg": None}).settings
