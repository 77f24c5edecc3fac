"""Files that steps leave behind: their digests are recorded when they are written, and compared before each use.

The digests are in the feedback database, see `recsys.store.artifact_digests`. A process that may write files, or put
artifacts into MLflow, cannot change what the database says of them. Of files that were made before digests were recorded
nothing is known: they are used as they are, with a warning, until `recsys models check --adopt` records them.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsys.errors import DigestError, InputError
from recsys.files.digests import FileDigest, Known, below, digest_folder, require_same
from recsys.store.artifact_digests import ArtifactKind

if TYPE_CHECKING:
    from recsys.pipeline.context import Context
    from recsys.records import Batch
    from recsys.training.dataset.training_set import TrainingSetSummary

TRAINING_SET, RECOMMENDER = "training_set", "recommender"
IN_VERSION = f"artifacts/{RECOMMENDER}"  # where MLflow keeps it in the model of a version
NUMBERS = "fit.json"
NEW_RUN = "Put it back from a backup, or start a new run."
logger = logging.getLogger("recsys")


def version_advice(version: str) -> str:
    """What to do about a file of a version that is not what it was."""
    return (
        f"Put it back from a backup, or leave version {version} out of use: `recsys rollback` makes an earlier champion "
        "champion, and a new run trains another one. `recsys models check` looks at all files."
    )


def known_files(context: Context, batch_id: str, folder: Path, *kinds: ArtifactKind) -> dict[str, FileDigest]:
    """What is known of the files in a batch's folder; nothing in any other, such as that of a dry run."""
    return context.store.backlog.known_files(batch_id, *kinds) if folder == context.folder(batch_id) else {}


def record_training_set(context: Context, batch_id: str, summary: TrainingSetSummary) -> str:
    """Makes what lies in the batch's folder its frozen set: reference, digest of its content, and digests of its files.

    Returns:
        The reference.

    Raises:
        ConflictError: if the batch was released or taken over.
    """
    folder = context.folder(batch_id) / TRAINING_SET
    uri = context.settings.reference(folder)
    context.store.backlog.record_files(
        ArtifactKind.TRAINING_SET, batch_id, TRAINING_SET, digest_folder(folder, TRAINING_SET),
        training_set_uri=uri, training_set_digest=summary.digest, num_rows=summary.num_rows,
    )  # fmt: skip
    return uri


def record_candidate(context: Context, batch_id: str, name: str) -> None:
    """Records what was measured of a candidate."""
    path = f"candidates/{name}"
    files = digest_folder(context.folder(batch_id) / path, path)
    context.store.backlog.record_files(ArtifactKind.CANDIDATE, batch_id, path, files)


def record_fit(context: Context, batch_id: str, fit_name: str) -> None:
    """Records a fitted recommender and its numbers."""
    context.store.backlog.record_files(
        ArtifactKind.FIT, batch_id, fit_name, fit_files(context.folder(batch_id) / fit_name)
    )


def fit_files(folder: Path) -> dict[str, FileDigest]:
    """Digests of what other steps read in the folder of a fit; plots and cards are for people."""
    files = digest_folder(folder, folder.name)
    used = (f"{folder.name}/{RECOMMENDER}/", f"{folder.name}/{NUMBERS}")
    return {path: file for path, file in files.items() if path.startswith(used)}


def record_evidence(context: Context, batch_id: str, folder: Path) -> str:
    """Makes a folder the batch's evidence, with digests of its files; returns the reference.

    Raises:
        ConflictError: if the batch was released or taken over.
    """
    uri, files = context.settings.reference(folder), digest_folder(folder, folder.name)
    context.store.backlog.record_files(ArtifactKind.EVIDENCE, batch_id, folder.name, files, evidence_uri=uri)
    return uri


def recorder_of_version(
    context: Context, batch_id: str, fit_name: str, fit: Known
) -> Callable[[Mapping[str, FileDigest]], None]:
    """Records the model that a version will be, before it is uploaded: see `Registry.log_version`.

    Args:
        context: stores and folders.
        batch_id: of the fit.
        fit_name: "judged" or "refit".
        fit: what was recorded of the fit's files: the recommender in the model must be the same.
    """

    def on_saved(files: Mapping[str, FileDigest]) -> None:
        inside = below(files, IN_VERSION)
        for path, expected in below(below(fit, fit_name), RECOMMENDER).items():
            found = inside.get(path)
            if found is None or not found.is_same(expected):
                file = context.folder(batch_id) / fit_name / RECOMMENDER / path
                raise DigestError(
                    f"Expected {file} with {expected}, as it was fitted, got "
                    f"{found or 'no such file'}: nothing was registered. {NEW_RUN}"
                )
        own = {path: replace(one, path=path) for name, one in files.items() for path in [f"{fit_name}/{name}"]}
        context.store.backlog.record_files(ArtifactKind.VERSION, batch_id, fit_name, own)

    return on_saved


def files_of_version(context: Context, version: str) -> dict[str, FileDigest]:
    """What is known of the model of a version: paths in it -> digest."""
    made = context.store.backlog.find_maker(version)
    if made is None:
        return {}
    batch, fit_name = made
    return below(context.store.backlog.known_files(batch.batch_id, ArtifactKind.VERSION), fit_name)


def recommender_files(context: Context, version: str) -> dict[str, FileDigest]:
    """The same of the recommender in it."""
    known = below(files_of_version(context, version), IN_VERSION)
    if not known:
        logger.warning(
            "No digest is recorded of version %s: `recsys models check --adopt` records what is there.", version
        )
    return known


def require_recommender(context: Context, version: str) -> None:
    """Checks the recommender of a version without loading it.

    Raises:
        DigestError: if it is not the one that was registered.
    """
    if known := recommender_files(context, version):
        with context.registry.files.model_files(version, IN_VERSION) as folder:
            require_same(folder, known, version_advice(version))


def require_fit(context: Context, batch: Batch, folder: Path, fit_name: str) -> None:
    """Checks the recommender of a fit in a batch's folder before it is loaded.

    Raises:
        DigestError: if it is not the one that was fitted.
    """
    known = known_files(context, batch.batch_id, folder, ArtifactKind.FIT)
    require_same(folder / fit_name, below(known, fit_name), NEW_RUN)


def parsed(file: Path, content: bytes) -> dict[str, Any]:
    """A JSON object that a step left behind.

    Raises:
        InputError: naming the file, if it cannot be read.
    """
    try:
        return dict(json.loads(content))
    except (ValueError, TypeError) as error:
        raise InputError(
            f"Expected JSON in {file}, got what cannot be read ({str(error)[:200]}): nothing was done with it. {NEW_RUN}"
        ) from error
