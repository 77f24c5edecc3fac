"""How much worse still counts as not worse: a share of the other's mean, or points of the metric. Never a bare number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class RelativeMargin:
    """A share of the comparator's mean: 0.05 allows a fall from 0.20 to 0.19.

    Attributes:
        share: in [0, 1].
    """

    share: float

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"Expected a share from 0 to 1, got {self.share}: 5 % is 0.05.")

    def as_dict(self) -> dict[str, float]:
        """JSON-able; `margin_from_dict` reads it back."""
        return {"relative": self.share}


@dataclass(frozen=True)
class AbsoluteMargin:
    """Points of the metric itself: 0.05 allows a fall from 0.20 to 0.15.

    Attributes:
        points: in [0, 1], as the metrics are.
    """

    points: float

    def __post_init__(self) -> None:
        if not 0 <= self.points <= 1:
            raise ValueError(f"Expected points from 0 to 1, got {self.points}: the metrics lie between 0 and 1.")

    def as_dict(self) -> dict[str, float]:
        """JSON-able; `margin_from_dict` reads it back."""
        return {"absolute": self.points}


Margin = RelativeMargin | AbsoluteMargin


def margin_size(margin: Margin) -> float:
    """The number in it; what it counts is for the caller to know."""
    return margin.share if isinstance(margin, RelativeMargin) else margin.points


def margin_from_dict(given: Mapping[str, float]) -> Margin:
    """Reads what `as_dict` wrote.

    Raises:
        ValueError: if it is neither kind of margin.
    """
    match dict(given):
        case {"relative": share, **others} if not others:
            return RelativeMargin(float(share))
        case {"absolute": points, **others} if not others:
            return AbsoluteMargin(float(points))
    raise ValueError(f'Expected a margin such as {{"relative": 0.05}} or {{"absolute": 0.005}}, got {given}.')


def signed(margin: Margin, sign: str = "-") -> str:
    """In words, with a sign: -5.0% or +0.0050."""
    size = margin_size(margin)
    return f"{sign}{size:.1%}" if isinstance(margin, RelativeMargin) else f"{sign}{size:.4f}"
