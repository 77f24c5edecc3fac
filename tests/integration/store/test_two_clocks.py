"""Streams have their clock, this system has the wall clock, and no order or duration mixes them.

Small histories of a loop that lives in 2026 on a stream of 2013: imports, clicks, nights with cut-offs in either year.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from recsys.config.run import RunConfig
from recsys.feedback.patterns import get_dislike_pattern_analysis
from recsys.feedback.reinforcement import get_feedback_improvement_metrics
from recsys.pipeline.champion.lineage import tenures
from recsys.records import (
    Batch,
    BatchStatus,
    Decision,
    Dislike,
    DislikeReason,
    Interaction,
    Item,
    Promotion,
    RecommendationEntry,
    RecommendationSet,
    SetKind,
)
from recsys.store import FeedbackStore
from recsys.store.tables import dislike_feedback_impact, metadata

STREAM = datetime(2013, 6, 1, tzinfo=UTC)
WALL = datetime(2026, 11, 27, 9, 30, tzinfo=UTC)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
NUM_DAYS = 30
DAYS = st.integers(0, NUM_DAYS)
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("import"), st.lists(DAYS, min_size=1, max_size=3)),
        st.just(("click",)),
        st.tuples(st.just("night"), st.one_of(st.none(), DAYS)),
        st.tuples(st.just("skip"), DAYS),
    ),
    min_size=1,
    max_size=10,
)


@dataclass
class Loop:
    """Writes what a loop would write, each thing a little later by the wall clock, and remembers it."""

    store: FeedbackStore
    now: datetime = WALL
    dislikes: list[Dislike] = field(default_factory=list)
    champions: list[tuple[datetime, datetime, datetime]] = field(default_factory=list)  # cut-off, claimed, promoted
    decisions: list[Decision] = field(default_factory=list)

    def later(self, seconds: int = 97) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now

    def act(self, kind: str, *args: Any) -> None:
        getattr(self, f"do_{kind}")(*args)

    def do_import(self, days: list[int]) -> None:
        at = self.later()
        self._dislike([(STREAM + day * DAY, at) for day in days])

    def do_click(self) -> None:
        self._dislike([(self.later(), None)])

    def _dislike(self, moments: list[tuple[datetime, datetime | None]]) -> None:
        first = len(self.dislikes)
        new = [
            Dislike("u", at, at, item_id=f"f{first + n}", imported_at=imported)
            for n, (at, imported) in enumerate(moments)
        ]
        self.store.catalog.upsert_items([Item(str(one.item_id), "Film") for one in new])
        self.store.feedback.record_dislikes(new)
        self.dislikes += new

    def do_night(self, day: int | None) -> None:
        number = len(self.champions) + 1
        run, as_of, claimed = f"night-{number}", self.now if day is None else STREAM + day * DAY, self.later()
        self._decide(run, "check_backlog", "retrain", as_of, claimed)
        self.store.backlog.claim_backlog(
            Batch(run, as_of, as_of, None, BatchStatus.CLAIMED, 0, RunConfig(), claimed, claimed + 6 * HOUR)
        )
        self.store.backlog.update_batch(run, challenger_version=f"c{number}", refit_version=f"r{number}")
        self.store.backlog.settle_backlog(run, self.later())
        promoted = self.later(600)
        self._decide(run, "decide_promotion", "promote", as_of, promoted)
        self.store.audit.begin_promotion(
            Promotion(number, run, None, f"r{number}", "passed", promoted, is_complete=False)
        )
        self.store.audit.finish_promotion(promoted, lambda rows: None)
        self.champions.append((as_of, claimed, promoted))

    def do_skip(self, day: int) -> None:
        self._decide(f"skip-{len(self.decisions)}", "check_backlog", "skip", STREAM + day * DAY, self.later())

    def _decide(self, run: str, step: str, verdict: str, as_of: datetime, at: datetime) -> None:
        self.decisions.append(self.store.audit.record_decision(Decision(run, step, verdict, ("why",), as_of, at)))

    def first_champion_that_knows(self, dislike: Dislike) -> datetime | None:
        fitting = [
            promoted
            for as_of, claimed, promoted in self.champions
            if dislike.recorded_at <= as_of and dislike.known_at <= claimed
        ]
        return min(fitting, default=None)


def empty(store: FeedbackStore) -> FeedbackStore:
    def work(connection: Any) -> None:
        for table in reversed(metadata.sorted_tables):
            connection.execute(delete(table))

    store.database.write(work)
    return store


@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=ACTIONS)
def test_no_order_and_no_duration_mixes_the_clocks(store: FeedbackStore, actions: list[tuple[Any, ...]]) -> None:
    loop = Loop(empty(store))
    for action in actions:
        loop.act(*action)

    listed = store.audit.list_decisions(limit=None)
    assert [one.decision_id for one in listed] == [one.decision_id for one in reversed(loop.decisions)]
    for one in tenures(store.audit.list_promotions()):
        assert one.promotion.created_at <= one.started_at
        assert one.ended_at is None or one.started_at <= one.ended_at

    found = store.insights.improvement_numbers(loop.now, timedelta(weeks=12)).waiting
    assert all(wait >= 0 for wait, _ in found.waits)
    firsts = min((claimed for _, claimed, _ in loop.champions), default=None)
    waits: list[float] = []
    left: Counter[str] = Counter()
    for dislike in loop.dislikes:
        promoted = loop.first_champion_that_knows(dislike)
        is_measured = dislike.imported_at is None or (firsts is not None and dislike.imported_at > firsts)
        if promoted is None:
            left["waiting"] += 1
        elif is_measured:
            waits.append((promoted - dislike.known_at).total_seconds())
        else:
            left["unmeasured"] += 1
    assert sorted(wait for wait, count in found.waits for _ in range(count)) == sorted(waits)
    assert (found.num_waiting, found.num_unmeasured) == (left["waiting"], left["unmeasured"])
    metrics = get_feedback_improvement_metrics(store.insights, loop.now)
    expected = np.quantile(waits, 0.5, method="inverted_cdf") / 3600 if waits else None
    assert metrics["time_to_champion"]["median_hours"] == (None if expected is None else pytest.approx(expected))
    first_day = min((dislike.recorded_at.date() for dislike in loop.dislikes), default=None)
    on_something = [as_of for as_of, *_ in loop.champions if first_day is not None and as_of.date() >= first_day]
    assert metrics["loop_efficiency"]["promotions"] == len(on_something)


def test_what_was_imported_before_the_first_night_measures_nothing(store: FeedbackStore) -> None:
    loop = Loop(store)
    for action in (("import", [1, 2, 20]), ("night", 12), ("night", 13)):
        loop.act(*action)
    assert get_feedback_improvement_metrics(store.insights, loop.now)["time_to_champion"] == {
        "dislikes": 0, "waiting": 1, "imported_before_first_run": 2, "median_hours": None, "p90_hours": None,
    }  # fmt: skip
    loop.act("click")
    loop.later(3600)
    loop.act("night", None)
    found = get_feedback_improvement_metrics(store.insights, loop.now)["time_to_champion"]
    assert (found["dislikes"], found["waiting"], found["imported_before_first_run"]) == (1, 0, 3)
    assert 1 <= found["median_hours"] <= 1.5


def test_what_is_imported_later_waits_from_its_import_and_for_a_run_that_began_after_it(store: FeedbackStore) -> None:
    loop = Loop(store)
    for action in (("import", [1]), ("night", 12), ("import", [3]), ("night", 13)):
        loop.act(*action)
    found = get_feedback_improvement_metrics(store.insights, loop.now)["time_to_champion"]
    assert (found["dislikes"], found["waiting"], found["imported_before_first_run"]) == (1, 0, 1)
    assert 0 <= found["median_hours"] <= 0.5, "not the thirteen years since the stream"


def old_stream(store: FeedbackStore, num_days: int = 40) -> None:
    """Users like comedies and dislike war films, day after day, until the stream ends."""
    store.catalog.upsert_items([
        Item(f"{genre}{n}", f"{genre} {n}", (genre,)) for genre in ("War", "Comedy") for n in range(num_days)
    ])  # fmt: skip
    for day in range(num_days):
        at = STREAM + day * DAY
        store.feedback.insert_interactions([
            Interaction(user, f"Comedy{day}", "like", at, at, is_like=True, imported_at=WALL) for user in "abcdef"
        ])  # fmt: skip
        wrong = DislikeReason.WRONG_GENRE
        store.feedback.record_dislikes([
            Dislike(user, at, at, item_id=f"War{day}", reason=wrong, imported_at=WALL) for user in "ab"
        ])  # fmt: skip


def genres(analysis: dict[str, Any]) -> list[tuple[str, int, str | None]]:
    return [(row["name"], row["dislikes"], row["severity"]) for row in analysis["genres"]]


def test_one_click_does_not_push_an_old_stream_out_of_sight(store: FeedbackStore) -> None:
    old_stream(store)
    loop = Loop(store)
    loop.do_skip(39)
    loop.do_night(39)
    before = get_dislike_pattern_analysis(store.insights, as_of=loop.now)
    assert genres(before) == [("War", 80, "high")]
    entries = (RecommendationEntry(1, "Comedy0", 1.0, "x", {}),)
    one = RecommendationSet("a", "r1", loop.now, loop.now, entries, kind=SetKind.ADJUSTED)
    shown = store.lists.add_list(one)
    for _ in range(150):  # lists that a few people looked at since, beside 320 opinions
        store.lists.add_exposure(shown, 1, loop.later(1))
    loop.do_click()
    after = get_dislike_pattern_analysis(store.insights, as_of=loop.now)
    assert genres(after) == [("War", 80, "high")]
    trend = after["recent_trend"]
    assert (trend["total_dislikes"], trend["before"]["total_dislikes"]) == (2 * 29 + 1, 2 * 11), (
        "days with feedback count"
    )
    metrics = get_feedback_improvement_metrics(store.insights, loop.now)
    assert sum(week["count"] for week in metrics["adjustment_convergence"]["weeks"]) == 80
    efficiency = metrics["loop_efficiency"]
    assert (efficiency["promotions"], efficiency["retrainings"], efficiency["skips"]) == (1, 1, 1)


def test_a_stream_s_own_adjustments_lie_on_its_days_and_were_applied_by_the_wall_clock(store: FeedbackStore) -> None:
    old_stream(store, num_days=3)
    with store.database.reading() as connection:
        applied = set(connection.scalars(select(dislike_feedback_impact.c.applied_at)))
    assert applied == {WALL}
    weeks = get_feedback_improvement_metrics(store.insights, WALL)["adjustment_convergence"]["weeks"]
    assert [week["week_ending"] for week in weeks] == ["2013-06-03"]


def test_rates_are_of_the_lists_served_last_by_the_wall_clock(store: FeedbackStore) -> None:
    old_stream(store, num_days=3)
    entries = (RecommendationEntry(1, "War0", 1.0, "x", {}),)
    one = RecommendationSet("a", "7", STREAM + 2 * DAY, WALL, entries)
    store.lists.replace_recommendation_sets("7", one.as_of, [one])
    given_list = store.lists.get_recommendations("a")
    assert given_list is not None
    for at in (WALL, WALL + 80 * DAY, WALL + 90 * DAY):
        store.lists.add_exposure(given_list.recommendation_set_id or 0, 1, at)
    for as_of, shown in ((WALL - MINUTE, []), (WALL, [1]), (WALL + 80 * DAY, [2]), (WALL + 300 * DAY, [2])):
        rates = get_feedback_improvement_metrics(store.insights, as_of)["dislike_rates"]
        assert [rate["shown_items"] for rate in rates] == shown


def test_stored_feedback_says_whether_and_when_it_was_imported(store: FeedbackStore) -> None:
    store.catalog.upsert_items([Item("f", "Film")])
    imported = Dislike("u", STREAM, STREAM, item_id="f", imported_at=WALL)
    clicked = replace(imported, user_id="v", created_at=WALL, recorded_at=WALL, imported_at=None)
    numbers = [one.dislike_id for one in store.feedback.record_dislikes([imported, clicked])]
    stored = store.feedback.get_dislikes(numbers)
    assert [stored[n].dislike.imported_at for n in numbers] == [WALL, None]
    assert [stored[n].dislike.known_at for n in numbers] == [WALL, WALL]
