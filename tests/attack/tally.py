"""What was tried, what came of it, and what must never come of it."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field

MAX_KEPT = 50  # failures that are shown in full


@dataclass
class Tally:
    """Counts of outcomes by kind, from several threads.

    Attributes:
        counts: (kind, outcome) -> how often.
        failures: what must not happen and did, the first so many.
        num_failures: all of them.
    """

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    num_failures: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    @property
    def total(self) -> int:
        """Everything that was tried."""
        return sum(self.counts.values())

    def add(self, kind: str, outcome: str) -> None:
        """One attempt."""
        with self._lock:
            self.counts[kind, outcome] += 1

    def fail(self, what: str) -> None:
        """Something that must not happen."""
        with self._lock:
            self.num_failures += 1
            if len(self.failures) < MAX_KEPT:
                self.failures.append(what)

    def lines(self) -> list[str]:
        """A line a kind: how many, and what came of them."""
        found = []
        for kind in dict.fromkeys(kind for kind, _ in sorted(self.counts)):
            outcomes = {outcome: n for (of, outcome), n in sorted(self.counts.items()) if of == kind}
            said = "  ".join(f"{outcome}: {n:,}" for outcome, n in outcomes.items())
            found.append(f"  {kind:<28} {sum(outcomes.values()):>6,}   {said}")
        return found
