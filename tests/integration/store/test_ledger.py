"""Decisions and promotions."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from recsys.errors import ConflictError, NotFoundError
from recsys.records import Decision, Promotion
from recsys.store import FeedbackStore

NOW = datetime(2013, 6, 1, 12, tzinfo=UTC)
SKIP = Decision("r1", "check_backlog", "skip", ("Too few.", "3 of 20."), NOW, NOW, {"backlog": 3, "share": 0.15})
FIRST = Promotion(1, "r1", None, "2", "passed the gate", NOW, is_complete=False)


def test_decisions_come_back_newest_first(store: FeedbackStore) -> None:
    stored = store.record_decision(SKIP)
    assert replace(stored, decision_id=None) == SKIP
    later = store.record_decision(replace(SKIP, run_id="r2", recorded_at=NOW + timedelta(days=1)))
    same_time = store.record_decision(replace(SKIP, step="decide_promotion"))
    assert store.list_decisions() == [later, same_time, stored]
    assert store.list_decisions(limit=1) == [later]
    assert store.list_decisions(run_id="r1") == [same_time, stored]
    assert store.list_decisions(run_id="r3") == []


def test_a_retry_replaces_its_decision(store: FeedbackStore) -> None:
    first = store.record_decision(SKIP)
    again = store.record_decision(replace(SKIP, verdict="retrain", numbers={"backlog": 30}))
    assert again == replace(SKIP, verdict="retrain", numbers={"backlog": 30}, decision_id=first.decision_id)
    assert store.list_decisions() == [again]


def test_numbers_that_json_lacks_become_null(store: FeedbackStore) -> None:
    assert store.record_decision(replace(SKIP, numbers={"ndcg": float("nan")})).numbers == {"ndcg": None}


def test_promotions_follow_each_other(store: FeedbackStore) -> None:
    assert store.last_promotion() is None
    assert store.begin_promotion(FIRST) == FIRST
    assert store.last_promotion() == FIRST
    store.complete_promotion(1, NOW)
    done = replace(FIRST, is_complete=True, completed_at=NOW)
    second = store.begin_promotion(replace(FIRST, sequence=2, run_id="r2", from_version="2", to_version="3"))
    assert store.list_promotions() == [done, second]
    assert store.last_promotion() == second


def test_own_intent_is_found_again(store: FeedbackStore) -> None:
    store.begin_promotion(FIRST)
    assert store.begin_promotion(replace(FIRST, created_at=NOW + timedelta(hours=1))) == FIRST
    store.complete_promotion(1, NOW)
    store.complete_promotion(1, NOW + timedelta(hours=1))
    assert store.begin_promotion(replace(FIRST, sequence=2)) == replace(FIRST, is_complete=True, completed_at=NOW)


@pytest.mark.parametrize("sequence", [1, 3])
def test_never_two_promotions_from_one_champion(store: FeedbackStore, sequence: int) -> None:
    store.begin_promotion(FIRST)
    with pytest.raises(ConflictError, match="run r1 promoted version 2 before"):
        store.begin_promotion(replace(FIRST, sequence=sequence, run_id="r2", to_version="3"))
    assert store.list_promotions() == [FIRST]


def test_unknown_promotion_cannot_complete(store: FeedbackStore) -> None:
    with pytest.raises(NotFoundError):
        store.complete_promotion(1, NOW)
