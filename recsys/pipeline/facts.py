"""What a step found, as lines for its log: one fact a line, with units, in the order in which the step returns them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from recsys.foreign_text import visible

log = logging.getLogger("recsys.steps")

# Words for what a name alone does not say; any other name is its own words.
WORDS = {
    "as_of": "cut-off",
    "fit_through": "fitted on what was recorded up to",
    "num_examples": "dislikes",
    "num_rows": "training examples",
    "num_dislikes": "dislikes among them",
    "num_holdout": "signals in the holdout",
    "num_expectations": "data checks",
    "num_users": "users",
    "num_lists": "lists evaluated on validation",
    "ndcg_at_10": "NDCG@10 on validation",
    "reg": "ridge",
    "would": "verdict, if it were not a dry run",
    "written": "kept",
    "digest": "digest of the training set",
    "uri": "files",
    "link": "MLflow",
}
EACH = {  # of a list or dict: what stands before each of its lines
    "alerts": "alert",
    "candidates": "candidate",
    "distances": "drift of",
    "findings": "finding",
    "metrics": "",
    "reasons": "reason",
    "versions": "dislike rate of version",
    "warnings": "warning",
}
SILENT = {"markdown"}  # what a person is shown elsewhere


def log_facts(step: str, result: Mapping[str, Any]) -> None:
    """Writes what a step returned into the log, a line per fact."""
    for fact in facts_of(step, result):
        log.info("%s", visible(fact))


def facts_of(step: str, result: Mapping[str, Any]) -> list[str]:
    """The result of a step in lines such as `backlog: 2,166 new dislikes, threshold 20`.

    Args:
        step: its name.
        result: what it returned: names, numbers and times, lists and dicts of these.
    """
    rest = dict(result)
    lines = _of_backlog(rest) if step == "check_backlog" else []
    for name, value in rest.items():
        if name not in SILENT:
            lines += _lines(name, value)
    return lines


def _of_backlog(result: dict[str, Any]) -> list[str]:
    """Takes out of the result what a sentence says better than a name."""
    lines = []
    if {"backlog", "threshold"} <= set(result):
        dislikes, threshold = result.pop("backlog"), result.pop("threshold")
        lines.append(f"backlog: {dislikes:,} new dislike{'' if dislikes == 1 else 's'}, threshold {threshold:,}")
    for name, fired in result.pop("triggers", {}).items():
        lines.append(f"trigger {name}: {'fired' if fired else 'did not fire'}")
    return lines


def _lines(name: str, value: Any) -> Iterator[str]:
    own_words = name.replace("_", " ")
    words, each = WORDS.get(name, own_words), EACH.get(name, own_words)
    if not isinstance(value, Mapping | list | tuple):
        yield f"{words}: {_text(value)}"
    elif not value:
        yield f"{words}: none"
    elif isinstance(value, Mapping):
        for key, own in value.items():
            yield f"{each} {str(key).replace('_', ' ')}".strip() + f": {_text(own)}"
    else:
        for own in value:
            yield f"{each}: {_text(own)}"


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return "; ".join(f"{str(key).replace('_', ' ')} {_text(own)}" for key, own in value.items())
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
