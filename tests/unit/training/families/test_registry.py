"""Families are found by name, by entry point and by module, and whoever cannot be found is told what there is."""

import sys
from pathlib import Path

import pytest

from recsys.config.run import FAMILIES
from recsys.errors import InputError
from recsys.training.families.registry import additive_family, candidates_of, find_family, installed_families
from recsys.training.recipe.recipe import Candidate, FitConfig
from tests.unit.own_models import PopularFamily

OWN = "tests.unit.own_models:PopularFamily"


def test_ours_have_the_candidates_that_they_always_had() -> None:
    found = candidates_of(FitConfig())
    assert list(found) == ["closed_form-decayed", "closed_form-lasting", "embedding-16", "embedding-64"]
    assert [one.family for one in found.values()] == ["closed_form", "closed_form", "embedding", "embedding"]


def test_a_family_of_any_module_is_found_and_its_candidates_know_how() -> None:
    assert isinstance(find_family(OWN), PopularFamily)
    found = candidates_of(FitConfig(families=("closed_form", OWN)))
    assert {name: one.family for name, one in found.items() if one.family not in FAMILIES} == {
        "popular-1": OWN, "popular-0": OWN,
    }  # fmt: skip


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages with a package that brings families."""
    about = tmp_path / "towers-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: towers\nVersion: 1.0\n", encoding="utf-8")
    (about / "entry_points.txt").write_text(
        f"[recsys.families]\npopular = {OWN}\nbroken = a_module_of_nobody:Family\nclosed_form = {OWN}\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    return tmp_path


@pytest.mark.usefixtures("site")
def test_an_installed_package_brings_a_family_and_hides_none_of_ours() -> None:
    assert {"closed_form", "embedding", "popular"} <= set(installed_families())
    assert isinstance(find_family("popular"), PopularFamily)
    assert not isinstance(find_family("closed_form"), PopularFamily)
    assert candidates_of(FitConfig(families=("popular",)))["popular-1"].family == "popular"
    with pytest.raises(
        InputError, match="Expected a_module_of_nobody:Family to be a family, but it cannot be imported"
    ):
        find_family("broken")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("matrix", r"Expected a family out of closed_form, embedding.*, or package.module:Family, got 'matrix'"),
        ("", "Expected a family out of"),
        ("a_module_of_nobody:Family", "cannot be imported"),
        ("tests.unit.own_models:Gone", "cannot be imported"),
        ("tests.unit.own_models:Popular :", "cannot be imported"),
        ("tests.unit.own_models:json", "it has no candidates, no fit, no keep, no name, no try_candidate, no version"),
    ],
)
def test_who_cannot_be_found_is_told_what_there_is(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        find_family(name)


def test_a_run_needs_a_candidate_and_each_its_own_name() -> None:
    with pytest.raises(InputError, match="Expected at least one family with a candidate"):
        candidates_of(FitConfig(families=()))
    with pytest.raises(InputError, match="its own name, got popular-1 of"):
        candidates_of(FitConfig(families=(OWN, OWN)))
    with pytest.raises(InputError, match="it names a folder"):
        Candidate("mine", "../elsewhere")


def test_the_additive_model_is_fitted_with_our_families_only() -> None:
    assert additive_family("embedding").name == "embedding"
    with pytest.raises(InputError, match="Expected a family of the additive model"):
        additive_family(OWN)
