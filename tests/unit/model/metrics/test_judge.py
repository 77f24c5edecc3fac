"""The metrics of the gate, `recsys.evaluation.metrics.accuracy.evaluate_lists`, against the NumPy reference."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.evaluation.metrics.accuracy import evaluate_lists
from recsys.model.metrics import reference

K, RECALL_K = 10, 20


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_judge_agrees_with_the_reference(seed: int) -> None:
    rng = np.random.default_rng(seed)
    num_users, num_items = int(rng.integers(1, 6)), int(rng.integers(1, 40))
    lists, judgements, labels, scores = [], [], [], []
    for user in range(num_users):
        listed = rng.permutation(num_items)[: rng.integers(0, num_items + 1)]
        lists += [(user, rank, item) for rank, item in enumerate(listed, start=1)]
        judged = {item: int(label) for item in range(num_items) if (label := rng.integers(-1, 2)) >= 0}
        judged[num_items + user] = int(rng.integers(0, 2))  # an item that no list can hold
        judgements += [(user, item, label) for item, label in judged.items()]
        # Items that are not in the list come after it and after more items that nobody judged than any metric looks at.
        row_labels, row_scores = np.zeros(num_items + num_users + RECALL_K), np.zeros(num_items + num_users + RECALL_K)
        row_labels[list(judged)] = list(judged.values())
        row_scores[listed] = np.arange(len(listed), 0, -1) + 1.0
        row_scores[num_items + num_users :] = 1.0
        labels.append(row_labels)
        scores.append(row_scores)
    result = evaluate_lists(
        {"some": pd.DataFrame(lists, columns=["user_id", "rank", "item_id"], dtype=np.int64)},
        pd.DataFrame(judgements, columns=["user_id", "item_id", "label"]),
        k=K,
        recall_k=RECALL_K,
    )
    assert list(result["user_id"]) == list(range(num_users))
    matrices = np.array(labels), np.array(scores)
    np.testing.assert_allclose(result["ndcg_at_10"], reference.ndcg(*matrices, K), atol=1e-12)
    np.testing.assert_allclose(result["recall_at_20"], reference.recall_at_k(*matrices, RECALL_K), atol=1e-12)
    np.testing.assert_allclose(result["mrr"], reference.mrr(*matrices, RECALL_K), atol=1e-12)
