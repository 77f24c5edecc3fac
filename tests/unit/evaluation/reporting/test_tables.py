from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from recsys.evaluation.behaviour.result import BehaviourResult
from recsys.evaluation.gate.evidence import Evidence
from recsys.evaluation.reporting.tables import (
    accuracy_table,
    behaviour_table,
    comparison_tables,
    lists_table,
    opinions_table,
    slices_table,
)


@pytest.fixture
def evidence(make_evidence) -> Evidence:
    values = np.tile([0.0, 0.1, 0.2, 0.5], 50)
    exposure = {"challenger": [0.1] * 40, "champion": [0.2] * 40}
    return make_evidence("refresh", exposure, challenger=values, champion=values / 2, decayed_popularity=values / 4)


def test_accuracy_has_a_row_per_system_and_a_blank_line_before_it(evidence: Evidence) -> None:
    lines = accuracy_table(evidence).split("\n")
    assert lines[0] == ""
    assert lines[1] == "| system | NDCG@10 | Recall@20 | MRR | dislike exposure@10 | AUC | users |"
    assert lines[2] == "|---|---|---|---|---|---|---|"
    assert lines[3:6] == [
        "| challenger | 0.2000 | 0.2000 | 0.2000 | 0.1000 | - | 200 |",
        "| champion | 0.1000 | 0.1000 | 0.1000 | 0.2000 | - | 200 |",
        "| decayed popularity | 0.0500 | 0.0500 | 0.0500 | - | - | 200 |",
    ]
    assert lines[6] == ""
    assert "over the 40 with a disliked one" in lines[7]


def test_a_holdout_without_users_has_a_table_too(make_evidence) -> None:
    empty = make_evidence("refresh", {"challenger": [0.1], "champion": [0.1]}, challenger=[], champion=[])
    assert "| champion | - | - | - | 0.1000 | - | 0 |" in accuracy_table(empty)


def test_what_lists_are_like_stands_in_a_table_of_its_own(evidence: Evidence) -> None:
    shares = {"champion": {"coverage_at_10": 0.25}}
    measured = replace(
        evidence, per_system=shares, per_user=evidence.per_user.assign(diversity_at_10=0.8, novelty_at_10=np.nan)
    )
    assert "| champion | 0.2500 | - | - | 0.8000 | - | - | - |" in lists_table(measured)
    assert lists_table(evidence) == ""  # evidence of an older version


def test_slices_stand_with_their_sizes_largest_first(evidence: Evidence) -> None:
    users = evidence.users("champion").index
    first = np.arange(len(users)) < 8
    labels = pd.DataFrame({"user_id": users, "activity": np.where(first, "new", "heavy")})
    rows = slices_table(replace(evidence, slices=labels)).split("\n")
    assert rows[1] == (
        "| dimension | slice | users | evaluated | NDCG@10, challenger | NDCG@10, champion | NDCG@10, decayed popularity |"
    )
    assert rows[3:5] == [
        "| activity | heavy | 192 | 192 | 0.2000 | 0.1000 | 0.0500 |",
        "| activity | new | 8 | 8 | 0.2000 | 0.1000 | 0.0500 |",
    ]
    assert slices_table(evidence) == ""
    tables = comparison_tables(replace(evidence, slices=labels))
    assert tables.count("\n\n| ") == 1  # a blank line before each table; the first one begins with it
    assert tables.startswith("\n| system")


def test_behaviour_says_what_failed_in_a_cell() -> None:
    results = [
        BehaviourResult("sums", True, "200 users", version=2),
        BehaviourResult("rises", False, "user a | item b"),
    ]
    rows = behaviour_table([result.as_dict() for result in results]).split("\n")
    assert rows[3:5] == ["| sums v2 | passed | 200 users |", "| rises v1 | **failed** | user a \\| item b |"]


def test_opinions_stand_with_what_was_listed_of_them(evidence: Evidence) -> None:
    assert opinions_table(evidence) == ""  # evidence of an older version
    met = pd.DataFrame({
        "batch_id": ["run-1", "run-1", "run-1", "run-0"], "user_id": list("abcd"), "item_id": "i", "label": [1, 1, 0, 0],
        "challenger": [True, True, True, True], "champion": [True, False, False, False], "decayed_popularity": False,
    })  # fmt: skip
    rows = opinions_table(replace(evidence, opinions=met)).split("\n")
    assert rows[3:9] == [
        "| this holdout | challenger | 2 | 1 | 2.0000 | 3 |",
        "| this holdout | champion | 1 | 0 | - | 3 |",
        "| this holdout | decayed popularity | 0 | 0 | - | 3 |",
        "| with those of earlier verdicts | challenger | 2 | 2 | 1.0000 | 4 |",
        "| with those of earlier verdicts | champion | 1 | 0 | - | 4 |",
        "| with those of earlier verdicts | decayed popularity | 0 | 0 | - | 4 |",
    ]
    assert opinions_table(replace(evidence, opinions=met)) in comparison_tables(replace(evidence, opinions=met))
