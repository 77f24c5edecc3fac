from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from recsys.errors import InputError
from recsys.evaluation.behaviour.suite import run_behaviour_tests
from recsys.training.families.additive.fit import AdditiveFit, fit
from recsys.training.families.additive.linked.state import TOLERANCE
from recsys.training.families.additive.selection import best_trial
from recsys.training.families.identity import recipe_id
from recsys.training.families.registry import candidates_of
from recsys.training.recipe.recipe import (
    CLOSED_FORM,
    EMBEDDING,
    Candidate,
    EmbeddingConfig,
    FitConfig,
    HeadConfig,
    Trial,
)

CUT_OFF = datetime(2024, 3, 1, tzinfo=UTC)
CLOSED = FitConfig(families=(CLOSED_FORM,))
# One half of this stream's films is everything to a user. The vectors find that out so well that no dislike makes them
# give the other half, of which they think nothing; nor should it.
UNANSWERABLE = {"dislike_is_answered"}
LEARNED = FitConfig(families=(EMBEDDING,), embedding_dims=(8,), embedding=EmbeddingConfig(epochs=3, batch_size=256))


def taste_stream(num_users: int = 300, num_items: int = 60, seed: int = 0) -> pd.DataFrame:
    """Two groups of users, each of which likes its own half of the items and dislikes the other."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(num_users):
        group = user % 2
        for item in rng.permutation(num_items)[:16]:
            label = int((item % 2 == group) == (rng.random() < 0.95))
            if label or rng.random() < 0.4:
                age = timedelta(days=float(rng.uniform(0, 60)))
                rows.append((f"u{user}", f"i{item:03d}", label, CUT_OFF - age))
    stream = pd.DataFrame(rows, columns=["user_id", "item_id", "label", "occurred_at"])
    return stream.assign(base_weight=np.where(stream["label"] == 1, 1.0, 0.8), reason="")


def catalog() -> pd.DataFrame:
    return pd.DataFrame({
        "item_id": [f"i{n:03d}" for n in range(60)],
        "title": [f"Film {n}" for n in range(60)],
        "genres": [("Even",) if n % 2 == 0 else ("Odd",) for n in range(60)],
        "cast": [()] * 60,
        "franchise": [None] * 60,
    })  # fmt: skip


@pytest.fixture(scope="module")
def result() -> AdditiveFit:
    return fit(taste_stream(), catalog(), CUT_OFF, 30.0, CLOSED)


def histories(rows: list[tuple[str, str, str]]) -> pd.DataFrame:
    return pd.DataFrame([(*row, 1.0) for row in rows], columns=["user_id", "item_id", "signal", "weight"])


def test_it_learns_tastes(result: AdditiveFit) -> None:
    own = histories(
        [("even", "i000", "like"), ("even", "i002", "like"), ("odd", "i001", "like"), ("odd", "i003", "like")]
    )
    lists = result.recommender.recommend(own, k=10)
    parity = lists["item_id"].str[1:].astype(int) % 2
    assert (parity[lists["user_id"] == "even"] == 0).mean() >= 0.9
    assert (parity[lists["user_id"] == "odd"] == 1).mean() >= 0.9


@pytest.mark.thorough
def test_learned_vectors_give_a_model_with_the_same_promises_twice_over() -> None:
    one, other = (fit(taste_stream(), catalog(), CUT_OFF, 30.0, LEARNED) for _ in range(2))
    assert (one.params["candidate"], one.params["embedding_dim"]) == ("embedding-8", 8)
    test_it_learns_tastes(one)
    assert set(failed_behaviour(one)) <= UNANSWERABLE
    own = histories([("u", "i000", "like"), ("u", "i001", "dislike")])
    np.testing.assert_array_equal(one.recommender.score(own, ["u"]), other.recommender.score(own, ["u"]))


@pytest.mark.parametrize("config", [CLOSED, LEARNED], ids=[CLOSED_FORM, EMBEDDING])
def test_a_catalog_too_large_for_dense_matrices_gives_a_model_with_the_same_promises(config: FitConfig) -> None:
    found = fit(taste_stream(), catalog(), CUT_OFF, 30.0, replace(config, max_dense=40, num_neighbors=12))
    assert found.recommender.model.item_item.is_sparse
    assert found.recommender.model.num_stored["item_item"] <= 12 * 60
    test_it_learns_tastes(found)
    assert set(failed_behaviour(found)) <= (UNANSWERABLE if config == LEARNED else set())


def test_the_best_candidate_wins_and_the_first_stands_in_a_tie() -> None:
    config = FitConfig()
    first, second = (candidates_of(config)[name] for name in ("closed_form-decayed", "embedding-16"))

    def best(*ndcg: float) -> Candidate:
        trials = [Trial(c, value, 10, {"reg": 1.0}) for c, value in zip((first, second), ndcg, strict=True)]
        return best_trial(trials, config).candidate

    assert best(0.2, 0.3) == second
    assert best(0.2, 0.2 * (1 + config.head.min_gain / 2)) == first
    assert best(0.3, 0.2) == first


def test_a_family_that_does_not_exist_is_refused() -> None:
    for families in ((), ("closed_form", "matrix")):
        with pytest.raises(InputError, match=r"family .*out of closed_form, embedding"):
            candidates_of(FitConfig(families=families))


def test_validation_is_never_below_the_best_popularity(result: AdditiveFit) -> None:
    assert result.metrics["validation_ndcg_at_10"] >= result.metrics["validation_ndcg_at_10_best_trend"]
    assert result.metrics["validation_num_lists"] > 50


def test_it_passes_every_behaviour_test(result: AdditiveFit) -> None:
    assert failed_behaviour(result) == []


def failed_behaviour(result: AdditiveFit) -> list[str]:
    stream = taste_stream()
    signal = np.where(stream["label"] == 1, "like", "dislike")
    age_days = (CUT_OFF - stream["occurred_at"]).dt.total_seconds() / 86_400
    own = stream.assign(signal=signal, age_days=age_days, weight=stream["base_weight"] * 0.5 ** (age_days / 30.0))
    own = own[["user_id", "item_id", "signal", "weight", "reason", "age_days"]]
    outcomes = run_behaviour_tests(result.recommender, own, num_users=60, num_dislikes=500)
    assert len(outcomes) == 11
    return [o.name for o in outcomes if not o.passed]


def test_the_same_inputs_and_seed_give_the_same_model(result: AdditiveFit) -> None:
    again = fit(taste_stream(), catalog(), CUT_OFF, 30.0, CLOSED)
    own = histories([("u", "i000", "like"), ("u", "i001", "dislike")])
    np.testing.assert_array_equal(again.recommender.score(own, ["u"]), result.recommender.score(own, ["u"]))


def test_an_event_after_the_cut_off_is_refused_as_a_leak() -> None:
    stream = taste_stream()
    with pytest.raises(ValueError, match="leak"):
        fit(stream, catalog(), CUT_OFF - timedelta(days=5), 30.0, FitConfig())


def test_without_a_like_there_is_nothing_to_learn() -> None:
    stream = taste_stream()
    with pytest.raises(InputError, match="Expected liked examples"):
        fit(stream[stream["label"] == 0], catalog(), CUT_OFF, 30.0, FitConfig())


@pytest.mark.parametrize("num_rows", [1, 2, 7])
def test_a_tiny_stream_still_gives_a_model(num_rows: int) -> None:
    stream = taste_stream()
    few = stream[stream["label"] == 1].head(num_rows)
    recommender = fit(few, catalog(), CUT_OFF, 30.0, CLOSED).recommender
    lists = recommender.recommend(histories([("u", "unknown", "like")]), k=10)
    assert len(lists) == few["item_id"].nunique()


def test_a_recipe_is_named_by_its_configuration_and_not_by_its_seed() -> None:
    assert recipe_id(FitConfig(seed=1), None) == recipe_id(FitConfig(seed=2), None)
    assert recipe_id(FitConfig(), None) != recipe_id(FitConfig(min_support=6), None)
    assert recipe_id(FitConfig(), None) != recipe_id(FitConfig(), 10.0)


QUICK = FitConfig(
    trend_half_lives_days=(36_500.0,), transition_reg_grid=(4.0,),
    head=HeadConfig(grid=(0.0, 0.4), trend_grid=(0.0, 1.0), min_refined=10_000),
)  # fmt: skip


def test_the_next_night_goes_on_from_the_sums_of_the_last_one() -> None:
    """With the candidate and ridges that the last fit chose, and without counting the history again."""
    stream = taste_stream(num_users=80)
    trial = Trial(candidates_of(QUICK)["closed_form-decayed"], 0.0, 0, {"reg": 8.0, "transition_reg": 5.0})
    yesterday = fit(stream, catalog(), CUT_OFF, 30.0, QUICK, trial=trial)
    assert yesterday.params["transition_reg"] == 5.0, "not one of the grid: it was kept, and not searched"
    known = stream[stream["user_id"].isin(["u3", "u4"])].groupby("user_id").head(1)
    more = known.assign(item_id="i059", label=1, base_weight=1.0, occurred_at=CUT_OFF + timedelta(hours=5))
    stream = pd.concat([stream, more], ignore_index=True).drop_duplicates(["user_id", "item_id"], keep="last")
    later = CUT_OFF + timedelta(days=1)
    carried = fit(stream, catalog(), later, 30.0, QUICK, trial=trial, state=yesterday.state)
    rebuilt = fit(stream, catalog(), later, 30.0, QUICK, trial=trial)
    assert carried.state.landmark == CUT_OFF < rebuilt.state.landmark
    assert 2 <= carried.state.num_touched < rebuilt.state.num_touched == 80
    assert carried.state.difference(rebuilt.state) < TOLERANCE
    own = histories([("u", "i000", "like"), ("u", "i001", "dislike")])
    np.testing.assert_allclose(carried.recommender.score(own, ["u"]), rebuilt.recommender.score(own, ["u"]), atol=1e-5)
    lasting = replace(trial, candidate=candidates_of(QUICK)["closed_form-lasting"])
    other = fit(stream, catalog(), later, 30.0, QUICK, trial=lasting, state=yesterday.state)
    assert (other.state.landmark, other.state.num_touched) == (later, 80)  # other settings: counted anew
