"""The refit of a challenger that passed the gate: fitted through the cut-off, tested, and registered."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from recsys.errors import ConflictError, DataCheckError
from recsys.pipeline import kept_files
from recsys.pipeline.context import Context
from recsys.pipeline.promotion.verdicts import newest_verdict
from recsys.pipeline.retraining.evaluation import load_evidence, log_evaluated
from recsys.pipeline.retraining.fits import fit_into, register
from recsys.pipeline.retraining.frozen_sets import read_training_set
from recsys.pipeline.retraining.model_card import write_card
from recsys.pipeline.retraining.recipes import current_recipe
from recsys.records import Batch

if TYPE_CHECKING:
    import pandas as pd

    from recsys.evaluation.behaviour.result import BehaviourResult
    from recsys.model.protocol import RecommenderProtocol

MIN_OVERLAP = 0.1  # of the refit's lists with the evaluated ones


def refit(context: Context, batch: Batch) -> str:
    """Fits through `as_of`, tests behaviour and closeness to what was evaluated, and registers the version."""
    from recsys.evaluation.pseudonyms import in_order
    from recsys.model.protocol import load_recommender

    load_evidence(context, batch)  # before hours of fitting: it is needed at the end
    evaluated_recipe = context.registry.versions.get_tags(str(batch.challenger_version)).get("recipe")
    if evaluated_recipe != current_recipe(batch):
        raise ConflictError(
            f"Expected the recipe {evaluated_recipe} that was evaluated, but this code is {current_recipe(batch)}: "
            "nothing is refitted. Start a new run, so that the new recipe is evaluated."
        )
    context.make_pseudonyms()
    folder = context.folder(batch.batch_id)
    fit_into(context, batch, folder, "refit")
    kept_files.record_fit(context, batch.batch_id, "refit")
    histories = in_order(read_training_set(context, batch, folder).histories, context.pseudonym)
    judged, refitted = (load_recommender(folder / name / "recommender") for name in ("judged", "refit"))
    results, metrics = check_refit(str(batch.challenger_version), judged, refitted, histories, batch.config.seed)
    version = register(context, batch, folder, "refit")
    (folder / "refit" / "behaviour.json").write_text(
        json.dumps([asdict(r) for r in results], indent=2), encoding="utf-8"
    )
    log_evaluated(context, batch, version, metrics)
    context.registry.log_evaluation(version, {}, [folder / "refit" / "behaviour.json"])
    context.registry.versions.set_tags(version, {"judged_version": str(batch.challenger_version)})
    write_card(context, batch, "refit", version, newest_verdict(context, batch), load_evidence(context, batch))
    return version


def check_refit(
    version: str, judged: RecommenderProtocol, refitted: RecommenderProtocol, histories: pd.DataFrame, seed: int
) -> tuple[list[BehaviourResult], dict[str, float]]:
    """Tests how a refit behaves, and whether its lists are close to those that were evaluated.

    Args:
        version: of the judged fit.
        judged: that fit.
        refitted: the same recipe, fitted through the cut-off.
        histories: see `recsys.model.histories`.
        seed: of the sample of users.

    Returns:
        The outcomes, and what was measured: closeness, and the fidelity of explanations.

    Raises:
        DataCheckError: if anything failed, with an example of it.
    """
    from recsys.evaluation.behaviour.suite import run_behaviour_tests
    from recsys.evaluation.metrics.accuracy import rank_overlap

    results = run_behaviour_tests(refitted, histories, seed=seed)
    users = sorted(histories["user_id"].unique())[:500]
    own = histories[histories["user_id"].isin(users)]
    overlap = rank_overlap(judged.top_items(own, users, 10), refitted.top_items(own, users, 10))
    failed = [f"{r.name}: {r.detail}" for r in results if not r.passed]
    if overlap < MIN_OVERLAP:
        failed.append(f"rank_overlap: {overlap:.2f} of the evaluated lists' items, expected at least {MIN_OVERLAP}")
    if failed:
        raise DataCheckError(
            f"Expected the refit of version {version} to pass its behaviour tests, but: "
            + "; ".join(failed) + ". It is not promoted; the champion stays."
        )  # fmt: skip
    metrics = {"rank_overlap_at_10": overlap, "behaviour_tests_passed": float(sum(r.claimed for r in results))}
    for result in results:
        metrics |= result.metrics
    return results, metrics
