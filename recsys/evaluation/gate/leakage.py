"""What makes evidence unusable whatever its numbers: a model that saw the holdout, a gain that no model makes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from recsys.evaluation.gate.config import GateConfig
from recsys.evaluation.gate.evidence import Evidence
from recsys.statistics.bootstrap import paired_difference


def leaks(evidence: Evidence) -> list[str]:
    """A sentence for each model that was trained on events of the holdout."""
    models = (
        (f"challenger (version {evidence.challenger_version})", evidence.challenger_trained_through),
        (f"champion (version {evidence.champion_version})", evidence.champion_trained_through),
    )
    return [
        f"Leak: the {name} was trained through {through.isoformat()}, after the holdout began at "
        f"{evidence.fit_through.isoformat()}: it has seen what it is evaluated on, so its metrics are not valid."
        for name, through in models
        if through is not None and through > evidence.fit_through
    ]


def failed_behaviour(evidence: Evidence) -> list[str]:
    """A sentence for each behaviour test that the judged fit failed, with the test's example."""
    return [
        f"Behaviour test {result['name']} failed: {result.get('detail') or 'it gave no example'}."
        for result in evidence.behaviour
        if not result["passed"]
    ]


def implausible_gain(evidence: Evidence, baselines: Mapping[str, float], config: GateConfig) -> str | None:
    """A sentence if NDCG@10 is significantly above a multiple of the champion's and of every baseline's; else None.

    From one night to the next the same users and items do not become several times as predictable; a model that has
    learned what it is asked does that. The baselines are fitted up to the holdout's begin, so a champion that is merely
    stale is no excuse. Without a champion there is no such rule: on a large catalog a good first model can be many times
    above popularity. Against a system that never hits, a multiple means nothing.
    """
    if evidence.kind == "first" or not baselines or config.max_plausible_ratio is None:
        return None
    challenger, _ = evidence.pair("challenger", "champion")
    names = ("champion", *baselines)
    means = {name: float(np.nan_to_num(evidence.users(name)["ndcg_at_10"].mean())) for name in names}
    best = max(means, key=means.__getitem__)
    if means[best] <= 0:
        return None
    judged = challenger["ndcg_at_10"].notna().to_numpy()
    mine, theirs = (evidence.users(n)["ndcg_at_10"].to_numpy(np.float64)[judged] for n in ("challenger", best))
    change = paired_difference(
        mine,
        theirs,
        relative=True,
        seed=evidence.seed,
        num_resamples=config.num_resamples,
        confidence=config.confidence,
    )
    is_believed = int((mine > theirs).sum()) >= config.min_differing_users
    if not is_believed or 1.0 + change.low <= config.max_plausible_ratio:
        return None
    return (
        f"Too good to be true: NDCG@10 {mine.mean():.4f} is {1.0 + change.mean:.1f} times that of {best.replace('_', ' ')} "
        f"({theirs.mean():.4f}), the best of champion and baselines, and significantly more than "
        f"{config.max_plausible_ratio:g} times: a sign of a leak. A person has to check it; if the gain is real, decide again "
        "with accept_gain."
    )
