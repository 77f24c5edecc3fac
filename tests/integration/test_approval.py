"""A person's answer between verdict and promotion: without a yes nothing is promoted, by whichever run."""

from __future__ import annotations

import pytest

from recsys import pipeline
from recsys.errors import ConflictError, InputError, NotFoundError
from tests.integration.audited_loop import AuditedLoop


def ask(loop: AuditedLoop, version: str) -> None:
    pipeline.request_approval(version, f"run-{version}", loop.later())


def test_who_approved_and_when_is_in_the_audit_and_the_ledger(loop: AuditedLoop) -> None:
    (champion,) = loop.champions(1)
    refit = loop.night(champion)
    ask(loop, refit)
    with pytest.raises(ConflictError, match="version 4 to be approved, but it waits for an answer"):
        loop.promote(refit)
    shown = pipeline.show_verdict(refit)
    assert (shown["run_id"], shown["model_version"]) == ("run-4", "4")
    for words in ("Version **4** would become champion instead of version **2**", "Verdict: promote", "| champion |"):
        assert words in shown["markdown"]
    assert "has changed" not in shown["markdown"]

    answered = pipeline.record_answer(refit, "Approve", "ann", loop.later())
    assert answered["verdict"] == "approve"
    at = loop.now
    ask(loop, refit)  # a cleared task: what was answered stays
    loop.promote(refit, shown["run_id"])
    row = loop.context.store.audit.list_promotions()[-1]
    assert (row.to_version, row.approved_by, row.approved_at) == (refit, "ann", at)
    (decision,) = loop.context.store.audit.list_decisions(step="await_approval")
    assert (decision.run_id, decision.verdict, decision.reasons) == (
        "run-4", "approve", ("Version 4: Approved by ann.",)
    )  # fmt: skip
    assert decision.numbers["answered_at"] == at.isoformat()
    with pytest.raises(ConflictError, match="promoted already: `recsys rollback`"):
        pipeline.record_answer(refit, "Reject", "bob", loop.later())


@pytest.mark.parametrize(
    ("by", "words"), [("bob", "was rejected by bob"), (None, "was rejected by nobody answering in time")]
)
def test_what_was_rejected_is_promoted_by_no_run(loop: AuditedLoop, by: str | None, words: str) -> None:
    (champion,) = loop.champions(1)
    refit = loop.night(champion)
    ask(loop, refit)
    assert pipeline.record_answer(refit, "Reject", by, loop.later())["verdict"] == "reject"
    loop.pass_gate("without a question", f"run-{refit}")
    for run_id in (f"run-{refit}", "without a question"):
        with pytest.raises(ConflictError, match=words):
            loop.promote(refit, run_id)
    assert loop.aliases() == (champion, None)
    pipeline.record_answer(refit, "Approve", "ann", loop.later())  # asked again, the newest answer counts
    loop.promote(refit)
    assert loop.aliases() == (refit, champion)


def test_an_approval_comes_too_late_once_the_champion_has_changed(loop: AuditedLoop) -> None:
    (champion,) = loop.champions(1)
    waiting, other = loop.night(champion), loop.night(champion)
    ask(loop, waiting)
    loop.promote(other)
    assert "**The champion has changed** since" in pipeline.show_verdict(waiting)["markdown"]
    pipeline.record_answer(waiting, "Approve", "ann", loop.later())
    with pytest.raises(ConflictError, match=rf"Expected version {champion} to be champion.*it is {other} now"):
        loop.promote(waiting)
    assert loop.aliases() == (other, champion)


def test_only_what_passed_the_gate_is_asked_about(loop: AuditedLoop) -> None:
    (champion,) = loop.champions(1)
    refit = loop.night(champion)
    with pytest.raises(InputError, match="passed the gate in run another"):
        pipeline.request_approval(refit, "another", loop.later())
    with pytest.raises(NotFoundError, match=f"waits for a person's answer, got {refit}"):
        pipeline.show_verdict(refit)
    ask(loop, refit)
    for answer, by in (("maybe", "ann"), ("Approve", None)):
        with pytest.raises(InputError, match="Expected approve or reject, and a name with the first"):
            pipeline.record_answer(refit, answer, by, loop.later())
    assert loop.context.store.audit.list_decisions(step="await_approval")[0].verdict == "pending"


def test_what_passed_on_thin_evidence_takes_a_person_by_name_in_that_very_run(loop: AuditedLoop) -> None:
    (champion,) = loop.champions(1)
    refit = loop.night(champion)
    ask(loop, refit)
    pipeline.record_answer(refit, "Approve", "ann", loop.later())  # of a verdict with enough evidence
    run_id = loop.accept_thin_evidence(f"run-{refit}", "a recall")
    for answer in (None, "Reject"):
        if answer is not None:
            pipeline.request_approval(refit, run_id, loop.later())
            assert 'evaluated on too little evidence, accepted for "a recall"' in loop.reason_of(
                run_id, "await_approval"
            )
            assert "**There is too little evidence for the gate.**" in pipeline.show_verdict(refit)["markdown"]
            pipeline.record_answer(refit, answer, "bob", loop.later())
        with pytest.raises(ConflictError, match="nobody was asked" if answer is None else "was rejected by bob"):
            loop.promote(refit, run_id)
    assert loop.aliases() == (champion, None)
    pipeline.record_answer(refit, "Approve", "cid", loop.later())
    loop.promote(refit, run_id)
    last = loop.context.store.audit.list_promotions()[-1]
    assert (last.run_id, last.approved_by) == (run_id, "cid")
    assert last.reason == "thin evidence about version 3 was accepted: a recall"
