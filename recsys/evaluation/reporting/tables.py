"""Markdown tables of an evaluation. Each begins with the blank line that MLflow's pages need before a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from recsys.evaluation.gate.evidence import Evidence
from recsys.evaluation.gate.opinions import likes_per_dislike, met_in_lists
from recsys.foreign_text import in_markdown

ACCURACY = {
    "ndcg_at_10": "NDCG@10",
    "recall_at_20": "Recall@20",
    "mrr": "MRR",
    "dislike_exposure_at_10": "dislike exposure@10",
    "auc": "AUC",
}
OF_LISTS = {
    "diversity_at_10": "diversity@10",
    "diversity_shortfall_at_10": "diversity shortfall@10",
    "novelty_at_10": "novelty@10",
    "popularity_at_10": "popularity@10",
    "calibration_error_at_10": "calibration error@10",
}
OF_SYSTEMS = {
    "coverage_at_10": "coverage@10",
    "gini_at_10": "Gini@10",
    "personalisation_at_10": "personalisation@10",
}
ROOM = "\u00a0" * 2  # between columns
TITLES = {**ACCURACY, **OF_LISTS, **OF_SYSTEMS}


def comparison_tables(evidence: Evidence) -> str:
    """All that was measured of the systems: accuracy, which opinions they met, what the lists are like, slices."""
    parts = [accuracy_table(evidence), opinions_table(evidence), lists_table(evidence), slices_table(evidence)]
    return "\n".join(part for part in parts if part)


def accuracy_table(evidence: Evidence) -> str:
    """How well each system predicted the holdout."""
    rows = [
        [_words(system), *_means(evidence, system, ACCURACY), str(_num_judged(evidence, system))]
        for system in evidence.systems
    ]
    challenger = evidence.users("challenger")
    with_dislike, with_both = (
        int(challenger[name].notna().sum()) if name in challenger else 0 for name in ("dislike_exposure_at_10", "auc")
    )
    return (
        markdown_table(["system", *ACCURACY.values(), "users"], rows)
        + "\nMeans over users with a liked holdout item; dislike exposure over the "
        + f"{with_dislike} with a disliked one, AUC (of like over dislike) over the {with_both} with both.\n"
    )


def opinions_table(evidence: Evidence) -> str:
    """How many liked and disliked items each system listed; empty for evidence that does not say so."""
    if evidence.opinions.empty:
        return ""
    windows = [("this holdout", evidence.own_opinions)]
    if len(evidence.own_opinions) < len(evidence.opinions):
        windows.append(("with those of earlier verdicts", evidence.opinions))
    rows = [
        [words, _words(system), *map(str, counts), _number(likes_per_dislike(*counts)), str(len(opinions))]
        for words, opinions in windows
        for system in evidence.systems
        for counts in [met_in_lists(opinions, system)]
    ]
    head = ["opinions", "system", "liked and listed", "disliked and listed", "likes per dislike", "all opinions"]
    return (
        markdown_table(head, rows)
        + "\nListed: in the first ten of the user's list. Earlier verdicts are those on the same champion, each opinion once.\n"
    )


def lists_table(evidence: Evidence) -> str:
    """What the lists are like, whatever they hit; empty for evidence that has none of it."""
    if not evidence.per_system and not set(OF_LISTS) & set(evidence.per_user):
        return ""
    rows = [
        [
            _words(system),
            *(_number(evidence.per_system.get(system, {}).get(name)) for name in OF_SYSTEMS),
            *_means(evidence, system, OF_LISTS),
        ]
        for system in evidence.systems
    ]
    return (
        markdown_table(["system", *OF_SYSTEMS.values(), *OF_LISTS.values()], rows)
        + "\nCoverage: share of the catalog in anybody's list. Gini: 0 lists all items alike, 1 few of them. Personalisation: "
        "how much two users' lists differ. Diversity: how little the items of a list have in common; shortfall: how far that "
        "is below the diversity of what its user has liked. Novelty in bits: one more, and half as many users have met the "
        "item. Popularity: share of the catalog that fewer have met. "
        "Calibration error: distance of a list's genres from those that its user likes.\n"
    )


def slices_table(evidence: Evidence) -> str:
    """NDCG@10 of every system in every slice, with its size, largest first; empty for evidence without slices."""
    if evidence.slices.empty:
        return ""
    labels = evidence.slices.set_index("user_id")
    ndcg = pd.DataFrame({system: evidence.users(system)["ndcg_at_10"] for system in evidence.systems})
    rows = []
    for dimension in labels:
        own = labels[dimension].reindex(ndcg.index)
        means, sizes = ndcg.groupby(own).mean(), own.value_counts()
        judged = ndcg.notna().any(axis=1).groupby(own).sum()
        for name in sorted(sizes.index, key=lambda name: (-sizes[name], str(name))):
            cells = [_number(means.loc[name, system]) for system in evidence.systems]
            rows.append(
                [in_markdown(str(dimension)), in_markdown(str(name)), str(sizes[name]), str(int(judged[name])), *cells]
            )
    head = ["dimension", "slice", "users", "evaluated", *(f"NDCG@10, {_words(system)}" for system in evidence.systems)]
    return markdown_table(head, rows) + "\nEvaluated are the users with a liked holdout item.\n"


def behaviour_table(results: Sequence[Mapping[str, Any]]) -> str:
    """Outcome of each behaviour test, with what was measured or the example that failed."""
    rows = [
        [
            f"{result['name']} v{result.get('version', 1)}",
            _behaviour_outcome(result),
            in_markdown(str(result["detail"])),
        ]
        for result in results
    ]
    return markdown_table(["behaviour", "outcome", "what was found"], rows)


def _behaviour_outcome(result: Mapping[str, Any]) -> str:
    if not result.get("claimed", True):  # results of before have no such thing
        return "not claimed"
    return "passed" if result["passed"] else "**failed**"


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, with the blank line before it and a line break after it."""
    lines = ["", f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines) + "\n"


def with_room(markdown: str) -> str:
    """The text with room between the columns of its tables: MLflow's pages have none.

    MLflow keeps no style and no space of a cell but the no-break space.
    """
    return "\n".join(
        line.replace(" | ", f"{ROOM} | ") if line.startswith("| ") else line for line in markdown.split("\n")
    )


def _means(evidence: Evidence, system: str, names: Iterable[str]) -> list[str]:
    users = evidence.users(system)
    return [_number(users[name].mean() if name in users else None) for name in names]


def _num_judged(evidence: Evidence, system: str) -> int:
    return int(evidence.users(system)["ndcg_at_10"].notna().sum())


def _number(value: float | None) -> str:
    return "-" if value is None or pd.isna(value) else f"{value:.4f}"


def _words(system: str) -> str:
    return system.replace("_", " ")
