"""Digests of files that steps left behind; every function works in the caller's transaction.

| `kind` | files | `path` begins with |
|---|---|---|
| `training_set` | what a batch froze | `training_set/` |
| `candidate` | what was measured of a candidate | `candidates/NAME/` |
| `fit` | a fitted recommender and the numbers of its fit | `judged/` or `refit/` |
| `evidence` | what the gate looks at | `evidence/` or `evidence_through_.../` |
| `version` | the model that a version is in MLflow | `judged/` or `refit/` |

`owner` is the batch. A version is found by its batch and its fit, since its number is only known once its files are there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from sqlalchemy import Connection, delete, insert, select

from recsys.files.digests import FileDigest
from recsys.store.tables import artifact_digests


class ArtifactKind(StrEnum):
    """What kind of files; see the module's text."""

    TRAINING_SET = "training_set"
    CANDIDATE = "candidate"
    FIT = "fit"
    EVIDENCE = "evidence"
    VERSION = "version"


def record(
    connection: Connection, kind: ArtifactKind, owner: str, folder: str, files: Mapping[str, FileDigest]
) -> None:
    """Replaces what is known of one folder of a batch; the paths of `files` begin with its name."""
    table = artifact_digests.c
    own = (table.kind == kind) & (table.owner == owner) & table.path.startswith(f"{folder}/", autoescape=True)
    connection.execute(delete(artifact_digests).where(own))
    rows = [{"kind": str(kind), "owner": owner, **vars(file)} for file in files.values()]
    if rows:
        connection.execute(insert(artifact_digests), rows)


def read(connection: Connection, kinds: Iterable[ArtifactKind], owner: str) -> dict[str, FileDigest]:
    """What is known of a batch's files of some kinds: path -> digest."""
    table = artifact_digests.c
    query = select(table.path, table.sha256, table.size, table.written_at)
    rows = connection.execute(query.where(table.owner == owner, table.kind.in_([*kinds])).order_by(table.path))
    return {row.path: FileDigest(row.path, row.sha256, row.size, row.written_at) for row in rows}


def forget(connection: Connection, owner: str, folders: Iterable[str] | None = None) -> None:
    """Forgets files of a batch: those in some folders, before they are removed; None: all. Versions stay in MLflow."""
    table = artifact_digests.c
    own = table.owner == owner
    if folders is None:
        connection.execute(delete(artifact_digests).where(own))
        return
    for folder in folders:
        inside = table.path.startswith(f"{folder}/", autoescape=True)
        connection.execute(delete(artifact_digests).where(own, inside, table.kind != ArtifactKind.VERSION))
