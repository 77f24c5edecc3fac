"""Drift: distances that behave as distances, and alerts where something changed, not where a stream is as it always was."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recsys.errors import InputError
from recsys.evaluation.drift.inputs import DriftStream, Window, cut_windows, input_drifts
from recsys.evaluation.drift.report import drift_page
from recsys.evaluation.drift.verdict import (
    TITLES,
    Drift,
    DriftConfig,
    DriftVerdict,
    decide_drift,
    number_distance,
    number_drift,
    overall_verdict,
    reference_limit,
    share_distance,
)

START = datetime(2024, 1, 1, tzinfo=UTC)
CUT_OFF, AS_OF = START + timedelta(days=53), START + timedelta(days=60)
CONFIG = DriftConfig()
NUM_ITEMS, GENRES = 200, ("Comedy", "Horror", "Western", "Drama")
USUAL = (0.10, 0.12, 0.11, 0.13, 0.12, 0.11)

counts = arrays(np.int64, st.shared(st.integers(1, 8), key="size"), elements=st.integers(0, 1_000)).filter(np.any)
numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50)


@given(counts, counts)
def test_distance_of_shares_is_bounded_and_symmetric(one: np.ndarray, other: np.ndarray) -> None:
    distance = share_distance(one, other)
    assert 0.0 <= distance <= 1.0
    assert distance == pytest.approx(share_distance(other, one), abs=1e-12)
    if distance < 1e-9:
        np.testing.assert_allclose(one / one.sum(), other / other.sum(), atol=1e-3)


@given(counts, st.integers(1, 1_000))
def test_equal_shares_have_no_distance_however_many_there_are(one: np.ndarray, factor: int) -> None:
    assert share_distance(one, one * factor) == pytest.approx(0.0, abs=1e-6)


def test_shares_with_nothing_in_common_are_one_apart() -> None:
    assert share_distance([3, 0], [0, 5]) == pytest.approx(1.0)


@given(numbers, numbers)
def test_distance_of_numbers_is_bounded_and_symmetric(one: list[float], other: list[float]) -> None:
    distance = number_distance(one, other)
    assert 0.0 <= distance <= 1.0
    assert distance == pytest.approx(number_distance(other, one), abs=1e-12)
    assert number_distance(one, one) == 0.0
    assert number_distance(one, one + one) == pytest.approx(0.0, abs=1e-12)


def test_numbers_with_nothing_in_common_are_one_apart() -> None:
    assert number_distance([1, 2, 3], [4, 5]) == 1.0


@given(st.lists(st.floats(0, 0.99), min_size=2, max_size=20))
def test_the_limit_is_above_what_is_usual_by_the_least_effect(reference_distances: list[float]) -> None:
    mean = float(np.mean(reference_distances))
    assert reference_limit(reference_distances, CONFIG) >= mean + CONFIG.min_effect * (1.0 - mean) - 1e-12


def test_of_equals_one_in_a_hundred_is_above_the_limit_at_most() -> None:
    """The next distance of the same normal distribution: at most `significance`, even over all quantities together."""
    rng = np.random.default_rng(0)
    draws = rng.normal(0.5, 0.1, (20_000, 9))
    config = DriftConfig(min_effect=1e-6)
    above = [
        next_one > reference_limit(reference_distances, config) for *reference_distances, next_one in draws[:4_000]
    ]
    assert np.mean(above) <= 2 * config.significance / len(TITLES)


@pytest.mark.parametrize(
    ("distance", "reference_distances", "verdict", "words"),
    [
        (
            0.11,
            USUAL,
            DriftVerdict.STABLE,
            "distance 0.110 from what the champion learned from, reference 0.100 to 0.130",
        ),
        (0.18, USUAL, DriftVerdict.STABLE, "threshold"),  # above what is usual, but by too little
        (0.60, USUAL, DriftVerdict.DRIFT, "Horror 0.1 -> 0.4"),
        (0.99, USUAL[:5], DriftVerdict.NOT_ENOUGH, "5 earlier windows of this length can be compared, 6 are needed"),
        (0.99, (0.0, 0.9, 0.1, 0.8, 0.2, 0.7), DriftVerdict.NOT_ENOUGH, "varies too much to detect drift"),
    ],
)
def test_only_more_than_usual_is_drift(
    distance: float, reference_distances: tuple[float, ...], verdict: DriftVerdict, words: str
) -> None:
    from recsys.evaluation.drift.verdict import Shift

    found = decide_drift("genres", distance, reference_distances, CONFIG, [Shift("Horror", 0.1, 0.4)])
    assert found.verdict == verdict
    assert words in found.reason
    assert found.reason.startswith("which genres: ")


def stream(seed: int = 0, *, per_day: int = 200, changed: str = "") -> tuple[pd.DataFrame, pd.DataFrame]:
    """60 days in which new items come out and people watch what is new; something changes after the cut-off."""
    rng = np.random.default_rng(seed)
    days = np.sort(rng.uniform(0, 60, 60 * per_day))
    users = (rng.pareto(1.2, len(days)) * 20).astype(int) % 500
    items = ((days / 60 * NUM_ITEMS).astype(int) - rng.geometric(0.03, len(days))) % NUM_ITEMS
    is_like = rng.random(len(days)) < 0.75
    reasons = rng.choice(["wrong_genre", "poor_quality", "not_interested"], len(days), p=[0.5, 0.3, 0.2])
    late = (days > 53) & (rng.random(len(days)) < 0.5)
    if changed == "genres":
        items = np.where(late, items // len(GENRES) * len(GENRES) + 1, items) % NUM_ITEMS
    if changed == "signals":
        is_like &= ~late
    if changed == "reasons":
        reasons = np.where(late, "poor_quality", reasons)
    if changed == "events_per_user":
        users = np.where(late, 1_000 + np.arange(len(days)), users)  # many who come once
    events = pd.DataFrame({
        "user_id": [f"u{n}" for n in users], "item_id": [f"i{n}" for n in items],
        "signal": np.where(is_like, "like", "dislike"), "reason": np.where(is_like, "", reasons),
        "recorded_at": pd.Timestamp(START) + pd.to_timedelta(days, unit="D"),
    })  # fmt: skip
    catalog = pd.DataFrame({
        "item_id": [f"i{n}" for n in range(NUM_ITEMS)], "title": [f"Film {n}" for n in range(NUM_ITEMS)],
        "genres": [(GENRES[n % len(GENRES)],) if n else () for n in range(NUM_ITEMS)],
    })  # fmt: skip
    return events, catalog


def drifts_of(events: pd.DataFrame, catalog: pd.DataFrame, config: DriftConfig = CONFIG) -> dict[str, Drift]:
    windows = cut_windows(START, CUT_OFF, AS_OF, config)
    return {one.name: one for one in input_drifts(DriftStream(events, catalog), windows, CUT_OFF, config)}


@pytest.mark.parametrize("seed", range(5))
def test_a_stream_that_is_as_ever_has_not_drifted(seed: int) -> None:
    found = drifts_of(*stream(seed))
    assert {name: one.verdict for name, one in found.items()} == dict.fromkeys(set(TITLES) - {"scores"}, "stable")
    assert found["items"].distance > 0.3, "new items every week are usual here"


@pytest.mark.parametrize(
    ("changed", "shift"),
    [
        ("genres", "Horror"),
        ("signals", "dislike"),
        ("reasons", "poor_quality"),
        ("events_per_user", "median"),
    ],
)
def test_what_changed_has_drifted_and_is_named(changed: str, shift: str) -> None:
    found = drifts_of(*stream(changed=changed))
    assert found[changed].verdict == DriftVerdict.DRIFT, found[changed].reason
    assert found[changed].distance > found[changed].limit > max(found[changed].reference_distances)
    assert shift in {one.name for one in found[changed].shifts}
    assert shift in found[changed].reason


def test_a_handful_of_events_is_not_enough_whatever_they_are() -> None:
    events, catalog = stream(changed="genres")
    late = events["recorded_at"] > pd.Timestamp(CUT_OFF)
    few = pd.concat([events[~late], events[late].tail(40)])
    found = drifts_of(few, catalog, DriftConfig(min_users=5))
    assert {one.verdict for name, one in found.items() if name != "events_per_user"} == {DriftVerdict.NOT_ENOUGH}
    assert found["genres"].reason == "which genres: 40 events in the newest days, 200 are needed."
    assert found["genres"].distance is None
    alone = pd.concat([events[~late], events[late].assign(user_id="u1")])
    assert {one.reason.partition(": ")[2] for one in drifts_of(alone, catalog).values()} == {
        "1 users in the newest days, 30 are needed."
    }


def test_a_young_stream_says_that_it_cannot_tell() -> None:
    events, catalog = stream()
    young = events[events["recorded_at"] > pd.Timestamp(CUT_OFF)]
    found = drifts_of(young, catalog)
    assert {one.verdict for one in found.values()} == {DriftVerdict.NOT_ENOUGH}
    assert "No reference: 0 earlier windows" in found["items"].reason


def test_scores_are_compared_with_those_of_earlier_windows() -> None:
    rng = np.random.default_rng(0)
    past = [rng.normal(0, 1, 200) for _ in range(8)]
    assert number_drift("scores", [*past, rng.normal(0, 1, 200)], CONFIG).verdict == DriftVerdict.STABLE
    found = number_drift("scores", [*past, rng.normal(1, 1, 200)], CONFIG)
    assert found.verdict == DriftVerdict.DRIFT
    assert found.shifts[0].name == "median"
    assert number_drift("scores", [*past, rng.normal(1, 1, 29)], CONFIG).verdict == DriftVerdict.NOT_ENOUGH
    assert number_drift("scores", [rng.normal(0, 1, 200)], CONFIG).verdict == DriftVerdict.NOT_ENOUGH


@pytest.mark.parametrize(
    ("cut_off_day", "as_of_day", "length", "count"),
    [
        (365, 372, 7.0, 12),
        (365, 366, 1.0, 12),  # the champion knows the other six days
        (365, 400, 7.0, 12),
        (28, 40, 2.0, 7),  # a young stream: shorter windows, so that there are enough
    ],
)
def test_windows_have_one_length_and_end_where_the_champion_s_knowledge_does(
    cut_off_day: float, as_of_day: float, length: float, count: int
) -> None:
    cut_off, as_of = (START + timedelta(days=day) for day in (cut_off_day, as_of_day))
    *past, newest = cut_windows(START, cut_off, as_of, CONFIG)
    assert newest == Window(as_of - timedelta(days=length), as_of)
    assert len(past) == count
    assert past[-1].end == cut_off
    assert all(one.end - one.start == timedelta(days=length) for one in past)
    assert all(one.end == other.start for one, other in itertools.pairwise(past))
    assert past[0].start >= START + timedelta(days=cut_off_day / 2) - timedelta(seconds=1)


def test_one_drift_is_enough_and_nothing_known_is_not() -> None:
    def of(*verdicts: DriftVerdict) -> DriftVerdict:
        return overall_verdict([Drift("items", verdict, "") for verdict in verdicts])

    stable, drift, unknown = DriftVerdict.STABLE, DriftVerdict.DRIFT, DriftVerdict.NOT_ENOUGH
    assert of(stable, drift, unknown) == drift
    assert of(stable, unknown) == stable
    assert of(unknown) == of() == unknown


@pytest.mark.parametrize(
    ("name", "value"), [("days", 0), ("min_windows", 1), ("max_windows", 3), ("min_effect", 1), ("significance", 0)]
)
def test_a_configuration_without_sense_is_refused(name: str, value: float) -> None:
    with pytest.raises(InputError, match=r"^Expected .*got "):
        DriftConfig(**{name: value})


def test_the_report_is_one_file_that_says_all() -> None:
    events, catalog = stream(changed="genres")
    catalog["title"] = "<script>alert(1)</script>"
    found = drifts_of(events, catalog)
    page = drift_page(list(found.values()), "7", CUT_OFF, AS_OF - timedelta(days=7), AS_OF)
    assert "champion version 7" in page
    assert re.search(r"which genres<td style=.*>drift<td>", page)
    assert "Horror" in page
    assert "data:image/png;base64,iVBOR" in page
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", page), "it needs no other file"
    assert "<script>" not in page
