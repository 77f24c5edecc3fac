"""What a model claims of its explanations, and what becomes of a claim that the champion made."""

from __future__ import annotations

from recsys.evaluation.gate.evidence import Evidence

NOT_CLAIMED = (
    "Not claimed: version {version} does not say that its scores are the sum of their contributions, so nothing shows that "
    "its reasons say what the scores are made of."
)
LOST = (
    "Not claimed: the champion's contributions (version {champion}) are exact sums of its scores, and it is tested for that; "
    "version {version} does not claim it, so there is no evidence that its reasons hold. Only a person may let it take "
    'the champion\'s place, in their name: `recsys promote {version} --accept-thin-evidence "WHY"`, or the form of '
    "model_promotion."
)


def lost_claim(evidence: Evidence) -> str | None:
    """A sentence if the champion claims exact contributions and the challenger does not; else None."""
    if evidence.kind == "first" or evidence.claims_exact("challenger") or not evidence.claims_exact("champion"):
        return None
    return LOST.format(version=evidence.challenger_version, champion=evidence.champion_version)


def not_claimed(evidence: Evidence) -> str | None:
    """A sentence if the challenger does not claim exact contributions; else None."""
    if evidence.claims_exact("challenger"):
        return None
    return lost_claim(evidence) or NOT_CLAIMED.format(version=evidence.challenger_version)
