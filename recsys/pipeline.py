"""The steps of the loop, one function each. The DAG task, the CLI and the tests call the same function.

    check_backlog -> claim_backlog -> build_training_set -> validate_training_set -> train_challenger
        -> evaluate_challenger -> settle_backlog            (one run of `feedback_retraining`)
    decide_promotion -> refit_challenger -> promote         (`model_promotion`)
    publish_recommendations                                 (`recommendation_publishing`)
    measure_feedback                                        (`feedback_monitoring`)
    rehearse                                                (the dry run: the first row and the verdict, nothing kept)

Steps take and return names (batch ids, versions, URIs, digests, counts), never data. Each is idempotent: run again
with the same arguments it finds or rewrites its own result. None reads the clock: `as_of` is the run's cut-off on
`recorded_at`, `now` the time that is written into the records.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from recsys.errors import ConflictError, InputError, TransientError, is_disk_full
from recsys.feedback.brigading import BrigadingConfig
from recsys.feedback.triggers import TriggerConfig
from recsys.nightly import champion as champions
from recsys.nightly import fitting, judging, measuring, planning
from recsys.nightly.planning import RunConfig
from recsys.nightly.status import feedback_report, status
from recsys.nightly.workplace import Workplace, scratch_folder
from recsys.records import Decision, Promotion

P = ParamSpec("P")
R = TypeVar("R")
__all__ = ["STEPS", "feedback_report", "status", "step"]

STEPS: dict[str, Callable[..., dict[str, Any]]] = {}


def step(function: Callable[P, dict[str, Any]]) -> Callable[P, dict[str, Any]]:
    """Registers a step, and turns a full disk into an error that says so and may be retried."""

    @functools.wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> dict[str, Any]:
        try:
            return function(*args, **kwargs)
        except OSError as error:
            if is_disk_full(error):
                raise TransientError(
                    f"Expected room to write in {function.__name__}, but the disk is full ({error}). Nothing half-written "
                    "is used: free space and run the step again."
                ) from error
            raise

    STEPS[function.__name__] = guarded
    return guarded


def _moment(value: datetime | str) -> datetime:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError as error:
        raise InputError(f"Expected a time such as 2013-06-14T00:00:00+00:00, got {value!r}.") from error
    if moment.tzinfo is None:
        raise InputError(f"Expected a time with a zone, such as 2013-06-14T00:00:00+00:00, got {value}.")
    return moment


@step
def check_backlog(
    run_id: str,
    as_of: datetime | str,
    now: datetime | str,
    threshold: int = TriggerConfig.threshold,
    force_reason: str | None = None,
    record: bool = True,
    backlog_trigger: bool = TriggerConfig.backlog_trigger,
    error_threshold: float = TriggerConfig.error_threshold,
    error_min_count: int = TriggerConfig.error_min_count,
    error_trigger: bool = TriggerConfig.error_trigger,
    feature_lift: float = TriggerConfig.feature_lift,
    feature_min_count: int = TriggerConfig.feature_min_count,
    feature_significance: float = TriggerConfig.feature_significance,
    feature_trigger: bool = TriggerConfig.feature_trigger,
) -> dict[str, Any]:
    """Looks at the backlog as of the cut-off and decides whether to retrain; the decision goes to the ledger.

    Dislikes that look like brigading are flagged first: they neither count nor train until a person releases them.

    The ledger keeps what every trigger saw, under `triggers` of the decision's numbers. The meanings of the triggers'
    numbers are with `recsys.feedback.triggers.TriggerConfig`.

    Args:
        run_id: names the run.
        as_of: cut-off on `recorded_at`.
        now: time of the record.
        threshold: retrain from so many unclaimed, unused negative examples on.
        force_reason: retrain whatever the triggers say, for this reason.
        record: False in a dry run.
        backlog_trigger: whether `threshold` counts.
        error_threshold: retrain above this mean prediction error of the backlog.
        error_min_count: of so many examples with a predicted score.
        error_trigger: whether that counts.
        feature_lift: retrain when a feature is disliked so much more than it is met.
        feature_min_count: with so many dislikes.
        feature_significance: and such a p-value at most.
        feature_trigger: whether that counts.

    Returns:
        `retrain`, `backlog`, `threshold`, `reason`, and `triggers`: name -> whether it fired.
    """
    config = TriggerConfig(
        threshold, backlog_trigger, error_threshold, error_min_count, error_trigger, feature_lift, feature_min_count,
        feature_significance, feature_trigger,
    )  # fmt: skip
    with Workplace.open() as place:
        cut_off = _moment(as_of)
        if record:
            planning.release_expired(place, run_id, _moment(now))
            place.store.flag_brigading(cut_off, BrigadingConfig())
        decision = planning.backlog_decision(place, run_id, cut_off, config, force_reason)
        if record:
            planning.record_backlog_decision(place, run_id, decision, cut_off, _moment(now))
    return {
        "retrain": decision.retrain,
        "backlog": decision.backlog,
        "threshold": threshold,
        "reason": decision.reason,
        "triggers": {report.name: report.fired for report in decision.triggers},
    }


@step
def claim_backlog(
    run_id: str,
    as_of: datetime | str,
    now: datetime | str,
    half_life_days: float | None = None,
    seed: int = 0,
    force_reason: str | None = None,
) -> dict[str, Any]:
    """Claims the backlog for this run in one transaction and freezes its cut-offs.

    Raises:
        ConflictError: if another run holds an open batch.
    """
    with Workplace.open() as place:
        batch = planning.own_batch(place, run_id)
        if batch is None:
            config = RunConfig(half_life_days, seed, force_reason)
            batch = place.store.claim_backlog(planning.plan_batch(place, run_id, _moment(as_of), _moment(now), config))
    return {
        "batch_id": batch.batch_id,
        "as_of": batch.as_of.isoformat(),
        "fit_through": batch.fit_through.isoformat(),
        "num_examples": batch.num_examples,
        "champion_version": batch.champion_version,
    }


@step
def build_training_set(batch_id: str) -> dict[str, Any]:
    """Freezes the training examples, histories and catalog of the batch as Parquet, and names them by digest."""
    with Workplace.open() as place:
        batch = place.store.get_batch(batch_id)
        folder = place.folder(batch_id) / "training_set"
        summary = fitting.freeze_training_set(place, batch, folder)
        place.store.update_batch(
            batch_id, training_set_uri=folder.as_uri(), training_set_digest=summary.digest, num_rows=summary.num_rows
        )
    return {
        "uri": folder.as_uri(),
        "digest": summary.digest,
        "num_rows": summary.num_rows,
        "num_dislikes": summary.num_dislikes,
        "num_holdout": summary.num_holdout,
    }


@step
def validate_training_set(batch_id: str) -> dict[str, Any]:
    """Checks the training set with Great Expectations; Data Docs go to the artifacts.

    Raises:
        DataCheckError: naming the failing expectation, with sample rows.
    """
    with Workplace.open() as place:
        batch = place.store.get_batch(batch_id)
        report = fitting.check_training_set(place, batch, place.folder(batch_id))
        place.store.update_batch(batch_id, data_docs_uri=Path(report.data_docs).as_uri())
    return {
        "success": report.success,
        "num_expectations": report.num_expectations,
        "warnings": list(report.warnings),
        "data_docs_uri": Path(report.data_docs).as_uri(),
    }


@step
def train_challenger(batch_id: str) -> dict[str, Any]:
    """Fits the challenger on what was recorded up to `fit_through` and registers it, with the alias `challenger`."""
    with Workplace.open() as place:
        batch = place.store.get_batch(batch_id)
        if batch.challenger_version is None:
            version = fitting.train(place, batch, fit_name="judged")
            batch = place.store.update_batch(batch_id, challenger_version=version)
        version = str(batch.challenger_version)
        place.registry.set_alias("challenger", version)
        return {"model_version": version, "batch_id": batch_id, "link": place.registry.link(version)}


@step
def evaluate_challenger(batch_id: str) -> dict[str, Any]:
    """Scores champion, challenger and baselines on the holdout; the evidence goes to the challenger's MLflow run."""
    with Workplace.open() as place:
        batch = place.store.get_batch(batch_id)
        evidence = judging.evaluate(place, batch, place.folder(batch_id))
        folder = evidence.save(place.folder(batch_id) / "evidence")
        metrics = judging.log_evidence(place, batch, evidence, folder)
        place.store.update_batch(batch_id, evidence_uri=folder.as_uri())
        link = place.registry.link(str(batch.challenger_version))
    return {
        "model_version": str(batch.challenger_version),
        "batch_id": batch_id,
        "as_of": batch.as_of.isoformat(),
        "evidence_uri": folder.as_uri(),
        "metrics": metrics,
        "link": link,
    }


@step
def settle_backlog(batch_id: str, now: datetime | str) -> dict[str, Any]:
    """Marks the claimed examples as used if a challenger was registered from them, else gives them back."""
    with Workplace.open() as place:
        batch = place.store.settle_backlog(batch_id, _moment(now))
    return {
        "status": str(batch.status),
        "num_examples": batch.num_examples,
        "model_version": batch.challenger_version,
    }


@step
def rehearse(
    run_id: str,
    as_of: datetime | str,
    now: datetime | str,
    half_life_days: float | None = None,
    seed: int = 0,
    force_reason: str | None = None,
) -> dict[str, Any]:
    """The dry run: builds, validates, fits, evaluates and judges as a run would, in a scratch folder; nothing is kept."""
    with Workplace.open() as place, scratch_folder() as folder:
        config = RunConfig(half_life_days, seed, force_reason)
        batch = planning.plan_batch(place, run_id, _moment(as_of), _moment(now), config, writes=False)
        summary = fitting.freeze_training_set(place, batch, folder / "training_set")
        report = fitting.check_training_set(place, batch, folder)
        fitting.fit_into(place, batch, folder, fit_name="judged")
        evidence = judging.evaluate(place, batch, folder)
        verdict = judging.judge(evidence)
    return {
        "would": verdict.verdict,
        "reasons": list(verdict.reasons),
        "fit_through": batch.fit_through.isoformat(),
        "digest": summary.digest,
        "num_rows": summary.num_rows,
        "num_expectations": report.num_expectations,
        "metrics": judging.metrics_of(evidence),
        "written": "nothing",
    }


@step
def decide_promotion(model_version: str, run_id: str, now: datetime | str) -> dict[str, Any]:
    """The gate: promote, reject or insufficient evidence, with reasons; decides and records, never acts."""
    with Workplace.open() as place:
        batch = place.store.find_batch_by_version(model_version)
        verdict = judging.judge(judging.load_evidence(batch))
        numbers = {"model_version": model_version, "batch_id": batch.batch_id, **verdict.numbers}
        place.store.record_decision(
            Decision(run_id, "decide_promotion", verdict.verdict, verdict.reasons, batch.as_of, _moment(now), numbers)
        )
        place.registry.set_tags(model_version, {"verdict": verdict.verdict})
        judging.describe_verdict(place, batch, verdict)
    return {
        "verdict": verdict.verdict,
        "reasons": list(verdict.reasons),
        "model_version": model_version,
        "batch_id": batch.batch_id,
    }


@step
def refit_challenger(model_version: str) -> dict[str, Any]:
    """Fits what passed the gate again, through the cut-off, with the same recipe and seed; tests and registers it.

    Raises:
        DataCheckError: if a behaviour test fails, or the lists moved too far from those that were judged.
        ConflictError: if the recipe has changed since the challenger was trained.
    """
    with Workplace.open() as place:
        batch = place.store.find_batch_by_version(model_version)
        if batch.refit_version is None:
            version = judging.refit(place, batch)
            batch = place.store.update_batch(batch.batch_id, refit_version=version)
        return {
            "model_version": str(batch.refit_version),
            "judged_version": model_version,
            "batch_id": batch.batch_id,
            "as_of": batch.as_of.isoformat(),
            "link": place.registry.link(str(batch.refit_version)),
        }


@step
def promote(model_version: str, run_id: str, now: datetime | str) -> dict[str, Any]:
    """Moves the alias `champion` to `model_version`. The audit row is written first, so a crash can be resumed.

    Args:
        model_version: the refit of a challenger that passed the gate in this run.
        run_id: names the run whose recorded verdict allows the promotion.
        now: time of the audit row.

    Raises:
        ConflictError: if the champion is not the one that the gate compared with, or another promotion came first.
        InputError: if no verdict "promote" of this run stands behind the version.
    """
    moment = _moment(now)
    with Workplace.open() as place:
        last = champions.finish_promotion(place, moment)
        if last is not None and last.to_version == model_version and last.run_id == run_id:
            return _promoted(last)
        batch = judging.passed_batch(place, model_version, run_id)
        champion = place.registry.get_alias("champion")
        if champion != batch.champion_version:
            raise ConflictError(
                f"Expected version {batch.champion_version or 'none'} to be champion, since the gate compared version "
                f"{batch.challenger_version} with it, but it is {champion or 'none'} now: nothing was promoted. "
                "The next run compares with the new champion."
            )
        reason = f"passed the gate as version {batch.challenger_version}"
        sequence = 1 if last is None else last.sequence + 1
        intent = Promotion(sequence, run_id, champion, model_version, reason, moment, is_complete=False)
        place.store.begin_promotion(intent)
        done = champions.finish_promotion(place, moment)
        if done is None or done.to_version != model_version:
            raise ConflictError(
                f"Expected version {model_version} to be the newest promotion, got {done}: another came first."
            )
        return _promoted(done)


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

    Args:
        as_of: histories are read as of this cut-off.
        now: time of the lists.
        model_version: must be the champion; None: whatever the champion is.
    """
    from recsys.serving.publishing import publish

    with Workplace.open() as place:
        champion = champions.current_champion(place, _moment(now))
        if champion is None:
            raise InputError(
                "Expected a champion to publish from, found none: run `recsys run` until a version is promoted."
            )
        if model_version is not None and model_version != champion:
            raise ConflictError(f"Expected to publish the champion, version {champion}, got version {model_version}.")
        num_users = publish(place.store, place.recommender(champion), champion, _moment(as_of), _moment(now))
    return {"model_version": champion, "num_users": num_users, "as_of": _moment(as_of).isoformat()}


@step
def measure_feedback(as_of: datetime | str) -> dict[str, Any]:
    """Identifies patterns among the dislikes and measures what users say of each version; says what to look at.

    Patterns go to `dislike_patterns`, numbers of a version to its MLflow run, both under the cut-off: the same one again
    replaces patterns and adds no second point.

    Returns:
        `alerts` in plain words; counts of patterns; `versions`: version -> dislike rate.
    """
    with Workplace.open() as place:
        return measuring.measure(place, _moment(as_of))
