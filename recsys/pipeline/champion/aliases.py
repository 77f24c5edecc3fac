"""Who is champion: the audit says it, and the aliases in the registry follow."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from recsys.errors import ConflictError, NotFoundError
from recsys.pipeline.champion.lineage import champion_line
from recsys.pipeline.context import Context
from recsys.records import Batch, Promotion
from recsys.registry.registry import Registry

CHAMPION, PREVIOUS = "champion", "previous_champion"
LOOK = "Look with `recsys models check`"


def require_registry(context: Context, *, reads_all: bool = False) -> None:
    """Refuses a registry that is gone or damaged although this database knows of versions in it.

    Args:
        context: stores and folders.
        reads_all: also reads all of a store in this process.

    Raises:
        TerminalError: naming the file of a store in this process.
    """
    if context.store.audit.last_promotion() is not None or any(
        one.challenger_version for one in context.store.backlog.list_batches()
    ):
        context.registry.connection.require_store(reads_all=reads_all)


def current_champion(context: Context, now: datetime) -> str | None:
    """The champion by the audit, after finishing a promotion or rollback that was interrupted."""
    last = finish_promotion(context, now)
    return None if last is None else last.to_version


def audited_champion(context: Context) -> str | None:
    """The same without touching anything: the newest row decides, whether its aliases were moved or not."""
    last = context.store.audit.last_promotion()
    return None if last is None else last.to_version


def finish_promotion(context: Context, now: datetime) -> Promotion | None:
    """Moves the aliases to what the newest audit row says, if that was not done; returns the row, None without one.

    The row is the intent, written before the aliases move: a crash in between leaves a row that is not complete, and
    whoever comes next does the rest.

    Raises:
        NotFoundError: if its version was deleted from the registry meanwhile.
    """
    last = context.store.audit.last_promotion()
    return last if last is None or last.is_complete else move_aliases(context, now)


def move_aliases(context: Context, now: datetime) -> Promotion | None:
    """Sets both aliases as the audit has them, whatever they are, and notes that the newest row is complete.

    MLflow moves an alias whatever it was, so only one process at a time may do it: while it does, it holds a lock of the
    feedback database, and no newer row can be written. A process that was overtaken cannot take anything back.
    """
    require_registry(context)
    context.registry.aliases.all_aliases()  # a registry that is away is found out before the lock is taken
    return context.store.audit.finish_promotion(now, lambda rows: _set_aliases(context.registry, rows))


def _set_aliases(registry: Registry, rows: Sequence[Promotion]) -> None:
    if rows and not registry.versions.has_version(rows[-1].to_version):
        raise NotFoundError(
            f"Expected version {rows[-1].to_version} in the registry, which the {rows[-1].kind} of run {rows[-1].run_id} "
            "makes champion, but it was deleted: no alias was moved. Make an earlier champion champion with `recsys rollback`."
        )
    for alias, version in expected_aliases(registry, rows).items():
        if version is None:
            registry.aliases.delete_alias(alias)
        else:
            registry.aliases.set_alias(alias, version)


def expected_aliases(registry: Registry, rows: Sequence[Promotion]) -> dict[str, str | None]:
    """Alias -> version by the audit, in the order in which they are moved: the champion's last."""
    line = champion_line(rows)
    return {PREVIOUS: line.previous(registry.versions.has_version), CHAMPION: line.champion}


def require_alias(context: Context) -> None:
    """Checks that nobody moved the alias `champion` by hand: then a person has to say what they want.

    Raises:
        ConflictError: if it is not where the audit has it.
    """
    require_registry(context)
    found, expected = context.registry.aliases.get_alias(CHAMPION), audited_champion(context)
    if found != expected:
        raise ConflictError(
            f"Expected the alias {CHAMPION!r} at version {expected or 'none'}, which the audit has as champion, but it is at "
            f"{found or 'none'}: it was moved by hand, and nothing is done until that is cleared up. {LOOK}; "
            "`recsys models check --repair` moves it back, `recsys rollback` makes an earlier champion champion."
        )


def past_promotion(context: Context, run_id: str) -> Promotion | None:
    """The promotion with which this run ended, if another one, or a rollback, came after it."""
    promotions = context.store.audit.list_promotions()
    own = [p for p in promotions[:-1] if p.run_id == run_id]
    return own[-1] if own else None


def champion_cut_off(context: Context, champion: str | None) -> datetime | None:
    """The newest event that the champion may have seen, by its tag `as_of`.

    Raises:
        NotFoundError: if the champion was deleted from the registry.
    """
    if champion is None:
        return None
    try:
        return datetime.fromisoformat(context.registry.versions.get_tags(champion)["as_of"])
    except NotFoundError as error:
        raise NotFoundError(
            f"Expected version {champion}, the champion, in the registry, but it was deleted there: nothing can be compared "
            f"with it. {LOOK}, and make an earlier champion champion with `recsys rollback`."
        ) from error


def require_promotable(context: Context, batch: Batch, champion: str | None) -> None:
    """Checks that a batch's refit may become champion now.

    Raises:
        ConflictError: if the champion is not the one that the gate compared with, or its alias was moved by hand, or the
            refit was champion before and was rolled back from.
    """
    if champion != batch.champion_version:
        raise ConflictError(
            f"Expected version {batch.champion_version or 'none'} to be champion, since the gate compared version "
            f"{batch.challenger_version} with it, but it is {champion or 'none'} now: nothing was promoted. "
            "The next run compares with the new champion."
        )
    require_alias(context)
    if batch.refit_version in champion_line(context.store.audit.list_promotions()).withdrawn:
        raise ConflictError(
            f"Expected a version that was not rolled back from, but version {batch.refit_version} was: nothing was promoted. "
            f"If it is wanted after all, `recsys rollback --to {batch.refit_version}` takes it back."
        )
