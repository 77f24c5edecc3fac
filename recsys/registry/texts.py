"""What MLflow's pages say of experiment, registered model and run, beside what was measured; and the words of a search."""

from __future__ import annotations

import re
from collections.abc import Mapping

EXPERIMENT_NAME = "feedback-recommender"
EXPERIMENT_DESCRIPTION = """\
Film recommender that learns from likes and dislikes: one run for each fit of a training batch.

A night's challenger is fitted twice:

- **judged**: fitted up to the begin of the holdout and compared with the champion on the holdout; never serves users.
- **refit**: the same recipe and seed, fitted up to the run's cut-off, made only of a challenger that passed the promotion
  gate. It may become champion. It has seen the holdout, so its `challenger_*` metrics, `systems.md` and `systems.png` are
  those of the judged fit that the tag `judged_version` names.

A metric begins with the name of the system that it was measured of: `challenger_`, `champion_`, `popularity_`. Metrics that
begin with `served_` are what users said of the lists of a champion, `drift_` how far new data are from what it learned from.
"""
EXPERIMENT_TAGS = {
    # What kind of experiment it is. MLflow 3.17 itself goes by address and browser (see `pages`), others by this tag.
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.note.content": EXPERIMENT_DESCRIPTION,
}
MODEL_DESCRIPTION = """\
Film recommender that learns from likes and dislikes. Every score is the sum of contributions that can be named.

| alias | meaning |
|---|---|
| `champion` | serves users; moved only by a promotion or a rollback |
| `challenger` | newest candidate; the promotion gate compares it with the champion |
| `previous_champion` | what a rollback makes champion again |
"""
# MLflow opens in its mode for language models, without the model registry, unless the address or the browser says otherwise.
MODEL_TRAINING = "?workflowType=machine_learning"


def source_tags(source: str) -> dict[str, str]:
    """Tags that MLflow shows as the source of a run, instead of a path of whatever Python started.

    Args:
        source: what started the run, such as `recsys run`; empty: not known.
    """
    return {"mlflow.source.name": source, "mlflow.source.type": "JOB"} if source else {}


def has_tags(tags: Mapping[str, str]) -> str:
    """A filter of MLflow's search language, in which a text cannot hold its own quote.

    For a value with a character that means something there it finds more than asked for, never less: whoever searches compares
    what is found with the tags.
    """
    return " and ".join(f"tags.{key} {_matches(value)}" for key, value in tags.items())


def _matches(value: str) -> str:
    pattern = re.sub(r"['\"`\\%]", "_", value)
    return f"= '{value}'" if pattern == value else f"LIKE '{pattern}'"
