import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.evaluation.metrics.accuracy import auc_per_user, model_scores, ordered_scores, users_with_both
from tests.unit.recommenders import make_histories, make_recommender

ROWS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 1), st.sampled_from([-math.inf, 0.0, 0.5, 1.0])), min_size=1
)


@given(ROWS)
def test_agrees_with_counting_pairs(rows: list[tuple[str, int, float]]) -> None:
    judgements = pd.DataFrame(rows, columns=["user_id", "label", "score"])
    found = auc_per_user(judgements, judgements["score"].to_numpy())
    assert sorted(found.dropna().index) == users_with_both(judgements)
    for user, value in found.items():
        liked, disliked = ([s for u, label, s in rows if (u, label) == (user, wanted)] for wanted in (1, 0))
        pairs = [(one > other) + 0.5 * (one == other) for one, other in itertools.product(liked, disliked)]
        np.testing.assert_allclose(value, np.mean(pairs) if pairs else np.nan)


def test_scores_of_a_model_are_those_of_the_judged_items_and_the_unknown_come_last() -> None:
    recommender, histories = make_recommender(), make_histories(300, seed=2)  # more users than a batch holds
    users = sorted(histories["user_id"].unique())
    judgements = pd.DataFrame({"user_id": users[::-1], "item_id": "i07"})
    judgements.loc[3, "item_id"] = "of no catalog"
    found = model_scores(recommender, histories, judgements)
    expected = recommender.score(histories, users)[::-1, recommender.positions["i07"]].astype(float)
    expected[3] = -np.inf
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_one_order_for_everybody() -> None:
    judgements = pd.DataFrame({"item_id": ["second", "never met", "first"]})
    assert list(np.argsort(-ordered_scores(["first", "second"], judgements))) == [2, 0, 1]


def test_a_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="got 1 NaN"):
        auc_per_user(pd.DataFrame({"user_id": ["a"], "label": [1]}), np.array([np.nan]))
