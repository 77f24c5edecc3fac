"""What a user is served: the published list, with all their feedback since acting at once.

No model is loaded. A published score is the sum of its contributions, so the list that the champion would give now
follows from the published one: what the user has met, disliked or excluded since, and what may not be recommended
now, is left out, contributions of opinions that no longer hold are taken out, and feature adjustments are computed anew from
the dislikes that hold now. What new likes and dislikes say about other items comes with the next published list.

A version of a model family whose scores are not the sums of their contributions has nothing of the kind to go by: its lists are
served as they were published, without live adjustment. What is left out is left out of them, too.

Which version it is, the audit of champions says: see `recsys.store.recommendations`. A list that was made for a user is given
again as long as they are served from the same publication and have said nothing since.

Every list that is given is a recommendation set, and every time it is given an exposure. Not so for a user who was erased:
they are given the list for users without one of their own, and no record is kept of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from recsys.errors import NotFoundError
from recsys.feedback.adjustments import (
    ADJUSTMENT,
    ItemFeatures,
    apply_feature_adjustments,
    calculate_feature_adjustment_from_dislike,
)
from recsys.model.calibration import Calibration
from recsys.model.explanations import FROM_HISTORY, REST, cited_items, with_adjustments, without_tiny
from recsys.records import Item, RecommendationEntry, RecommendationSet, SetKind, UserSignal
from recsys.serving.list_reasons import ListReasons
from recsys.store import FeedbackStore

DAY_S = 86_400.0
SUM_TOLERANCE = 1e-5  # as behaviour tests ask for


def serve_list(store: FeedbackStore, user_id: str, now: datetime, k: int = 10) -> RecommendationSet:
    """Gives a user their list, and records that it was given, unless the user was erased.

    Args:
        store: where to read and write.
        user_id: whose.
        now: time of the exposure; feedback recorded up to now acts.
        k: at most so many items, >= 1; fewer if the published list and that for newcomers hold no more.

    Returns:
        The set, with its number and its first `k` entries.

    Raises:
        NotFoundError: if nothing was ever published.
    """
    while True:
        served = current_list(store, user_id, now, k)
        shown = served.entries[:k]
        if served.user_id is None:
            return replace(served, entries=shown)
        set_id = served.recommendation_set_id
        if set_id is None:
            set_id = store.lists.add_list(served)
        if set_id is not None and store.lists.add_exposure(set_id, len(shown), now):
            return replace(served, recommendation_set_id=set_id, entries=shown)
        # What was read holds no more: the user was erased, or a newer list took the place of one that nobody was shown.


def current_list(store: FeedbackStore, user_id: str, now: datetime, k: int) -> RecommendationSet:
    """What `serve_list` would give, without a record that it was given; it has no number unless it was given before.

    For a user who was erased it is the list for users without one of their own, whose `user_id` is None.

    Raises:
        NotFoundError: if nothing was ever published.
    """
    lists = store.lists.served_lists(user_id)
    own, strangers = (None, None) if lists is None else (lists.own, lists.strangers)
    published = own or strangers
    if lists is None or published is None:
        raise NotFoundError(
            "Expected published recommendations, found none: run `recsys run` until a version is promoted."
        )
    barred = barred_entries(store, user_id, [one for one in (own, strangers) if one is not None], now)
    if lists.is_erased:
        return _for_anybody(strangers or replace(published, user_id=None, entries=()), barred)
    changed_at = store.stream.feedback_changed_at(user_id, now)  # as below: what is later than now does not act yet
    is_current = own is not None and (changed_at is None or changed_at <= own.as_of)
    if own is not None and is_current and len(own.entries) >= k and not _holds(own, barred):
        return own
    publication = lists.publication
    catalog_changed_at = store.catalog.items_changed_at(entry.item_id for entry in published.entries)
    after = max((moment for moment in (changed_at, catalog_changed_at) if moment is not None), default=None)
    made = store.lists.get_adjusted_list(user_id, publication.publication_id, after=after)
    if made is not None and len(made.entries) >= k and not _holds(made, barred):
        return made
    signals = store.stream.user_signals(user_id, now)
    entries = _adjusted(store, published, strangers, signals, now, k, barred)
    return RecommendationSet(
        user_id, published.model_version, now, now, entries, kind=SetKind.ADJUSTED, calibration=published.calibration,
        adjustment_power=published.adjustment_power, publication_id=publication.publication_id,
    )  # fmt: skip


def _for_anybody(strangers: RecommendationSet, barred: frozenset[str]) -> RecommendationSet:
    """The list for users without one of their own, as far as it may be shown now."""
    left = [entry for entry in strangers.entries if entry.item_id not in barred]
    return replace(strangers, entries=tuple(replace(entry, rank=rank) for rank, entry in enumerate(left, start=1)))


def _holds(one: RecommendationSet, barred: frozenset[str]) -> bool:
    return any(entry.item_id in barred for entry in one.entries)


def barred_entries(
    store: FeedbackStore, user_id: str, lists: Sequence[RecommendationSet], now: datetime
) -> frozenset[str]:
    """What must not be shown of lists: hidden or expired since, not admitted by the version's rule, or excluded by the user.

    Args:
        store: where to read.
        user_id: whose exclusions count.
        lists: published, of one version or of several.
        now: what is available then.
    """
    items = store.catalog.get_items(entry.item_id for one in lists for entry in one.entries)
    rules = {version: store.catalog.rule_of_version(version) for version in {one.model_version for one in lists}}
    excluded = {exclusion.item_id for exclusion in store.catalog.list_exclusions(user_id)}
    return frozenset(
        entry.item_id
        for one in lists
        for entry in one.entries
        if entry.item_id in excluded
        or entry.item_id not in items  # it went since, with the user who had named it
        or not items[entry.item_id].is_eligible(rules[one.model_version], now)
    )


def _adjusted(
    store: FeedbackStore,
    published: RecommendationSet,
    strangers: RecommendationSet | None,
    signals: Sequence[UserSignal],
    now: datetime,
    k: int,
    barred: frozenset[str],
) -> tuple[RecommendationEntry, ...]:
    met = {signal.item_id for signal in signals}
    candidates = [entry for entry in published.entries if entry.item_id not in barred]
    fillers = [] if strangers is None else [entry for entry in strangers.entries if entry.item_id not in barred]
    items = store.catalog.get_items(met | {entry.item_id for entry in (*candidates, *fillers)} | _cited(candidates))
    adjustments = current_adjustments(signals, items, store.backlog.half_life_of_version(published.model_version), now)
    holds = {f"{signal.signal}:{signal.item_id}" for signal in signals}
    holds |= {f"recent:{signal.item_id}" for signal in signals if signal.signal != "dislike"}
    state = _Now(
        frozenset(holds | {f"{kind}:{REST}" for kind in FROM_HISTORY}),
        apply_feature_adjustments({}, adjustments.values(), published.adjustment_power),
        items,
        None if published.calibration is None else Calibration(**published.calibration),
    )
    # What went from the catalog since `barred` was looked up, with the user who had named it, is not shown either.
    candidates, fillers = ([one for one in entries if one.item_id in items] for entries in (candidates, fillers))
    reasons = ListReasons(items, adjustments, published.adjustment_power, signals, published)

    def renewed(entries: Sequence[RecommendationEntry]) -> list[RecommendationEntry]:
        if not all(is_a_sum(entry) for entry in entries):
            return [entry for entry in entries if entry.item_id not in met]
        left = [state.renew(entry) for entry in entries if entry.item_id not in met]
        ordered = sorted(left, key=lambda entry: (-entry.score, entry.rank))
        return [replace(entry, reason=text) for entry, text in zip(ordered, reasons.sentences(ordered), strict=True)]

    chosen = renewed(candidates)
    if len(chosen) < k:
        # The list of a user who has met most of it ends with what is popular, scored without their history.
        there = {entry.item_id for entry in chosen}
        chosen += [entry for entry in renewed(fillers) if entry.item_id not in there][: k - len(chosen)]
    return tuple(replace(entry, rank=rank) for rank, entry in enumerate(chosen, start=1))


def is_a_sum(entry: RecommendationEntry) -> bool:
    """Whether a score is the sum of its contributions, so that it can be adjusted by them."""
    error = abs(math.fsum(entry.contributions.values()) - entry.score)
    return error <= SUM_TOLERANCE * max(1.0, abs(entry.score))


def current_adjustments(
    signals: Iterable[UserSignal], items: dict[str, Item], half_life_days: float | None, now: datetime
) -> dict[str, dict[str, float]]:
    """What each item that a user dislikes plays down: item id -> feature -> change, in (-1, 0).

    Args:
        signals: what holds between the user and the items they met.
        items: by id; one that is missing adjusts nothing.
        half_life_days: of the adjustments; None: they do not fade.
        now: ages are counted from here.
    """
    return {
        signal.item_id: calculate_feature_adjustment_from_dislike(
            signal.reason,
            items[signal.item_id].genres,
            items[signal.item_id].cast,
            items[signal.item_id].franchise,
            max(0.0, (now - signal.occurred_at).total_seconds() / DAY_S),
            half_life_days,
        )
        for signal in signals
        if signal.signal == "dislike" and signal.item_id in items
    }


@dataclass(frozen=True)
class _Now:
    """What holds for a user now, and so changes published entries.

    Attributes:
        names: of the contributions `FROM_HISTORY` that still hold.
        multipliers: of features.
        items: by id: those in the lists, and those in the reasons.
        calibration: of the version.
    """

    names: frozenset[str]
    multipliers: dict[str, float]
    items: dict[str, Item]
    calibration: Calibration | None

    def renew(self, entry: RecommendationEntry) -> RecommendationEntry:
        """The entry without what no longer holds, adjusted by what holds."""
        terms = {
            name: value
            for name, value in entry.contributions.items()
            if name.partition(":")[0] not in (ADJUSTMENT, *FROM_HISTORY) or name in self.names
        }
        item = self.items[entry.item_id]
        features = ItemFeatures(item.genres, item.cast, item.franchise).names()
        terms = without_tiny(with_adjustments(terms, features, self.multipliers))
        if terms == entry.contributions:
            return entry
        score = math.fsum(terms.values())
        return replace(
            entry,
            score=score,
            predicted_score=None if self.calibration is None else float(self.calibration.predict(score)),
            contributions=terms,
        )


def _cited(entries: Iterable[RecommendationEntry]) -> set[str]:
    return {item_id for entry in entries for item_id in cited_items(entry.contributions)}
