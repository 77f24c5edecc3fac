"""Moves by hand in the registry: noticed, reported, repaired when asked for, and nothing promoted or published meanwhile."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from recsys import pipeline
from recsys.errors import ConflictError
from recsys.pipeline.champion.registry_check import Finding, check_registry
from recsys.records import Promotion
from tests.integration.audited_loop import AuditedLoop


def check(loop: AuditedLoop, *, repairs: bool = False) -> list[Finding]:
    return check_registry(loop.context, loop.later(), repairs=repairs)


def move(loop: AuditedLoop) -> None:
    loop.context.registry.aliases.set_alias("champion", "3")


def take_away(loop: AuditedLoop) -> None:
    loop.context.registry.aliases.delete_alias("champion")


def move_the_previous(loop: AuditedLoop) -> None:
    loop.context.registry.aliases.set_alias("previous_champion", "2")


def die_half_way(loop: AuditedLoop) -> None:
    refit = loop.night("6")
    intent = Promotion(4, f"run-{refit}", "6", refit, "passed", loop.later(), is_complete=False)
    loop.context.store.audit.begin_promotion(intent)
    loop.context.registry.aliases.set_alias("previous_champion", "6")


def delete_the_previous(loop: AuditedLoop) -> None:
    loop.delete("4")


@pytest.mark.parametrize(
    ("change", "kind", "words", "repaired"),
    [
        (move, "alias_moved", "The alias 'champion' is at version 3, but the audit has version 6", ("6", "4")),
        (take_away, "alias_deleted", "The alias 'champion' is gone, but the audit has version 6", ("6", "4")),
        (
            move_the_previous,
            "alias_moved",
            "'previous_champion' is at version 2, but the audit has version 4",
            ("6", "4"),
        ),
        (die_half_way, "unfinished", "The promotion of version 8 by run run-8 was begun", ("8", "6")),
        (delete_the_previous, "alias_deleted", "'previous_champion' is gone, but the audit has version 2", ("6", "2")),
    ],
)
def test_what_differs_is_reported_and_repaired_when_asked_for(
    loop: AuditedLoop, change: Callable[[AuditedLoop], None], kind: str, words: str, repaired: tuple[str, str]
) -> None:
    loop.champions(3)
    assert check(loop) == []
    assert check(loop, repairs=True) == []
    change(loop)
    before = (loop.aliases(), loop.audit())
    (finding,) = check(loop)
    assert (finding.kind, finding.is_repaired) == (kind, False)
    assert words in finding.message
    with pytest.raises(ConflictError, match="Expected the registry as the audit has it"):
        pipeline.check_registry(loop.later())
    assert (loop.aliases(), loop.audit()) == before, "a look changes nothing"
    findings = pipeline.check_registry(loop.later(), repair=True)["findings"]
    assert [(one["kind"], one["is_repaired"]) for one in findings] == [(kind, True)]
    assert loop.aliases() == repaired
    assert all(is_complete for _, _, is_complete in loop.audit())
    assert check(loop) == []


def test_a_deleted_champion_takes_a_rollback(loop: AuditedLoop) -> None:
    loop.champions(2)
    loop.delete("4")
    (finding,) = check(loop, repairs=True)
    assert (finding.kind, finding.is_repaired) == ("version_deleted", False)
    assert "`recsys rollback --to 2`" in finding.message
    pipeline.rollback("back", "it was deleted", loop.later())
    assert check(loop) == []
    loop.delete("2")
    (finding,) = check(loop)
    assert "no earlier one is left" in finding.message


def test_an_alias_that_nobody_promoted_is_taken_away(loop: AuditedLoop) -> None:
    refit = loop.night(None)
    loop.context.registry.aliases.set_alias("champion", refit)
    (finding,) = check(loop)
    assert "is at version 2, but the audit has no such version" in finding.message
    with pytest.raises(ConflictError, match="Expected the alias 'champion' at version none"):
        loop.promote(refit)
    (finding,) = check(loop, repairs=True)
    assert finding.is_repaired
    assert loop.aliases() == (None, None)


@pytest.mark.parametrize("change", [move, take_away])
def test_nothing_is_promoted_or_published_over_a_move_by_hand(
    loop: AuditedLoop, change: Callable[[AuditedLoop], None]
) -> None:
    loop.champions(3)
    refit = loop.night("6")
    change(loop)
    moved = loop.aliases()
    for step in (
        lambda: loop.promote(refit),
        lambda: pipeline.publish_recommendations(loop.later(), loop.now),
        lambda: pipeline.publish_recommendations(loop.later(), loop.now, "6"),
    ):
        with pytest.raises(ConflictError, match="moved by hand, and nothing is done until that is cleared up"):
            step()
    with pytest.raises(ConflictError, match="Expected to publish the champion, version 6, got version 3"):
        pipeline.publish_recommendations(loop.later(), loop.now, "3")
    assert loop.aliases() == moved
    assert len(loop.audit()) == 3
    check(loop, repairs=True)
    loop.promote(refit)
    assert loop.aliases() == ("8", "6")
