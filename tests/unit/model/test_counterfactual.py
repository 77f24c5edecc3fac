from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recsys.errors import InputError
from recsys.model.counterfactual import COLUMNS, counterfactual_sentence, counterfactuals
from recsys.model.recommender import Recommender
from recsys.model.scorer import Scorer
from recsys.model.standing import BATCH_SIZE
from tests.unit.recommenders import with_reasons

NOBODY = pd.DataFrame({"user_id": [], "item_id": [], "signal": [], "weight": []}).astype({"weight": float})


def one_user(rows: list[tuple[str, str]]) -> pd.DataFrame:
    items, signals = zip(*rows, strict=True)
    return pd.DataFrame({"user_id": "u", "item_id": items, "signal": signals, "weight": 1.0})


def test_a_score_falls_by_the_share_and_by_what_the_taste_changes(
    recommender: Recommender, random_histories: Callable[..., pd.DataFrame]
) -> None:
    histories = random_histories(1, seed=7)
    top = recommender.recommend(histories, 20)
    found = counterfactuals(recommender, histories, "u00000", list(top["item_id"]))
    assert len(found) > 30
    assert found.groupby("item_id").size().max() == 3
    targets, removed = (
        np.array([recommender.positions[item] for item in found[name]]) for name in ("item_id", "removed_item_id")
    )
    block, rows = recommender.matrices(histories), np.zeros(len(found), np.int64)
    without = block.without(rows, removed[:, None])
    before = recommender.explainer().explain(block, rows, targets)
    after = recommender.explainer().explain(without, np.arange(len(found)), targets)
    taste = [
        sum(sign * value for terms, sign in ((one, 1), (other, -1)) for name, value in terms.items() if "genre" in name)
        for one, other in zip(before, after, strict=True)
    ]
    assert max(map(abs, taste)) > 0.01
    fall = np.array([sum(terms.values()) for terms in before]) - found["score"]
    np.testing.assert_allclose(fall, found["share"] + taste, atol=1e-6)


def test_it_is_what_the_model_says_of_the_history_without_the_item(adjusting: Recommender) -> None:
    """With likes of one age nothing moves up in the place of the removed one, unless it was the last."""
    own = one_user([("i00", "like"), ("i01", "like"), ("i02", "dislike"), ("i20", "seen")])
    own = own.assign(reason=["", "", "wrong_genre", ""])
    top = adjusting.recommend(own, 30)
    found = counterfactuals(adjusting, own, "u", list(top["item_id"]))
    disliked = found[found["removed_item_id"] == "i02"]
    left = own.assign(signal=own["signal"].where(own["item_id"] != "i02", "seen"))
    again = adjusting.recommend(left, 30).set_index("item_id")
    assert len(disliked) >= 5
    np.testing.assert_allclose(disliked["score"], again.loc[disliked["item_id"], "score"], rtol=1e-6)
    assert list(disliked["rank"]) == list(again.loc[disliked["item_id"], "rank"])
    assert (disliked["title"] == "Film 2").all()
    assert (disliked["share"] < 0).all()


def test_the_largest_share_comes_first_and_at_most_so_many(recommender: Recommender) -> None:
    own = one_user([(f"i{n:02d}", "like") for n in range(8)])
    item = recommender.recommend(own, 10)["item_id"].iloc[0]
    found = counterfactuals(recommender, own, "u", [item], limit=5)
    assert list(found["share"].abs()) == sorted(found["share"].abs(), reverse=True)
    assert list(found.columns) == COLUMNS
    pd.testing.assert_frame_equal(counterfactuals(recommender, own, "u", [item], limit=2), found[:2])


def test_an_item_that_rests_on_nothing_has_none(recommender: Recommender) -> None:
    own = one_user([("i00", "like"), ("unheard of", "like")])
    says_nothing = one_user([("i29", "like")])  # an item without weights and without a genre
    for histories, user, items in (
        (own, "somebody else", ["i05"]), (NOBODY, "u", ["i05"]), (own, "u", []), (says_nothing, "u", ["i05"]),
    ):  # fmt: skip
        found = counterfactuals(recommender, histories, user, items)
        assert (len(found), list(found.columns)) == (0, COLUMNS)


def test_one_like_taken_away_leaves_what_a_newcomer_gets(recommender: Recommender) -> None:
    own = one_user([("i00", "like")])
    strangers = recommender.score(NOBODY, ["nobody"])[0]
    found = counterfactuals(recommender, own, "u", ["i05"])
    assert found["score"].tolist() == pytest.approx([strangers[5]])
    better = strangers > strangers[5]
    assert found["rank"].tolist() == [1 + better.sum() - better[0]]  # i00 is still seen


def test_few_histories_are_scored_at_a_time_and_each_item_is_reported(
    recommender: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks sees how far it is, and no number of questions needs more memory."""
    own = one_user([(f"i{n:02d}", "like") for n in range(12)])
    items = list(recommender.recommend(own, 10)["item_id"])
    sizes, done = [], []
    score = Scorer.scores

    def counted(self: Scorer, inputs: Mapping[str, Any], *rest: Any) -> Any:
        sizes.append(inputs["likes"].shape[0])
        return score(self, inputs, *rest)

    monkeypatch.setattr(Scorer, "scores", counted)
    monkeypatch.setattr(type(recommender.model), "call", None)  # the dense Keras model is not asked
    counterfactuals(recommender, own, "u", items, limit=12, progress=lambda n, total: done.append((n, total)))
    assert sum(sizes) == 120
    assert max(sizes) <= BATCH_SIZE
    assert done == [(n, 10) for n in range(1, 11)]


def test_who_has_seen_all_else_keeps_the_item_first(recommender: Recommender) -> None:
    own = one_user([(item, "like") for item in recommender.item_ids if item != "i05"])
    assert set(counterfactuals(recommender, own, "u", ["i05"])["rank"]) == {1}


def test_an_unknown_item_is_refused_by_name(recommender: Recommender) -> None:
    with pytest.raises(InputError, match=r"'unheard of' \(1 of 2 unknown"):
        counterfactuals(recommender, NOBODY, "u", ["i00", "unheard of"])


def test_adjustments_of_a_removed_dislike_are_gone_with_it(
    adjusting: Recommender, random_histories: Callable[..., pd.DataFrame]
) -> None:
    histories = with_reasons(random_histories(40, seed=2), 2)
    block = adjusting.matrices(histories)
    rows = np.arange(len(block.user_ids))
    nothing_left = block.without(rows, [list(block.seen[row].indices) for row in rows])
    assert (nothing_left.dislike_logs.nnz, nothing_left.likes.nnz, nothing_left.recent.nnz) == (0, 0, 0)
    assert nothing_left.seen.nnz == block.seen.nnz
    same = block.without(rows, [[]] * len(rows))
    np.testing.assert_array_equal(same.dislike_logs.toarray(), block.dislike_logs.toarray())
    assert same.likes.dtype == block.likes.dtype


def test_the_sentence() -> None:
    assert counterfactual_sentence([("Alien", 34), ("Blade Runner", 20)]) == (
        "Without Alien it would be rank 34, without Blade Runner rank 20"
    )
    assert counterfactual_sentence([]) == ""
