"""Removes, on request, what still holds erased users: retired model versions, frozen sets, names in old evidence.

What serves, or may serve next, stays and is named with the reason; so does the frozen set of a run that is under way.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsys.files.atomic import whole_folder
from recsys.files.digests import below, differences, digest_folder, require_same
from recsys.pipeline.champion.aliases import finish_promotion
from recsys.pipeline.champion.lineage import champion_line
from recsys.pipeline.context import Context
from recsys.pipeline.erasure.holders import Holders, complete_erasures, holders_of, open_erasures
from recsys.pipeline.erasure.refreezing import MADE_OF_SET
from recsys.pipeline.kept_files import TRAINING_SET
from recsys.pipeline.promotion import approval
from recsys.records import Batch, BatchStatus, Promotion
from recsys.store.artifact_digests import ArtifactKind

if TYPE_CHECKING:
    from recsys.registry.deletion import Fit

COLUMNS = ("training_set_uri", "data_docs_uri")


@dataclass(frozen=True)
class Purge:
    """What goes, and what stays and why.

    Attributes:
        fits: in MLflow, with the versions that are left of them.
        batches: whose frozen set and what was made of it goes.
        files: folders of evidence whose users get pseudonyms.
        refused: sentences.
    """

    fits: tuple[Fit, ...]
    batches: tuple[Batch, ...]
    files: tuple[str, ...]
    refused: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing goes."""
        return not (self.fits or self.batches or self.files)

    @property
    def versions(self) -> list[str]:
        """Of the models that go, by number."""
        return Holders(fits=self.fits).versions

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        batches = [batch.batch_id for batch in self.batches]
        return {
            "model_versions": self.versions, "batches": batches, "files": list(self.files), "refused": list(self.refused),
        }  # fmt: skip


def plan_purge(context: Context) -> Purge:
    """What may go now; writes nothing."""
    held = [holders for _, holders in holders_of(context, open_erasures(context))]
    fits = {fit.run_id: fit for holders in held for fit in holders.fits}
    batches = {batch.batch_id: batch for holders in held for batch in holders.batches}
    files = tuple(sorted({file for holders in held for file in holders.files}))
    why = _in_use(context, context.store.audit.list_promotions())
    under_way = {
        batch.batch_id for batch in context.store.backlog.list_batches() if batch.status is BatchStatus.CLAIMED
    }
    kept = {fit.version: why[fit.version] for fit in fits.values() if fit.version in why}
    refused = [f"Version {version} stays: it {reason}." for version, reason in sorted(kept.items(), key=_by_version)]
    going = []
    for batch in batches.values():
        versions = [version for version in (batch.challenger_version, batch.refit_version) if version in why]
        if batch.status is BatchStatus.CLAIMED:
            refused.append(
                f"Run {batch.batch_id} is under way: it freezes its training set anew itself, and its models stay meanwhile."
            )
        elif versions:
            refused.append(f"The training set of run {batch.batch_id} stays as long as version {versions[0]} does.")
        else:
            going.append(batch)
    gone = [fit for fit in fits.values() if fit.version not in why and fit.batch_id not in under_way]
    return Purge(tuple(gone), tuple(going), files, tuple(refused))


def _by_version(item: tuple[str | None, str]) -> int:
    return int(item[0] or 0)


def _in_use(context: Context, promotions: Sequence[Promotion]) -> dict[str, str]:
    """Version -> why it cannot go."""
    line = champion_line(promotions)
    asked = context.store.audit.list_decisions(limit=None, step=approval.STEP, verdict=approval.PENDING)
    found = {str(one.numbers["model_version"]): "waits for a person's answer" for one in asked}
    for version, reason in (
        (context.registry.aliases.get_alias("challenger"), "is the newest challenger; it may go once there is another"),
        (
            line.previous(context.registry.versions.has_version),
            "is where a rollback leads; it may go after the next promotion",
        ),
        (line.champion, "is champion; it may go after the second promotion from now"),
    ):
        if version is not None:
            found[version] = reason
    return found


def purge(context: Context, now: datetime) -> dict[str, Any]:
    """Removes what `plan_purge` names, and completes erasures. A process that is killed is finished by the next call.

    Versions go first, while nobody can promote or roll back to one; then their files.

    Returns:
        See `Purge.as_dict`; and what is left: see `complete_erasures`.
    """
    finish_promotion(context, now)
    plan = plan_purge(context)
    context.store.audit.while_nobody_promotes(lambda rows: _delete_versions(context, plan, rows))
    for fit in plan.fits:
        if fit.version is None or not context.registry.versions.has_version(fit.version):
            context.registry.fits.delete_fit(fit)
    for batch in plan.batches:
        context.store.backlog.forget_files(batch.batch_id, COLUMNS, (TRAINING_SET, *MADE_OF_SET))
        for name in (TRAINING_SET, *MADE_OF_SET):
            shutil.rmtree(context.folder(batch.batch_id) / name, ignore_errors=True)
    for batch in context.store.backlog.list_batches():
        for file in map(context.settings.locate, plan.files):
            if file.parent == context.folder(batch.batch_id):
                _give_pseudonyms(context, batch, file)
    return {**plan.as_dict(), "left": complete_erasures(context, now)}


def _delete_versions(context: Context, plan: Purge, promotions: Sequence[Promotion]) -> None:
    """But for one that has come into use since the plan was made."""
    why = _in_use(context, promotions)
    for version in plan.versions:
        if version not in why:
            context.registry.fits.delete_version(version)


def _give_pseudonyms(context: Context, batch: Batch, folder: Path) -> None:
    """Writes evidence with pseudonyms of its users; tables and plots beside it stay.

    The digests of the new files are recorded right before these are in place: whoever is killed in between leaves evidence
    that still has ids, and so is written again.
    """
    from recsys.evaluation.gate.evidence import ADVICE, Evidence

    known = below(context.store.backlog.known_files(batch.batch_id, ArtifactKind.EVIDENCE), folder.name)
    with whole_folder(folder) as building:
        shutil.copytree(folder, building, dirs_exist_ok=True)
        Evidence.load(folder).keyed(context.pseudonym).write_into(building)
        if differences(building, known):  # not what a killed call recorded
            require_same(folder, known, ADVICE)
        files = digest_folder(building, folder.name)
        context.store.backlog.record_files(ArtifactKind.EVIDENCE, batch.batch_id, folder.name, files)
