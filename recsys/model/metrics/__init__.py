"""Ranking metrics for `compile` and `evaluate`, one class per file.

All take `y_true` `(batch_size, num_items)`: 1 for items that the user chose, 0 for others, -1 for items to leave out of the
list (`NDCG` takes graded labels too: 2 counts for more than 1); and `y_pred`, the scores, of the same shape.

Policy, the same for all, and that of `recsys.model.metrics.reference`, which states each metric in NumPy:

- Ties: of equal scores the lower position comes first, every time. NaN counts as minus infinity.
- A row without a positive does not count; neither does one with a sample weight of 0 or less. Without any row the result is
  0, as for every Keras mean.
- `sample_weight`: one number, or `(batch_size,)` or `(batch_size, 1)`, one per row; the result is the weighted mean.
- A list shorter than k has fewer hits: precision divides by k all the same, as `recsys.evaluation.metrics.accuracy` does.

`NDCG`, `MRR`, `PrecisionAtK` and `RecallAtK` are those of keras-rs, which breaks ties at random whatever `shuffle_ties`
says, and counts rows without a positive as 0: `StatedPolicy` hands it ranks in place of scores and weights of 0 for those
rows. `AccuracyAtK` is keras-rs's recall, asked whether it is above 0.
"""

from recsys.model.metrics.accuracy_at_k import AccuracyAtK
from recsys.model.metrics.mrr import MRR
from recsys.model.metrics.ndcg import NDCG
from recsys.model.metrics.precision_at_k import PrecisionAtK
from recsys.model.metrics.recall_at_k import RecallAtK

__all__ = ["MRR", "NDCG", "AccuracyAtK", "PrecisionAtK", "RecallAtK"]
