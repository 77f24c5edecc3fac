"""What is saved says which class loads it; what says nothing is ours, as it was before there were others."""

import json
from pathlib import Path

import numpy as np
import pytest

from recsys.errors import InputError
from recsys.model.protocol import LOADED_BY, load_recommender, save_recommender
from recsys.model.recommender import Recommender
from tests.unit.own_models import Popular
from tests.unit.recommenders import make_histories, make_recommender


def popular() -> Popular:
    catalog = make_recommender().catalog
    scores = np.arange(len(catalog), dtype=np.float32)
    return Popular(scores, catalog, {"half_life_days": 30.0}, np.ones(len(catalog), bool))


def test_a_model_of_another_family_is_loaded_by_its_own_class(tmp_path: Path) -> None:
    loaded = load_recommender(save_recommender(popular(), tmp_path / "model"))
    assert isinstance(loaded, Popular)
    histories = make_histories(5, seed=0)
    np.testing.assert_array_equal(loaded.score(histories, ["u00001"]), popular().score(histories, ["u00001"]))


def test_a_model_that_says_nothing_is_ours_as_all_were_before(tmp_path: Path) -> None:
    folder = make_recommender().save(tmp_path / "model")
    assert not (folder / LOADED_BY).exists()
    assert isinstance(load_recommender(folder), Recommender)
    assert not (save_recommender(make_recommender(), tmp_path / "again") / LOADED_BY).exists()


def test_a_class_that_no_other_process_could_import_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    class Inner(Popular):
        """Within a function."""

    one = popular()
    with pytest.raises(InputError, match=r"at the top of a module .*Inner: move it there"):
        save_recommender(Inner(one.scores, one.catalog, one.recipe, one.eligible), tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("note", "message"),
    [
        ("{", "cannot be read"),
        ("{}", "cannot be read"),
        (
            json.dumps({"class": "a_module_of_nobody:Model"}),
            "Expected the module a_module_of_nobody, whose Model loads",
        ),
        (json.dumps({"class": "tests.unit.own_models:Gone"}), "a class with `load`"),
        (json.dumps({"class": "os:system"}), "a class with `load`"),
        (json.dumps({"class": "../evil:Model"}), "a class with `load`"),
    ],
)
def test_a_note_that_leads_nowhere_says_what_to_do(tmp_path: Path, note: str, message: str) -> None:
    save_recommender(popular(), tmp_path)
    (tmp_path / LOADED_BY).write_text(note, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        load_recommender(tmp_path)
