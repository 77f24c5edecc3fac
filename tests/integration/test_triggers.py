"""Each trigger on a real store, through the step that the DAG runs: what it decides, and what it writes down."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recsys import pipeline
from recsys.config.run import RunConfig
from recsys.feedback.reinforcement import should_retrain_from_feedback
from recsys.records import Batch, BatchStatus, Decision, Dislike, Interaction, Item, Promotion
from recsys.settings import Settings
from recsys.store import FeedbackStore

START = datetime(2024, 3, 1, tzinfo=UTC)
AS_OF = START + timedelta(days=1)
NUM_FILMS = 40


@pytest.fixture
def stocked(store: FeedbackStore, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FeedbackStore:
    """A store that the steps find too: films of two genres, each liked by five users."""
    for name, value in Settings.under(tmp_path / "home").as_environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RECSYS_DATABASE_URL", database_url)
    store.catalog.upsert_items([
        Item(f"f{n}", f"Film {n}", ("Horror" if n < NUM_FILMS / 4 else "Comedy",)) for n in range(NUM_FILMS)
    ])  # fmt: skip
    store.feedback.insert_interactions([
        Interaction(f"u{user}", f"f{n}", "like", START, START, is_like=True)
        for n in range(NUM_FILMS) for user in range(5)
    ])  # fmt: skip
    return store


def dislike(store: FeedbackStore, count: int, first_film: int = 0, score: float | None = None) -> None:
    """So many dislikes, one film each from `first_film` on, by two users in turn."""
    store.feedback.record_dislikes([
        Dislike(f"d{n % 2}", START, START, item_id=f"f{(first_film + n) % NUM_FILMS}", predicted_score=score)
        for n in range(count)
    ])  # fmt: skip


def check(store: FeedbackStore, **options: Any) -> tuple[dict[str, Any], Decision]:
    """What the step returned under these settings, and what it wrote."""
    checked = pipeline.STEPS["check_backlog"]("night", AS_OF, AS_OF, options)
    (decision,) = store.audit.list_decisions(run_id="night")
    assert decision.verdict == ("retrain" if checked["retrain"] else "skip")
    assert decision.reasons == (checked["reason"],)
    assert {name: report["fired"] for name, report in decision.numbers["triggers"].items()} == checked["triggers"]
    return checked, decision


def test_a_quiet_night_skips_and_reports_all_three(stocked: FeedbackStore) -> None:
    dislike(stocked, 8, score=0.9)
    checked, decision = check(stocked)
    assert checked == {
        "retrain": False, "backlog": 8, "threshold": 20,
        "reason": "8 new dislikes, threshold 20: not enough to retrain, 12 more are needed.",
        "triggers": {"backlog": False, "prediction_error": False, "feature": False, "drift": False},
    }  # fmt: skip
    assert (decision.numbers["backlog"], decision.numbers["threshold"]) == (8, 20)
    reports = decision.numbers["triggers"]
    assert reports["backlog"]["reason"] == "8 new dislikes, threshold 20."
    assert (reports["prediction_error"]["num_tracked"], reports["prediction_error"]["mean_error"]) == (8, 0.9)
    assert (reports["feature"]["num_compared"], reports["feature"]["compared_with"]) == (8, "opinions")
    assert not should_retrain_from_feedback(stocked.backlog, AS_OF)


def test_enough_dislikes_retrain_as_ever(stocked: FeedbackStore) -> None:
    dislike(stocked, 20)
    checked, _ = check(stocked)
    assert checked["reason"] == "20 new dislikes, threshold 20: enough to retrain."
    assert checked["triggers"] == {"backlog": True, "prediction_error": False, "feature": False, "drift": False}
    assert should_retrain_from_feedback(stocked.backlog, AS_OF)


@pytest.mark.parametrize(("score", "retrains"), [(0.7, True), (0.6, False), (None, False)])
def test_wrong_predictions_retrain_before_the_backlog_is_full(
    stocked: FeedbackStore, score: float | None, retrains: bool
) -> None:
    dislike(stocked, 12, first_film=15, score=score)
    checked, decision = check(stocked)
    assert checked["retrain"] is retrains
    assert should_retrain_from_feedback(stocked.backlog, AS_OF) is retrains
    if retrains:
        assert checked["reason"] == (
            "12 new dislikes, threshold 20, but another trigger fired. The mean prediction error of 12 new dislikes is "
            "0.70, above the threshold of 0.60."
        )
    checked, decision = check(stocked, error_trigger=False)
    assert not checked["retrain"]
    assert decision.numbers["triggers"]["prediction_error"]["holds"] is retrains


@pytest.mark.parametrize(("first_film", "retrains"), [(0, True), (15, False)])
def test_a_genre_that_stands_out_retrains_before_the_backlog_is_full(
    stocked: FeedbackStore, first_film: int, retrains: bool
) -> None:
    dislike(stocked, 10, first_film)  # horror is a quarter of the films; comedy the rest, so it cannot stand out
    checked, decision = check(stocked)
    assert checked["retrain"] is retrains
    assert should_retrain_from_feedback(stocked.backlog, AS_OF) is retrains
    report = decision.numbers["triggers"]["feature"]
    assert [feature["name"] for feature in report["standing_out"]] == (["Horror"] if retrains else [])
    assert ("genre Horror has 100% of 10 new dislikes and 29% of 210 opinions" in checked["reason"]) is retrains
    assert not check(stocked, feature_trigger=False)[0]["retrain"]
    assert not check(stocked, feature_lift=3.6)[0]["retrain"]
    assert not check(stocked, feature_min_count=11)[0]["retrain"]


def test_what_is_disliked_as_often_as_it_is_shown_does_not_stand_out(stocked: FeedbackStore) -> None:
    """Thirty lists, eight films of ten horror: then horror may be eight of ten dislikes."""
    from recsys.records import RecommendationEntry, RecommendationSet

    films = [f"f{n}" for n in (*range(8), 30, 31)]
    entries = tuple(RecommendationEntry(rank, film, 1.0, "x", {}) for rank, film in enumerate(films, 1))
    stocked.lists.replace_recommendation_sets("1", START, [RecommendationSet("u0", "1", START, START, entries)])
    served = stocked.lists.get_recommendations("u0")
    assert served is not None
    dislike(stocked, 10)
    assert check(stocked)[0]["triggers"]["feature"], "against opinions"
    for _ in range(20):
        stocked.lists.add_exposure(served.recommendation_set_id or 0, 10, START)
    report = check(stocked)[1].numbers["triggers"]["feature"]
    assert (report["compared_with"], report["num_met"]) == ("opinions", 210), "beside which 200 shown films are few"
    for _ in range(10):
        stocked.lists.add_exposure(served.recommendation_set_id or 0, 10, START)
    report = check(stocked)[1].numbers["triggers"]["feature"]
    assert not report["fired"]
    assert (report["compared_with"], report["num_met"], report["num_compared"]) == ("exposures", 300, 8)
    assert report["num_dislikes"] == 10, "two of the films were not shown"


def test_force_own_batch_and_switches_keep_their_meaning(stocked: FeedbackStore) -> None:
    dislike(stocked, 25)
    off = {"backlog_trigger": False, "feature_trigger": False}
    checked, _ = check(stocked, **off)
    assert checked["reason"] == (
        "25 new dislikes, threshold 20: enough to retrain, but this trigger is switched off, and no other fired."
    )
    checked, _ = check(stocked, **off, force_reason="a new catalog")
    assert (checked["retrain"], checked["reason"]) == (True, "Forced: a new catalog (25 new dislikes, threshold 20).")
    lease = AS_OF + timedelta(hours=6)
    stocked.backlog.claim_backlog(Batch("night", AS_OF, AS_OF, None, BatchStatus.CLAIMED, 0, RunConfig(), AS_OF, lease))
    checked = pipeline.STEPS["check_backlog"]("night", AS_OF, AS_OF, off)
    assert checked["reason"] == (
        "This run had claimed its batch before and goes on with it (0 new dislikes, threshold 20 now)."
    )


def measured_drift(store: FeedbackStore, verdict: str, at: datetime = AS_OF, version: str = "2") -> None:
    """What `measure_drift` leaves in the ledger."""
    numbers = {"champion_version": version}
    store.audit.record_decision(Decision(f"day {at}", "measure_drift", verdict, ("genres: 0.6.",), at, at, numbers))


def test_drift_retrains_once_where_it_is_asked_to(stocked: FeedbackStore) -> None:
    stocked.audit.begin_promotion(Promotion(1, "first", None, "2", "first champion", START, True, START))
    on = {"retrain_on_drift": True}
    assert not check(stocked, **on)[0]["retrain"], "nothing was measured"
    measured_drift(stocked, "stable")
    assert not check(stocked, **on)[0]["retrain"]
    measured_drift(stocked, "drift", AS_OF + timedelta(hours=1))
    assert not check(stocked, **on)[0]["retrain"], "later than the cut-off"
    measured_drift(stocked, "drift")
    assert not check(stocked)[0]["retrain"], "off by default"
    for _ in range(2):  # a retry finds the same
        checked, decision = check(stocked, **on)
        assert checked["retrain"]
        assert checked["reason"] == (
            f"0 new dislikes, threshold 20, but another trigger fired. Drift measured at {AS_OF.isoformat()}: genres: 0.6."
        )
        assert decision.numbers["triggers"]["drift"]["fired"]
    later = AS_OF + timedelta(minutes=1)
    assert not pipeline.STEPS["check_backlog"]("another", later, later, on)["retrain"], "the first run answered it"
    measured_drift(stocked, "drift", later)
    assert pipeline.STEPS["check_backlog"]("another", later, later, on)["retrain"], "it was measured anew"


def test_drift_of_an_earlier_champion_is_no_reason(stocked: FeedbackStore) -> None:
    stocked.audit.begin_promotion(Promotion(1, "first", None, "2", "first champion", START, True, START))
    stocked.audit.begin_promotion(Promotion(2, "second", "2", "4", "better", START, True, START))
    measured_drift(stocked, "drift", version="2")
    checked, decision = check(stocked, retrain_on_drift=True)
    assert not checked["retrain"]
    assert decision.numbers["triggers"]["drift"]["reason"] == "No drift of the champion was measured yet."


def test_a_threshold_without_sense_writes_nothing(stocked: FeedbackStore) -> None:
    from recsys.errors import InputError

    with pytest.raises(InputError, match="Expected error_threshold between 0 and 1, got 7"):
        pipeline.STEPS["check_backlog"]("night", AS_OF, AS_OF, {"error_threshold": 7.0})
    assert stocked.audit.list_decisions() == []
