"""Back to an earlier champion: only to one that was, with an audit that a crash cannot split from the aliases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from recsys import pipeline
from recsys.errors import ConflictError, InputError, NotFoundError, RecsysError, TransientError
from recsys.pipeline.champion.aliases import champion_cut_off, current_champion
from recsys.records import Promotion, PromotionKind
from tests.integration.audited_loop import AuditedLoop
from tests.integration.conftest import find_free_port


def rollback(loop: AuditedLoop, to: str | None = None, run_id: str = "back", **changes: Any) -> dict[str, Any]:
    given = {"run_id": run_id, "reason": "lists are worse", "now": loop.later(), "model_version": to, **changes}
    return pipeline.rollback(**given)


def test_a_rollback_leads_to_the_previous_champion_and_says_who_and_why(loop: AuditedLoop) -> None:
    loop.champions(3)
    assert loop.aliases() == ("6", "4")
    done = rollback(loop, requested_by="ann")
    assert (done["from_version"], done["to_version"], done["sequence"]) == ("6", "4", 4)
    assert loop.aliases() == ("4", "2"), "the way back leads on, not to what was rolled back from"
    row = loop.context.store.audit.list_promotions()[-1]
    assert (row.kind, row.reason, row.approved_by, row.approved_at) == (
        PromotionKind.ROLLBACK, "lists are worse", "ann", loop.now
    )  # fmt: skip
    assert row.is_complete

    assert rollback(loop)["sequence"] == 4, "the same run again finds what the first try did"
    with pytest.raises(InputError, match="champion by a rollback already"):
        rollback(loop, run_id="once more")
    assert rollback(loop, "4", run_id="by name")["sequence"] == 4, "its lists can be published again"
    assert rollback(loop, "2", run_id="further")["to_version"] == "2"
    assert loop.aliases() == ("2", None)
    assert rollback(loop, "6", run_id="forth")["to_version"] == "6"
    assert loop.aliases() == ("6", "4")
    with pytest.raises(ConflictError, match="back did one, and another promotion followed"):
        rollback(loop)
    assert loop.aliases() == ("6", "4")


def deleted(loop: AuditedLoop) -> None:
    loop.delete("2")


@pytest.mark.parametrize(
    ("count", "to", "prepare", "error", "words"),
    [
        (0, None, None, InputError, "nothing was ever promoted"),
        (1, None, None, InputError, "Expected a champion before version 2, found none"),
        (2, "4", None, InputError, "version 4 is champion now: these were, and are in the registry: 2."),
        (2, "3", None, InputError, "was champion before, got version 3: these were, and are in the registry: 2."),
        (2, "99", None, InputError, "was champion before, got version 99"),
        (2, "2", deleted, NotFoundError, "deleted there: these were, and are in the registry: none."),
        (2, None, deleted, InputError, "Expected a champion before version 4, found none in the registry"),
    ],
)
def test_only_an_earlier_champion_that_is_there_can_be_rolled_back_to(
    loop: AuditedLoop, count: int, to: str | None, prepare: Any, error: type[RecsysError], words: str
) -> None:
    loop.champions(count)
    if prepare is not None:
        prepare(loop)
    before = (loop.audit(), loop.aliases()[0])
    with pytest.raises(error, match=words):
        rollback(loop, to)
    assert (loop.audit(), loop.aliases()[0]) == before


def test_a_rollback_needs_a_reason(loop: AuditedLoop) -> None:
    loop.champions(2)
    with pytest.raises(InputError, match="Expected a reason"):
        rollback(loop, reason="  ")
    assert loop.aliases() == ("4", "2")


# The loop afterwards


def test_what_was_rolled_back_from_is_not_promoted_again(loop: AuditedLoop) -> None:
    loop.champions(2)
    rollback(loop)
    with pytest.raises(ConflictError, match="not rolled back from, but version 4 was"):
        loop.promote("4")  # the task is cleared
    loop.pass_gate("by hand", "run-4")
    with pytest.raises(ConflictError, match="`recsys rollback --to 4` takes it back"):
        loop.promote("4", "by hand")
    assert loop.aliases() == ("2", None)


def test_a_run_that_compared_with_the_version_rolled_back_from_is_refused(loop: AuditedLoop) -> None:
    loop.champions(2)
    compared = loop.night("4")
    rollback(loop)
    with pytest.raises(ConflictError, match=r"Expected version 4 to be champion.*but it is 2 now"):
        loop.promote(compared)
    assert loop.aliases() == ("2", None)


def test_the_loop_goes_on_from_the_version_rolled_back_to(loop: AuditedLoop) -> None:
    loop.champions(2)
    cut_off = champion_cut_off(loop.context, "2")
    rollback(loop)
    assert current_champion(loop.context, loop.later()) == "2"
    assert champion_cut_off(loop.context, current_champion(loop.context, loop.later())) == cut_off
    checked = pipeline.check_backlog("run-4", loop.later(), loop.now, {"threshold": 1})
    assert not checked["retrain"]
    assert "a later one, or a rollback, followed" in checked["reason"]
    loop.promote(loop.night("2"))
    assert loop.aliases() == ("6", "2")


# What goes wrong


def test_with_mlflow_away_nothing_is_written(loop: AuditedLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    loop.champions(2)
    with monkeypatch.context() as away:
        away.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{find_free_port()}")
        with pytest.raises(TransientError, match="Start the server"):
            rollback(loop)
        assert len(loop.audit()) == 2
    assert rollback(loop)["to_version"] == "2"


def test_mlflow_that_goes_away_in_between_leaves_a_row_that_the_next_step_finishes(
    loop: AuditedLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop.champions(2)
    intent = Promotion(3, "back", "4", "2", "worse", loop.later(), is_complete=False, kind=PromotionKind.ROLLBACK)
    loop.context.store.audit.begin_promotion(intent)
    with monkeypatch.context() as away:
        away.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{find_free_port()}")
        with pytest.raises(TransientError):
            rollback(loop)
    assert loop.audit()[-1] == ("rollback", "2", False)
    assert loop.aliases() == ("4", "2")
    with pytest.raises(ConflictError, match="but it is 2 now"):
        loop.promote(loop.night("4"))
    assert loop.aliases() == ("2", None)
    assert rollback(loop)["sequence"] == 3


def test_a_champion_that_was_deleted_can_be_rolled_back_from(loop: AuditedLoop) -> None:
    loop.champions(3)
    loop.delete("6")
    with pytest.raises(NotFoundError, match="version 6, the champion, in the registry, but it was deleted"):
        champion_cut_off(loop.context, current_champion(loop.context, loop.later()))
    assert rollback(loop)["to_version"] == "4"
    assert loop.aliases() == ("4", "2")


def test_a_version_deleted_while_it_is_promoted_never_was_champion(loop: AuditedLoop) -> None:
    loop.champions(2)
    refit = loop.night("4")
    intent = Promotion(3, f"run-{refit}", "4", refit, "passed", loop.later(), is_complete=False)
    loop.context.store.audit.begin_promotion(intent)
    loop.delete(refit)
    with pytest.raises(NotFoundError, match="deleted: no alias was moved"):
        loop.promote(refit)
    assert loop.aliases() == ("4", "2")
    assert rollback(loop)["to_version"] == "4"
    assert loop.audit() == [
        ("promotion", "2", True), ("promotion", "4", True), ("promotion", "6", False), ("rollback", "4", True)
    ]  # fmt: skip
    assert loop.aliases() == ("4", "2")


def test_a_promotion_over_a_deleted_champion_leads_back_to_the_one_before(loop: AuditedLoop) -> None:
    loop.champions(2)
    loop.delete("2")
    loop.promote(loop.night("4"))
    assert loop.aliases() == ("6", "4")
    loop.delete("4")
    loop.promote(loop.night("6"))
    loop.delete("6")
    assert rollback_error(loop) == "InputError"
    assert loop.aliases() == ("8", None)


def rollback_error(loop: AuditedLoop) -> str:
    with pytest.raises(RecsysError) as raised:
        rollback(loop)
    return type(raised.value).__name__


def test_a_rollback_and_a_promotion_from_one_champion_cannot_both_happen(loop: AuditedLoop) -> None:
    loop.champions(2)
    loop.promote(loop.night("4"))
    late = Promotion(3, "back", "4", "2", "worse", loop.later(), is_complete=False, kind=PromotionKind.ROLLBACK)
    with pytest.raises(ConflictError, match="run run-6 promoted version 6 before"):
        loop.context.store.audit.begin_promotion(late)
    with pytest.raises(ConflictError):
        loop.context.store.audit.begin_promotion(replace(late, sequence=5))
    assert loop.aliases() == ("6", "4")
