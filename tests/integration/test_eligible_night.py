"""A night under a rule: it learns from everything, and recommends, judges and serves only what is eligible."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import select

from recsys import pipeline
from recsys.config.eligibility import EligibilityRule
from recsys.config.run import RunConfig
from recsys.errors import InputError
from recsys.pipeline.context import Context
from recsys.pipeline.night import Night, run_night
from recsys.pipeline.retraining import evaluation, frozen_sets, planning, recipes
from recsys.records import Batch
from recsys.serving.lists import serve_list
from recsys.store import FeedbackStore, migrate
from recsys.store.tables import recommendation_entries, recommendation_sets
from recsys.training.dataset.training_set import TrainingSet
from tests.integration.command_line import copy_home, quick
from tests.integration.small_stream import FAMILY, FIRST, FIRST_AS_OF, SECOND_AS_OF, write_stream

pytestmark = pytest.mark.slow
RULE = EligibilityRule(without_tags=("SHELVED",))
HIDDEN, EXPIRED, EXCLUDED, COMING = "f21", "f22", "f23", "f24"  # all of them admitted by the rule
SHELVED = [f"f{n}" for n in range(12, 60, 8)]
USER = "u001"


@pytest.fixture(scope="module")
def night(empty_registry: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """The first night of the small stream under the rule; the environment names its home meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        settings = copy_home(empty_registry, tmp_path_factory.mktemp("eligible") / "home")
        for name, value in settings.as_environment().items():
            patch.setenv(name, value)
        migrate(settings.database_url)
        with FeedbackStore.open(settings.database_url) as store:
            write_stream(store)
            for item_id in SHELVED:
                store.catalog.change_item(item_id, {"tags": ("shelved",)}, FIRST_AS_OF)
            store.catalog.change_item(HIDDEN, {"is_hidden": True}, FIRST_AS_OF)
            store.catalog.change_item(EXPIRED, {"available_until": FIRST_AS_OF - timedelta(days=20)}, FIRST_AS_OF)
            store.catalog.change_item(COMING, {"available_from": FIRST_AS_OF}, FIRST_AS_OF)  # when the holdout is over
            store.catalog.exclude_item(USER, EXCLUDED, FIRST_AS_OF)
        found = run_night(FIRST, FIRST_AS_OF, lambda: FIRST_AS_OF, RunConfig(families=[FAMILY], eligible=RULE))
        assert found.outcome == "promote", found.reasons
        yield found


def batch_of(context: Context) -> Batch:
    return context.store.backlog.get_batch(FIRST)


def training_set_of(context: Context) -> TrainingSet:
    return TrainingSet.read(context.folder(FIRST) / "training_set")


def listed(context: Context) -> pd.DataFrame:
    sets, entries = recommendation_sets.c, recommendation_entries.c
    query = select(sets.user_id, entries.item_id).join_from(recommendation_sets, recommendation_entries)
    with context.store.database.reading() as connection:
        return pd.DataFrame(connection.execute(query).all(), columns=["user_id", "item_id"])


def test_no_published_list_holds_what_is_not_eligible(night: Night) -> None:
    with Context.open() as context:
        found, catalog = listed(context), context.store.catalog.all_items()
        assert found["user_id"].nunique() > 700
        assert all(catalog[item].is_eligible(RULE, FIRST_AS_OF) for item in found["item_id"].unique())
        assert {HIDDEN, EXPIRED, *SHELVED} & set(found["item_id"]) == set()
        assert COMING in set(found["item_id"])  # available by then
        assert EXCLUDED not in set(found.loc[found["user_id"] == USER, "item_id"])
        assert EXCLUDED in set(found.loc[found["user_id"] != USER, "item_id"])


def test_training_sees_all_events(night: Night, tmp_path: Path) -> None:
    with Context.open() as context:
        batch, own = batch_of(context), training_set_of(context)
        anyway = replace(batch, rule=EligibilityRule(), training_set_digest=None)
        frozen_sets.freeze_training_set(context, anyway, tmp_path / "training_set")
        free = TrainingSet.read(tmp_path / "training_set")
        challenger = context.recommender(str(batch.challenger_version))
        half_life_days = batch.half_life_days
        known = context.store.stream.read_histories(
            batch.fit_through, half_life_days, excluded_through=batch.fit_through
        )
    for name in ("examples", "neutral", "items"):
        pd.testing.assert_frame_equal(getattr(own, name), getattr(free, name))
    assert {HIDDEN, EXPIRED, *SHELVED[:4]} <= set(own.examples["item_id"])
    assert {HIDDEN, EXPIRED, *SHELVED[:2]} <= set(
        challenger.item_ids
    )  # the model knows them, its lists do not hold them
    pd.testing.assert_frame_equal(own.histories, known)


def test_only_what_could_be_recommended_when_the_holdout_began_is_judged(night: Night) -> None:
    with Context.open() as context:
        batch, own, catalog = batch_of(context), training_set_of(context), context.store.catalog.all_items()
        per_user = evaluation.load_evidence(context, batch).per_user
        names = {user_id: context.pseudonym(user_id) for user_id in own.holdout["user_id"]}
    could = [catalog[item].is_eligible(RULE, batch.fit_through) for item in own.holdout["item_id"]]
    expected = own.holdout[could]
    assert COMING not in set(expected["item_id"])
    assert COMING in set(own.holdout["item_id"])
    for _, system in per_user.groupby("system"):
        assert set(system["user_id"]) == set(expected["user_id"].map(names))
        assert int(system["num_liked"].sum()) == int((expected["label"] == 1).sum())


def test_a_retry_reads_what_was_frozen(night: Night) -> None:
    """Something is hidden while a run is on its way: it goes on with what it began with."""
    with Context.open() as context:
        before = training_set_of(context).items
        context.store.catalog.change_item("f07", {"is_hidden": True}, FIRST_AS_OF)
        digest = pipeline.build_training_set(FIRST)["digest"]
        assert digest == batch_of(context).training_set_digest
        pd.testing.assert_frame_equal(training_set_of(context).items, before)
        context.store.catalog.change_item("f07", {"is_hidden": False}, FIRST_AS_OF)


def test_a_version_knows_its_rule(night: Night) -> None:
    with Context.open() as context:
        version = str(batch_of(context).refit_version)
        assert context.store.catalog.rule_of_version(version) == RULE
        assert context.recommender(version).rule == RULE
        assert context.registry.versions.get_tags(version)["eligible"] == '{"without_tags": ["SHELVED"]}'
        card = (context.folder(FIRST) / "refit" / "model_card.md").read_text(encoding="utf-8")
    assert "no tag SHELVED" in card


def test_what_is_promoted_is_the_model_that_was_judged_on_newer_data(night: Night) -> None:
    """A head that was weighed anew on the newest days would make lists that nobody judged."""
    with Context.open() as context:
        batch = batch_of(context)
        judged, refitted = (context.recommender(str(v)) for v in (batch.challenger_version, batch.refit_version))
    np.testing.assert_array_equal(judged.model.head.numpy(), refitted.model.head.numpy())
    assert judged.calibration == refitted.calibration
    assert judged.recipe["cut_off"] < refitted.recipe["cut_off"]


def test_the_next_night_keeps_the_rule_and_another_rule_is_another_recipe(night: Night) -> None:
    def planned(rule: EligibilityRule | None) -> Batch:
        config = RunConfig(families=[FAMILY], eligible=rule)
        return planning.plan_batch(context, "next", SECOND_AS_OF, SECOND_AS_OF, config, writes=False)

    with Context.open() as context:
        kept, same, lifted = planned(None), planned(RULE), planned(EligibilityRule())
        recipe = context.registry.versions.get_tags(str(batch_of(context).refit_version))["recipe"]
    assert kept.rule == same.rule == RULE
    assert lifted.rule == EligibilityRule()
    assert recipes.current_recipe(kept) == recipes.current_recipe(same) == recipe
    assert recipes.current_recipe(lifted) != recipe


def test_what_is_hidden_after_publishing_is_served_no_more(night: Night) -> None:
    with Context.open() as context:
        before = [
            entry.item_id for entry in serve_list(context.store, USER, FIRST_AS_OF + timedelta(minutes=1)).entries
        ]
        context.store.catalog.change_item(before[0], {"is_hidden": True}, FIRST_AS_OF + timedelta(minutes=2))
        after = [entry.item_id for entry in serve_list(context.store, USER, FIRST_AS_OF + timedelta(minutes=3)).entries]
        context.store.catalog.change_item(before[0], {"is_hidden": False}, FIRST_AS_OF + timedelta(minutes=4))
    assert after[:9] == before[1:]
    assert len(after) == 10


def test_the_command_line_shows_what_may_be_recommended_now(night: Night) -> None:
    with Context.open() as context:
        published = context.store.lists.get_recommendations(USER)
        assert published is not None
        first = context.store.catalog.all_items()[published.entries[0].item_id]
        settings = context.settings
        context.store.catalog.exclude_item(USER, first.item_id, FIRST_AS_OF)
        excluded = quick(settings, "recommend", USER)
        context.store.catalog.include_item(USER, first.item_id, FIRST_AS_OF)
    assert excluded.code == 0, excluded.err
    assert not excluded.shows(f"{first.title} ")
    assert quick(settings, "recommend", USER).shows(f"1 {first.title}")


def test_a_rule_that_cannot_be_understood_claims_nothing(night: Night) -> None:
    with pytest.raises(InputError, match="Expected an eligibility rule of min_year"):
        pipeline.claim_backlog("other", SECOND_AS_OF, SECOND_AS_OF, {"eligible": {"before": 2011}})
    with Context.open() as context:
        assert context.store.backlog.find_open_batch() is None
