"""The product says what may be recommended, and users exclude what they want to see no more."""

from __future__ import annotations

from typing import Any

import pytest

from recsys.records import Item
from recsys.store.api_keys import Scope
from tests.integration.serving.live_api import MATRIX, Api

HIDDEN = {"is_hidden": True}


def put(api: Api, body: dict[str, Any], item_id: str = MATRIX.item_id, **headers: str) -> Any:
    return api.client.put(f"/api/items/{item_id}", json=body, headers=headers or api.key(Scope.CATALOG_WRITE))


def test_an_item_is_hidden_and_keeps_everything_else(api: Api) -> None:
    api.store.catalog.upsert_items([MATRIX])
    answer = put(api, HIDDEN)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "item_id": "133093", "title": "The Matrix", "genres": ["Action", "Sci-Fi"], "cast": ["Keanu Reeves"],
        "franchise": "Matrix", "release_year": 1999, "tmdb_id": 603, "imdb_id": "tt0133093", "tags": [],
        "available_from": None, "available_until": None, "is_hidden": True,
    }  # fmt: skip
    assert api.store.catalog.all_items()["133093"].is_hidden


def test_sent_again_it_changes_nothing_and_null_empties(api: Api) -> None:
    api.store.catalog.upsert_items([MATRIX])
    body = {
        "tags": ["spring"],
        "available_from": "2026-03-01T00:00:00+01:00",
        "available_until": "2026-06-01T00:00:00Z",
    }
    first, again = put(api, body), put(api, body)
    assert first.json() == again.json()
    assert first.json()["available_from"] == "2026-02-28T23:00:00Z"
    assert len(api.store.catalog.list_item_changes("133093")) == 1
    emptied = put(api, {"tags": None, "available_from": None, "available_until": None, "genres": []}).json()
    assert (emptied["tags"], emptied["available_from"], emptied["available_until"]) == ([], None, None)
    assert (emptied["genres"], emptied["cast"]) == ([], ["Keanu Reeves"])


def test_a_new_item_needs_a_title_and_a_placeholder_becomes_a_film(api: Api) -> None:
    missing = put(api, HIDDEN, "new")
    assert (missing.status_code, missing.json()["type"]) == (404, "urn:recsys:problem:not-found")
    assert "give a title" in missing.json()["detail"]
    assert put(api, {"title": "New", **HIDDEN}, "new").status_code == 200
    api.store.catalog.upsert_items([Item("named", "named", is_placeholder=True)])
    assert put(api, HIDDEN, "named").status_code == 200
    assert api.store.catalog.all_items()["named"].is_placeholder
    put(api, {"title": "A film"}, "named")
    assert api.store.catalog.all_items()["named"] == Item("named", "A film", is_hidden=True)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"is_hidden": "yes"}, "is_hidden"),
        ({"hidden": True}, "hidden"),
        ({"available_from": "2026-03-01"}, "available_from"),
        ({"available_from": "2026-03-01T00:00:00Z", "available_until": "2026-03-01T00:00:00Z"}, "available_until"),
        ({"release_year": 1492}, "release_year"),
        ({"tags": "spring"}, "tags"),
        ({"title": " "}, "title"),
        ({"imdb_id": "133093"}, "imdb_id"),
    ],
)
def test_a_wrong_value_is_named_and_nothing_is_written(api: Api, body: dict[str, Any], field: str) -> None:
    api.store.catalog.upsert_items([MATRIX])
    answer = put(api, body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert api.store.catalog.all_items() == {"133093": MATRIX}


def test_a_span_is_checked_against_what_is_stored(api: Api) -> None:
    api.store.catalog.upsert_items([MATRIX])
    assert put(api, {"available_until": "2026-03-01T00:00:00Z"}).status_code == 200
    refused = put(api, {"available_from": "2026-04-01T00:00:00Z"})
    assert refused.status_code == 422
    assert "available_from before available_until" in refused.json()["detail"]


def test_only_a_key_with_the_scope_changes_the_catalog(api: Api) -> None:
    api.store.catalog.upsert_items([MATRIX])
    others = [scope for scope in Scope if scope is not Scope.CATALOG_WRITE]
    assert put(api, HIDDEN, **api.key(*others)).status_code == 403
    assert put(api, HIDDEN, **api.key(Scope.ACT_FOR_USERS, user="u")).status_code == 403
    assert api.client.put("/api/items/133093", json=HIDDEN).status_code == 401
    assert not api.store.catalog.all_items()["133093"].is_hidden


def test_an_exclusion_is_put_listed_and_taken_back(api: Api) -> None:
    api.store.catalog.upsert_items([MATRIX, Item("2", "Other")])
    headers = api.server("u")
    first = api.client.put("/api/exclusions/133093", headers=headers)
    assert first.status_code == 200, first.text
    assert api.client.put("/api/exclusions/133093", headers=headers).json() == first.json()
    api.client.put("/api/exclusions/2", headers=headers)
    listed = api.client.get("/api/exclusions", headers=headers).json()["exclusions"]
    assert {one["item_id"]: one["title"] for one in listed} == {"133093": "The Matrix", "2": "Other"}
    for _ in range(2):
        left = api.client.delete("/api/exclusions/2", headers=headers)
        assert (left.status_code, [one["item_id"] for one in left.json()["exclusions"]]) == (200, ["133093"])
    assert api.client.get("/api/exclusions", headers=api.server("another")).json() == {"exclusions": []}


def test_an_exclusion_of_nothing_known_is_refused(api: Api) -> None:
    api.store.catalog.upsert_items([MATRIX])
    headers = api.server("u")
    assert api.client.put("/api/exclusions/unknown", headers=headers).status_code == 404
    assert api.client.delete("/api/exclusions/133093", headers=headers).status_code == 404
    assert api.rows("user_exclusions") == []


def test_nobody_excludes_for_another(api: Api) -> None:
    api.store.catalog.upsert_items([MATRIX])
    for headers in ({}, api.key(Scope.METRICS_READ), api.key(Scope.METRICS_READ, user="u")):
        for method, path in (("put", "133093"), ("delete", "133093")):
            answer = api.client.request(method, f"/api/exclusions/{path}", headers=headers)
            assert answer.status_code in (401, 403)
    assert api.rows("user_exclusions") == []


def test_erasing_a_user_forgets_what_they_excluded(api: Api) -> None:
    api.store.catalog.upsert_items([MATRIX])
    for user in ("u", "v"):
        api.client.put("/api/exclusions/133093", headers=api.server(user))
    erased = api.client.delete("/api/users/u", headers=api.server("u"))
    assert erased.json()["num_rows"]["user_exclusions"] == 1
    assert [row["user_id"] for row in api.rows("user_exclusions")] == ["v"]
