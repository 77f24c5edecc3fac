"""What Airflow's UI gains. That the page is behind Airflow's login is tested on a running stack (tests/e2e)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest

from recsys.feedback.patterns import Pattern, Severity
from recsys.records import Decision, Dislike, Item, Promotion, PromotionKind, RecommendationEntry, RecommendationSet
from recsys.settings import Settings
from recsys.store import FeedbackStore, migrate

pytestmark = pytest.mark.airflow

NOW = datetime(2013, 6, 14, 2, tzinfo=UTC)
WALL = datetime(2026, 11, 27, 9, 30, tzinfo=UTC)


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    settings = Settings.under(tmp_path / "home")
    for name, value in settings.as_environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    return settings


@pytest.fixture(scope="module")
def plugin() -> Iterator[ModuleType]:
    """The plugin as Airflow finds it, with its check of the caller's rights left out."""
    import airflow.settings  # noqa: F401 - puts the plugins folder on the path
    import feedback

    feedback.app.dependency_overrides[feedback.may_read] = lambda: None
    yield feedback
    feedback.app.dependency_overrides.clear()


def show(plugin: ModuleType) -> str:
    answer = plugin.show_status()
    assert answer.status_code == 200
    return str(answer.body.decode())


def test_every_route_asks_for_the_right_to_read_the_dag(plugin: ModuleType) -> None:
    assert len(plugin.app.routes) == 1
    for route in plugin.app.routes:
        assert [dependency.dependency for dependency in route.dependencies] == [plugin.may_read]


def test_without_a_store_the_page_says_what_to_do(plugin: ModuleType, settings: Settings) -> None:
    page = show(plugin)
    assert 'role="alert"' in page
    assert "recsys db upgrade" in page
    assert not settings.home.exists()


def test_an_empty_store_is_shown_as_such(plugin: ModuleType, settings: Settings) -> None:
    migrate(settings.database_url)
    page = show(plugin)
    assert "0 new dislikes; retraining starts at 20" in page
    assert "None yet: trigger" in page
    assert "No list was served yet" in page
    assert "None identified yet" in page


def test_backlog_champion_and_decisions_are_shown(plugin: ModuleType, settings: Settings) -> None:
    migrate(settings.database_url)
    with FeedbackStore.open(settings.database_url) as store:
        store.feedback.record_dislikes([Dislike("u1", NOW, NOW, movie_title=f"film {number}") for number in range(3)])
        reason = "NDCG@10 is <b>not</b> worse & exposure is lower"
        store.audit.record_decision(
            Decision("nightly-1", "decide_promotion", "insufficient_evidence", (reason,), NOW, WALL)
        )
        store.audit.begin_promotion(Promotion(1, "nightly-1", None, "4", "passed", NOW, is_complete=False))
        store.audit.finish_promotion(NOW + timedelta(seconds=1), lambda rows: None)
        back = Promotion(2, "back", "4", "2", "<b>worse</b>", NOW, is_complete=False, kind=PromotionKind.ROLLBACK)
        store.audit.begin_promotion(replace(back, approved_by="ann"))
        store.audit.finish_promotion(NOW + timedelta(days=1), lambda rows: None)
    page = show(plugin)
    assert "3 new dislikes; retraining starts at 20" in page
    link = "http://127.0.0.1:5000/#/models/feedback-recommender/versions/2?workflowType=machine_learning"
    assert f'href="{link}"' in page
    assert "<td>rollback from 4</td>" in page
    assert "<td>ann</td>" in page
    assert "&lt;b&gt;worse&lt;/b&gt;" in page
    assert page.index("<td>2013-06-15 02:00</td>") < page.index("<td>2013-06-14 02:00</td>"), "newest first"
    assert "insufficient evidence" in page
    assert re.search(r"<td>2026-11-27 09:30</td>\s*<td>2013-06-14 02:00</td>", page), (
        "when it was recorded, and as of when"
    )
    assert "&lt;b&gt;not&lt;/b&gt; worse &amp; exposure" in page, "what is stored is text, not HTML"


def test_patterns_and_rates_are_shown(plugin: ModuleType, settings: Settings) -> None:
    migrate(settings.database_url)
    with FeedbackStore.open(settings.database_url) as store:
        store.catalog.upsert_items([Item("i1", "One", ("Horror",)), Item("i2", "Two", ("Comedy",))])
        entries = tuple(RecommendationEntry(rank, f"i{rank}", 1.0, "x", {}, 0.75) for rank in (1, 2))
        for version, at in (("7", NOW), ("8", NOW + timedelta(hours=1))):
            store.lists.replace_recommendation_sets(version, NOW, [RecommendationSet("u1", version, NOW, at, entries)])
            given = store.lists.get_recommendations("u1")
            assert given is not None
            for _ in range(5):
                store.lists.add_exposure(given.recommendation_set_id or 0, 2, at)
        store.feedback.record_dislikes([Dislike("u1", NOW, NOW + timedelta(hours=2), item_id="i1")])
        store.insights.replace_patterns(NOW, [Pattern(None, "genre", "<i>Horror</i>", 12, 2.5, Severity.HIGH, NOW)])
    page = show(plugin)
    assert page.count("<rect") == 2
    assert "Version 7" in page
    assert "0.00 % of 10 shown" in page
    assert "10.00 % of 10 shown" in page
    assert "&lt;i&gt;Horror&lt;/i&gt;" in page
    assert "1 dislike: unspecified 1." in page
    assert "None identified yet" not in page


def test_it_is_in_the_navigation(plugin: ModuleType) -> None:
    (view,) = plugin.FeedbackPlugin.external_views
    (mounted,) = plugin.FeedbackPlugin.fastapi_apps
    assert view["href"].rstrip("/") == mounted["url_prefix"]
    assert view["destination"] == "nav"
    assert "category" not in view
