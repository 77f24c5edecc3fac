"""Evaluates a challenger on the holdout: the evidence that the gate decides on, and what people see of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsys.errors import InputError
from recsys.files.digests import below
from recsys.pipeline import kept_files
from recsys.pipeline.context import Context
from recsys.pipeline.retraining.frozen_sets import read_training_set, was_frozen_anew
from recsys.pipeline.retraining.pooled_opinions import pool_opinions
from recsys.pipeline.retraining.recipes import current_recipe
from recsys.records import Batch, Decision
from recsys.store.artifact_digests import ArtifactKind

if TYPE_CHECKING:
    from recsys.evaluation.gate.decide import Verdict
    from recsys.evaluation.gate.evidence import Evidence
    from recsys.model.protocol import RecommenderProtocol
    from recsys.training.dataset.training_set import TrainingSet

SHOWN = ("systems.md", "systems.png")  # of the evidence: what a person looks at and what the refit does not have itself


def evaluate(
    context: Context,
    batch: Batch,
    folder: Path,
    training_set: TrainingSet | None = None,
    as_of: datetime | None = None,
) -> Evidence:
    """Lists of every system for the holdout's users, evaluated; the same histories and cut-off for all.

    Args:
        context: stores and folders.
        batch: what is evaluated.
        folder: with its judged fit.
        training_set: holds the holdout; None: the one that the batch froze.
        as_of: end of that holdout; None: the batch's.
    """
    from recsys.evaluation.behaviour.suite import run_behaviour_tests
    from recsys.evaluation.evaluate import Holdout, evaluate_systems
    from recsys.evaluation.gate.evidence import Evidence
    from recsys.evaluation.pseudonyms import in_order, keyed
    from recsys.model.eligible_items import barred_items
    from recsys.model.protocol import load_recommender

    training_set = training_set or read_training_set(context, batch, folder)
    kept_files.require_fit(context, batch, folder, "judged")
    challenger = load_recommender(folder / "judged" / "recommender")
    systems: dict[str, RecommenderProtocol] = {"challenger": challenger}
    through = {"challenger": trained_through(context, batch.challenger_version, challenger)}
    if batch.champion_version is not None:
        systems["champion"] = context.recommender(batch.champion_version)
        through["champion"] = trained_through(context, batch.champion_version, systems["champion"])
    holdout = Holdout(
        judgements=training_set.holdout,
        examples=training_set.examples_through(batch.fit_through),
        histories=training_set.histories,
        items=training_set.items,
        begins_at=batch.fit_through,
        half_life_days=challenger.recipe.get("best_trend_half_life_days", batch.half_life_days),
        barred=barred_items(training_set.items, batch.rule, batch.fit_through),
    )
    judgement = evaluate_systems(systems, holdout, len(challenger.item_ids))
    pool = pool_opinions(
        context, batch, keyed(judgement.opinions, context.pseudonym), as_of or batch.as_of,
        load=lambda other, decision: load_evidence(context, as_decided(other, decision)),
    )  # fmt: skip
    behaviour = run_behaviour_tests(
        challenger, in_order(training_set.histories, context.pseudonym), seed=batch.config.seed
    )
    return Evidence(
        batch_id=batch.batch_id,
        kind=_kind(context, batch),
        as_of=as_of or batch.as_of,
        fit_through=batch.fit_through,
        champion_version=batch.champion_version,
        challenger_version=batch.challenger_version or "not registered",
        per_user=keyed(judgement.per_user, context.pseudonym),
        seed=batch.config.seed,
        fidelity={k: v for r in behaviour for k, v in r.metrics.items() if k.startswith("fidelity_")},
        per_system=judgement.per_system,
        slices=keyed(judgement.slices, context.pseudonym),
        behaviour=[result.as_dict() for result in behaviour],
        challenger_trained_through=through["challenger"],
        champion_trained_through=through.get("champion"),
        training_set_digest=batch.training_set_digest,
        is_keyed=True,
        claims={name: system.claims_exact_contributions for name, system in systems.items()},
        **vars(pool),
    )


def evaluate_batch(context: Context, batch: Batch) -> tuple[Batch, dict[str, float]]:
    """Evaluates, and keeps the evidence: in the batch's folder and in the challenger's run; the batch then names it.

    Of a set that was frozen anew it stands beside the evidence on the one before, which a verdict may rest on.

    Returns:
        The batch, and the metrics that MLflow shows.
    """
    context.make_pseudonyms()
    folder = context.folder(batch.batch_id)
    evidence = evaluate(context, batch, folder)
    name = f"evidence_{batch.training_set_digest:.12}" if was_frozen_anew(context, batch) else "evidence"
    target = evidence.save(folder / name)
    metrics = log_evidence(context, batch, evidence, target)
    kept_files.record_evidence(context, batch.batch_id, target)
    return context.store.backlog.get_batch(batch.batch_id), metrics


def trained_through(context: Context, version: str | None, recommender: RecommenderProtocol) -> datetime | None:
    """The newest event that a model may have seen: the later of what its own files and its tags say."""
    tags = {} if version is None else context.registry.versions.get_tags(version)
    said = [recommender.recipe.get("cut_off"), tags.get("trained_through")]
    return max((datetime.fromisoformat(one) for one in said if one), default=None)


def _kind(context: Context, batch: Batch) -> Any:
    if batch.champion_version is None:
        return "first"
    same = context.registry.versions.get_tags(batch.champion_version).get("recipe") == current_recipe(batch)
    return "refresh" if same else "recipe_change"


def reach_verdict(
    evidence: Evidence,
    *,
    accept_gain: bool = False,
    superseded_by: str | None = None,
    accepted_thin_evidence: str | None = None,
) -> Verdict:
    """The gate's verdict with its default thresholds.

    Args:
        evidence: of a challenger.
        accept_gain: a person found no leak behind an implausible gain.
        superseded_by: see `superseding_champion`.
        accepted_thin_evidence: why a person wants the challenger although there is too little evidence.
    """
    from recsys.evaluation.gate.decide import GateConfig, decide

    config = GateConfig(max_plausible_ratio=None) if accept_gain else GateConfig()
    return decide(evidence, config, superseded_by, accepted_thin_evidence)


def metrics_of(evidence: Evidence) -> dict[str, float]:
    """What MLflow shows of an evaluation: means by system, as `<system>_<metric>`, and what was measured of the challenger.

    A metric that no user could give is left out.
    """
    from recsys.evaluation.gate.opinions import likes_per_dislike, met_in_lists
    from recsys.evaluation.reporting.tables import ACCURACY, OF_LISTS

    means = evidence.per_user.groupby("system")[
        [name for name in (*ACCURACY, *OF_LISTS) if name in evidence.per_user]
    ].mean()
    flat = {
        f"{system}_{name}": float(value) for system, row in means.iterrows() for name, value in row.dropna().items()
    }
    flat |= {f"{system}_{name}": value for system, own in evidence.per_system.items() for name, value in own.items()}
    for system in evidence.systems if len(evidence.opinions) else ():
        ratio = likes_per_dislike(*met_in_lists(evidence.own_opinions, system))
        flat |= {} if ratio is None else {f"{system}_likes_per_dislike_at_10": ratio}
    for result in evidence.behaviour:
        flat |= result["metrics"]
    challenger = evidence.per_user[evidence.per_user["system"] == "challenger"]
    numbers = {"holdout_users": float(challenger["ndcg_at_10"].notna().sum())}
    if evidence.behaviour:
        numbers["behaviour_tests_failed"] = float(sum(not result["passed"] for result in evidence.behaviour))
    return {**flat, **evidence.fidelity, **numbers}


def log_evidence(context: Context, batch: Batch, evidence: Evidence, folder: Path) -> dict[str, float]:
    """Adds metrics, tables and plot, and the evidence itself, to the challenger's run; returns the metrics."""
    from recsys.evaluation.reporting.plots import plot_systems
    from recsys.evaluation.reporting.tables import behaviour_table, comparison_tables

    metrics = metrics_of(evidence)
    (folder / "systems.md").write_text(comparison_tables(evidence), encoding="utf-8")
    (folder / "behaviour.md").write_text(behaviour_table(evidence.behaviour), encoding="utf-8")
    plot_systems(evidence, folder / "systems.png")
    longer_s = int((evidence.as_of - batch.as_of).total_seconds())  # 0, but for an extended holdout
    context.registry.log_evaluation(str(batch.challenger_version), metrics, sorted(folder.iterdir()), step=longer_s)
    return metrics


def log_evaluated(context: Context, batch: Batch, version: str, own: Mapping[str, float]) -> None:
    """Adds what was measured on the judged fit to the refit's run, too: it is the refit that serves, and people look there.

    The tag `judged_version` of that run says which version the numbers were measured on.

    Args:
        context: stores and folders.
        batch: of both fits.
        version: the refit.
        own: what was measured on the refit itself, which counts where both have a metric.
    """
    evidence = load_evidence(context, batch)
    folder = context.settings.locate(str(batch.evidence_uri))
    shown = [folder / name for name in SHOWN if (folder / name).is_file()]
    context.registry.log_evaluation(version, {**metrics_of(evidence), **own}, shown)


def load_evidence(context: Context, batch: Batch) -> Evidence:
    """The evidence that the batch's evaluation left behind; users have their pseudonyms, also where it was made before these.

    Raises:
        InputError: if the challenger has not been evaluated.
        DigestError: if a file of the evidence is not the one that was written.
    """
    from recsys.evaluation.gate.evidence import Evidence

    if batch.evidence_uri is None:
        raise InputError(
            f"Expected evidence for version {batch.challenger_version}, found none: run evaluate_challenger for batch "
            f"{batch.batch_id} first."
        )
    folder = context.settings.locate(batch.evidence_uri)
    known = below(context.store.backlog.known_files(batch.batch_id, ArtifactKind.EVIDENCE), folder.name)
    return Evidence.load(folder, known).keyed(context.pseudonym)


def as_decided(batch: Batch, decision: Decision) -> Batch:
    """The batch with the evidence that a verdict rests on; it may have got more since."""
    return replace(batch, evidence_uri=decision.numbers.get("evidence_uri") or batch.evidence_uri)
