"""The steps of `feedback_retraining`: from the backlog to a challenger that has been evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from recsys.config.run import RunConfig
from recsys.feedback.brigading import BrigadingConfig
from recsys.pipeline import kept_files
from recsys.pipeline.context import Context, scratch_folder
from recsys.pipeline.erasure import refreezing, renewal
from recsys.pipeline.retraining import evaluation, fits, frozen_sets, planning, recipes, trials
from recsys.pipeline.step import step
from recsys.times import parse_zoned_time

ConfigLike = RunConfig | Mapping[str, Any] | None


@step
def check_backlog(
    run_id: str, as_of: datetime | str, now: datetime | str, config: ConfigLike = None, record: bool = True
) -> dict[str, Any]:
    """Looks at the backlog as of the cut-off and decides whether to retrain; the decision goes to the ledger.

    Dislikes that look like brigading are flagged first: they neither count nor train until a person releases them.

    The ledger keeps what every trigger saw, under `triggers` of the decision's numbers.

    Args:
        run_id: names the run.
        as_of: cut-off on `recorded_at`.
        now: wall clock, for the record.
        config: a `RunConfig`, or settings by name; None: the defaults.
        record: False in a dry run.

    Returns:
        `retrain`, `backlog`, `threshold`, `reason`, and `triggers`: name -> whether it fired.

    Raises:
        InputError: if a setting is unknown or out of its range, before anything is written.
    """
    chosen = RunConfig.from_dict(config)
    recipes.chosen_families(chosen.families)
    with Context.open() as context:
        cut_off = parse_zoned_time(as_of)
        if record:
            planning.release_expired(context, run_id, parse_zoned_time(now))
            context.store.brigading.flag_brigading(cut_off, BrigadingConfig())
        decision = planning.backlog_decision(context, run_id, cut_off, chosen)
        if record:
            planning.record_backlog_decision(context, run_id, decision, cut_off, parse_zoned_time(now))
    return {
        "retrain": decision.retrain,
        "backlog": decision.backlog,
        "threshold": decision.threshold,
        "reason": decision.reason,
        "triggers": {report.name: report.fired for report in decision.triggers},
    }


@step
def claim_backlog(run_id: str, as_of: datetime | str, now: datetime | str, config: ConfigLike = None) -> dict[str, Any]:
    """Claims the backlog for this run in one transaction and freezes its cut-offs and its settings.

    Args:
        run_id: names the run.
        as_of: cut-off on `recorded_at`.
        now: wall clock, for the record.
        config: a `RunConfig`, or settings by name; None: the defaults.

    Raises:
        InputError: if a setting is unknown or out of its range.
        ConflictError: if another run holds an open batch.
    """
    chosen = RunConfig.from_dict(config)
    with Context.open() as context:
        batch = planning.own_batch(context, run_id)
        if batch is None:
            batch = context.store.backlog.claim_backlog(
                planning.plan_batch(context, run_id, parse_zoned_time(as_of), parse_zoned_time(now), chosen)
            )
    return {
        "batch_id": batch.batch_id,
        "as_of": batch.as_of.isoformat(),
        "fit_through": batch.fit_through.isoformat(),
        "num_examples": batch.num_examples,
        "champion_version": batch.champion_version,
        "eligible": batch.rule.as_dict(),
    }


@step
def build_training_set(batch_id: str) -> dict[str, Any]:
    """Freezes the training examples, histories and catalog of the batch as Parquet, and names them by digest."""
    with Context.open() as context:
        batch = refreezing.require_forgotten(context, context.store.backlog.get_batch(batch_id), "build_training_set")
        folder = context.folder(batch_id) / "training_set"
        summary = frozen_sets.freeze_training_set(context, batch, folder)
        uri = kept_files.record_training_set(context, batch_id, summary)
    return {
        "uri": uri,
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
    with Context.open() as context:
        batch = refreezing.require_forgotten(
            context, context.store.backlog.get_batch(batch_id), "validate_training_set"
        )
        batch, report = frozen_sets.check_batch(context, batch)
    return {
        "success": report.success,
        "num_expectations": report.num_expectations,
        "warnings": list(report.warnings),
        "data_docs_uri": batch.data_docs_uri,
    }


@step
def list_candidates(batch_id: str) -> dict[str, Any]:
    """What `try_candidate` has to try: the grid of each family of the batch."""
    with Context.open() as context:
        return {"candidates": recipes.candidate_names(context.store.backlog.get_batch(batch_id))}


@step
def try_candidate(batch_id: str, candidate: str) -> dict[str, Any]:
    """Measures one candidate on the newest of what the challenger may learn from; what it found stays with the batch.

    Args:
        batch_id: of a frozen training set.
        candidate: a name out of `list_candidates`.

    Raises:
        InputError: if the candidate is none of the batch's.
    """
    with Context.open() as context:
        batch = refreezing.require_forgotten(context, context.store.backlog.get_batch(batch_id), "try_candidate")
        trial = trials.try_and_record(context, batch, candidate)
    return {
        **trial.settings,
        "candidate": candidate,
        "ndcg_at_10": trial.ndcg_at_10,
        "num_lists": trial.num_lists,
    }


@step
def train_challenger(batch_id: str) -> dict[str, Any]:
    """Fits the best candidate on what was recorded up to `fit_through`; registers it, with the alias `challenger`.

    Raises:
        InputError: if a candidate of the batch has not been tried.
    """
    with Context.open() as context:
        batch = refreezing.require_forgotten(context, context.store.backlog.get_batch(batch_id), "train_challenger")
        batch = renewal.with_challenger(context, batch)
        if batch.challenger_version is None:
            version = fits.train(context, batch, fit_name="judged")
            batch = context.store.backlog.update_batch(batch_id, challenger_version=version)
        version = str(batch.challenger_version)
        context.registry.aliases.set_alias("challenger", version)
        return {"model_version": version, "batch_id": batch_id, "link": context.registry.link(version)}


@step
def evaluate_challenger(batch_id: str) -> dict[str, Any]:
    """Scores champion, challenger and baselines on the holdout; the evidence goes to the challenger's MLflow run."""
    with Context.open() as context:
        batch = refreezing.require_forgotten(context, context.store.backlog.get_batch(batch_id), "evaluate_challenger")
        batch, metrics = evaluation.evaluate_batch(context, renewal.with_challenger(context, batch))
        link = context.registry.link(str(batch.challenger_version))
    return {
        "model_version": str(batch.challenger_version),
        "batch_id": batch_id,
        "as_of": batch.as_of.isoformat(),
        "evidence_uri": batch.evidence_uri,
        "metrics": metrics,
        "link": link,
    }


@step
def settle_backlog(batch_id: str, now: datetime | str) -> dict[str, Any]:
    """Marks the claimed examples as used if a challenger was registered from them, else gives them back."""
    with Context.open() as context:
        batch = context.store.backlog.settle_backlog(batch_id, parse_zoned_time(now))
    return {
        "status": str(batch.status),
        "num_examples": batch.num_examples,
        "model_version": batch.challenger_version,
    }


@step
def dry_run(run_id: str, as_of: datetime | str, now: datetime | str, config: ConfigLike = None) -> dict[str, Any]:
    """The dry run: builds, validates, fits, evaluates and decides as a run would, in a scratch folder; nothing is kept."""
    chosen = RunConfig.from_dict(config)
    with Context.open() as context, scratch_folder() as folder:
        batch = planning.plan_batch(
            context, run_id, parse_zoned_time(as_of), parse_zoned_time(now), chosen, writes=False
        )
        summary = frozen_sets.freeze_training_set(context, batch, folder / "training_set")
        report = frozen_sets.check_training_set(context, batch, folder)
        for candidate in recipes.candidate_names(batch):
            trials.try_candidate(folder, batch, candidate)
        fits.fit_into(context, batch, folder, fit_name="judged")
        evidence = evaluation.evaluate(context, batch, folder)
        verdict = evaluation.reach_verdict(evidence)
    return {
        "would": verdict.verdict,
        "reasons": list(verdict.reasons),
        "fit_through": batch.fit_through.isoformat(),
        "digest": summary.digest,
        "num_rows": summary.num_rows,
        "num_expectations": report.num_expectations,
        "metrics": evaluation.metrics_of(evidence),
        "written": "nothing",
    }
