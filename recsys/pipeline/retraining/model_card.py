"""Writes the card of a fit: on its version's page in the registry, and whole among the artifacts of its run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.foreign_text import in_code, in_markdown
from recsys.pipeline.context import Context
from recsys.pipeline.retraining.fits import numbers_of
from recsys.records import Batch

if TYPE_CHECKING:
    from recsys.evaluation.gate.decide import Verdict
    from recsys.evaluation.gate.evidence import Evidence
    from recsys.evaluation.reporting.model_card import CardFacts

CARD = "model_card.md"


def write_card(
    context: Context, batch: Batch, fit_name: str, version: str, verdict: Verdict, evidence: Evidence
) -> None:
    """Replaces the card of a fit.

    Args:
        context: stores and folders.
        batch: of the fit.
        fit_name: "judged" or "refit".
        version: of that fit.
        verdict: on the judged fit.
        evidence: behind the verdict.
    """
    from recsys.evaluation.reporting.model_card import as_page, as_text, model_card

    folder = context.folder(batch.batch_id) / fit_name
    sections = model_card(verdict, evidence, _facts(batch, fit_name, version, folder, evidence))
    card = folder / CARD
    card.write_text(as_text(sections), encoding="utf-8")
    context.registry.describe(version, as_page(sections))
    context.registry.log_evaluation(version, {}, [card])


def _facts(batch: Batch, fit_name: str, version: str, folder: Path, evidence: Evidence) -> CardFacts:
    from recsys.evaluation.reporting.model_card import CardFacts
    from recsys.registry.registry import MODEL_NAME

    fitted = numbers_of(folder.parent, fit_name)
    tested = folder / "behaviour.json"
    data = {
        "training set": f"{batch.num_rows} rows, digest `{str(batch.training_set_digest)[:12]}`",
        "new dislikes behind it": str(batch.num_examples),
        "half-life of sample weights": f"{batch.half_life_days} days",
        "champion it was compared with": batch.champion_version or "none",
        "may recommend": in_markdown(str(batch.rule)),
    }
    if batch.config.force_reason:
        data["forced"] = in_markdown(batch.config.force_reason)
    return CardFacts(
        about=_about(batch, fit_name),
        data=data,
        params=fitted["params"],
        examples=fitted.get("examples", []),
        input_example=fitted.get("input_example", []),
        model_uri=f"models:/{MODEL_NAME}/{version}",
        behaviour=json.loads(tested.read_text(encoding="utf-8")) if tested.is_file() else evidence.behaviour,
    )


def _about(batch: Batch, fit_name: str) -> str:
    if fit_name == "judged":
        through = f"{batch.fit_through:%Y-%m-%d %H:%M} UTC"
        return f"Challenger of run {in_code(batch.batch_id)}, fitted on what was recorded up to **{through}**."
    return (
        f"Refit of version {batch.challenger_version}, which the gate evaluated, on everything up to "
        f"**{batch.as_of:%Y-%m-%d %H:%M} UTC**: the same recipe, candidate and seed, newer data; run "
        f"{in_code(batch.batch_id)}. "
        f"Accuracy was measured on version {batch.challenger_version}: this one has seen the holdout."
    )
