"""Eligibility: which items may be recommended. Training sees all items; lists hold only eligible ones.

An item is eligible for a user at a time if it is available then (`available_from` <= time < `available_until`, not hidden),
if the rule of the model version admits it, and if the user has not excluded it.
"""

from __future__ import annotations

from datetime import datetime

from recsys.config.eligibility import EligibilityRule
from recsys.records import Item

__all__ = ["EligibilityRule", "is_eligible"]


def is_eligible(item: Item, rule: EligibilityRule, at: datetime) -> bool:
    """Whether an item may be recommended at a time, as the catalog has it and the rule admits it."""
    if item.is_hidden or (item.available_from is not None and at < item.available_from):
        return False
    if item.available_until is not None and at >= item.available_until:
        return False
    return rule.admits(item.release_year, item.genres, item.tags)
