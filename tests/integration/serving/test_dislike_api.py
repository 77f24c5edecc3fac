"""Dislikes over HTTP: recording, the same event again, history, undo."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from recsys.store.api_keys import Scope
from tests.integration.serving.live_api import MATRIX, SENT, Api, bearer, is_problem, user_token


def iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def test_the_body_of_the_spec_is_recorded(api: Api) -> None:
    before = datetime.now(UTC)
    answer = api.client.post("/api/dislike", json=SENT, headers=api.server("u1"))
    assert answer.status_code == 201
    found = answer.json()
    created_at = datetime.fromisoformat(found.pop("created_at"))
    assert before <= created_at <= datetime.now(UTC)
    assert found == {
        "dislike_id": found["dislike_id"],
        "item_id": "tmdb:12345",
        "item_is_known": False,
        "title": "Movie Title",
        "reason": "wrong_genre",
        "adjustments": {"genre:Action": -0.15, "genre:Sci-Fi": -0.15},
        "recommendation_set_id": None,
        "recommendation_set_is_known": False,
    }
    assert answer.headers["cache-control"] == "no-store"
    (row,) = api.rows("user_dislikes")
    assert (row["user_id"], row["movie_id"], row["movie_title"]) == ("u1", 12345, "Movie Title")
    assert (row["feedback_text"], row["genres"]) == ("Not my type of movie", ["Action", "Sci-Fi"])
    assert len(api.rows("negative_training_examples")) == 1


def test_a_known_film_and_a_known_list(api: Api) -> None:
    api.publish("u1", None)
    listed = api.client.get("/api/recommendations", headers=api.server("u1")).json()
    assert [(one["rank"], one["title"]) for one in listed["recommendations"]] == [(1, "The Matrix"), (2, "B"), (3, "C")]
    sent = {
        "item_id": MATRIX.item_id,
        "recommendation_set_id": listed["recommendation_set_id"],
        "predicted_score": 0.123,
    }
    found = api.client.post("/api/dislike", json=sent, headers=api.server("u1")).json()
    assert (found["item_is_known"], found["recommendation_set_is_known"], found["reason"]) == (
        True,
        True,
        "unspecified",
    )
    (row,) = api.rows("user_dislikes")
    assert row["predicted_score"] == listed["recommendations"][0]["predicted_score"] != 0.123
    assert row["claimed_score"] == 0.123
    after = api.client.get("/api/recommendations", headers=api.server("u1")).json()
    assert [one["item_id"] for one in after["recommendations"]] == ["b", "c"]


def test_a_claimed_score_is_believed_only_from_the_products_own_server(api: Api) -> None:
    api.dislike("u1", predicted_score=0.9)
    forged = api.client.post("/api/dislike", json={**SENT, "predicted_score": 0.9}, headers=bearer(user_token()))
    assert forged.status_code == 201
    scores = [(row["predicted_score"], row["claimed_score"]) for row in api.rows("user_dislikes")]
    assert scores == [(0.9, 0.9), (None, 0.9)]
    assert [row["predicted_rating"] for row in api.rows("negative_training_examples")] == [0.9, None]


def test_another_users_list_is_flagged_and_not_kept(api: Api) -> None:
    api.publish("u1", "u2")
    theirs = api.client.get("/api/recommendations", headers=api.server("u2")).json()["recommendation_set_id"]
    found = api.dislike("u1", recommendation_set_id=theirs)
    assert found["recommendation_set_is_known"] is False
    assert api.rows("user_dislikes")[0]["recommendation_set_id"] != theirs


def test_an_event_that_waited_offline_keeps_its_moment(api: Api) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    assert api.dislike("u1", created_at=iso(moment))["created_at"] == iso(moment)
    zoned = api.dislike("u1", created_at="2026-01-02T05:04:05+02:00")
    assert zoned["created_at"] == "2026-01-02T03:04:05Z"
    assert api.rows("user_dislikes")[0]["created_at"] == moment


def test_a_clock_that_is_a_little_ahead_counts_as_now(api: Api) -> None:
    ahead = datetime.now(UTC) + timedelta(seconds=20)
    found = api.dislike("u1", created_at=iso(ahead))
    assert datetime.fromisoformat(found["created_at"]) < ahead
    (row,) = api.rows("user_dislikes")
    assert row["created_at"] == row["recorded_at"]


def test_the_same_event_twice_is_one_dislike_and_the_same_answer(api: Api) -> None:
    headers = {**api.server("u1"), "Idempotency-Key": "event-1"}
    first = api.client.post("/api/dislike", json=SENT, headers=headers)
    state = api.everything()
    again = api.client.post("/api/dislike", json=SENT, headers=headers)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert api.everything() == state

    assert api.client.delete(f"/api/dislike/{first.json()['dislike_id']}", headers=headers).status_code == 200
    state = api.everything()
    after_undo = api.client.post("/api/dislike", json=SENT, headers=headers)
    assert (after_undo.status_code, after_undo.content) == (first.status_code, first.content)
    assert api.everything() == state
    assert api.history("u1") == []


def test_a_key_that_comes_with_a_known_film_and_list_gets_the_same_answer(api: Api) -> None:
    api.publish("u1")
    listed = api.client.get("/api/recommendations", headers=api.server("u1")).json()["recommendation_set_id"]
    for number, body in enumerate(
        [
            {"item_id": MATRIX.item_id},
            {"movie_id": 603},
            {"movie_title": "the  MATRIX"},
            {"item_id": MATRIX.item_id, "recommendation_set_id": listed, "reason": "tired_of_franchise"},
            {"item_id": "b", "created_at": "2026-01-02T03:04:05.5Z", "predicted_score": 1},
            {"item_id": "b", "created_at": iso(datetime.now(UTC) + timedelta(seconds=20))},
        ]
    ):
        headers = {**api.server("u1"), "Idempotency-Key": str(number)}
        first, again = (api.client.post("/api/dislike", json=body, headers=headers) for _ in range(2))
        assert (again.status_code, again.content) == (201, first.content), body
    assert len(api.rows("user_dislikes")) == 6


@pytest.mark.parametrize(
    "changed",
    [
        {"reason": "poor_quality"},
        {"movie_id": 54321},
        {"movie_title": "Other"},
        {"item_id": "other"},
        {"predicted_score": 0.5},
        {"predicted_score": None},
        {"feedback_text": None},
        {"genres": []},
        {"cast": ["Actor 2", "Actor 1"]},
        {"created_at": "2026-01-02T03:04:05Z"},
    ],
    ids=str,
)
@pytest.mark.parametrize("backend", ["sqlite"])
def test_a_key_with_another_event_is_refused(api: Api, changed: dict[str, Any]) -> None:
    headers = {**api.server("u1"), "Idempotency-Key": "event-1"}
    assert api.client.post("/api/dislike", json=SENT, headers=headers).status_code == 201
    state = api.everything()
    problem = is_problem(api.client.post("/api/dislike", json={**SENT, **changed}, headers=headers), 422)
    assert problem["type"].endswith("idempotency-key-reused")
    assert [error["field"] for error in problem["errors"]] == list(changed)
    assert api.everything() == state


@pytest.mark.parametrize("backend", ["sqlite"])
def test_a_repeat_is_known_after_the_film_came_into_the_catalog(api: Api) -> None:
    for number, body in enumerate([{"movie_id": 603}, {"movie_title": "The Matrix"}, {"item_id": "tmdb:603"}]):
        headers = {**api.server(f"u{number}"), "Idempotency-Key": "1"}
        first = api.client.post("/api/dislike", json=body, headers=headers)
        api.store.catalog.upsert_items([MATRIX])
        again = api.client.post("/api/dislike", json=body, headers=headers)
        assert (again.status_code, again.json()["dislike_id"]) == (201, first.json()["dislike_id"])
    assert len(api.rows("user_dislikes")) == 3


def test_two_users_may_use_the_same_key(api: Api) -> None:
    for user in ("u1", "u2"):
        headers = {**api.server(user), "Idempotency-Key": "1"}
        assert api.client.post("/api/dislike", json=SENT, headers=headers).status_code == 201
    assert [row["user_id"] for row in api.rows("user_dislikes")] == ["u1", "u2"]


def test_undo_takes_back_and_says_what(api: Api) -> None:
    kept = api.dislike("u1", movie_id=1)
    undone = api.dislike("u1", movie_id=2)
    first = api.client.delete(f"/api/dislike/{undone['dislike_id']}", headers=api.server("u1"))
    assert first.status_code == 200
    told = first.json()
    assert told["undone_adjustments"] == {"genre:Action": -0.15, "genre:Sci-Fi": -0.15}
    assert (told["item_id"], told["reason"]) == ("tmdb:2", "wrong_genre")
    assert [one["dislike_id"] for one in api.history("u1")] == [kept["dislike_id"]]
    state = api.everything()
    again = api.client.delete(f"/api/dislike/{undone['dislike_id']}", headers=api.server("u1"))
    assert (again.status_code, again.content) == (200, first.content)
    assert api.everything() == state


def test_history_comes_in_pages(api: Api) -> None:
    moments = [datetime(2026, 1, 1, hour, tzinfo=UTC) for hour in (5, 1, 3, 3, 3, 2, 4)]
    for number, moment in enumerate(moments, start=1):
        api.dislike("u1", movie_id=number, created_at=iso(moment))
    api.dislike("u2")
    whole = api.history("u1")
    assert [one["movie_id"] for one in whole] == [1, 7, 5, 4, 3, 6, 2]  # newest first, among equals the last recorded
    assert whole[0]["genres"] == ["Action", "Sci-Fi"]
    assert whole[0]["feedback_text"] == "Not my type of movie"
    for limit in (1, 2, 3, 6, 7, 8):
        pages, cursor = [], None
        while True:
            params = {"limit": limit} if cursor is None else {"limit": limit, "cursor": cursor}
            page = api.client.get("/api/dislike-history", params=params, headers=api.server("u1")).json()
            pages.append(page["dislikes"])
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert [one for page in pages for one in page] == whole
        assert all(len(page) == limit for page in pages[:-1])
        assert 0 < len(pages[-1]) <= limit


def test_a_page_goes_on_after_its_last_dislike_was_taken_back(api: Api) -> None:
    for number in range(1, 5):
        api.dislike("u1", movie_id=number)
    whole = api.history("u1")
    page = api.client.get("/api/dislike-history?limit=2", headers=api.server("u1")).json()
    assert api.client.delete(f"/api/dislike/{page['next_cursor']}", headers=api.server("u1")).status_code == 200
    rest = api.client.get(f"/api/dislike-history?cursor={page['next_cursor']}", headers=api.server("u1")).json()
    assert rest["dislikes"] == whole[2:]


def test_interactions_are_kept_once_and_make_placeholders(api: Api) -> None:
    sent = {
        "interactions": [
            {"item_id": "a", "kind": "like", "occurred_at": "2026-01-02T03:04:05Z"},
            {"item_id": "a", "kind": "watch", "value": 5400, "occurred_at": "2026-01-02T03:04:05Z"},
            {"item_id": "b", "kind": "rating", "value": 9, "is_like": True, "occurred_at": "2026-01-02T03:04:05Z"},
            {"item_id": "b", "kind": "click"},
        ]
    }
    answer = api.client.post("/api/interactions", json=sent, headers=api.server("u1"))
    assert (answer.status_code, answer.json()) == (200, {"num_received": 4, "num_new": 4})
    rows = [
        (row["user_id"], row["item_id"], row["kind"], row["value"], row["is_like"]) for row in api.rows("interactions")
    ]
    assert rows == [
        ("u1", "a", "like", None, True),
        ("u1", "a", "watch", 5400.0, False),
        ("u1", "b", "rating", 9.0, True),
        ("u1", "b", "click", None, False),
    ]
    assert {row["item_id"]: row["is_placeholder"] for row in api.rows("items")} == {"a": True, "b": True}
    sent["interactions"].pop()
    again = api.client.post("/api/interactions", json=sent, headers=api.server("u1"))
    assert again.json() == {"num_received": 3, "num_new": 0}


def test_every_list_that_is_given_is_an_exposure(api: Api) -> None:
    assert is_problem(api.client.get("/api/recommendations", headers=api.server("u1")), 404)
    api.publish("u1", None)
    own = api.client.get("/api/recommendations?k=2", headers=api.server("u1")).json()
    newcomers = api.client.get("/api/recommendations", headers=api.server("new")).json()
    assert (len(own["recommendations"]), len(newcomers["recommendations"])) == (2, 3)
    assert own["recommendation_set_id"] != newcomers["recommendation_set_id"]
    entry = own["recommendations"][0]
    assert sum(entry["contributions"].values()) == pytest.approx(entry["score"])
    exposures = [(row["recommendation_set_id"], row["num_items"]) for row in api.rows("recommendation_exposures")]
    assert exposures == [(own["recommendation_set_id"], 2), (newcomers["recommendation_set_id"], 3)]


def test_patterns_and_metrics_have_what_the_document_promises(api: Api) -> None:
    for _ in range(2):
        api.dislike("u1", predicted_score=0.8)
    api.dislike("u2", reason="poor_quality", predicted_score=0.4)
    own = api.client.get("/api/dislike-patterns", headers=api.server("u1")).json()
    assert (own["reason_distribution"], own["total_dislikes"]) == ({"wrong_genre": 2}, 2)
    assert own["recent_trend"]["total_dislikes"] == 2
    assert own["recent_trend"]["avg_predicted_score"] == pytest.approx(0.8)
    operator = api.key(Scope.METRICS_READ)
    everybody = api.client.get("/api/dislike-patterns?of=everybody", headers=operator).json()
    assert (everybody["reason_distribution"], everybody["total_dislikes"]) == ({"wrong_genre": 2, "poor_quality": 1}, 3)
    metrics = api.client.get("/api/feedback-metrics", headers=operator).json()
    assert metrics["total_negative_examples"] == 3
    assert (metrics["min_error"], metrics["max_error"]) == (0.4, 0.8)
    assert metrics["avg_prediction_error"] == pytest.approx(2 / 3)
    assert metrics["average_dislike_predicted_score"] == pytest.approx(2 / 3)


def test_an_erased_user_is_gone_and_the_audit_says_so(api: Api) -> None:
    api.publish("u1", "u2")
    for user in ("u1", "u2"):
        api.dislike(user)
        sent = {"interactions": [{"item_id": "a", "kind": "like"}]}
        assert api.client.post("/api/interactions", json=sent, headers=api.server(user)).status_code == 200
    answer = api.client.delete("/api/users/u1", headers=api.server("u1"))
    assert answer.status_code == 200
    told = answer.json()
    assert (told["num_rows"]["user_dislikes"], told["num_rows"]["interactions"]) == (1, 1)
    for table in ("user_dislikes", "interactions", "negative_training_examples", "recommendation_sets"):
        assert {row["user_id"] for row in api.rows(table)} <= {"u2", None}
    assert api.history("u1") == []
    assert len(api.history("u2")) == 1
    (audit,) = api.rows("erasures")
    assert (audit["erasure_id"], audit["user_hash"]) == (told["erasure_id"], told["user_hash"])
    assert "u1" not in str(audit)
