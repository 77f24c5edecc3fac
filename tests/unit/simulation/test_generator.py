from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from recsys.simulation.generator import GENRES, GeneratedStream, GeneratorConfig, generate

SMALL = GeneratorConfig(num_users=60, num_items=40, num_interactions=900, num_days=30)


@pytest.fixture(scope="module")
def stream() -> GeneratedStream:
    return generate(SMALL, seed=1)


def test_the_same_seed_gives_the_same_stream_and_another_one_another(stream: GeneratedStream) -> None:
    again = generate(SMALL, seed=1)
    pd.testing.assert_frame_equal(again.interactions, stream.interactions)
    pd.testing.assert_frame_equal(again.items, stream.items)
    assert not generate(SMALL, seed=2).interactions.equals(stream.interactions)


def test_everything_is_in_its_bounds(stream: GeneratedStream) -> None:
    events, items = stream.interactions, stream.items
    assert 0.8 * SMALL.num_interactions <= len(events) <= SMALL.num_interactions
    assert events["user_id"].between(0, SMALL.num_users - 1).all()
    assert not events.duplicated(["user_id", "item_id"]).any()
    assert events["occurred_at"].is_monotonic_increasing
    assert events["occurred_at"].max() < pd.Timestamp("2024-01-31", tz="UTC")
    released = items.set_index("item_id")["released_at"]
    assert (events["occurred_at"] >= events["item_id"].map(released)).all()
    assert items["released_at"].nunique() > SMALL.num_items / 4, "films come out while it runs"
    assert all(own and set(own) <= set(GENRES) for own in items["genres"])
    np.testing.assert_allclose(stream.item_tastes.sum(axis=1), 1.0)


def test_likes_go_with_taste_and_their_share_is_as_asked(stream: GeneratedStream) -> None:
    events = stream.interactions
    means = events.groupby("signal")["affinity"].mean()
    assert means["like"] > means["neutral"] > means["dislike"]
    shares = events["signal"].value_counts(normalize=True)
    assert shares["like"] == pytest.approx(SMALL.like_share, abs=0.01)
    assert shares["dislike"] == pytest.approx(SMALL.dislike_share, abs=0.01)
    truth = (stream.user_tastes @ stream.item_tastes.T)[events["user_id"], events["item_id"]]
    assert np.corrcoef(truth, events["affinity"])[0, 1] == pytest.approx(1.0)


def test_skew_and_taste_decide_what_is_watched() -> None:
    def top_share(config: GeneratorConfig) -> float:
        counts = generate(config, seed=3).interactions["item_id"].value_counts()
        return float(counts.head(4).sum() / counts.sum())

    even = replace(SMALL, popularity_skew=0.0, taste_strength=0.0, freshness_days=1e6, num_interactions=600)
    assert top_share(replace(even, popularity_skew=1.5)) > 1.5 * top_share(even)

    def mean_affinity(config: GeneratorConfig) -> float:
        return float(generate(config, seed=3).interactions["affinity"].mean())

    assert mean_affinity(replace(even, taste_strength=2.0)) > mean_affinity(even) + 0.5


def test_someone_who_has_met_everything_draws_nothing_more() -> None:
    tiny = GeneratorConfig(num_users=1, num_items=1, num_interactions=5)
    assert len(generate(tiny).interactions) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_users": 0}, "Expected num_users >= 1, got 0"),
        ({"num_tastes": 9}, "Expected num_tastes from 1 to 8, got 9"),
        ({"popularity_skew": -0.1}, "Expected popularity_skew >= 0"),
        ({"noise": float("nan")}, "Expected noise >= 0"),
        ({"freshness_days": 0.0}, "Expected freshness_days > 0"),
        ({"like_share": 0.9}, "at most 1 together, got 0.9 and 0.2"),
        ({"dislike_share": 0.0}, "Expected like_share and dislike_share > 0"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GeneratorConfig(**arguments)
