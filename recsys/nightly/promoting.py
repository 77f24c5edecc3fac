"""What must hold before an alias moves."""

from __future__ import annotations

from recsys.errors import ConflictError
from recsys.nightly.champion import require_alias
from recsys.nightly.champion_line import champion_line
from recsys.nightly.workplace import Workplace
from recsys.records import Batch


def require_promotable(place: Workplace, batch: Batch, champion: str | None) -> None:
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
    require_alias(place)
    if batch.refit_version in champion_line(place.store.list_promotions()).withdrawn:
        raise ConflictError(
            f"Expected a version that was not rolled back from, but version {batch.refit_version} was: nothing was promoted. "
            f"If it is wanted after all, `recsys rollback --to {batch.refit_version}` takes it back."
        )
