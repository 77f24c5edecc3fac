"""Challengers that must not become champion, judged by the real steps on a real night: refused, for the right reason."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys import pipeline
from recsys.model.explainer import Explainer
from recsys.model.recommender import Recommender
from recsys.pipeline.context import Context
from recsys.pipeline.kept_files import record_fit
from recsys.pipeline.retraining.evaluation import evaluate
from tests.integration.small_stream import GENRES, NOW, SECOND
from tests.integration.step_processes import SecondNight

pytestmark = pytest.mark.slow

Sabotage = Callable[[Recommender], Recommender]


@dataclass(frozen=True)
class Judgement:
    """The second night, right before its challenger is judged; the steps of this process work on it."""

    night: SecondNight
    context: Context
    evidence: Path
    run_id: str

    @property
    def judged(self) -> Path:
        return self.context.folder(SECOND) / "judged" / "recommender"

    def put(self, sabotage: Sabotage) -> None:
        """Puts another model in the challenger's place, saved as any other."""
        altered = sabotage(Recommender.load(self.judged))
        shutil.rmtree(self.judged)
        altered.save(self.judged)

    def verdict(self) -> dict[str, Any]:
        """What the gate says of the challenger; whatever it says, the champion stays until `promote`."""
        batch = self.context.store.backlog.get_batch(SECOND)
        version = str(batch.challenger_version)
        record_fit(self.context, SECOND, "judged")  # whatever was put there counts as what was trained
        # As `evaluate_challenger` does; but MLflow takes the metrics of a version's run only once.
        evidence = evaluate(self.context, batch, self.context.folder(SECOND))
        self.context.store.backlog.update_batch(SECOND, evidence_uri=evidence.save(self.evidence).as_uri())
        before = self.context.registry.aliases.get_alias("champion")
        verdict = pipeline.decide_promotion(version, self.run_id, NOW)
        assert self.context.registry.aliases.get_alias("champion") == before != version
        return verdict

    def refusal(self) -> str:
        """The reasons for which it is refused."""
        verdict = self.verdict()
        assert verdict["verdict"] == "reject", verdict
        return "\n".join(verdict["reasons"])


@pytest.fixture(scope="module")
def evaluation(second_night: SecondNight) -> Iterator[tuple[SecondNight, Context]]:
    """Restored once: MLflow keeps its store open in this process."""
    second_night.restore(second_night.copy_before("evaluate_challenger"))
    with pytest.MonkeyPatch.context() as environment:
        for name, value in second_night.settings.as_environment().items():
            environment.setenv(name, value)
        with Context.open(second_night.settings) as context:
            yield second_night, context


@pytest.fixture
def challenger(
    evaluation: tuple[SecondNight, Context], tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Judgement]:
    found = Judgement(*evaluation, tmp_path / "evidence", run_id=request.node.name)
    shutil.copytree(found.judged, tmp_path / "as trained")
    yield found
    shutil.rmtree(found.judged)
    shutil.copytree(tmp_path / "as trained", found.judged)


def test_the_challenger_as_it_was_trained_passes(challenger: Judgement) -> None:
    assert challenger.verdict()["verdict"] == "promote"


def learned_nothing(recommender: Recommender) -> Recommender:
    """The same scores, of any items."""
    recommender.catalog["item_id"] = np.random.default_rng(0).permutation(recommender.item_ids)
    return recommender


def test_one_that_learned_nothing_is_significantly_less_accurate(challenger: Judgement) -> None:
    challenger.put(learned_nothing)
    reasons = challenger.refusal()
    assert reasons.startswith("NDCG@10 ")
    assert "significantly worse than the allowed -4.5%." in reasons


def test_one_that_was_trained_on_the_future_is_a_leak(challenger: Judgement) -> None:
    """It is the most accurate of all; its files say what it has seen."""
    night, judged = challenger.night, challenger.judged
    batch = night.copy_before("promote") / judged.parents[1].relative_to(night.settings.home)
    shutil.rmtree(judged)
    shutil.copytree(batch / "refit" / "recommender", judged)
    reasons = challenger.refusal()
    assert reasons.startswith("Leak: the challenger (version ")
    assert "it has seen what it is evaluated on, so its metrics are not valid." in reasons


def of_one_genre(recommender: Recommender) -> Recommender:
    """The same films of one genre for everybody, whatever they like."""
    head, trends = np.zeros(recommender.model.head.shape), np.asarray(recommender.model.trends).copy()
    head[0] = 1.0
    trends[0] += np.array([genres == (GENRES[0],) for genres in recommender.catalog["genres"]])
    recommender.model.trends.assign(trends)
    recommender.model.head.assign(head)
    return recommender


def test_one_that_collapses_diversity_gives_everybody_the_same(challenger: Judgement) -> None:
    challenger.put(of_one_genre)
    reasons = challenger.refusal()
    assert "Personalisation@10 " in reasons
    assert "Genre calibration error@10 " in reasons
    assert "more than the allowed -50.0%." in reasons


def dislikes_count_as_likes(recommender: Recommender) -> Recommender:
    head = np.asarray(recommender.model.head).copy()
    names = list(recommender.model.head_names)
    head[names.index("dislikes")] = -head[names.index("likes")]
    recommender.model.head.assign(head)
    return recommender


def test_one_that_raises_what_is_like_disliked_films_is_told_which_rose(challenger: Judgement) -> None:
    challenger.put(dislikes_count_as_likes)
    reasons = challenger.refusal()
    assert re.search(r"Behaviour test dislike_never_raises failed: user \d+-[0-9a-f]{12} disliked", reasons)
    assert ", which shares genre:" in reasons


def test_one_with_wrong_explanations_is_refused_with_the_recommendation(
    challenger: Judgement, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The largest contribution is kept from the user: what is left does not make up the score."""
    explain = Explainer.explain

    def hide(self: Explainer, *arguments: Any, **options: Any) -> list[dict[str, float]]:
        return [dict(list(terms.items())[1:]) for terms in explain(self, *arguments, **options)]

    monkeypatch.setattr(Explainer, "explain", hide)
    assert "Behaviour test contributions_sum_to_score failed: " in challenger.refusal()
