"""Ranking losses over lists of items, one class per file.

All take `y_true` `(batch_size, num_items)`: 1 for items that the user chose, 0 for others, -1 for items to leave out; and
`y_pred`, the scores, of the same shape. All give one value per row, so that `sample_weight` `(batch_size,)` weighs
examples as Keras users expect. A row without a positive, or without a negative, costs exactly 0, with a gradient of 0.

What comes from keras-rs and what is ours:

- `BPRLoss` is `keras_rs.losses.PairwiseLogisticLoss`. Ours are the mean over pairs per row (keras-rs sums them per item,
  which `sample_weight` per example does not fit) and the gradient at equal scores (there it is 0, and nothing is learned).
- `SampledSoftmaxLoss`: keras-rs has no such loss; the correction for how negatives were sampled is its
  `keras_rs.layers.SamplingProbabilityCorrection`. Where negatives differ in their probability, put that layer into the
  model, on the scores.
- `ImprovedMarginRankingLoss` is ours; its mean over pairs equals `keras_rs.losses.PairwiseHingeLoss`, without the
  `(batch_size, num_items, num_items)` pairs in memory.
"""

from recsys.model.losses.bpr import BPRLoss
from recsys.model.losses.improved_margin_ranking import ImprovedMarginRankingLoss
from recsys.model.losses.sampled_softmax import SampledSoftmaxLoss

__all__ = ["BPRLoss", "ImprovedMarginRankingLoss", "SampledSoftmaxLoss"]
