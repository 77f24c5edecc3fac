"""Numbers with units, plurals, and words that the command line repeats from elsewhere."""

from __future__ import annotations

import pytest

from recsys.cli.api_keys import SCOPES
from recsys.cli.decisions import KNOWN, VERDICTS
from recsys.cli.insight import _measured
from recsys.cli.output import count_of, minute, number, percent, seconds, titled
from recsys.cli.run import _show_dry_run
from recsys.evaluation.drift.verdict import DriftVerdict
from recsys.pipeline import STEPS
from recsys.pipeline.promotion import approval
from recsys.records import Item
from recsys.store.api_keys import Scope


def test_one_is_one_and_many_have_their_thousands_apart() -> None:
    assert [count_of(number, "new dislike") for number in (0, 1, 2166)] == [
        "0 new dislikes", "1 new dislike", "2,166 new dislikes"
    ]  # fmt: skip
    assert count_of(2, "quantity", "quantities") == "2 quantities"


def test_numbers_carry_their_units() -> None:
    assert [seconds(value) for value in (0.04, 9.94, 75.4, 720, 9000)] == ["0.0 s", "9.9 s", "75 s", "12 min", "2.5 h"]
    assert [percent(value) for value in (None, 0.0, 0.1251)] == ["-", "0.0 %", "12.5 %"]
    assert [number(value) for value in (None, True, 7, 12345, 0.12345, 3895.5, "w")] == [
        "-", "yes", "7", "12,345", "0.123", "3,896", "w"
    ]  # fmt: skip
    assert [minute(value) for value in (None, "2013-06-14T02:00:59+00:00")] == ["-", "2013-06-14 02:00"]


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("median_hours", 5.25, ("median", "5.2 h")), ("dislike_rate", 0.125, ("dislike rate", "12.5 %")),
        ("retrainings", 2, ("retrainings", "2")), ("max_error", None, ("max error", "-")),
        ("as_of", "2013-06-14T02:00:59+00:00", ("as of", "2013-06-14 02:00 UTC")),
    ],
)  # fmt: skip
def test_a_metric_has_the_unit_that_its_name_says(name: str, value: object, shown: tuple[str, str]) -> None:
    assert _measured(name, value) == shown


def test_an_id_stands_beside_its_title() -> None:
    items = {"tt1": Item("tt1", "Alien"), "x": Item("x", "x", is_placeholder=True)}
    assert [titled(item_id, items) for item_id in ("tt1", "x", "new")] == ["Alien (tt1)", "x", "new"]


def test_the_known_verdicts_are_those_of_the_steps() -> None:
    assert {approval.PENDING, approval.APPROVE, approval.REJECT, *map(str, DriftVerdict)} <= set(KNOWN)
    assert set(VERDICTS["measure_drift"]) == set(map(str, DriftVerdict))
    assert set(VERDICTS) <= {*STEPS, "await_approval"}


def test_the_known_scopes_are_those_of_the_keys() -> None:
    assert set(SCOPES) == set(map(str, Scope))


def test_a_rehearsal_is_text_with_a_column_a_system(capsys: pytest.CaptureFixture[str]) -> None:
    checked = {
        "backlog": 1,
        "threshold": 20,
        "triggers": {"backlog": False, "feature": True},
        "retrain": True,
        "reason": "Why.",
    }
    metrics = {"challenger_ndcg_at_10": 0.25, "decayed_popularity_ndcg_at_10": 0.125, "popularity_ndcg_at_10": 0.0625}
    _show_dry_run(checked, {
        "would": "insufficient_evidence", "reasons": ["Few users."], "fit_through": "2024-03-20T10:00:00+00:00",
        "num_rows": 1234, "num_expectations": 44, "metrics": metrics,
    })  # fmt: skip
    shown = capsys.readouterr().out
    assert "backlog    1 new dislike (threshold 20)\ntriggers   feature\ndecision   retrain. Why.\n" in shown
    assert "data       1,234 examples up to 2024-03-20 10:00 UTC; 44 data checks passed\n" in shown
    assert "verdict    would insufficient evidence\n  - Few users.\n" in shown
    row = next(line for line in shown.splitlines() if "ndcg@10" in line)
    assert [cell.strip() for cell in row.strip("│").split("│")] == ["ndcg@10", "0.25", "0.125", "0.0625"]
    assert shown.endswith("Nothing was written: dry run.\n")
    assert "{" not in shown
