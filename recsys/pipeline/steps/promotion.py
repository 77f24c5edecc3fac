"""The steps of `model_promotion` and `recommendation_publishing`: from the gate's verdict to what users see."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from recsys.errors import ConflictError, InputError
from recsys.pipeline import kept_files
from recsys.pipeline.champion import aliases as champions
from recsys.pipeline.context import Context
from recsys.pipeline.erasure import refreezing, renewal
from recsys.pipeline.erasure.old_lists import delete_retired_lists
from recsys.pipeline.promotion import approval, holdout_extension, verdicts
from recsys.pipeline.retraining import evaluation
from recsys.pipeline.step import step
from recsys.records import Promotion
from recsys.times import parse_zoned_time


@step
def extend_holdout(model_version: str, as_of: datetime | str) -> dict[str, Any]:
    """Evaluates a challenger again on everything recorded up to `as_of`, if its evidence was insufficient so far.

    Champion and challenger are the versions that were compared before; neither has seen any of it. `decide_promotion`
    then decides on the longer holdout. What had enough evidence is left alone.

    Args:
        model_version: an evaluated challenger.
        as_of: new end of its holdout, later than the old one.

    Raises:
        ConflictError: if the champion changed since the challenger was compared with it.
        InputError: if `as_of` is not later than the holdout's end.
    """
    with Context.open() as context:
        batch = refreezing.require_forgotten(context, renewal.batch_of(context, model_version), "extend_holdout")
        batch = renewal.with_evidence(context, batch)
        done = holdout_extension.extend(context, batch, parse_zoned_time(as_of))
        return {
            "model_version": batch.challenger_version,
            "extended": done.extended,
            "as_of": done.evidence.as_of.isoformat(),
            "evidence_uri": done.uri,
            "num_users": int(evaluation.metrics_of(done.evidence)["holdout_users"]),
            "reason": done.reason,
        }


@step
def decide_promotion(
    model_version: str,
    run_id: str,
    now: datetime | str,
    accept_gain: bool = False,
    accept_thin_evidence: str | None = None,
) -> dict[str, Any]:
    """The gate: promote, reject or insufficient evidence, with reasons; decides and records, never acts.

    If a user of the training set was erased since, the challenger is trained and evaluated again first, without them; the
    verdict, and `model_version` of the result, are about the new one.

    Args:
        model_version: an evaluated challenger.
        run_id: names the run whose verdict this is.
        now: wall clock, for the record.
        accept_gain: a person has looked at a gain that is too good to be true, and found no leak.
        accept_thin_evidence: why a person wants what there is too little evidence about. The verdict is "promote" then,
            and says so; `promote` refuses it until a person has approved it by name (`request_approval`). What the gate
            refuses stays refused.

    Raises:
        InputError: if the reason is empty.
    """
    if accept_thin_evidence is not None and not accept_thin_evidence.strip():
        raise InputError("Expected a reason to accept thin evidence, got an empty one: it goes into the audit.")
    with Context.open() as context:
        batch = refreezing.require_forgotten(context, renewal.batch_of(context, model_version), "decide_promotion")
        batch = renewal.with_evidence(context, batch)
        evidence = evaluation.load_evidence(context, batch)
        superseded_by = verdicts.superseding_champion(context, batch, run_id)
        verdict = evaluation.reach_verdict(
            evidence, accept_gain=accept_gain, superseded_by=superseded_by, accepted_thin_evidence=accept_thin_evidence
        )
        verdicts.record_verdict(context, batch, evidence, verdict, run_id, parse_zoned_time(now))
    return {
        "verdict": verdict.verdict,
        "reasons": list(verdict.reasons),
        "model_version": str(batch.challenger_version),
        "batch_id": batch.batch_id,
    }


@step
def refit_challenger(model_version: str) -> dict[str, Any]:
    """Fits what passed the gate again, through the cut-off, with the same recipe and seed; tests and registers it.

    If a user of the training set was erased since, the challenger is trained, evaluated and decided on again first.

    Raises:
        DataCheckError: if a behaviour test fails, or the lists moved too far from those that were evaluated.
        ConflictError: if the recipe has changed since the challenger was trained, or one that was trained again after an
            erasure does not pass the gate.
    """
    with Context.open() as context:
        batch = refreezing.require_forgotten(context, renewal.batch_of(context, model_version), "refit_challenger")
        batch = renewal.with_refit(context, batch)
        return {
            "model_version": str(batch.refit_version),
            "judged_version": str(batch.challenger_version),
            "batch_id": batch.batch_id,
            "as_of": batch.as_of.isoformat(),
            "link": context.registry.link(str(batch.refit_version)),
        }


@step
def promote(model_version: str, run_id: str, now: datetime | str) -> dict[str, Any]:
    """Moves the alias `champion` to `model_version`. The audit row is written first, so a crash can be resumed.

    If a user of the training set was erased since, all is trained, evaluated, decided on and refitted again first, without
    them; what is promoted, `to_version` of the result, is the new refit. Who had approved the old one is asked again.

    Args:
        model_version: the refit of a challenger that passed the gate in this run.
        run_id: names the run whose recorded verdict allows the promotion.
        now: wall clock, for the audit row.

    Raises:
        ConflictError: if the champion is not the one that the gate compared with, another promotion came first, the alias
            was moved by hand, the version was rolled back from, or a person was asked, or has to be since thin evidence
            was accepted, and has not approved.
        InputError: if no verdict "promote" of this run stands behind the version.
    """
    at = parse_zoned_time(now)
    with Context.open() as context:
        last = champions.finish_promotion(context, at)
        if last is None or last.to_version != model_version or last.run_id != run_id:
            model_version = _without_erased(context, model_version, run_id, at)
        if last is not None and last.to_version == model_version and last.run_id == run_id:
            return _promoted(last)
        batch = verdicts.passed_batch(context, model_version, run_id)
        champion = None if last is None else last.to_version
        champions.require_promotable(context, batch, champion)
        kept_files.require_recommender(context, model_version)
        accepted = verdicts.accepted_reason(context, run_id)
        answer = approval.require_approval(context, model_version, None if accepted is None else run_id)
        context.store.audit.begin_promotion(
            Promotion(
                1 if last is None else last.sequence + 1, run_id, champion, model_version,
                _why(batch.challenger_version, accepted), at, is_complete=False,
                approved_by=None if answer is None else answer.answered_by,
                approved_at=None if answer is None else answer.answered_at,
            )
        )  # fmt: skip
        done = champions.finish_promotion(context, at)
        if done is None or done.to_version != model_version:
            raise ConflictError(
                f"Expected version {model_version} to be the newest promotion, got {done}: another came first."
            )
        return _promoted(done)


def _without_erased(context: Context, model_version: str, run_id: str, now: datetime) -> str:
    """The refit to promote: a new one, if a user of its training set was erased since. Who approved the old is asked again."""
    batch = verdicts.batch_of_version(context, model_version)
    batch = refreezing.require_forgotten(context, batch, "promote")
    if batch.refit_version == model_version or not renewal.was_of(context, batch, model_version):
        return model_version
    refit = str(renewal.with_refit(context, batch).refit_version)
    if approval.find_request(context, model_version) is not None:
        approval.ask(context, refit, run_id, now)
    return refit


def _why(challenger_version: str | None, accepted: str | None) -> str:
    if accepted is None:
        return f"passed the gate as version {challenger_version}"
    return f"thin evidence about version {challenger_version} was accepted: {accepted}"


def _promoted(promotion: Promotion) -> dict[str, Any]:
    return {
        "from_version": promotion.from_version,
        "to_version": promotion.to_version,
        "sequence": promotion.sequence,
    }


@step
def publish_recommendations(
    as_of: datetime | str, now: datetime | str, model_version: str | None = None
) -> dict[str, Any]:
    """Writes the top 10 of every user, with reasons and contributions, and one list for users without history.

    Users get them from the time on at which all are written; a list that did not change is not written again. Lists of
    retired versions that nobody was shown are deleted before.

    Args:
        as_of: histories are read as of this cut-off.
        now: wall clock, for the lists.
        model_version: must be the champion; None: whatever the champion is.

    Raises:
        InputError: if there is no champion yet.
        ConflictError: if `model_version` is not the champion, or the alias was moved by hand.
    """
    with Context.open() as context:
        champion = champions.current_champion(context, parse_zoned_time(now))
        if champion is None:
            raise InputError(
                "Expected a champion to publish from, found none: run `recsys run` until a version is promoted."
            )
        if model_version is not None and model_version != champion:
            raise ConflictError(f"Expected to publish the champion, version {champion}, got version {model_version}.")
        champions.require_alias(context)
        from recsys.serving.publishing import publish

        recommender = context.recommender(champion)
        delete_retired_lists(context, parse_zoned_time(now))
        num_users = publish(context.store, recommender, champion, parse_zoned_time(as_of), parse_zoned_time(now))
    return {"model_version": champion, "num_users": num_users, "as_of": parse_zoned_time(as_of).isoformat()}
