from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from recsys.simulation.generator import (
    GENRES,
    GeneratedStream,
    GeneratorConfig,
    generate,
    generate_collaborative_filtering_data,
)

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
    assert 0.9 * SMALL.num_interactions <= len(events) <= SMALL.num_interactions, "some have met all that is out"
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


def test_users_differ_in_activity_only_where_asked() -> None:
    def spread(skew: float) -> float:
        counts = (
            generate(replace(SMALL, activity_skew=skew, num_items=200), seed=3).interactions["user_id"].value_counts()
        )
        return float(counts.std() / counts.mean())

    assert spread(0.0) < 0.4 < spread(1.0)


def test_a_film_is_watched_most_just_after_its_release() -> None:
    def early_share(freshness_days: float) -> float:
        """Of the events of films that came out while the stream ran: those in the first five days after it."""
        stream = generate(replace(SMALL, freshness_days=freshness_days), seed=3)
        events = stream.interactions.merge(stream.items, on="item_id")
        new = events[events["released_at"] > stream.items["released_at"].min()]
        return float(((new["occurred_at"] - new["released_at"]) < pd.Timedelta(days=5)).mean())

    assert early_share(2.0) > 1.3 * early_share(1e6)


def test_every_film_has_a_genre_however_mixed_it_is() -> None:
    stream = generate(GeneratorConfig(num_users=1, num_items=20_000, num_interactions=1, num_tastes=len(GENRES)))
    assert stream.item_tastes.max(axis=1).min() < 0.2, "one of them has no genre that makes up a fifth"
    assert stream.items["genres"].map(len).min() == 1


def test_a_sparse_stream_holds_every_interaction() -> None:
    assert len(generate(replace(SMALL, num_items=300), seed=1).interactions) == SMALL.num_interactions


def test_someone_who_has_met_everything_draws_nothing_more() -> None:
    tiny = GeneratorConfig(num_users=1, num_items=1, num_interactions=5)
    assert len(generate(tiny).interactions) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_users": 0}, "Expected num_users to be a whole number >= 1, got 0"),
        ({"num_days": 1.5}, "Expected num_days to be a whole number >= 1, got 1.5"),
        ({"num_tastes": 9}, "Expected num_tastes from 1 to 8, got 9"),
        ({"popularity_skew": -0.1}, "Expected a finite popularity_skew >= 0, got -0.1"),
        ({"taste_strength": float("inf")}, "Expected a finite taste_strength >= 0, got inf"),
        ({"noise": float("nan")}, "Expected a finite noise >= 0, got nan"),
        ({"freshness_days": 0.0}, "Expected freshness_days > 0"),
        ({"like_share": 0.9}, "at most 1 together, got 0.9 and 0.2"),
        ({"like_share": float("nan")}, "at most 1 together, got nan"),
        ({"dislike_share": 0.0}, "Expected like_share and dislike_share > 0"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GeneratorConfig(**arguments)


def test_ratings_as_arrays_follow_the_tastes_that_come_with_them() -> None:
    users, items, ratings, user_tastes, item_tastes = generate_collaborative_filtering_data(
        n_users=100, n_items=80, n_interactions=3_000, random_state=42
    )

    assert len(users) == len(items) == len(ratings) > 2_500
    assert (users.min() >= 0, users.max() < 100, items.min() >= 0, items.max() < 80) == (True,) * 4
    assert set(ratings) == {1.0, 2.0, 3.0, 4.0, 5.0}
    affinity = np.einsum("nt,nt->n", user_tastes[users], item_tastes[items])
    assert np.corrcoef(affinity, ratings)[0, 1] > 0.5, "they can be learned"
    again = generate_collaborative_filtering_data(100, 80, 3_000, 42)
    np.testing.assert_array_equal(ratings, again[2])
    assert len(generate_collaborative_filtering_data(100, 80, 3_000, 43)[2]) != 0
    with pytest.raises(ValueError, match="num_users"):
        generate_collaborative_filtering_data(n_users=0)
