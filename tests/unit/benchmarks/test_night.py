"""The stream that a night is measured on has the skew that it is given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from benchmarks.accuracy.streams import Stream
from benchmarks.night.incremental import CUT_OFF, Skew, synthetic

SKEW = Skew(0.8, 1.0, 0.2, 400, 0.5, 5_000, {"like": 0.5, "dislike": 0.2, "neutral": 0.3}, 1.5)


def test_a_synthetic_stream_is_as_large_and_as_active_as_asked() -> None:
    events, items = synthetic(SKEW, 20_000, 0.02, seed=1)
    assert len(events) == 20_000
    assert not events.duplicated(["user_id", "item_id"]).any()
    assert len(items) == 800  # four times the events: twice the items
    last_night = events["occurred_at"] > pd.Timestamp(CUT_OFF) - pd.Timedelta(days=1)
    assert events["occurred_at"].max() <= CUT_OFF
    assert events.loc[last_night, "user_id"].nunique() == pytest.approx(0.02 * 4_000, abs=2)
    assert events["signal"].value_counts(normalize=True)["dislike"] == pytest.approx(0.2, abs=0.02)


def test_the_skew_of_a_stream_is_found_again() -> None:
    events, items = synthetic(replace(SKEW, num_items=4_000), 60_000, 0.02, seed=1)
    found = Skew.of(Stream("synthetic", events.sort_values("occurred_at", ignore_index=True), items))
    assert found.user_exponent == pytest.approx(SKEW.user_exponent, abs=0.1)
    assert found.item_exponent == pytest.approx(SKEW.item_exponent, abs=0.2)
    assert np.isclose(found.events_per_active_user, SKEW.events_per_active_user, atol=0.1)
