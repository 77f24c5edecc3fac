"""Whether the files of all runs and versions hold what was written into them; records what was never recorded, when asked.

Every file of a store in this process is hashed. An MLflow server is asked for the models that may serve only: the champion, the
champion before it and the newest run's, since others would be fetched for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from recsys.errors import InputError, RecsysError, TerminalError
from recsys.files.digests import Known, below, differences, digest_folder, unexpected
from recsys.pipeline.champion.lineage import champion_line
from recsys.pipeline.context import Context
from recsys.pipeline.kept_files import IN_VERSION, TRAINING_SET, fit_files
from recsys.records import Batch
from recsys.store.artifact_digests import ArtifactKind

ADOPT = "`recsys models check --adopt` records what is there now, once you trust it"
BACKUP = "Put it back from a backup; what was made from it meanwhile is not to be trusted"


@dataclass(frozen=True)
class Finding:
    """Something that is not as the audit says, or a file that is not as it was recorded.

    Attributes:
        kind: `unfinished`, `alias_moved`, `alias_deleted`, `version_deleted`, `store_unusable`, `file_differs`,
            `folder_missing`, `file_unexpected` or `no_digest`.
        message: in plain words, with what to do.
        is_repaired: it was, and is no more.
    """

    kind: str
    message: str
    is_repaired: bool = False


@dataclass(frozen=True)
class Folder:
    """One folder whose files belong together.

    Attributes:
        what: for people, such as "the evidence of a verdict".
        kind: of its files.
        batch: that made it.
        name: in the batch's folder, or the fit of a version.
        path: where it is.
        known: its files, as they were recorded.
        location: see `recsys.files.digests.digest_file`.
    """

    what: str
    kind: ArtifactKind
    batch: Batch
    name: str
    path: Path
    known: Known
    location: str = ""

    def __str__(self) -> str:
        return f"{self.what} of run {self.batch.batch_id}"


def check_files(context: Context, *, adopts: bool = False) -> list[Finding]:
    """Compares all files with what was recorded of them.

    Args:
        context: stores and folders.
        adopts: records the files of which nothing is known. What is known stays as it is.
    """
    folders = [folder for batch in context.store.backlog.list_batches() for folder in _of_batch(context, batch)]
    return [*(one for folder in folders for one in _compare(folder)), *_unknown(context, folders, adopts)]


def check_models(context: Context, *, adopts: bool = False) -> list[Finding]:
    """The same of the models in the registry."""
    found: list[Finding] = []
    for batch, fit_name, version in _versions(context):
        known = below(context.store.backlog.known_files(batch.batch_id, ArtifactKind.VERSION), fit_name)
        what = f"the model of version {version}"
        try:
            location = context.registry.files.model_location(version)
            with context.registry.files.model_files(version) as path:
                folder = Folder(what, ArtifactKind.VERSION, batch, fit_name, path, known, location)
                found += [*_compare(folder), *_unknown(context, [folder], adopts)]
        except TerminalError as error:
            found.append(Finding("folder_missing", f"Expected {what}, got: {error} {BACKUP}."))
    return found


def _of_batch(context: Context, batch: Batch) -> Iterator[Folder]:
    """The folders that a batch should have, or that something is known of."""
    own, where = context.folder(batch.batch_id), context.store.backlog.known_files
    sets = below(where(batch.batch_id, ArtifactKind.TRAINING_SET), TRAINING_SET)
    if sets or batch.training_set_uri:
        path = context.settings.locate(batch.training_set_uri) if batch.training_set_uri else own / TRAINING_SET
        yield Folder("the frozen training set", ArtifactKind.TRAINING_SET, batch, TRAINING_SET, path, sets)
    yield from _made_from(batch, own, where(batch.batch_id, ArtifactKind.CANDIDATE, ArtifactKind.FIT))
    if batch.evidence_uri:
        evidence, last = where(batch.batch_id, ArtifactKind.EVIDENCE), context.settings.locate(batch.evidence_uri)
        for name in sorted({last.name, *(path.split("/")[0] for path in evidence)}):
            yield Folder(
                "the evidence of a verdict",
                ArtifactKind.EVIDENCE,
                batch,
                name,
                last.parent / name,
                below(evidence, name),
            )


def _made_from(batch: Batch, own: Path, known: Known) -> Iterator[Folder]:
    """Candidates and fits: those that are known, and those that a step which is done has left without a record."""
    done = {"judged": batch.challenger_version, "refit": batch.refit_version}
    left = {fit for fit, version in done.items() if version and (own / fit).is_dir()}
    if batch.challenger_version and (own / "candidates").is_dir():
        left |= {f"candidates/{path.name}" for path in (own / "candidates").iterdir() if path.is_dir()}
    for name in sorted(
        left | {"/".join(path.split("/")[: 2 if path.startswith("candidates/") else 1]) for path in known}
    ):
        is_fit = name in done
        kind, what = (
            (ArtifactKind.FIT, f"the fit {name!r}") if is_fit else (ArtifactKind.CANDIDATE, "the trial of a candidate")
        )
        yield Folder(what, kind, batch, name, own / name, below(known, name))


def _versions(context: Context) -> Iterator[tuple[Batch, str, str]]:
    """Batch, fit and version of each model that is looked at."""
    batches = context.store.backlog.list_batches()
    known = {one.version for one in context.registry.versions.list_versions()}
    if not context.registry.connection.is_local:
        newest = [one for one in batches if one.challenger_version][-1:]
        serving = {*champion_line(context.store.audit.list_promotions()).versions[-2:]}
        known &= serving | {str(version) for one in newest for version in (one.challenger_version, one.refit_version)}
    for batch in batches:
        for fit_name, version in (("judged", batch.challenger_version), ("refit", batch.refit_version)):
            if version in known:
                yield batch, fit_name, str(version)


def _compare(folder: Folder) -> Iterator[Finding]:
    if not folder.path.is_dir():
        yield Finding("folder_missing", f"Expected {folder} in {folder.path}, but there is no such folder. {BACKUP}.")
        return
    for one in differences(folder.path, folder.known, location=folder.location):
        yield Finding("file_differs", f"{one} It is of {folder}. {BACKUP}.")
    if folder.known and folder.kind is ArtifactKind.VERSION:
        yield from _unexpected(folder)


def _unknown(context: Context, folders: Sequence[Folder], adopts: bool) -> Iterator[Finding]:
    """What is said of folders of which nothing was recorded: one sentence for all, or what became of each."""
    unknown = [folder for folder in folders if folder.path.is_dir() and not folder.known]
    if adopts:
        yield from (_adopt(context, folder) for folder in unknown)
    elif unknown:
        more = f" and {len(unknown) - 1} more folders" if len(unknown) > 1 else ""
        words = f"No digest is recorded of {unknown[0]}{more}: made before digests were kept. {ADOPT}."
        yield Finding("no_digest", words)


def _unexpected(folder: Folder) -> Iterator[Finding]:
    for file in unexpected(folder.path, folder.known):
        words = f"Expected no file {file}: it was put into {folder} after it was registered. Remove it."
        yield Finding("file_unexpected", words)


def _adopt(context: Context, folder: Folder) -> Finding:
    try:
        _require_sound(folder)
    except RecsysError as error:
        return Finding("file_differs", f"{error} It is of {folder}, and was not adopted.")
    is_fit = folder.kind is ArtifactKind.FIT
    files = fit_files(folder.path) if is_fit else digest_folder(folder.path, folder.name, folder.location)
    context.store.backlog.record_files(folder.kind, folder.batch.batch_id, folder.name, files)
    return Finding("no_digest", f"Recorded as it is now: {folder}, number of files: {len(files)}.", is_repaired=True)


def _require_sound(folder: Folder) -> None:
    """What can be said of files of which no digest is known: the content of a frozen set has one.

    Raises:
        InputError: if the content is another one, or a file is missing.
    """
    if folder.kind is ArtifactKind.TRAINING_SET:
        from recsys.training.dataset.training_set import require_content

        require_content(folder.path, str(folder.batch.training_set_digest))
    if folder.kind is ArtifactKind.VERSION and not (folder.path / IN_VERSION).is_dir():
        raise InputError(f"Expected a recommender in {folder.path / IN_VERSION}, found none. {BACKUP}.")
