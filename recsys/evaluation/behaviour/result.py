"""Outcome of a behaviour test."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class BehaviourResult:
    """Outcome of one behaviour test.

    Attributes:
        name: of the test.
        passed: or failed.
        detail: the number behind it, or the example that failed.
        metrics: what was measured, to be logged with the version.
        version: of the test. It goes up when the same model could pass one and fail the other: results of two versions
            do not compare.
        claimed: False: the model does not claim what the test asks for, so it was not tried, and `passed` says nothing.
    """

    name: str
    passed: bool
    detail: str
    metrics: dict[str, float] = field(default_factory=dict)
    version: int = 1
    claimed: bool = True

    def as_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return asdict(self)
