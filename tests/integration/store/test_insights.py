"""The queries behind triggers, patterns and metrics agree with counting row by row, on any small history."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import delete

from recsys.config.run import RunConfig
from recsys.feedback.adjustments import ItemFeatures
from recsys.feedback.handler import get_dislike_pattern_analysis
from recsys.feedback.lifts import MIN_SHOWN, Basis, Comparison, FeatureCount
from recsys.feedback.patterns import Pattern, Severity, identify_patterns
from recsys.feedback.reasons import FeatureKind
from recsys.feedback.reinforcement import get_feedback_improvement_metrics
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
)
from recsys.store import FeedbackStore
from recsys.store.tables import metadata

START = datetime(2013, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
LAST_HOUR = 240
WINDOW_DAYS = 4
USERS = tuple(f"u{n}" for n in range(4))
FILMS = [
    Item("i0", "Zero", ("Horror",), ("Ann",), "Saga"), Item("i1", "One", ("Horror", "War")),
    Item("i2", "Two", ("Comedy",), ("Ann", "Bob")), Item("i3", "Three", ("Comedy", "War"), ("Bob",), "Saga"),
    Item("i4", "Four"), Item("i5", "Five", ("War",), (), "Other"),
]  # fmt: skip
FEATURES = {film.item_id: ItemFeatures(film.genres, film.cast, film.franchise) for film in FILMS}
ANYBODY, ANY_FILM = st.sampled_from(USERS), st.sampled_from([film.item_id for film in FILMS])
EVENTS = st.lists(
    st.tuples(
        st.integers(0, LAST_HOUR),
        st.one_of(
            st.tuples(st.just("like"), ANYBODY, ANY_FILM),
            st.tuples(st.just("dislike"), ANYBODY, ANY_FILM, st.sampled_from(list(DislikeReason))),
            st.tuples(st.just("show"), ANYBODY, st.integers(0, 6), st.integers(1, 40)),
            st.tuples(st.just("retract"), st.integers(0, 30)),
            st.just(("train",)),
        ),
    ),
    min_size=1,
    max_size=40,
).map(lambda events: sorted(events, key=lambda event: event[0]))


@dataclass
class Row:
    """A dislike, as the reference knows it."""

    dislike_id: int
    dislike: Dislike
    retracted_at: datetime | None = None
    is_trained: bool = False

    def holds(self, as_of: datetime) -> bool:
        is_back = self.retracted_at is not None and self.retracted_at <= as_of
        return self.dislike.recorded_at <= as_of and not is_back

    @property
    def is_opinion(self) -> bool:
        return self.dislike.reason != DislikeReason.ALREADY_WATCHED


@dataclass
class History:
    """Writes events to a store and remembers them."""

    store: FeedbackStore
    likes: list[Interaction] = field(default_factory=list)
    dislikes: list[Row] = field(default_factory=list)
    shown: list[tuple[datetime, str, int]] = field(default_factory=list)  # when, to whom, how many films
    sets: dict[int, str] = field(default_factory=dict)  # a list's number -> version
    batches: list[datetime] = field(default_factory=list)

    def add(self, at: datetime, kind: str, *args: Any) -> None:
        getattr(self, kind)(at, *args)

    def like(self, at: datetime, user_id: str, item_id: str) -> None:
        row = Interaction(user_id, item_id, "like", at, at, is_like=True)
        if self.store.feedback.insert_interactions([row]):
            self.likes.append(row)

    def dislike(self, at: datetime, user_id: str, item_id: str, reason: DislikeReason) -> None:
        (recorded,) = self.store.feedback.record_dislikes([Dislike(user_id, at, at, item_id=item_id, reason=reason)])
        stored = self.store.feedback.get_dislikes([recorded.dislike_id])[recorded.dislike_id]
        self.dislikes.append(Row(recorded.dislike_id, stored.dislike))

    def show(self, at: datetime, user_id: str, num_items: int, times: int) -> None:
        version = f"v{len(self.sets)}"
        entries = tuple(RecommendationEntry(n + 1, f.item_id, 1.0, "x", {}, 0.1 * n) for n, f in enumerate(FILMS))
        self.store.lists.replace_recommendation_sets(
            version, at, [RecommendationSet(user_id, version, at, at, entries)]
        )
        given_list = self.store.lists.get_recommendations(user_id)
        assert given_list is not None
        self.sets[given_list.recommendation_set_id or 0] = version
        for _ in range(times):
            self.store.lists.add_exposure(given_list.recommendation_set_id or 0, num_items, at)
            self.shown.append((at, user_id, num_items))

    def retract(self, at: datetime, number: int) -> None:
        if self.dislikes:
            row = self.dislikes[number % len(self.dislikes)]
            self.store.feedback.retract_dislike(row.dislike.user_id, row.dislike_id, at)
            row.retracted_at = row.retracted_at or at

    def train(self, at: datetime) -> None:
        name = f"run-{len(self.batches)}"
        self.store.backlog.claim_backlog(Batch(name, at, at, None, BatchStatus.CLAIMED, 0, RunConfig(), at, at + HOUR))
        self.store.backlog.update_batch(name, challenger_version=name)
        self.store.backlog.settle_backlog(name, at)
        for row in self.dislikes:
            row.is_trained |= row.holds(at) and row.is_opinion
        self.batches.append(at)

    def met(self, after: datetime, through: datetime, user_id: str | None = None) -> tuple[Basis, Counter[str]]:
        """What everybody, or one user, met in a time: shown films, or opinions where too little was shown."""
        shown: Counter[str] = Counter()
        for at, who, num_items in self.shown:
            if after < at <= through and user_id in (None, who):
                shown.update(film.item_id for film in FILMS[:num_items])
        opinions = {(row.user_id, row.item_id) for row in self.likes if after < row.recorded_at <= through}
        opinions |= self.disliked(
            row for row in self.dislikes if after < row.dislike.recorded_at and row.holds(through)
        )
        judged = Counter(item_id for who, item_id in opinions if user_id in (None, who))
        if shown.total() >= max(MIN_SHOWN, judged.total()):
            return Basis.EXPOSURES, shown
        return Basis.OPINIONS, judged

    @staticmethod
    def disliked(rows: Iterable[Row]) -> set[tuple[str, str]]:
        return {(row.dislike.user_id, str(row.dislike.item_id)) for row in rows if row.is_opinion}

    def compared(self, pairs: set[tuple[str, str]], met: tuple[Basis, Counter[str]]) -> Comparison:
        """The reference of `compare`: one pair of user and film at a time."""
        basis, times = met
        names = {(kind, name) for film in FEATURES.values() for kind in FeatureKind for name in film.of_kind(kind)}
        counts = []
        for kind, name in sorted(names):
            having = {item_id for item_id, film in FEATURES.items() if name in film.of_kind(kind)}
            those = [(who, item_id) for who, item_id in pairs if item_id in having]
            known = [(who, item_id) for who, item_id in those if times[item_id]]
            num_met = sum(times[item_id] for item_id in having)
            if those or num_met:
                several = len({who for who, _ in known}) > 1
                counts.append(FeatureCount(kind, name, len(those), len(known), num_met, several))
        num_compared = sum(bool(times[item_id]) for _, item_id in pairs)
        return Comparison(basis, len(pairs), num_compared, times.total(), tuple(counts))

    def look_back(self, as_of: datetime, days: int) -> datetime:
        """Just before the newest so many days on which something was recorded."""
        moments = [row.recorded_at for row in self.likes] + [row.dislike.recorded_at for row in self.dislikes]
        newest = sorted({moment.date() for moment in moments if moment <= as_of})[-days:]
        return datetime.combine(newest[0], time.min, UTC) - timedelta(microseconds=1) if newest else as_of


def empty(store: FeedbackStore) -> None:
    def work(connection: Any) -> None:
        for table in reversed(metadata.sorted_tables):
            connection.execute(delete(table))

    store.database.write(work)
    store.catalog.upsert_items(FILMS)


def written(store: FeedbackStore, events: Sequence[tuple[int, tuple[Any, ...]]]) -> History:
    empty(store)
    history = History(store)
    for hour, event in events:
        # No two lists of a version and cut-off: the place among the events tells them apart.
        history.add(START + hour * HOUR + timedelta(microseconds=len(history.sets)), *event)
    return history


any_history = hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@any_history
@given(events=EVENTS, hour=st.integers(0, LAST_HOUR + 1))
def test_the_backlog_s_evidence_is_that_of_counting(
    store: FeedbackStore, events: list[tuple[int, tuple[Any, ...]]], hour: int
) -> None:
    history, as_of = written(store, events), START + hour * HOUR
    waiting = [row for row in history.dislikes if row.is_opinion and not row.is_trained and row.holds(as_of)]
    scores = [row.dislike.predicted_score for row in waiting if row.dislike.predicted_score is not None]
    found = store.backlog.backlog_evidence(as_of)
    assert found.num_examples == len(waiting) == store.backlog.count_backlog(as_of)
    assert found.num_tracked == len(scores)
    assert found.mean_error == (pytest.approx(sum(scores) / len(scores)) if scores else None)
    after = max([START - HOUR, *(at for at in history.batches if at <= as_of)])
    after = min([after, *(row.dislike.recorded_at - timedelta(microseconds=1) for row in waiting)])
    assert found.comparison == history.compared(history.disliked(waiting), history.met(after, as_of))


@any_history
@given(events=EVENTS, hour=st.integers(0, LAST_HOUR + 1))
def test_patterns_compare_what_counting_compares(
    store: FeedbackStore, events: list[tuple[int, tuple[Any, ...]]], hour: int
) -> None:
    history, as_of = written(store, events), START + hour * HOUR
    held = [row for row in history.dislikes if row.holds(as_of)]
    after = history.look_back(as_of, WINDOW_DAYS)
    recent = history.disliked(row for row in held if row.dislike.recorded_at > after)
    found = store.insights.overall_comparison(as_of, WINDOW_DAYS)
    assert found == history.compared(recent, history.met(after, as_of))
    own = store.insights.user_comparisons(USERS, as_of)
    for user_id in USERS:
        pairs = history.disliked(row for row in held if row.dislike.user_id == user_id)
        assert own[user_id] == history.compared(pairs, history.met(START - HOUR, as_of, user_id))


@any_history
@given(events=EVENTS, hour=st.integers(0, LAST_HOUR + 1))
def test_reasons_and_trend_are_those_of_counting(
    store: FeedbackStore, events: list[tuple[int, tuple[Any, ...]]], hour: int
) -> None:
    history, as_of = written(store, events), START + hour * HOUR
    recent_after = history.look_back(as_of, WINDOW_DAYS)
    before_after = history.look_back(recent_after, WINDOW_DAYS)
    for user_id in (None, *USERS):
        held = [row for row in history.dislikes if row.holds(as_of) and user_id in (None, row.dislike.user_id)]
        recent = [row for row in held if row.dislike.recorded_at > recent_after]
        before = [row for row in held if before_after < row.dislike.recorded_at <= recent_after]
        found = store.insights.dislike_summary(user_id, as_of, WINDOW_DAYS)
        assert found.reasons == Counter(str(row.dislike.reason) for row in held)
        for counted, rows in ((found.recent, recent), (found.before, before)):
            scores = [r.dislike.predicted_score for r in rows if r.dislike.predicted_score is not None]
            assert counted.num_dislikes == len(rows)
            assert counted.mean_score == (pytest.approx(sum(scores) / len(scores)) if scores else None)


@any_history
@given(events=EVENTS, hour=st.integers(0, LAST_HOUR + 1))
def test_rates_and_errors_are_those_of_counting(
    store: FeedbackStore, events: list[tuple[int, tuple[Any, ...]]], hour: int
) -> None:
    history, as_of = written(store, events), START + hour * HOUR
    held = [row for row in history.dislikes if row.holds(as_of)]
    errors = [r.dislike.predicted_score for r in held if r.is_opinion and r.dislike.predicted_score is not None]
    metrics = get_feedback_improvement_metrics(store.insights, as_of)
    assert metrics["total_negative_examples"] == sum(row.is_opinion for row in held)
    assert metrics["avg_prediction_error"] == (pytest.approx(sum(errors) / len(errors)) if errors else None)
    assert (metrics["max_error"], metrics["min_error"]) == ((max(errors), min(errors)) if errors else (None, None))
    by_week = sum(week["count"] for week in metrics["error_trend"]["weeks"])
    assert by_week == len(errors)
    shown: dict[str, int] = defaultdict(int)
    most: dict[str, int] = {}
    versions = list(history.sets.values())
    for at, _, num_items in history.shown:
        if at <= as_of:
            version = versions[sorted({moment for moment, *_ in history.shown}).index(at)]
            shown[version] += num_items
            most[version] = num_items
    found = {rate["model_version"]: rate for rate in metrics["dislike_rates"]}
    assert {version: rate["shown_items"] for version, rate in found.items()} == shown
    for version, rate in found.items():
        visible = {film.item_id for film in FILMS[: most[version]]}
        disliked = {
            (row.dislike.user_id, row.dislike.item_id)
            for row in held
            if row.is_opinion and history.sets.get(row.dislike.recommendation_set_id or 0) == version
        }
        assert rate["dislikes"] == sum(item_id in visible for _, item_id in disliked)


def test_a_rate_counts_what_was_shown_and_disliked_each_once(store: FeedbackStore) -> None:
    history = written(store, [(1, ("show", "u0", 3, 2)), (2, ("show", "u1", 6, 1))])
    first, second = history.sets
    at = START + 3 * HOUR

    def dislike(user_id: str, item_id: str, set_id: int | None = None, **values: Any) -> None:
        store.feedback.record_dislikes([
            Dislike(user_id, at, at, item_id=item_id, recommendation_set_id=set_id, **values)
        ])  # fmt: skip

    dislike("u0", "i2", first)
    dislike("u0", "i2")  # the same again: the list is found, the film counts once
    dislike("u0", "i4", first)  # in the list, but not among the three that were shown
    dislike("u0", "i1", first, reason=DislikeReason.ALREADY_WATCHED)  # no opinion
    dislike("u0", "i0", second)  # another user's list: it is this user's own that showed the film
    dislike("u2", "i0")  # was shown nothing
    rates = get_feedback_improvement_metrics(store.insights, at)["dislike_rates"]
    assert [(r["model_version"], r["lists"], r["shown_items"], r["dislikes"]) for r in rates] == [
        ("v0", 2, 6, 2), ("v1", 1, 6, 0),
    ]  # fmt: skip
    assert rates[0]["dislike_rate"] == pytest.approx(2 / 6)
    assert rates[0]["avg_prediction_error"] == pytest.approx(0.1)
    assert rates[0]["last_served_at"] == (START + HOUR).isoformat()


def test_patterns_are_written_once_per_measurement(store: FeedbackStore) -> None:
    store.catalog.upsert_items(
        [Item(f"{genre}{n}", f"{genre} {n}", (genre,)) for genre in ("War", "Comedy") for n in range(20)]
    )
    for user_id in USERS:
        store.feedback.insert_interactions([
            Interaction(user_id, f"Comedy{n}", "like", START, START, is_like=True) for n in range(20)
        ])  # fmt: skip
        store.feedback.record_dislikes([Dislike(user_id, START, START, item_id=f"War{n}") for n in range(3)])
    store.feedback.record_dislikes([Dislike("u0", START, START, item_id=f"War{n}") for n in (3, 4)])
    now = START + timedelta(days=4_000)  # the wall clock, years after the stream
    found = identify_patterns(store.insights, START + HOUR, now)
    assert (found.num_users, found.num_users_left_out) == (1, 0), "the others have three dislikes, five are needed"
    (overall,) = store.insights.list_patterns(None, START + HOUR)
    assert found.overall == (overall,)
    assert overall.identified_at == now
    assert (overall.pattern_type, overall.pattern_value, overall.frequency) == ("genre", "War", 14)
    assert (overall.lift, overall.severity) == (pytest.approx(94 / 14), Severity.HIGH)
    (own,) = store.insights.list_patterns("u0", START + HOUR)
    assert (own.pattern_value, own.frequency, own.lift) == ("War", 5, pytest.approx(5.0))
    assert identify_patterns(store.insights, START + HOUR, now) == found, "it measures the same again"
    assert store.insights.list_patterns("u0", START + HOUR) == [own]
    assert store.insights.list_patterns("u0", START) == []
    store.feedback.record_dislikes([Dislike("u1", START, START + 2 * HOUR, item_id=f"War{n}") for n in (3, 4)])
    later = identify_patterns(store.insights, START + 3 * HOUR, now + HOUR)
    assert (later.num_users, later.num_user_patterns) == (1, 1), "only who disliked something since"
    assert store.insights.list_patterns("u0", START + 3 * HOUR) == [own]


def test_one_user_s_taste_is_no_pattern_of_all(store: FeedbackStore) -> None:
    store.catalog.upsert_items(
        [Item(f"{genre}{n}", f"{genre} {n}", (genre,)) for genre in ("War", "Comedy") for n in range(40)]
    )
    store.feedback.insert_interactions([
        Interaction("u1", f"Comedy{n}", "like", START, START, is_like=True) for n in range(40)
    ])  # fmt: skip
    store.feedback.record_dislikes([Dislike("u0", START, START, item_id=f"War{n}") for n in range(40)])
    found = identify_patterns(store.insights, START + HOUR, START + HOUR)
    assert found.overall == ()
    analysis = get_dislike_pattern_analysis(store.insights, as_of=START + HOUR)
    assert [(genre["name"], genre["dislikes"], genre["severity"]) for genre in analysis["genres"]] == [
        ("War", 40, None)
    ]


def test_replaced_patterns_leave_those_of_other_days(store: FeedbackStore) -> None:
    horror = Pattern(None, "genre", "Horror", 12, 2.5, Severity.HIGH, START)
    own = Pattern("u1", "cast", "Ann", 4, None, Severity.LOW, START)
    assert store.insights.replace_patterns(START, [horror, own]) == 2
    next_day = replace(horror, identified_at=START + 24 * HOUR, severity=Severity.LOW)
    store.insights.replace_patterns(START + 24 * HOUR, [next_day])
    store.insights.replace_patterns(START + 24 * HOUR, [next_day])
    assert store.insights.list_patterns(None, START + 48 * HOUR) == [next_day]
    assert store.insights.list_patterns(None, START) == [horror]
    assert store.insights.list_patterns("u1", START + 48 * HOUR) == [own]
    assert store.insights.list_patterns("u2", START) == []


def test_an_analysis_of_nothing_is_empty(store: FeedbackStore) -> None:
    for user_id in (None, "u1"):
        found = get_dislike_pattern_analysis(store.insights, user_id, as_of=START)
        assert found["reason_distribution"] == {}
        assert found["total_dislikes"] == 0
        assert found["recent_trend"]["avg_predicted_score"] is None
        assert found["genres"] == found["cast"] == found["franchises"] == []


def promote(store: FeedbackStore, sequence: int, as_of: datetime, promoted_at: datetime) -> None:
    run = f"night-{sequence}"
    store.audit.record_decision(Decision(run, "check_backlog", "retrain", ("enough",), as_of, as_of))
    store.backlog.claim_backlog(
        Batch(run, as_of, as_of, None, BatchStatus.CLAIMED, 0, RunConfig(), as_of, as_of + HOUR)
    )
    store.backlog.update_batch(run, challenger_version=f"c{sequence}", refit_version=f"r{sequence}")
    store.backlog.settle_backlog(run, as_of)
    store.audit.begin_promotion(
        Promotion(sequence, run, None, f"r{sequence}", "passed", promoted_at, is_complete=False)
    )
    store.audit.finish_promotion(promoted_at, lambda promotions: None)
    store.audit.record_decision(Decision(run, "decide_promotion", "promote", ("better",), as_of, as_of))


def measured(metrics: dict[str, Any]) -> dict[str, Any]:
    """The waiting times, where nothing was imported."""
    found = dict(metrics["time_to_champion"])
    assert found.pop("imported_before_first_run") == 0
    return found


def test_a_dislike_waits_for_the_first_champion_whose_cut_off_covers_it(store: FeedbackStore) -> None:
    def dislike(at: datetime, count: int) -> None:
        store.feedback.record_dislikes([Dislike("u1", at, at, movie_id=n + 1) for n in range(count)])

    dislike(START, 3)  # known to the first champion, five hours later
    promote(store, 1, START + 4 * HOUR, START + 5 * HOUR)
    dislike(START + 4 * HOUR + timedelta(minutes=30), 2)  # after the first cut-off, before the first promotion
    promote(store, 2, START + 28 * HOUR, START + 29 * HOUR)
    dislike(START + 30 * HOUR, 4)  # nobody knows these yet
    store.audit.record_decision(Decision("night-3", "check_backlog", "skip", ("few",), START + 31 * HOUR, START))
    found = get_feedback_improvement_metrics(store.insights, START + 32 * HOUR)
    assert measured(found) == {"dislikes": 5, "waiting": 4, "median_hours": 5.0, "p90_hours": 24.5}
    loop = found["loop_efficiency"]
    assert (loop["retrainings"], loop["promotions"], loop["skips"], loop["dislikes_used"]) == (2, 2, 1, 5)
    assert loop["dislikes_per_retraining"] == 2.5
    before = get_feedback_improvement_metrics(store.insights, START + 6 * HOUR)
    assert measured(before) == {"dislikes": 3, "waiting": 2, "median_hours": 5.0, "p90_hours": 5.0}


def test_adjustments_converge_as_they_were_written(store: FeedbackStore) -> None:
    store.catalog.upsert_items(FILMS)
    for day, reason in ((0, DislikeReason.WRONG_GENRE), (8, DislikeReason.NOT_INTERESTED)):
        at = START + day * 24 * HOUR
        store.feedback.record_dislikes([Dislike("u1", at, at, item_id="i1", reason=reason)])
    store.feedback.record_dislikes([Dislike("u1", at, at, item_id="i2", reason=DislikeReason.ALREADY_WATCHED)])
    found = get_feedback_improvement_metrics(store.insights, at + HOUR)["adjustment_convergence"]
    assert [(week["count"], round(week["mean_magnitude"], 6)) for week in found["weeks"]] == [(2, 0.15), (2, 0.075)]
    assert found["change"] == pytest.approx(-0.5)
