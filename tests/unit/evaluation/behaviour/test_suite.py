"""Each kind of bad model fails the test that is about it, with an example; a good one passes all."""

import re
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from recsys.evaluation.behaviour.result import BehaviourResult
from recsys.evaluation.behaviour.suite import run_behaviour_tests
from recsys.model.histories import HistoryMatrices
from recsys.model.recommender import Recommender
from recsys.model.scorer import Scorer
from tests.unit.recommenders import NUM_ITEMS, make_fitting_histories, make_recommender

FloatArray = npt.NDArray[np.float32]
GOOD = make_recommender().with_adjustment_power(8.0)
HISTORIES = make_fitting_histories(GOOD, 40, seed=1)


class Altered(Recommender):
    """A recommender whose scores are altered before anybody sees them."""

    def alter(self, scores: FloatArray, block: HistoryMatrices) -> FloatArray:
        raise NotImplementedError

    def _scores(self, scorer: Scorer, block: HistoryMatrices) -> FloatArray:
        return self.alter(super()._scores(scorer, block), block)


def altered(kind: type[Recommender]) -> Recommender:
    return kind(GOOD.model, GOOD.catalog, GOOD.genre_names, GOOD.recipe)


def results_of(recommender: Recommender, histories: pd.DataFrame = HISTORIES) -> dict[str, BehaviourResult]:
    found = run_behaviour_tests(recommender, histories, num_users=40, num_dislikes=100, seed=3)
    return {result.name: result for result in found}


def failed(recommender: Recommender, histories: pd.DataFrame = HISTORIES) -> dict[str, str]:
    return {name: result.detail for name, result in results_of(recommender, histories).items() if not result.passed}


def test_a_good_model_passes_and_every_test_has_a_name_and_a_version() -> None:
    found = run_behaviour_tests(GOOD, HISTORIES, num_users=40, num_dislikes=100, seed=3)
    assert [(result.name, result.detail) for result in found if not result.passed] == []
    assert len({result.name for result in found}) == len(found) == 11
    assert all(result.version >= 1 and result.detail for result in found)
    assert found == run_behaviour_tests(GOOD, HISTORIES, num_users=40, num_dislikes=100, seed=3)


class LearnedNothing(Altered):
    """A score for each item that has nothing to do with anything."""

    def alter(self, scores: FloatArray, block: HistoryMatrices) -> FloatArray:
        drawn = np.random.default_rng(5).permutation(NUM_ITEMS).astype(np.float32)
        return np.broadcast_to(drawn, scores.shape) * np.float32(0.01)


def test_who_learned_nothing_scores_what_users_like_no_higher_than_the_rest() -> None:
    found = failed(altered(LearnedNothing))
    assert re.search(r"chance is 0.5; for user u\d+, likes above 0\.\d+", found["likes_score_above_chance"])


class AllAlike(Altered):
    def alter(self, scores: FloatArray, block: HistoryMatrices) -> FloatArray:
        return np.zeros_like(scores)


def test_who_scores_all_alike_learned_nothing() -> None:
    found = results_of(altered(AllAlike))["likes_score_above_chance"]
    assert not found.passed
    assert found.metrics["likes_above_share"] == pytest.approx(0.5)


class Collapsed(Altered):
    """Puts all films of one genre first, whoever asks."""

    def alter(self, scores: FloatArray, block: HistoryMatrices) -> FloatArray:
        is_first = np.array([genres == ("Drama",) for genres in self.catalog["genres"]])
        return scores + is_first.astype(np.float32)


def test_lists_of_one_genre_for_users_who_like_several_are_refused() -> None:
    genres = [("Drama",) if n % 2 else ("Comedy", "Crime", "Sci-Fi")[n % 3 : n % 3 + 1] for n in range(NUM_ITEMS)]
    catalog = GOOD.catalog.assign(genres=genres)
    honest = replace(GOOD, catalog=catalog)
    assert "lists_are_as_diverse_as_tastes" not in failed(honest)
    found = failed(Collapsed(GOOD.model, catalog, GOOD.genre_names, GOOD.recipe))
    assert re.search(
        r"expected at least 0\.\d+; user u\d+ likes [\d.]+ and was given 0\.\d+",
        found["lists_are_as_diverse_as_tastes"],
    )


def test_a_catalog_of_one_genre_and_users_who_want_no_other_are_no_collapse() -> None:
    catalog = GOOD.catalog.assign(genres=[("Drama",)] * NUM_ITEMS)
    found = results_of(Recommender(GOOD.model, catalog, GOOD.genre_names, GOOD.recipe))
    assert found["lists_are_as_diverse_as_tastes"].passed
    assert found["dislike_is_answered"].passed  # there is nothing else to give
    assert "nothing to measure" in found["dislike_is_answered"].detail


class RaisesDisliked(Altered):
    """Takes a dislike for interest: lifts what has the genre of what was disliked."""

    def alter(self, scores: FloatArray, block: HistoryMatrices) -> FloatArray:
        disliked = (block.dislikes @ self.features.of_items).toarray()  # (num_users, num_features)
        return scores + np.float32(0.3) * (disliked @ self.features.of_items.T.toarray()).astype(np.float32)


def test_who_raises_disliked_genres_is_told_what_rose_and_what_it_shares() -> None:
    found = failed(altered(RaisesDisliked))
    assert re.match(
        r"user u\d+ disliked i\d+ \(\w+\) and the score of i\d+(, which shares genre:[\w-]+,)? rose by \d",
        found["dislike_never_raises"],
    )
    assert re.search(
        r"expected at least 60%: user u\d+ disliked i\d+ \(wrong_genre\), and their list resembled its genre by 0\.\d\d",
        found["dislike_is_answered"],
    )


def test_a_model_that_hardly_answers_is_refused_for_that_alone() -> None:
    assert set(failed(GOOD.with_adjustment_power(0.01))) == {"dislike_is_answered"}


class Forgetful(Altered):
    """Gives what was disliked again: it leaves out only what was not disliked."""

    def _top_positions(
        self, scorer: Scorer, block: HistoryMatrices, k: int
    ) -> tuple[npt.NDArray[np.int32], FloatArray]:
        liked = replace(block, seen=block.seen - block.seen.multiply(block.dislikes > 0))
        return super()._top_positions(scorer, liked, k)

    def alter(self, scores: FloatArray, block: HistoryMatrices) -> FloatArray:
        return scores


def test_what_was_disliked_and_comes_back_is_named() -> None:
    found = failed(altered(Forgetful))
    assert re.match(r"user u\d+ was given i\d+, which is in the history as 'dislike'", found["history_never_returns"])
    unseen = HISTORIES[HISTORIES["signal"] != "dislike"]
    again = failed(altered(Forgetful), unseen)["history_never_returns"]
    assert re.match(r"user u\d+ was given i\d+ again, which is in the history as 'dislike'", again)


class Moody(Altered):
    def alter(self, scores: FloatArray, block: HistoryMatrices) -> FloatArray:
        mood = np.random.default_rng(None).normal(scale=1e-4, size=scores.shape)
        return scores + mood.astype(np.float32)


def test_who_answers_differently_the_second_time_is_refused() -> None:
    assert re.match(
        r"user u\d+: item i\d+ scored [\d.-]+, the second time [\d.-]+",
        failed(altered(Moody))["same_input_same_output"],
    )


class InCompany(Altered):
    """Scores users beside what the others of their batch like."""

    def alter(self, scores: FloatArray, block: HistoryMatrices) -> FloatArray:
        return scores + np.float32(0.01) * np.asarray(block.likes.mean(axis=0), np.float32)


def test_a_users_score_does_not_depend_on_who_is_asked_about_with_them() -> None:
    found = failed(altered(InCompany))["same_input_same_output"]
    assert re.match(r"user u\d+: item i\d+ scored [\d.-]+, without other users beside [\d.-]+", found)


class Unready(Altered):
    """Divides by the number of likes."""

    def alter(self, scores: FloatArray, block: HistoryMatrices) -> FloatArray:
        num_likes = np.asarray((block.likes > 0).sum(axis=1), np.float32)
        with np.errstate(all="ignore"):
            return scores * (num_likes / num_likes)


def test_a_history_that_gets_no_list_is_named() -> None:
    found = failed(altered(Unready))
    assert found["extreme_histories_are_answered"].startswith("the history 'nothing': expected 10 slots in order, got")
    assert "stranger_gets_a_list" in found


class NotWhatWasSaved(Recommender):
    @classmethod
    def load(cls, folder: object) -> Recommender:
        raise NotImplementedError

    def score(self, histories: pd.DataFrame, user_ids: list[str]) -> FloatArray:
        return super().score(histories, user_ids) + np.float32(1e-4)


def test_a_model_that_is_not_what_is_saved_is_refused() -> None:
    found = failed(altered(NotWhatWasSaved))
    assert re.match(
        r"user u\d+: item i\d+ scored [\d.-]+, after saving and loading [\d.-]+", found["reload_scores_equally"]
    )
