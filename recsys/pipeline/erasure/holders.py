"""What still holds a user who was erased: frozen sets, what was fitted on them, and evidence that names its users.

An erasure is complete once nothing does. Models and evidence have no user's row that names anybody; a model that was fitted on
a user's events has learned from them all the same, and counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from recsys.pipeline.context import Context
from recsys.pipeline.erasure.refreezing import MADE_OF_SET, users_of
from recsys.pipeline.kept_files import TRAINING_SET
from recsys.records import Batch
from recsys.registry.deletion import Fit
from recsys.store.erasures import Erasure

EVIDENCE = "evidence"  # of a batch there may be several: evidence_through_...
TABLES = ("per_user.parquet", "opinions.parquet", "slices.parquet")


@dataclass(frozen=True)
class Holders:
    """What holds an erased user.

    Attributes:
        batches: whose frozen set, or what was made of it, is still there.
        fits: in MLflow, on such a set, of these or of removed ones.
        files: evidence from before users had pseudonyms in it, relative to the home.
    """

    batches: tuple[Batch, ...] = ()
    fits: tuple[Fit, ...] = ()
    files: tuple[str, ...] = ()

    @property
    def versions(self) -> list[str]:
        """Model versions among the fits, by number."""
        return sorted({fit.version for fit in self.fits if fit.version}, key=int)

    def as_dict(self) -> dict[str, list[str]]:
        """JSON-able, as `erasures.remaining` has it. Empty lists are left out: nothing is left once the dict is empty."""
        found = {
            "batches": [batch.batch_id for batch in self.batches],
            "model_versions": self.versions,
            "runs": sorted(fit.run_id for fit in self.fits if not fit.version),
            "files": list(self.files),
        }
        return {name: names for name, names in found.items() if names}


@dataclass(frozen=True)
class Traces:
    """What there is, read once for all erasures.

    Attributes:
        context: stores and folders.
        batches: all of them.
        users: batch id -> names of the users of its frozen set; without one nobody.
        evidence: folder of evidence that has ids -> names of its users.
        fits: what was fitted on a set that may hold one of the users.
    """

    context: Context
    batches: tuple[Batch, ...]
    users: dict[str, set[str]]
    evidence: dict[str, set[str]]
    fits: tuple[Fit, ...]

    @classmethod
    def collect(cls, context: Context, erasures: Iterable[Erasure]) -> Traces:
        """Reads users of frozen sets and of evidence, and asks MLflow once."""
        batches = tuple(context.store.backlog.list_batches())
        users, evidence = {}, {}
        for batch in batches:
            folder = context.folder(batch.batch_id)
            users[batch.batch_id] = _named(context, users_of(folder / TRAINING_SET))
            for path in named_evidence(folder):
                evidence[context.settings.reference(path)] = _named(context, _users_in(path))
        digests = {digest for one in erasures for digest in _digests_of(one).values()}
        digests |= {
            batch.training_set_digest for batch in batches if users[batch.batch_id] and batch.training_set_digest
        }
        return cls(context, batches, users, evidence, tuple(context.registry.fits.fits_on(digests)))

    def holders(self, erasure: Erasure) -> Holders:
        """What still holds the user of an erasure."""
        named = _digests_of(erasure)
        held = tuple(batch for batch in self.batches if self._holds(batch, erasure.user_hash, named))
        digests = {*named.values(), *(batch.training_set_digest for batch in held)}
        fits = tuple(fit for fit in self.fits if fit.dataset_digest in digests)
        files = tuple(sorted(path for path, users in self.evidence.items() if erasure.user_hash in users))
        return Holders(held, fits, files)

    def _holds(self, batch: Batch, user_hash: str, named: dict[str, str]) -> bool:
        """By its frozen set; where only what was made of that is left, by what the erasure says of it."""
        folder = self.context.folder(batch.batch_id)
        if (folder / TRAINING_SET).is_dir():
            return user_hash in self.users[batch.batch_id]
        is_named = named.get(batch.batch_id) == batch.training_set_digest
        return is_named and any((folder / name).is_dir() for name in MADE_OF_SET)


def _digests_of(erasure: Erasure) -> dict[str, str]:
    """Batch id -> digest of its set at the time of the erasure."""
    return {str(one["batch_id"]): str(one["training_set_digest"]) for one in erasure.batches}


def named_evidence(folder: Path) -> Iterator[Path]:
    """Folders of evidence of a batch whose users have no pseudonyms."""
    for path in sorted(folder.glob(f"{EVIDENCE}*/evidence.json")):
        if not json.loads(path.read_text(encoding="utf-8")).get("is_keyed"):
            yield path.parent


def _users_in(folder: Path) -> set[str]:
    import pyarrow.parquet as pq

    tables = [pq.read_table(folder / name, columns=["user_id"]) for name in TABLES if (folder / name).is_file()]
    return {str(user_id) for table in tables for user_id in table["user_id"].unique().to_pylist()}


def _named(context: Context, user_ids: Iterable[str]) -> set[str]:
    return set(context.store.erasures.user_hashes(user_ids).values())


def open_erasures(context: Context) -> list[Erasure]:
    """Erasures that are not complete, of users who are not back."""
    return [one for one in context.store.erasures.list_erasures() if one.is_open]


def holders_of(context: Context, erasures: Sequence[Erasure]) -> list[tuple[Erasure, Holders]]:
    """What still holds the user of each erasure; reads nothing if there is none."""
    if not erasures:
        return []
    traces = Traces.collect(context, erasures)
    return [(erasure, traces.holders(erasure)) for erasure in erasures]


def complete_erasures(context: Context, now: datetime) -> dict[str, Any]:
    """Looks what still holds the users of open erasures, writes it beside each, and completes those that nothing holds.

    Returns:
        `num_completed`, `num_open`, and what holds users of the open ones: `batches`, `model_versions`, `runs`, `files`.
    """
    context.store.database.wipe_log()  # for erasures that could not, since somebody read just then
    erasures = open_erasures(context)
    left: dict[str, set[str]] = {}
    num_open = 0
    for erasure, holders in holders_of(context, erasures):
        remaining = holders.as_dict()
        num_open += bool(remaining)
        context.store.erasures.note_remaining(int(erasure.erasure_id or 0), remaining, None if remaining else now)
        for name, names in remaining.items():
            left.setdefault(name, set()).update(names)
    found = {name: sorted(names, key=_by_number) for name, names in left.items()}
    return {"num_completed": len(erasures) - num_open, "num_open": num_open, **found}


def _by_number(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdecimal() else (0, name)
