"""Everybody is served the champion of the audit, whatever the clocks of those who published said."""

import os
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from recsys import pipeline
from recsys.errors import InputError
from recsys.pipeline.context import Context
from recsys.pipeline.erasure.old_lists import delete_retired_lists
from recsys.records import Dislike, Promotion, PromotionKind, RecommendationEntry, RecommendationSet, SetKind
from recsys.serving.lists import serve_list
from recsys.settings import Settings
from recsys.store import FeedbackStore, migrate
from recsys.store.tables import recommendation_sets
from tests.integration.command_line import quick
from tests.integration.serving.live_api import MATRIX, Api

TODAY = datetime(2026, 11, 28, tzinfo=UTC)
NIGHT = datetime(2013, 6, 14, tzinfo=UTC)  # what an Airflow step of the demo says that now is
DAY = timedelta(days=1)
SCORES = {"2": 0.9, "4": 0.4}  # of the one film in the lists of a version
ENTRY = RecommendationEntry(1, MATRIX.item_id, 0.9, "popular", {"trend": 0.9}, 0.8)


def make_champion(store: FeedbackStore, version: str, at: datetime, *, is_complete: bool = True) -> None:
    """Writes the audit's row."""
    last = store.audit.last_promotion()
    sequence, before = (1, None) if last is None else (last.sequence + 1, last.to_version)
    is_back = version in {row.to_version for row in store.audit.list_promotions()}
    kind = PromotionKind.ROLLBACK if is_back else PromotionKind.PROMOTION
    store.audit.begin_promotion(
        Promotion(sequence, f"run-{sequence}", before, version, "x", at, is_complete=False, kind=kind)
    )
    if is_complete:
        store.audit.finish_promotion(at, lambda rows: None)


def publish(store: FeedbackStore, version: str, as_of: datetime, now: datetime) -> None:
    store.catalog.upsert_items([MATRIX])
    score = SCORES.get(version, 1.0)
    entries = (replace(ENTRY, score=score, contributions={"trend": score}, reason=f"by version {version}"),)
    lists = [RecommendationSet(user, version, as_of, now, entries) for user in ("u1", "u2", None)]
    store.lists.replace_recommendation_sets(version, as_of, lists)


def first_two_nights(store: FeedbackStore) -> None:
    """The demo: the command line publishes version 2 by the clock of today, Airflow version 4 by that of its night."""
    make_champion(store, "2", TODAY)
    publish(store, "2", NIGHT - 2 * DAY, TODAY)
    make_champion(store, "4", NIGHT)
    publish(store, "4", NIGHT, NIGHT)


def test_a_new_champion_is_served_though_it_was_published_by_an_earlier_clock(api: Api) -> None:
    first_two_nights(api.store)
    for user in ("u1", "u2", "stranger"):
        found = api.client.get("/api/recommendations?k=1", headers=api.server(user)).json()
        assert (found["model_version"], found["recommendations"][0]["score"]) == ("4", SCORES["4"])
    for whose in ("u1", None):
        stored = api.store.lists.get_recommendations(whose)
        assert stored is not None
        assert stored.model_version == "4"


def test_the_command_line_shows_the_same(settings: Settings) -> None:
    migrate(settings.database_url)
    with FeedbackStore.open(settings.database_url) as store:
        first_two_nights(store)
        for user in ("u1", "stranger"):
            shown = quick(settings, "recommend", user)
            assert (shown.code, shown.err) == (0, "")
            assert shown.shows("model version 4")
            assert shown.shows(f"{SCORES['4']:.4f}")
        make_champion(store, "6", TODAY)
        assert quick(settings, "recommend", "u1").shows("Version 6 is champion; its lists are not published yet.")


def test_until_a_champion_has_lists_those_of_the_one_before_are_served(store: FeedbackStore) -> None:
    first_two_nights(store)
    make_champion(store, "6", TODAY)
    assert serve_list(store, "u1", TODAY, k=1).model_version == "4"
    publish(store, "6", NIGHT + DAY, NIGHT)
    assert serve_list(store, "u1", TODAY, k=1).model_version == "6"


def test_after_a_rollback_its_lists_are_served_at_once(store: FeedbackStore) -> None:
    first_two_nights(store)
    make_champion(store, "2", TODAY)
    assert serve_list(store, "u1", TODAY, k=1).model_version == "2"
    make_champion(store, "4", TODAY - DAY)
    assert serve_list(store, "u1", TODAY, k=1).model_version == "4"


def test_a_promotion_that_was_never_finished_serves_nobody(store: FeedbackStore) -> None:
    """Its version was deleted, and a person rolled back: the row stays as it is."""
    make_champion(store, "2", TODAY)
    publish(store, "2", NIGHT, TODAY)
    make_champion(store, "4", TODAY, is_complete=False)
    publish(store, "4", NIGHT, TODAY)
    assert serve_list(store, "u1", TODAY, k=1).model_version == "4", "the newest row is finished by whoever comes next"
    make_champion(store, "6", TODAY)
    assert serve_list(store, "u1", TODAY, k=1).model_version == "2"


def test_publishing_a_retired_version_again_changes_nothing(store: FeedbackStore) -> None:
    first_two_nights(store)
    publish(store, "2", NIGHT + DAY, TODAY + DAY)
    assert serve_list(store, "u1", TODAY, k=1).model_version == "4"


@pytest.mark.parametrize("user", ["u1", "stranger"])
def test_a_list_made_for_a_user_holds_for_the_publication_that_it_was_made_from(
    store: FeedbackStore, user: str
) -> None:
    first_two_nights(store)
    store.feedback.record_dislikes([Dislike(user, TODAY, TODAY, movie_title="Another")])
    now = TODAY + timedelta(minutes=1)
    made = serve_list(store, user, now, k=1)
    assert (made.kind, made.model_version) == (SetKind.ADJUSTED, "4")
    assert serve_list(store, user, now + DAY, k=1).recommendation_set_id == made.recommendation_set_id
    make_champion(store, "6", NIGHT)
    publish(store, "6", NIGHT + DAY, NIGHT)
    assert serve_list(store, user, now + DAY, k=1).model_version == "6"
    make_champion(store, "4", NIGHT)
    assert serve_list(store, user, now + DAY, k=1).recommendation_set_id == made.recommendation_set_id


def test_old_lists_are_pruned_by_the_step_of_monitoring(settings: Settings) -> None:
    settings.use()
    migrate(settings.database_url)
    with FeedbackStore.open(settings.database_url) as store:
        for n, version in enumerate(("2", "4", "6", "8")):
            at = TODAY + n * DAY
            make_champion(store, version, at)
            publish(store, version, NIGHT, at)
            if version == "2":
                serve_list(store, "u1", at, k=1)
        now = TODAY + 32 * DAY
        planned = pipeline.prune_lists(now, 30, dry_run=True)
        assert planned == {
            "num_lists": 5, "kept_versions": ["6", "8"], "dry_run": True,
            "summary": "Would delete 5 lists that are older than 30 days, are not served and were never shown; "
            "nothing was deleted.",
        }  # fmt: skip
        assert [store.lists.count_recommendation_sets(version, NIGHT) for version in ("2", "4")] == [3, 3]
        assert pipeline.prune_lists(TODAY + 31 * DAY, 30)["num_lists"] == 2, "version 4's are 30 days old, not older"
        done = pipeline.prune_lists(now.isoformat(), 30)
        assert (done["num_lists"], done["summary"].split(" that ")[0]) == (3, "Deleted 3 lists")
        assert pipeline.prune_lists(now, 30)["num_lists"] == 0
        assert [store.lists.count_recommendation_sets(version, NIGHT) for version in ("6", "8")] == [3, 3]
        assert serve_list(store, "u1", now, k=1).model_version == "8"
        with pytest.raises(InputError, match="Expected keep_lists_days from 0 to"):
            pipeline.prune_lists(now, -1.0)


def test_publishing_another_champion_takes_the_space_of_the_retired_one(settings: Settings) -> None:
    """In a file that holds a champion's and the previous champion's lists, each of three more publishings finds room."""
    settings.use()
    migrate(settings.database_url)
    sizes, numbers = [], []
    with Context.open(settings) as context:
        context.store.catalog.upsert_items([MATRIX])
        for version in ("2", "4", "6", "8", "8", "10"):
            last = context.store.audit.last_promotion()
            if last is None or last.to_version != version:
                make_champion(context.store, version, TODAY)
            delete_retired_lists(context, TODAY)
            entries = (replace(ENTRY, reason=random.Random(version).randbytes(1_000).hex()),)
            lists = [RecommendationSet(f"u{user}", version, NIGHT, TODAY, entries) for user in range(500)]
            context.store.lists.replace_recommendation_sets(version, NIGHT, lists)
            with context.store.database.reading() as connection:
                numbers.append(connection.scalar(select(func.count()).select_from(recommendation_sets)))
                sizes.append(connection.exec_driver_sql("PRAGMA page_count").scalar_one())
    assert numbers == [500, 1_000, 1_000, 1_000, 1_000, 1_000]
    assert max(sizes[2:]) <= 1.2 * sizes[1]


def test_a_file_gives_the_pages_of_deleted_lists_back(settings: Settings) -> None:
    settings.use()
    migrate(settings.database_url)
    path = settings.home / "feedback.db"
    with FeedbackStore.open(settings.database_url) as store:
        store.catalog.upsert_items([MATRIX])
        for n, version in enumerate(("2", "4", "6")):
            make_champion(store, version, TODAY + n * DAY)
            entries = (replace(ENTRY, reason=os.urandom(2_000).hex()),)
            lists = [RecommendationSet(f"u{user}", version, NIGHT, TODAY, entries) for user in range(1_000)]
            store.lists.replace_recommendation_sets(version, NIGHT, lists)
        before = path.stat().st_size
        assert pipeline.prune_lists(TODAY + 60 * DAY)["num_lists"] == 1_000
    assert path.stat().st_size < 0.75 * before
