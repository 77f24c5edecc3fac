"""A batch whose frozen set holds a user who was erased since: the set is frozen anew, as of the same cut-off.

Every step that uses a frozen set begins with `require_forgotten`. What was made of the old set (Data Docs, candidates, fits,
evidence) is forgotten with it, and `recsys.pipeline.erasure.renewal` makes it again. The decision ledger says so under the
batch's run, step `forget_users`.

    1  the new set is written beside the old one
    2  what was made of the old one is removed
    3  one transaction: the batch has the new digest, and names nothing that was made of the old one but its challenger, which
       the next function that needs it replaces; the ledger says why
    4  the new set takes the old one's path

A process that is killed leaves a state that the next call goes on from: before 3 it begins again, after it only 4 is left.
"""

from __future__ import annotations

import contextlib
import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recsys.errors import InputError, TerminalError
from recsys.files.digests import digest_folder
from recsys.pipeline.context import Context
from recsys.pipeline.kept_files import TRAINING_SET
from recsys.pipeline.retraining import frozen_sets
from recsys.records import Batch, Decision
from recsys.store.forgetting import FrozenSet

FROZEN_ANEW = "frozen_anew"
ANEW = "training_set_anew"
MADE_OF_SET = ("data_docs", "candidates", "judged", "refit")  # folders beside it; evidence names nobody, and stays
LOCK = ".forgetting"  # of candidates that are tried at once, one freezes the set anew


def require_forgotten(context: Context, batch: Batch, step: str) -> Batch:
    """The batch, with a frozen set that holds nobody who is erased now.

    A batch whose refit was promoted is done: nothing is made of its set any more, and the proof of the erasure names it.

    Args:
        context: stores and folders.
        batch: with or without a frozen set.
        step: that asks, for the ledger.

    Raises:
        ConflictError: if the set has to be frozen anew, and the batch was released meanwhile.
        TerminalError: if the database has still something of an erased user.
    """
    if batch.training_set_uri is None or not context.store.erasures.erased_hashes() or _was_promoted(context, batch):
        return batch
    folder = context.folder(batch.batch_id)
    with _alone(folder):
        batch = context.store.backlog.get_batch(batch.batch_id)
        _take_place(folder, batch)
        while gone := erased_users(context, folder / TRAINING_SET):
            batch = _freeze_anew(context, batch, gone, step)
        return batch


def _was_promoted(context: Context, batch: Batch) -> bool:
    version = batch.refit_version
    return version is not None and any(row.to_version == version for row in context.store.audit.list_promotions())


def erased_users(context: Context, folder: Path) -> frozenset[str]:
    """Names of users of a frozen set who are erased now; empty if there is no whole set."""
    erased = context.store.erasures.erased_hashes()
    return erased & set(context.store.erasures.user_hashes(users_of(folder)).values()) if erased else erased


def users_of(folder: Path) -> set[str]:
    """Everybody whom a frozen set holds; empty if there is no whole set.

    Raises:
        InputError: if it cannot be read.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from recsys.training.dataset.training_set import HISTORIES, NEUTRAL, read_summary
    from recsys.training.dataset.training_set import TRAINING_SET as EXAMPLES

    if read_summary(folder) is None:
        return set()
    try:
        columns = [
            pq.read_table(folder / name, columns=["user_id"])["user_id"] for name in (EXAMPLES, HISTORIES, NEUTRAL)
        ]
    except (OSError, pa.ArrowException) as error:
        raise InputError(
            f"Expected a training set in {folder}, but it cannot be read ({str(error)[:200]}): nobody knows whom it holds. Put "
            "it back from a backup, or remove the folder and start a new run."
        ) from error
    return {str(user_id) for column in columns for user_id in pc.unique(column).to_pylist()}


def _freeze_anew(context: Context, batch: Batch, gone: frozenset[str], step: str) -> Batch:
    folder, old = context.folder(batch.batch_id), str(batch.training_set_digest)
    summary = frozen_sets.write_set(context, batch, folder / ANEW)
    if summary.digest == old:
        raise TerminalError(
            f"Expected the feedback database to hold nothing of {len(gone)} erased users, but the training set of run "
            f"{batch.batch_id}, read anew, is the same: erase them again (`recsys erase-user`), then run {step} again."
        )
    for name in MADE_OF_SET:
        shutil.rmtree(folder / name, ignore_errors=True)
    change = {
        "at_step": step, "old_digest": old, "new_digest": summary.digest, "num_users": len(gone),
        "num_rows": [batch.num_rows, summary.num_rows],
        "model_versions": [version for version in (batch.challenger_version, batch.refit_version) if version],
    }  # fmt: skip
    new = FrozenSet(summary.digest, summary.num_rows, digest_folder(folder / ANEW, TRAINING_SET))
    context.store.erasures.freeze_anew(batch.batch_id, old, new, _decision(context, batch, gone, change))
    batch = context.store.backlog.get_batch(batch.batch_id)
    _take_place(folder, batch)
    return batch


def _decision(context: Context, batch: Batch, gone: frozenset[str], change: dict[str, Any]) -> Decision:
    """Names the erased users by nothing but their number. The time is that of the newest erasure that it answers."""
    before = context.store.audit.list_decisions(limit=1, run_id=batch.batch_id, step=frozen_sets.REFREEZING)
    changes = [*(before[0].numbers["changes"] if before else ()), change]
    users = "1 user" if len(gone) == 1 else f"{len(gone)} users"
    versions = change["model_versions"]
    made = f" (version{'s' if len(versions) > 1 else ''} {', '.join(versions)})" if versions else ""
    reason = (
        f"{users} of the training set {'was' if len(gone) == 1 else 'were'} erased before {change['at_step']}: "
        f"the set with digest {change['old_digest'][:12]} was frozen anew as {change['new_digest'][:12]}, as of the same "
        f"cut-off. What was made of it{made} is made again."
    )
    at = max(one.erased_at for one in context.store.erasures.list_erasures() if one.user_hash in gone)
    reasons = (*(before[0].reasons if before else ()), reason)
    return Decision(batch.batch_id, frozen_sets.REFREEZING, FROZEN_ANEW, reasons, batch.as_of, at, {"changes": changes})


def _take_place(folder: Path, batch: Batch) -> None:
    """Moves a new set that the batch names already to where the old one is; one that it does not name goes."""
    from recsys.training.dataset.training_set import read_summary

    if not (folder / ANEW).is_dir():
        return
    summary = read_summary(folder / ANEW)
    if summary is not None and summary.digest == batch.training_set_digest:
        shutil.rmtree(folder / TRAINING_SET, ignore_errors=True)
        (folder / ANEW).rename(folder / TRAINING_SET)
    else:
        shutil.rmtree(folder / ANEW)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time; the lock goes with the process that holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
