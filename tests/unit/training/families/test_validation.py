"""What a candidate of another family is worth is measured on what came after all that it learned from."""

from dataclasses import replace

import pandas as pd
import pytest

from recsys.training.families.base import TrainingData
from recsys.training.families.registry import candidates_of
from recsys.training.families.validation import validation_ndcg
from recsys.training.recipe.recipe import FitConfig
from tests.unit.own_models import PopularFamily
from tests.unit.training.families.additive.test_fit import CUT_OFF, catalog, taste_stream

CONFIG = FitConfig(families=("tests.unit.own_models:PopularFamily",))


@pytest.fixture(scope="module")
def data() -> TrainingData:
    return TrainingData(taste_stream(), catalog(), CUT_OFF, 30.0)


def test_it_learns_from_what_was_known_before_and_from_nothing_after(data: TrainingData) -> None:
    seen: list[TrainingData] = []

    def fitted(past: TrainingData):
        seen.append(past)
        return PopularFamily()._fitted(candidates_of(CONFIG)["popular-1"], past, CONFIG)

    ndcg, num_lists = validation_ndcg(fitted, data, CONFIG)
    assert 0 < ndcg < 1
    assert num_lists > 100
    (past,) = seen
    assert past.cut_off < CUT_OFF
    assert past.examples["occurred_at"].max() <= past.cut_off
    assert len(past.examples) < len(data.examples)


def test_without_a_past_there_is_nothing_to_measure(data: TrainingData) -> None:
    nothing = replace(data, examples=data.examples.head(1))
    assert validation_ndcg(lambda past: pytest.fail("nothing to learn from"), nothing, CONFIG) == (0.0, 0)


def test_histories_are_those_that_a_recommender_takes(data: TrainingData) -> None:
    user, item, at = data.examples.iloc[0][["user_id", "item_id", "occurred_at"]]
    known = set(data.examples.loc[data.examples["user_id"] == user, "item_id"])
    new = next(item for item in data.items["item_id"] if item not in known)
    neutral = pd.DataFrame({"user_id": [user, user], "item_id": [new, item], "occurred_at": [at, at]})
    found = replace(data, neutral=neutral).histories()
    assert len(found) == len(data.examples) + 1, "an opinion counts before a click on the same item"
    own = found.set_index(["user_id", "item_id"])
    assert own.loc[(user, new), "signal"] == "neutral"
    assert own.loc[(user, new), "weight"] == 1.0
    age_days = (CUT_OFF - at).total_seconds() / 86_400
    assert own.loc[(user, item), "weight"] == pytest.approx(
        0.5 ** (age_days / 30.0) * data.examples.iloc[0]["base_weight"]
    )
