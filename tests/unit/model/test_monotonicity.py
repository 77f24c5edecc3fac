"""A dislike never raises anything: over 10,000 random histories, with every term of the model and every reason."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from recsys.feedback.adjustments import feature_name
from recsys.feedback.reasons import REASON_EFFECTS, base_weight
from recsys.model.feature_adjustment import catalog_features
from recsys.model.recommender import Recommender
from recsys.records import DislikeReason
from tests.unit.recommenders import NUM_ITEMS, REASONS, with_reasons

ROUNDING = 1e-6  # of float32 scores around 1


def one_dislike_each(users: list[str], rng: np.random.Generator) -> pd.DataFrame:
    reasons = rng.choice(REASONS, len(users))
    return pd.DataFrame({
        "user_id": users, "item_id": [f"i{n:02d}" for n in rng.integers(NUM_ITEMS, size=len(users))],
        "signal": "dislike", "weight": [base_weight(reason) for reason in reasons], "age_days": 0.0, "reason": reasons,
    })  # fmt: skip


def played_down(recommender: Recommender, dislikes: pd.DataFrame) -> np.ndarray:
    """Whether an item shares a feature that the reason plays down with each disliked one; itself too, if it has any."""
    films = catalog_features(recommender.catalog)
    shared = {}
    for reason in REASONS:
        kinds = REASON_EFFECTS[DislikeReason(reason)].deemphasis
        names = [{feature_name(kind, name) for kind in kinds for name in film.of_kind(kind)} for film in films]
        shared[reason] = np.array([[bool(one & other) for other in names] for one in names])
    places = [recommender.positions[item] for item in dislikes["item_id"]]
    return np.array([shared[reason][place] for reason, place in zip(dislikes["reason"], places, strict=True)])


def test_one_more_dislike_raises_nothing_and_lowers_what_shares_the_features_it_is_about(
    adjusting: Recommender, random_histories: Callable[..., pd.DataFrame]
) -> None:
    users = [f"u{n:05d}" for n in range(10_000)]  # some without history
    histories = with_reasons(random_histories(len(users), seed=4), seed=4)
    dislikes = one_dislike_each(users, np.random.default_rng(5))
    # One that takes the place of another signal is compared with the history without that: never above it.
    pairs, new = (pd.MultiIndex.from_frame(frame[["user_id", "item_id"]]) for frame in (histories, dislikes))
    rest = histories[~pairs.isin(new)]
    assert len(histories) - len(rest) > 1_500
    before = adjusting.score(rest, users)
    change = adjusting.score(pd.concat([rest, dislikes], ignore_index=True), users) - before
    assert change.max() <= ROUNDING

    shares = played_down(adjusting, dislikes)
    own = dislikes["item_id"].to_numpy()[:, None] == adjusting.item_ids
    for group in (shares & own, shares & ~own):
        asked = group & (before > 1e-3)
        assert asked.sum() > 1_000
        assert (change[asked] < 0).all()
    linked = own[:, : adjusting.model.num_linked].any(axis=1)
    assert (change[linked].min(axis=1) < -1e-4).mean() > 0.9  # whatever the reason
