"""A night that keeps the champion's candidate tries nothing, and fits what won before."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from recsys.config.run import RunConfig
from recsys.errors import DigestError, InputError
from recsys.pipeline.context import Context
from recsys.pipeline.retraining import planning, recipes, trials
from recsys.records import Batch
from recsys.training.recipe.recipe import Trial
from tests.integration.command_line import copy_home
from tests.integration.conftest import Champion
from tests.integration.small_stream import FAMILY, SECOND_AS_OF


@pytest.fixture(autouse=True)
def at_home(champion: Champion, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in champion.settings.as_environment().items():
        monkeypatch.setenv(name, value)


def planned(keep_candidate: bool) -> Batch:
    config = RunConfig(families=[FAMILY], keep_candidate=keep_candidate)
    with Context.open() as context:
        return planning.plan_batch(context, "next", SECOND_AS_OF, SECOND_AS_OF, config, writes=False)


def champions_trials(champion: Champion) -> dict[str, Trial]:
    found = {}
    for path in champion.settings.artifacts.rglob("candidates/*/trial.json"):
        kept = json.loads(path.read_text(encoding="utf-8"))
        del kept["training_set_digest"]  # what it was measured on
        found[path.parent.name] = Trial.from_dict(kept)
    return found


def test_it_fits_what_won_before_and_measures_nothing(champion: Champion, tmp_path: Path) -> None:
    batch, tried = planned(keep_candidate=True), champions_trials(champion)
    (name,) = recipes.candidate_names(batch)
    assert len(tried) > 1
    assert tried[name].ndcg_at_10 == max(trial.ndcg_at_10 for trial in tried.values())
    kept = trials.try_candidate(tmp_path, batch, name)  # there is no training set: nothing can be measured
    fitted = champion.settings.artifacts.rglob("judged/fit.json")
    (chosen,) = (json.loads(path.read_text(encoding="utf-8"))["params"] for path in fitted)
    settings = {**tried[name].settings, "transition_reg": chosen["transition_reg"]}
    assert kept == replace(tried[name], settings=settings)
    assert trials.trials_of(tmp_path, batch) == [kept]
    with pytest.raises(InputError, match=f"Expected a candidate out of {name}, got"):
        trials.try_candidate(tmp_path, batch, next(iter(set(tried) - {name})))


def test_the_recipe_is_the_champion_s_still() -> None:
    named = {recipes.current_recipe(planned(keep)) for keep in (True, False)}
    assert len(named) == 1


def test_unless_it_is_asked_for_every_candidate_is_tried(champion: Champion) -> None:
    batch = planned(keep_candidate=False)
    assert set(recipes.candidate_names(batch)) == set(champions_trials(champion))


def test_what_was_measured_and_changed_since_is_not_kept(
    champion: Champion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = copy_home(champion.settings.home, tmp_path / "home")
    for name, value in settings.as_environment().items():
        monkeypatch.setenv(name, value)
    for path in settings.artifacts.rglob("candidates/*/trial.json"):
        path.write_text(path.read_text(encoding="utf-8").replace('"reg": ', '"reg": 9'), encoding="utf-8")
    with pytest.raises(DigestError, match=r"trial\.json with"):
        planned(keep_candidate=True)
