"""What the service does for and about a user who was erased, also while it happens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select

from recsys.errors import ErasedError, InputError
from recsys.records import Dislike, Interaction, Item, RecommendationEntry, RecommendationSet, SetKind
from recsys.serving.lists import serve_list
from recsys.serving.problems import problem_of
from recsys.serving.publishing import eligible_as_of
from recsys.serving.recorder import DislikeRecorder
from recsys.store import FeedbackStore
from recsys.store.tables import items, metadata
from tests.integration.serving.live_api import MATRIX, SENT, Api

NOW = datetime(2026, 11, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
USER = "somebody-who-wants-to-be-forgotten"
CALLS = (
    "lists.served_lists", "catalog.get_items", "catalog.rule_of_version", "catalog.list_exclusions",
    "stream.feedback_changed_at", "catalog.items_changed_at", "lists.get_adjusted_list", "backlog.half_life_of_version",
    "stream.user_signals", "lists.add_list", "lists.add_exposure",
)  # fmt: skip


def traces(store: FeedbackStore) -> list[str]:
    with store.database.reading() as connection:
        return [
            table.name
            for table in metadata.sorted_tables
            for row in connection.execute(select(table))
            if USER in str(tuple(row))
        ]


def publish(store: FeedbackStore) -> None:
    """The user has a list that holds what only they know, feedback, and a list that was made for them."""
    store.catalog.upsert_items([Item(f"i{n}", f"Film {n}", ("Drama",)) for n in range(4)])
    ((stored, _),) = store.feedback.record_and_read([Dislike(USER, NOW, NOW, movie_title=f"typed by {USER}")])
    films = ["i0", "i1", str(stored.dislike.item_id), "i2"]
    entries = tuple(RecommendationEntry(n, film, 1 / n, "", {"trend": 1 / n}) for n, film in enumerate(films, 1))
    sets = [RecommendationSet(user, "1", NOW, NOW, entries) for user in (USER, None)]
    store.lists.replace_recommendation_sets("1", NOW, sets)
    store.feedback.insert_interactions([Interaction(USER, "i3", "like", NOW + MINUTE, NOW + MINUTE, is_like=True)])


@pytest.mark.parametrize("call", CALLS)
def test_a_list_on_its_way_leaves_nothing(store: FeedbackStore, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """Whatever was read before the erasure, and is used after it."""
    publish(store)
    part, _, method = call.partition(".")
    original: Callable[..., Any] = getattr(getattr(store, part), method)
    erased: list[int] = []

    def interrupted(*args: Any, **named: Any) -> Any:
        if not erased:
            erased.append(1)
            store.erasures.erase_user(USER, "the user", NOW + 2 * MINUTE)
        return original(*args, **named)

    monkeypatch.setattr(getattr(store, part), method, interrupted)
    served = serve_list(store, USER, NOW + 3 * MINUTE, k=3)
    assert erased, f"{call} is not called any more"
    assert (served.user_id, served.kind, len(served.entries)) == (None, SetKind.PUBLISHED, 3)
    assert traces(store) == []


def test_an_erased_user_is_given_what_strangers_are_given_and_no_record_is_kept(api: Api) -> None:
    api.publish("u1", None)
    api.dislike("u1")
    assert api.client.delete("/api/users/u1", headers=api.server("u1")).status_code == 200
    before = api.everything()
    for _ in range(2):
        answer = api.client.get("/api/recommendations?k=2", headers=api.server("u1"))
        assert answer.status_code == 200
        assert [entry["item_id"] for entry in answer.json()["recommendations"]] == [MATRIX.item_id, "b"]
    assert api.everything() == before
    assert api.client.get("/api/recommendations", headers=api.server("u2")).json()["kind"] == "adjusted"


def test_what_an_erased_user_sends_is_gone_for_good_until_they_are_brought_back(api: Api) -> None:
    api.publish("u1", None)
    number = api.dislike("u1")["dislike_id"]
    api.client.delete("/api/users/u1", headers=api.server("u1"))
    before, headers = api.everything(), api.server("u1")
    like = {"interactions": [{"item_id": "b", "kind": "like"}]}
    answers = [
        api.client.post("/api/dislike", json=SENT, headers=headers),
        api.client.post("/api/interactions", json=like, headers=headers),
        api.client.delete(f"/api/dislike/{number}", headers=headers),
        api.client.put("/api/exclusions/b", headers=headers),
        api.client.delete("/api/exclusions/b", headers=headers),
    ]
    assert [(one.status_code, one.json()["type"]) for one in answers] == [(410, "urn:recsys:problem:user-erased")] * 5
    assert all("bring-back" in one.json()["detail"] and "Retry-After" not in one.headers for one in answers)
    assert api.everything() == before
    api.store.erasures.bring_back("u1", "an operator", datetime.now(UTC))
    assert api.dislike("u1")["dislike_id"] > number
    assert len(api.history("u1")) == 1


def test_in_a_group_only_the_erased_users_dislikes_fail(store: FeedbackStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.catalog.upsert_items([MATRIX])
    store.erasures.erase_user("u1", "the user", NOW)
    groups: list[list[str]] = []
    original = store.feedback.record_and_read

    def counted(rows: list[Dislike]) -> Any:
        groups.append([row.user_id for row in rows])
        return original(rows)

    monkeypatch.setattr(store.feedback, "record_and_read", counted)
    recorder = DislikeRecorder(store)

    async def send() -> list[Any]:
        recorder.start()
        users = ["u0", "u1", "u2", "u1", "u3"]
        sent = [recorder.record(Dislike(user, NOW, NOW, item_id=MATRIX.item_id)) for user in users]
        return await asyncio.gather(*sent, return_exceptions=True)

    try:
        answers = asyncio.run(send())
    finally:
        recorder.stop()
    assert [isinstance(answer, ErasedError) for answer in answers] == [False, True, False, True, False]
    assert [stored.dislike.user_id for stored, _ in (answers[0], answers[2], answers[4])] == ["u0", "u2", "u3"]
    assert [group for group in groups if len(group) > 1 and "u1" not in group], "the others are written together"


def test_what_a_database_refuses_is_logged_without_the_value(
    store: FeedbackStore, caplog: pytest.LogCaptureFixture
) -> None:
    row = {
        "item_id": "",
        "title": "my secret",
        "title_key": "my secret",
        "genres": [],
        "cast_members": [],
        "is_placeholder": False,
    }
    with pytest.raises(InputError) as refused:
        store.database.write(lambda c: c.execute(insert(items), [row]))
    with caplog.at_level(logging.DEBUG):
        answer = problem_of(refused.value, 1)
    assert answer.status == 422
    assert "secret" not in caplog.text + answer.detail
    assert "item_id_is_not_empty" in caplog.text or "CONSTRAINT_CHECK" in caplog.text


def test_what_is_gone_from_the_catalog_is_recommended_no_more(store: FeedbackStore) -> None:
    """A version was fitted when a film was known that went with its user since."""

    class Barred:
        recipe, item_ids = {}, ["i0", "gone"]

        def without_items(self, barred: frozenset[str]) -> frozenset[str]:
            return barred

    store.catalog.upsert_items([Item("i0", "Film"), Item("i1", "Hidden", is_hidden=True)])
    version: Any = Barred()
    assert eligible_as_of(store, version, NOW) == {"gone", "i1"}
