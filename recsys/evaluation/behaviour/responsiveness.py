"""Responsiveness: how much less the next list resembles a film, after its user disliked it.

Each simulated dislike is one that could happen tomorrow: a user dislikes an item of their own first ten. Of the kinds of
features that the item has (genre, cast, franchise) one is drawn, and the user states the reason which is about that kind.
The resemblance of a list to the item is the similarity of that kind (`ItemSimilarity`), a mean over ten slots; an empty
slot and an item of which nothing is known resemble nothing. The disliked item itself is part of the first list and counts
there, as 1: that it is gone is part of the answer, and `responsiveness_unspecified` says how large that part is, since a
dislike without a reason plays no feature down.

Left out are dislikes that cannot be answered: of items without features, and where fewer than ten unseen items without
the disliked features score above 0. A user who likes westerns only, and dislikes one for being a western, would otherwise
have to be given what the model advises against. How many these are is `responsiveness_unanswerable_share`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys.evaluation.behaviour.dislikes import with_signals
from recsys.evaluation.behaviour.result import BehaviourResult
from recsys.evaluation.metrics.similarity import ItemSimilarity
from recsys.feedback.reasons import REASON_EFFECTS, FeatureKind, base_weight
from recsys.model.lists import open_items
from recsys.model.protocol import RecommenderProtocol
from recsys.records import DislikeReason
from recsys.statistics.bootstrap import Interval, paired_difference

FloatArray = npt.NDArray[np.float64]
NUM_DISLIKES = 2_000
NUM_UNSPECIFIED = 500  # of them are repeated without a reason
MIN_FALL = 0.6
LIST_LENGTH = 10
KINDS = tuple(FeatureKind)
BATCH_SIZE = 256  # users scored at once


def _reason_about(kind: FeatureKind) -> str:
    """The reason that plays a kind of feature down most."""
    return str(max(REASON_EFFECTS, key=lambda reason: REASON_EFFECTS[reason].deemphasis.get(kind, 0.0)))


REASON_ABOUT: Mapping[FeatureKind, str] = {kind: _reason_about(kind) for kind in KINDS}


@dataclass(frozen=True, eq=False)
class SimulatedDislikes:
    """Dislikes that could happen, and the lists before them.

    Attributes:
        dislikes: one row each: `user_id` (of the simulation), `of_user` (whose history it is), `item_id`, `position` of
            the item, `kind` (a `FeatureKind`), and `before`: the resemblance of the list before.
        histories: of the simulation's users.
        unanswerable_share: of what was drawn and left out, see the module's text.
    """

    dislikes: pd.DataFrame
    histories: pd.DataFrame
    unanswerable_share: float = 0.0


def simulate_dislikes(
    recommender: RecommenderProtocol, histories: pd.DataFrame, num_dislikes: int, seed: int
) -> SimulatedDislikes:
    """Draws users, an item of each one's list, and a kind of its features; at most `num_dislikes`.

    A user comes again, with another item, only where there are fewer users than dislikes.
    """
    rng = np.random.default_rng(seed)
    everyone = np.sort(histories["user_id"].unique())
    users = rng.permutation(everyone)[:num_dislikes]
    lists = recommender.top_items(histories[histories["user_id"].isin(set(users))], list(users), LIST_LENGTH)
    drawn = lists.sample(frac=1.0, random_state=int(rng.integers(2**31)))
    drawn = drawn.assign(turn=drawn.groupby("user_id").cumcount()).sort_values("turn", kind="stable")
    drawn["position"] = pd.Index(recommender.item_ids).get_indexer(pd.Index(drawn["item_id"]))
    similarity = ItemSimilarity(recommender.features)
    has_kind = np.stack([similarity.has_kind(kind) for kind in KINDS], axis=1)[drawn["position"].to_numpy()]
    drawn["kind"] = np.array(KINDS, dtype=object)[(has_kind * rng.random(has_kind.shape)).argmax(axis=1)]
    drawn = drawn[has_kind.any(axis=1)].head(num_dislikes)
    answerable = _has_alternatives(drawn, histories, recommender)
    drawn = drawn[answerable].reset_index(drop=True)
    drawn = drawn.rename(columns={"user_id": "of_user"}).assign(user_id=[f"simulated {n}" for n in range(len(drawn))])
    first = drawn[["user_id", "of_user"]].merge(lists.rename(columns={"user_id": "of_user"}), on="of_user")
    drawn["before"] = resemblance(similarity, drawn, first, recommender)
    own = drawn[["user_id", "of_user"]].merge(histories.rename(columns={"user_id": "of_user"}), on="of_user")
    return SimulatedDislikes(
        drawn[["user_id", "of_user", "item_id", "position", "kind", "before"]],
        own.drop(columns="of_user"),
        1.0 - float(answerable.mean()) if len(answerable) else 0.0,
    )


def _has_alternatives(
    drawn: pd.DataFrame, histories: pd.DataFrame, recommender: RecommenderProtocol
) -> npt.NDArray[np.bool_]:
    """Whether ten unseen items score above 0 and share no feature of the drawn kind with the drawn item."""
    users = list(drawn["user_id"].unique())
    own = histories[histories["user_id"].isin(set(users))]
    rows = pd.Index(users).get_indexer(pd.Index(drawn["user_id"]))
    positions, kinds = drawn["position"].to_numpy(), drawn["kind"].to_numpy()
    similarity, found = ItemSimilarity(recommender.features), np.zeros(len(drawn), bool)
    for start in range(0, len(users), BATCH_SIZE):
        block = users[start : start + BATCH_SIZE]
        is_open = (recommender.score(own, block) > 0) & open_items(
            own, block, recommender.item_ids, recommender.eligible
        )
        for kind in KINDS:
            chosen = np.flatnonzero((rows >= start) & (rows < start + len(block)) & (kinds == kind))
            is_other = ~similarity.shares(positions[chosen], kind)
            found[chosen] = np.count_nonzero(is_open[rows[chosen] - start] & is_other, axis=1) >= LIST_LENGTH
    return found


def resemblance(
    similarity: ItemSimilarity, dislikes: pd.DataFrame, lists: pd.DataFrame, recommender: RecommenderProtocol
) -> FloatArray:
    """Mean over ten slots of the similarity of a list's items to the disliked item; `(num_dislikes,)` in [0, 1]."""
    rows = pd.Index(dislikes["user_id"]).get_indexer(pd.Index(lists["user_id"]))
    listed = pd.Index(recommender.item_ids).get_indexer(pd.Index(lists["item_id"]))
    disliked, kinds = dislikes["position"].to_numpy()[rows], dislikes["kind"].to_numpy()[rows]
    total = np.zeros(len(dislikes))
    for kind in KINDS:
        chosen = kinds == kind
        found = similarity.of_pairs(disliked[chosen], listed[chosen], [kind])
        np.add.at(total, rows[chosen], np.nan_to_num(found))
    return total / LIST_LENGTH


def next_resemblance(
    recommender: RecommenderProtocol, simulated: SimulatedDislikes, reason: str | None = None
) -> FloatArray:
    """Resemblance of the lists after the dislikes; `(num_dislikes,)`.

    Args:
        recommender: makes the lists.
        simulated: the dislikes.
        reason: stated for all of them; None: the one which is about each dislike's kind of feature.
    """
    dislikes = simulated.dislikes
    reasons = dislikes["kind"].map(REASON_ABOUT) if reason is None else pd.Series(reason, index=dislikes.index)
    weights = reasons.map(base_weight).to_numpy(np.float64)
    told = dislikes[["user_id", "item_id"]].assign(signal="dislike", reason=reasons, weight=weights, age_days=0.0)
    lists = recommender.top_items(with_signals(simulated.histories, told), list(dislikes["user_id"]), LIST_LENGTH)
    return resemblance(ItemSimilarity(recommender.features), dislikes, lists, recommender)


def fall(before: FloatArray, after: FloatArray, seed: int) -> Interval:
    """By how much the mean resemblance falls, as a share of what it was, with its bootstrap interval over dislikes."""
    change = paired_difference(after, before, relative=True, seed=seed, num_resamples=1_000)
    return Interval(-change.mean, -change.high, -change.low)


def dislike_is_answered(
    recommender: RecommenderProtocol, histories: pd.DataFrame, num_dislikes: int = NUM_DISLIKES, seed: int = 0
) -> BehaviourResult:
    """The next list resembles a disliked film at least 60 % less, on average over simulated dislikes with a reason."""
    name = "dislike_is_answered"
    simulated = simulate_dislikes(recommender, histories, num_dislikes, seed)
    dislikes = simulated.dislikes
    if dislikes.empty:
        return BehaviourResult(name, True, "no listed item has known features and alternatives: nothing to measure")
    before, after = dislikes["before"].to_numpy(np.float64), next_resemblance(recommender, simulated)
    found = fall(before, after, seed)
    few = SimulatedDislikes(dislikes.head(NUM_UNSPECIFIED), simulated.histories)
    silent = next_resemblance(recommender, few, str(DislikeReason.UNSPECIFIED))
    metrics = {
        "responsiveness": found.mean,
        "responsiveness_low": found.low,
        "responsiveness_unspecified": fall(before[:NUM_UNSPECIFIED], silent, seed).mean,
        "responsiveness_num_dislikes": float(len(dislikes)),
        "responsiveness_unanswerable_share": simulated.unanswerable_share,
        **_by_kind(dislikes, after),
    }
    return BehaviourResult(
        name, found.mean >= MIN_FALL, _told(found, metrics, dislikes, after), metrics
    )  # fmt: skip


def _by_kind(dislikes: pd.DataFrame, after: FloatArray) -> dict[str, float]:
    """`responsiveness_<kind>` of the kinds that were disliked."""
    sums = pd.DataFrame({"kind": dislikes["kind"], "before": dislikes["before"], "after": after}).groupby("kind").sum()
    return {f"responsiveness_{kind}": 1.0 - row["after"] / row["before"] for kind, row in sums.iterrows()}


def _told(found: Interval, metrics: Mapping[str, float], dislikes: pd.DataFrame, after: FloatArray) -> str:
    text = (
        f"after {len(dislikes)} dislikes with a reason lists resemble the film {found.mean:.1%} less (interval "
        f"{found.low:.1%} to {found.high:.1%}), without a reason {metrics['responsiveness_unspecified']:.1%}"
    )
    if found.mean >= MIN_FALL:
        return text
    worst = int((after - dislikes["before"]).argmax())
    one = dislikes.iloc[worst]
    return (
        f"{text}, expected at least {MIN_FALL:.0%}: user {one['of_user']} disliked {one['item_id']} "
        f"({REASON_ABOUT[one['kind']]}), and their list resembled its {one['kind']} by {one['before']:.2f} before and by "
        f"{after[worst]:.2f} after"
    )
