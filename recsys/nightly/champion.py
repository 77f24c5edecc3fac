"""Who is champion: the alias in the registry, kept in step with the audit of promotions."""

from __future__ import annotations

from datetime import datetime

from recsys.nightly.workplace import Workplace
from recsys.records import Promotion


def current_champion(place: Workplace, now: datetime) -> str | None:
    """The version with the alias `champion`, after finishing a promotion that died half-way."""
    finish_promotion(place, now)
    return place.registry.get_alias("champion")


def finish_promotion(place: Workplace, now: datetime) -> Promotion | None:
    """Moves the aliases to what the newest audit row says, if that was not done; returns the row, None without one.

    The row is the intent, written before the alias moves: a crash in between leaves a row that is not complete, and
    whoever comes next does the rest. MLflow moves an alias whatever it was: who moved it looks again whether another
    promotion came meanwhile, and if so moves it to that one's version.
    """
    last = place.store.last_promotion()
    if last is None or last.is_complete:
        return last
    while True:
        if last.from_version is not None:
            place.registry.set_alias("previous_champion", last.from_version)
        place.registry.set_alias("champion", last.to_version)
        place.store.complete_promotion(last.sequence, now)
        newest = place.store.last_promotion()
        if newest is None or newest.sequence == last.sequence:
            return newest
        last = newest


def past_promotion(place: Workplace, run_id: str) -> Promotion | None:
    """The promotion with which this run ended, if another one came after it."""
    promotions = place.store.list_promotions()
    own = [p for p in promotions[:-1] if p.run_id == run_id]
    return own[-1] if own else None


def champion_cut_off(place: Workplace, champion: str | None) -> datetime | None:
    """The newest event that the champion may have seen, by its tag `as_of`."""
    return None if champion is None else datetime.fromisoformat(place.registry.get_tags(champion)["as_of"])
