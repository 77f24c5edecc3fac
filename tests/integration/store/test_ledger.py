"""Decisions and promotions."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from recsys.errors import ConflictError, NotFoundError
from recsys.records import Decision, Promotion, PromotionKind
from recsys.store import FeedbackStore

NOW = datetime(2013, 6, 1, 12, tzinfo=UTC)
SKIP = Decision("r1", "check_backlog", "skip", ("Too few.", "3 of 20."), NOW, NOW, {"backlog": 3, "share": 0.15})
FIRST = Promotion(1, "r1", None, "2", "passed the gate", NOW, is_complete=False)


def test_decisions_come_back_newest_first(store: FeedbackStore) -> None:
    stored = store.audit.record_decision(SKIP)
    assert replace(stored, decision_id=None) == SKIP
    second = store.audit.record_decision(replace(SKIP, run_id="r2", recorded_at=NOW + timedelta(days=1)))
    early = NOW - timedelta(days=365)  # a clock that was wrong, or a run for a past day that was stamped with it
    third = store.audit.record_decision(replace(SKIP, step="decide_promotion", as_of=early, recorded_at=early))
    assert store.audit.list_decisions() == [third, second, stored]
    assert store.audit.list_decisions(limit=1) == [third]
    assert store.audit.list_decisions(run_id="r1") == [third, stored]
    assert store.audit.list_decisions(run_id="r3") == []
    assert store.audit.list_decisions(since=NOW) == [second, stored]


def test_a_retry_that_decides_the_same_finds_what_the_first_try_wrote(store: FeedbackStore) -> None:
    numbers = {"share": 1 / 3, "nothing": float("nan"), "of": ["a", {"b": None}]}
    first = store.audit.record_decision(replace(SKIP, numbers=numbers))
    assert store.audit.record_decision(replace(SKIP, numbers=numbers, recorded_at=NOW + timedelta(hours=1))) == first
    changed = replace(SKIP, reasons=("Now it is enough.",), recorded_at=NOW + timedelta(hours=2))
    assert store.audit.record_decision(changed).recorded_at == changed.recorded_at


def test_a_retry_replaces_its_decision(store: FeedbackStore) -> None:
    first = store.audit.record_decision(SKIP)
    again = store.audit.record_decision(replace(SKIP, verdict="retrain", numbers={"backlog": 30}))
    assert again == replace(SKIP, verdict="retrain", numbers={"backlog": 30}, decision_id=first.decision_id)
    assert store.audit.list_decisions() == [again]


def test_numbers_that_json_lacks_become_null(store: FeedbackStore) -> None:
    assert store.audit.record_decision(replace(SKIP, numbers={"ndcg": float("nan")})).numbers == {"ndcg": None}


def test_promotions_follow_each_other(store: FeedbackStore) -> None:
    assert store.audit.last_promotion() is None
    assert store.audit.begin_promotion(FIRST) == FIRST
    assert store.audit.last_promotion() == FIRST
    done = replace(FIRST, is_complete=True, completed_at=NOW)
    moved: list[list[Promotion]] = []
    assert store.audit.finish_promotion(NOW, lambda rows: moved.append(list(rows))) == done
    assert moved == [[FIRST]]
    second = store.audit.begin_promotion(
        replace(
            FIRST, sequence=2, run_id="r2", from_version="2", to_version="3", kind=PromotionKind.ROLLBACK,
            approved_by="ann", approved_at=NOW,
        )
    )  # fmt: skip
    assert store.audit.list_promotions() == [done, second]
    assert store.audit.last_promotion() == second


def test_own_intent_is_found_again(store: FeedbackStore) -> None:
    store.audit.begin_promotion(FIRST)
    assert store.audit.begin_promotion(replace(FIRST, created_at=NOW + timedelta(hours=1))) == FIRST
    store.audit.finish_promotion(NOW, lambda rows: None)
    store.audit.finish_promotion(NOW + timedelta(hours=1), lambda rows: None)
    assert store.audit.begin_promotion(replace(FIRST, sequence=2)) == replace(FIRST, is_complete=True, completed_at=NOW)


@pytest.mark.parametrize("sequence", [1, 3])
def test_never_two_promotions_from_one_champion(store: FeedbackStore, sequence: int) -> None:
    store.audit.begin_promotion(FIRST)
    with pytest.raises(ConflictError, match="run r1 promoted version 2 before"):
        store.audit.begin_promotion(replace(FIRST, sequence=sequence, run_id="r2", to_version="3"))
    assert store.audit.list_promotions() == [FIRST]


def test_without_a_promotion_there_is_nothing_to_finish(store: FeedbackStore) -> None:
    assert store.audit.finish_promotion(NOW, lambda rows: None) is None


def test_a_promotion_whose_aliases_could_not_be_moved_is_not_complete(store: FeedbackStore) -> None:
    store.audit.begin_promotion(FIRST)

    def fail(rows: object) -> None:
        raise NotFoundError("the version was deleted")

    with pytest.raises(NotFoundError, match="deleted"):
        store.audit.finish_promotion(NOW, fail)
    assert store.audit.list_promotions() == [FIRST]


def test_decisions_are_found_by_step_verdict_and_time(store: FeedbackStore) -> None:
    skip = store.audit.record_decision(SKIP)
    retrain = store.audit.record_decision(
        replace(SKIP, run_id="r2", verdict="retrain", recorded_at=NOW + timedelta(days=1))
    )
    verdict = store.audit.record_decision(replace(SKIP, run_id="r2", step="decide_promotion", verdict="promote"))
    assert store.audit.list_decisions(verdict="skip") == [skip]
    assert store.audit.list_decisions(step="check_backlog") == [retrain, skip]
    assert store.audit.list_decisions(since=NOW + timedelta(hours=1)) == [retrain]
    assert store.audit.list_decisions(None, "r2", step="decide_promotion") == [verdict]
    assert store.audit.get_decision(skip.decision_id or 0) == skip
    with pytest.raises(NotFoundError, match="Expected the number of a decision, got 99"):
        store.audit.get_decision(99)
