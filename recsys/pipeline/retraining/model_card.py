"""Writes the card of a fit: on its version's page in the registry, and whole among the artifacts of its run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsys.eligibility import EligibilityRule
from recsys.foreign_text import in_code, in_markdown
from recsys.pipeline.context import Context
from recsys.pipeline.retraining.fits import numbers_of
from recsys.records import Batch

if TYPE_CHECKING:
    import pandas as pd

    from recsys.evaluation.gate.decide import Verdict
    from recsys.evaluation.gate.evidence import Evidence
    from recsys.evaluation.reporting.model_card import CardFacts
    from recsys.model.protocol import RecommenderProtocol

NUM_EXAMPLES = 3
MAX_CITED = 3  # items that an example likes
CARD = "model_card.md"


def examples_of(recommender: RecommenderProtocol, histories: pd.DataFrame) -> list[str]:
    """What somebody would be given first who likes a few of the most liked films, and why: of nobody who exists.

    Args:
        recommender: of the card.
        histories: see `recsys.model.histories`; how many users like each item counts, and nothing else.
    """
    import pandas as pd

    liked = histories[(histories["signal"] == "like") & histories["item_id"].isin(recommender.item_ids)]
    counts = (
        liked.groupby("item_id")
        .size()
        .reset_index(name="count")
        .sort_values(["count", "item_id"], ascending=[False, True])
    )
    most = counts["item_id"].head(NUM_EXAMPLES * MAX_CITED)
    rows = [
        {
            "user_id": f"example {n % NUM_EXAMPLES}",
            "item_id": item_id,
            "signal": "like",
            "weight": 1.0,
            "reason": "",
            "age_days": 2.0,
        }
        for n, item_id in enumerate(most)
    ]
    own = pd.DataFrame(rows)
    title = dict(zip(recommender.catalog["item_id"], recommender.catalog["title"], strict=True))
    sentences = []
    for row in recommender.recommend(own, k=1, user_ids=sorted(own["user_id"].unique())).itertuples() if rows else ():
        titles = ", ".join(title[item_id] for item_id in own.loc[own["user_id"] == row.user_id, "item_id"])
        sentences.append(f"Who likes {titles} is given {title[str(row.item_id)]}. {row.reason}")
    return sentences


def input_example(recommender: RecommenderProtocol) -> list[dict[str, Any]]:
    """Histories of a user who does not exist, in the columns that the model takes: of nobody, since many may read it."""
    signals = [("like", "", 2.0), ("like", "", 9.0), ("dislike", "not_interested", 1.0)]
    return [
        {
            "user_id": "example_user",
            "item_id": item_id,
            "signal": signal,
            "weight": 1.0,
            "reason": reason,
            "age_days": age,
        }
        for item_id, (signal, reason, age) in zip(recommender.item_ids, signals, strict=False)
    ]


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
        "half-life of sample weights": f"{batch.config['half_life_days']} days",
        "champion it was compared with": batch.champion_version or "none",
        "may recommend": in_markdown(str(EligibilityRule.from_dict(batch.config.get("eligible")))),
    }
    if batch.config.get("force_reason"):
        data["forced"] = in_markdown(str(batch.config["force_reason"]))
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
