"""What a list holds, as the database keeps it: rows of entries, and one compressed piece with everything that explains them.

Reasons and contributions are most of a list's bytes, no query asks for them, and they are read together: kept as JSON text
of each entry they took seven times as much.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from recsys.errors import InputError
from recsys.records import RecommendationEntry, RecommendationSet
from recsys.store.json_text import from_json, to_json

DIGEST_BYTES = 16


@dataclass(frozen=True)
class PreparedList:
    """A list that is ready to be written.

    Attributes:
        given: the list.
        explanations: reasons and contributions of its entries, compressed.
        digest: of its content: two lists of a version with the same one are the same to whoever is served.
    """

    given: RecommendationSet
    explanations: bytes
    digest: bytes

    @classmethod
    def of(cls, given: RecommendationSet) -> PreparedList:
        """Does all the work that needs no database.

        Raises:
            InputError: if an item or a rank comes twice.
        """
        _validate(given)
        explained = to_json([[entry.reason, entry.contributions] for entry in given.entries]).encode()
        entries = [[entry.rank, entry.item_id, entry.score, entry.predicted_score] for entry in given.entries]
        content = to_json([entries, given.calibration, given.adjustment_power]).encode()
        digest = hashlib.blake2b(content + b"\n" + explained, digest_size=DIGEST_BYTES).digest()
        return cls(given, zlib.compress(explained), digest)

    def set_row(self) -> dict[str, Any]:
        """Of `recommendation_sets`, without a publication."""
        one = self.given
        return {
            "user_id": one.user_id, "model_version": one.model_version, "as_of": one.as_of,
            "created_at": one.created_at, "kind": str(one.kind), "calibration": one.calibration,
            "adjustment_power": one.adjustment_power, "digest": self.digest, "explanations": self.explanations,
        }  # fmt: skip


def entry_row(set_id: int, entry: RecommendationEntry) -> dict[str, Any]:
    """Of `recommendation_entries`."""
    return {
        "recommendation_set_id": set_id, "rank": entry.rank, "item_id": entry.item_id, "score": entry.score,
        "predicted_score": entry.predicted_score,
    }  # fmt: skip


def to_entries(rows: Iterable[Row[Any]], explanations: bytes | None) -> tuple[RecommendationEntry, ...]:
    """Entries from their rows, in the order of ranks, and the explanations of their list."""
    explained: Sequence[Any] = [] if explanations is None else from_json(zlib.decompress(explanations).decode())
    return tuple(
        RecommendationEntry(row.rank, row.item_id, row.score, reason, contributions, row.predicted_score)
        for row, (reason, contributions) in zip(rows, explained, strict=True)
    )


def _validate(given: RecommendationSet) -> None:
    for what, values in (
        ("item", [entry.item_id for entry in given.entries]),
        ("rank", [entry.rank for entry in given.entries]),
    ):
        if len(set(values)) != len(values):
            whose = given.user_id or "users without one of their own"
            raise InputError(f"Expected each {what} once in the list for {whose}, got {values}.")
