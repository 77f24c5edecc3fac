"""One night on a stream with reasons, a brigade and an erased user: what each of them does to training and to the lists."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import func, select

from recsys.config.run import RunConfig
from recsys.feedback.adjustments import apply_feature_adjustments
from recsys.pipeline.context import Context
from recsys.pipeline.night import run_night
from recsys.records import Dislike, DislikeReason, Item
from recsys.serving.lists import current_adjustments, serve_list
from recsys.store import FeedbackStore, migrate
from recsys.store.tables import dislike_feedback_impact
from recsys.training.dataset.training_set import TrainingSet
from tests.integration.command_line import copy_home
from tests.integration.small_stream import FAMILY, GENRES, NOW, SECOND_AS_OF, write_stream

MINUTE = timedelta(minutes=1)
ANGRY, ERASED, BRIGADED = "u000", "u001", "f55"


@dataclass(frozen=True)
class AfterTheNight:
    """The night's results and what it left."""

    store: FeedbackStore
    results: dict[str, Any]
    examples: pd.DataFrame


@pytest.fixture(scope="module")
def night(empty_registry: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AfterTheNight]:
    with pytest.MonkeyPatch.context() as environment:
        settings = copy_home(empty_registry, tmp_path_factory.mktemp("feedback") / "home")
        for name, value in settings.as_environment().items():
            environment.setenv(name, value)
        migrate(settings.database_url)
        at = SECOND_AS_OF - timedelta(hours=5)
        with FeedbackStore.open(settings.database_url) as store:
            write_stream(store)
            store.catalog.upsert_items([Item(f"n{n}", f"New {n}", (GENRES[0],)) for n in range(3)])
            rows = [Dislike(ANGRY, at, at, item_id=f"n{n}", reason=DislikeReason.WRONG_GENRE) for n in range(2)]
            rows += [Dislike(ANGRY, at, at, item_id="n2", reason=DislikeReason.NOT_INTERESTED)]
            rows += [Dislike(f"bot{n}", at + n * MINUTE, at + n * MINUTE, item_id=BRIGADED) for n in range(60)]
            save = store.feedback.record_dislikes(rows)
            assert all(row.is_new for row in save)
            store.erasures.erase_user(ERASED, "the user", NOW)
            done = run_night("night", SECOND_AS_OF, lambda: NOW, RunConfig(families=[FAMILY]))
            assert done.outcome == "promote", done.reasons
            with Context.open(settings) as context:
                examples = TrainingSet.read(context.folder("night") / "training_set").examples
            yield AfterTheNight(store, done.results, examples)


def test_the_reason_weighs_the_example(night: AfterTheNight) -> None:
    own = night.examples[(night.examples["user_id"] == ANGRY) & night.examples["item_id"].str.startswith("n")]
    assert dict(zip(own["reason"], own["base_weight"], strict=True)) == {"wrong_genre": 0.8, "not_interested": 0.4}
    assert (own["sample_weight"] <= own["base_weight"]).all()


def test_the_published_lists_of_that_user_and_no_other_are_adjusted(night: AfterTheNight) -> None:
    adjusted = set()
    for user in [ANGRY, "u003", "u006", "u009"]:  # all of the same taste
        found = night.store.lists.get_recommendations(user)
        assert found is not None
        for entry in found.entries:
            assert sum(entry.contributions.values()) == pytest.approx(entry.score, abs=1e-5)
            adjusted |= {(user, name) for name in entry.contributions if name.startswith("adjustment:")}
    assert adjusted == {(ANGRY, f"adjustment:genre:{GENRES[0]}")}


def test_what_is_served_is_what_the_champion_published(night: AfterTheNight) -> None:
    published = night.store.lists.get_recommendations(ANGRY)
    assert published is not None
    newest = night.store.stream.stream_summary(
        SECOND_AS_OF
    ).last_recorded_at  # ages of a published list count from here
    assert newest is not None
    adjustments = current_adjustments(
        night.store.stream.user_signals(ANGRY, SECOND_AS_OF), night.store.catalog.all_items(),
        night.store.backlog.half_life_of_version(published.model_version), newest,
    )  # fmt: skip
    (importance,) = apply_feature_adjustments({}, adjustments.values()).values()
    assert 0.85**2 * 0.925 < importance < 0.85**2 * 0.925 * 1.02  # three dislikes, five hours old
    (multiplier,) = apply_feature_adjustments({}, adjustments.values(), published.adjustment_power).values()
    assert multiplier == pytest.approx(importance**published.adjustment_power)
    for entry in published.entries:
        taken = entry.contributions.get(f"adjustment:genre:{GENRES[0]}", 0.0)
        if taken:
            before = sum(entry.contributions.values()) - taken
            assert taken == pytest.approx((multiplier - 1) * before, rel=1e-4)


def test_a_brigade_is_on_record_and_neither_claimed_nor_trained(night: AfterTheNight) -> None:
    checked = [d for d in night.store.audit.list_decisions(run_id="night") if d.step == "check_backlog"]
    (decision,) = checked
    (burst,) = decision.numbers["held_back"]
    assert (burst["item_id"], burst["num_released"]) == (BRIGADED, 0)
    held_back = burst["num_dislikes"]
    assert held_back >= 60  # somebody honest may have disliked it in the same hour
    assert "brigading" in decision.reasons[0]
    bots = night.examples["user_id"].str.startswith("bot")
    assert not bots.any()
    assert night.store.backlog.count_backlog(NOW) == 0
    assert night.store.brigading.release_flagged(BRIGADED, "test", NOW) == held_back
    assert night.store.backlog.count_backlog(NOW) == held_back


def test_an_erased_user_is_in_no_training_set_and_no_list(night: AfterTheNight) -> None:
    assert ERASED not in set(night.examples["user_id"])
    assert night.store.lists.get_recommendations(ERASED) is None


def test_training_is_written_as_an_impact_of_the_challenger(night: AfterTheNight) -> None:
    table = dislike_feedback_impact.c
    query = select(table.model_version_id, func.count()).where(table.impact_type == "negative_example")
    with night.store.database.reading() as connection:
        rows = connection.execute(query.group_by(table.model_version_id)).all()
    settled = night.results["settle_backlog"]
    assert [tuple(row) for row in rows] == [(settled["model_version"], settled["num_examples"])]


def test_a_served_list_knows_the_chance_of_its_films(night: AfterTheNight) -> None:
    served = serve_list(night.store, "u003", NOW)
    chances = [entry.predicted_score for entry in served.entries]
    assert all(chance is not None and 0 < chance < 1 for chance in chances)
    assert chances == sorted(chances, reverse=True)  # type: ignore[type-var]
