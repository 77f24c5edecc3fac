"""What a step found stands in its log, a line per fact."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from recsys.pipeline.facts import facts_of
from recsys.pipeline.step import STEPS, step

CHECKED = {"retrain": True, "backlog": 2166, "threshold": 20, "reason": "2,166 of 20", "triggers": {"error": False}}


def test_the_backlog_is_one_line() -> None:
    assert facts_of("check_backlog", CHECKED) == [
        "backlog: 2,166 new dislikes, threshold 20",
        "trigger error: did not fire",
        "retrain: yes",
        "reason: 2,166 of 20",
    ]
    assert facts_of("check_backlog", {**CHECKED, "backlog": 1})[0] == "backlog: 1 new dislike, threshold 20"


@pytest.mark.parametrize(
    ("result", "lines"),
    [
        ({"metrics": {"challenger_ndcg_at_10": 0.47051}}, ["challenger ndcg at 10: 0.4705"]),
        ({"reasons": ["NDCG@10 is up.", "Exposure is not."]}, ["reason: NDCG@10 is up.", "reason: Exposure is not."]),
        ({"alerts": []}, ["alerts: none"]),
        ({"findings": [{"message": "moved", "is_repaired": True}]}, ["finding: message moved; is repaired yes"]),
        ({"metrics": {}}, ["metrics: none"]),
        ({"champion_version": None, "num_rows": 12_345}, ["champion version: none", "training examples: 12,345"]),
        ({"markdown": "| a |", "subject": "Shall it?"}, ["subject: Shall it?"]),
    ],
)
def test_a_line_holds_one_fact(result: dict[str, Any], lines: list[str]) -> None:
    assert facts_of("any", result) == lines


def test_a_step_logs_what_it_returns(caplog: pytest.LogCaptureFixture) -> None:
    def counted() -> dict[str, Any]:
        return {"num_users": 3}

    try:
        with caplog.at_level(logging.INFO, "recsys.steps"):
            assert step(counted)() == {"num_users": 3}
        assert caplog.messages == ["users: 3"]
    finally:
        del STEPS["counted"]
