"""A changed recipe with too few users to judge it: held, and days later judged again on all that came since."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from recsys import pipeline
from recsys.config.run import RunConfig
from recsys.errors import ConflictError, InputError, NotFoundError
from recsys.pipeline.context import Context
from recsys.pipeline.night import run_night
from recsys.pipeline.retraining.evaluation import load_evidence, trained_through
from recsys.records import Batch
from tests.integration.command_line import copy_home
from tests.integration.small_stream import FAMILY, FIRST_AS_OF, SECOND_AS_OF

pytestmark = pytest.mark.slow

HELD_AT = FIRST_AS_OF + timedelta(days=2)
LATER = SECOND_AS_OF


@dataclass(frozen=True)
class Held:
    """A place with a champion, and the results of the night that could not decide."""

    context: Context
    results: dict[str, dict[str, Any]]

    @property
    def challenger(self) -> str:
        return str(self.results["train_challenger"]["model_version"])

    @property
    def batch(self) -> Batch:
        return self.context.store.backlog.find_batch_by_version(self.challenger)

    def extend(self, as_of: datetime = LATER) -> dict[str, Any]:
        return pipeline.extend_holdout(self.challenger, as_of)


def mlflow_metrics(held: Held) -> dict[str, float]:
    from mlflow import MlflowClient

    run_id = held.context.registry.versions.run_id(held.challenger)
    return dict(MlflowClient(held.context.settings.tracking_uri).get_run(run_id).data.metrics)


@pytest.fixture(scope="module")
def held(first_night: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    with pytest.MonkeyPatch.context() as environment:
        settings = copy_home(first_night, tmp_path_factory.mktemp("held") / "home")
        for name, value in settings.as_environment().items():
            environment.setenv(name, value)
        changed = RunConfig(  # another recipe
            families=(FAMILY,), force_reason="a test", half_life_days=30.0, keep_candidate=True
        )
        night = run_night("changed", HELD_AT, lambda: HELD_AT, changed, publishes=False)
        assert night.outcome == "insufficient_evidence", night.reasons
        with Context.open(settings) as context:
            yield Held(context, night.results)


def test_the_later_of_what_a_versions_files_and_tags_say_is_what_it_has_seen(held: Held) -> None:
    recommender = held.context.recommender(held.challenger)
    own, later = held.batch.fit_through, held.batch.fit_through + timedelta(days=1)
    assert trained_through(held.context, held.challenger, recommender) == own
    assert trained_through(held.context, None, recommender) == own  # of a dry run: not registered
    recommender.recipe["cut_off"] = later.isoformat()
    assert trained_through(held.context, held.challenger, recommender) == later
    recommender.recipe["cut_off"] = (own - timedelta(days=9)).isoformat()
    tagged = datetime.fromisoformat(held.context.registry.versions.get_tags(held.challenger)["trained_through"])
    assert trained_through(held.context, held.challenger, recommender) == tagged > own - timedelta(days=9)


def test_what_cannot_be_extended_is_refused_and_nothing_is_written(held: Held) -> None:
    before = held.batch
    with pytest.raises(InputError, match=r"Expected as_of after 2024-03-30.* got 2024-03-30.*choose a later one"):
        held.extend(before.as_of)
    with pytest.raises(NotFoundError, match="Expected a batch whose challenger is version"):
        pipeline.extend_holdout(str(before.champion_version), LATER)
    held.context.registry.aliases.set_alias("champion", held.challenger)  # by hand, meanwhile
    try:
        with pytest.raises(ConflictError, match=rf"is {held.challenger} now: nothing was extended"):
            held.extend()
    finally:
        held.context.registry.aliases.set_alias("champion", str(before.champion_version))
    assert held.batch == before


def test_the_same_versions_are_judged_on_all_that_came_since(held: Held) -> None:
    before, shorter = held.batch, load_evidence(held.context, held.batch)
    done = held.extend()
    assert done["extended"]
    assert held.batch.as_of == before.as_of  # of the refit
    longer = load_evidence(held.context, held.batch)
    assert (longer.champion_version, longer.challenger_version) == (shorter.champion_version, held.challenger)
    assert (longer.fit_through, longer.as_of) == (shorter.fit_through, LATER)
    assert done["num_users"] == longer.users("challenger")["ndcg_at_10"].notna().sum() >= 200
    assert (longer.challenger_trained_through, longer.champion_trained_through) <= (longer.fit_through,) * 2
    assert set(shorter.per_user["user_id"]) < set(longer.per_user["user_id"])

    # The version's page shows the new numbers; the old ones stay in the metric's history.
    shown = mlflow_metrics(held)
    assert shown["holdout_users"] == done["num_users"]

    table = held.context.store.stream.read_events(longer.fit_through, LATER).to_pandas()
    assert set(longer.per_user["user_id"]) <= set(map(held.context.pseudonym, table["user_id"]))
    # What the first verdict rests on is still there.
    ledger = [d for d in held.context.store.audit.list_decisions(run_id="changed") if d.step == "decide_promotion"]
    assert ledger[0].numbers["evidence_uri"] == before.evidence_uri != held.batch.evidence_uri
    pd.testing.assert_frame_equal(load_evidence(held.context, before).per_user, shorter.per_user)


def test_asked_again_it_finds_what_it_did_and_the_longer_holdout_decides(held: Held) -> None:
    first = held.extend()
    again = held.extend()
    assert again == first
    decided = pipeline.decide_promotion(held.challenger, "by-hand", LATER)
    assert decided["verdict"] in {"promote", "reject"}
    (decision,) = held.context.store.audit.list_decisions(run_id="by-hand")
    assert decision.as_of == LATER
    assert decision.numbers["holdout"] == {"after": held.batch.fit_through.isoformat(), "through": LATER.isoformat()}
    # Whoever had enough evidence is not asked until the answer pleases.
    more = held.extend(LATER + timedelta(days=1))
    assert more["reason"].startswith(f"The evidence was enough for a verdict ({decided['verdict']})")
    assert (more["as_of"], more["evidence_uri"]) == (first["as_of"], first["evidence_uri"])
