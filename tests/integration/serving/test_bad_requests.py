"""Bad input: a 4xx that says what to do, and nothing written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from recsys.store.api_keys import Scope
from tests.integration.serving.live_api import SENT, Api, is_problem

pytestmark = pytest.mark.parametrize("backend", ["sqlite"])
JSON = {"Content-Type": "application/json"}
TOMORROW = (datetime.now(UTC) + timedelta(days=1)).isoformat()

# field of the sample -> bad values; each is refused, naming the field
BAD_VALUES: dict[str, list[Any]] = {
    "reason": ["boring", "", "WRONG_GENRE", 1, None, ["wrong_genre"], True],
    "movie_id": [0, -1, 2**63, 1.5, "603", True, [], {}],
    "movie_title": ["", "   ", "\u200b", "x" * 501, "a\0b", 5, []],
    "item_id": ["", "\t\n", "x" * 201, "\0", 5, {}],
    "recommendation_set_id": [0, -7, 2**63, "456", 0.5],
    "predicted_score": [-0.1, 1.1, 75, "0.75", True, []],
    "feedback_text": ["x" * 2001, "\0", 5, ["Not my type"]],
    "genres": ["Action", [""], ["x" * 101], ["Action"] * 21, [5], None, {"0": "Action"}, ["a\0"]],
    "cast": ["Actor", [None], ["Actor"] * 51, [["Actor"]]],
    "created_at": [TOMORROW, "2999-01-01T00:00:00Z", "yesterday", "2026-01-01", "2026-01-01T00:00:00", 1767225600,
                   "1969-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "2026-02-30T00:00:00Z", "2026-01-01T25:00:00Z",
                   "1767225600", ""],
    "user_id": ["victim"],
    "unknown_field": [1],
}  # fmt: skip


def refused(api: Api, answer: httpx.Response, status: int, state: dict[str, Any]) -> dict[str, Any]:
    problem = is_problem(answer, status)
    assert api.everything() == state
    return problem


def test_a_bad_value_names_its_field_and_writes_nothing(api: Api) -> None:
    headers = api.server("u1")
    state = api.everything()
    for name, values in BAD_VALUES.items():
        for value in values:
            answer = api.client.post("/api/dislike", json={**SENT, name: value}, headers=headers)
            problem = is_problem(answer, 422)
            assert [error["field"].split(".")[0] for error in problem["errors"]] == [name], (name, value)
            assert all({"in", "field", "expected", "received"} == error.keys() for error in problem["errors"])
            assert name in problem["detail"]
            assert len(answer.content) < 2_000
    assert api.everything() == state


def test_every_bad_value_is_told_at_once(api: Api) -> None:
    state = api.everything()
    sent = {"reason": "boring", "movie_id": "x", "predicted_score": 2, "extra": 1}
    answer = api.client.post("/api/dislike", json=sent, headers=api.server("u1"))
    problem = refused(api, answer, 422, state)
    assert {error["field"]: error["received"] for error in problem["errors"]} == {
        "reason": "'boring'", "movie_id": "'x'", "predicted_score": "2", "extra": "1",
    }  # fmt: skip


def test_a_dislike_of_nothing(api: Api) -> None:
    state = api.everything()
    for sent in ({}, {"reason": "wrong_genre"}, {"movie_id": None, "movie_title": None, "item_id": None}):
        problem = refused(api, api.client.post("/api/dislike", json=sent, headers=api.server("u1")), 422, state)
        assert all(name in problem["detail"] for name in ("item_id", "movie_id", "movie_title"))


@pytest.mark.parametrize("path", ["/api/dislike", "/api/interactions"])
def test_bodies_that_are_no_json(api: Api, path: str) -> None:
    headers = api.server("u1")
    state = api.everything()
    for body in (b"", b"{", b'{"movie_id": 1', b"\xff\xfe", b'{"movie_title": "\\ud800"}', b"NaN1", b'"' * 3,
                 b"[" * 60_000, b'{"predicted_score": 1e}'):  # fmt: skip
        refused(api, api.client.post(path, content=body, headers={**headers, **JSON}), 400, state)
    for body in (b"null", b"[]", b"5", b'"text"', b"NaN", b'{"movie_id": 1, "predicted_score": NaN}',
                 b'{"movie_id": 1, "predicted_score": Infinity}'):  # fmt: skip
        refused(api, api.client.post(path, content=body, headers={**headers, **JSON}), 422, state)
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/xml", ""):
        answer = api.client.post(path, content=b'{"movie_id": 1}', headers={**headers, "Content-Type": kind})
        refused(api, answer, 415, state)
    refused(api, api.client.post(path, content=b'{"movie_id": 1}', headers=headers), 415, state)


def test_a_body_of_10_mb_is_refused_however_it_comes(api: Api) -> None:
    headers = {**api.server("u1"), **JSON}
    state = api.everything()
    whole = b'{"movie_id": 1, "feedback_text": "' + b"x" * 10_000_000 + b'"}'
    problem = refused(api, api.client.post("/api/dislike", content=whole, headers=headers), 413, state)
    assert "131072" in problem["detail"]
    pieces = (whole[start : start + 8_192] for start in range(0, len(whole), 8_192))  # no length is told
    refused(api, api.client.post("/api/dislike", content=pieces, headers=headers), 413, state)
    just_right = b'{"movie_id": 1}' + b" " * (131_072 - 15)
    assert api.client.post("/api/dislike", content=just_right, headers=headers).status_code == 201
    one_more = iter([just_right, b" "])
    is_problem(api.client.post("/api/dislike", content=one_more, headers=headers), 413)
    assert len(api.history("u1")) == 1


def test_strings_that_mean_something_elsewhere_are_only_strings(api: Api) -> None:
    evil = [
        "'; DROP TABLE user_dislikes; --", "\" OR \"\"=\"", "<script>alert(1)</script>", "{{7*7}}", "${jndi:ldap://x}",
        "../../etc/passwd", "%00", "\\", "%s%n", "\r\nSet-Cookie: a=b", "电影 🎬 \u202e", "NULL", "é" * 100,
    ]  # fmt: skip
    for text in evil:
        sent = {"item_id": text, "movie_title": text, "feedback_text": text, "genres": [text], "cast": [text],
                "reason": "wrong_genre"}  # fmt: skip
        found = api.client.post("/api/dislike", json=sent, headers=api.server("u1"))
        assert found.status_code == 201, text
        assert found.json()["adjustments"] == {f"genre:{text}": -0.15}
        assert "set-cookie" not in found.headers
    stored = api.history("u1")
    fields = [(one["item_id"], one["title"], one["feedback_text"], one["genres"], one["cast"]) for one in stored]
    assert fields == [(text, text, text, [text], [text]) for text in reversed(evil)]


def test_bad_headers(api: Api) -> None:
    headers = api.server("u1")
    state = api.everything()
    for key in ("", "a b", "x" * 201, "é"):
        given = {**headers, "Idempotency-Key": key.encode()}
        problem = refused(api, api.client.post("/api/dislike", json=SENT, headers=given), 422, state)
        assert problem["errors"][0]["field"] == "Idempotency-Key"
    for user in ("", "a b", "x" * 201, "ü"):
        given = {**api.key(Scope.ACT_FOR_USERS), "X-User-ID": user.encode()}
        problem = refused(api, api.client.post("/api/dislike", json=SENT, headers=given), 422, state)
        assert problem["errors"][0]["field"] == "X-User-ID"


def test_bad_interactions_write_none_of_them(api: Api) -> None:
    good = {"item_id": "a", "kind": "click"}
    headers = api.server("u1")
    state = api.everything()
    bad: list[Any] = [
        {"kind": "click"}, {"item_id": "a"}, {**good, "kind": "dislike"}, {**good, "value": "9"}, {**good, "value": 1e10},
        {**good, "is_like": "yes"}, {**good, "occurred_at": TOMORROW}, {**good, "item_id": " "}, {**good, "x": 1}, None, "a",
    ]  # fmt: skip
    for one in bad:
        answer = api.client.post("/api/interactions", json={"interactions": [good, one]}, headers=headers)
        problem = refused(api, answer, 422, state)
        assert problem["errors"][0]["field"].startswith("interactions.1")
    for sent in ({"interactions": []}, {"interactions": [good] * 201}, {"interactions": good}, {}, {"rows": [good]}):
        refused(api, api.client.post("/api/interactions", json=sent, headers=headers), 422, state)


@pytest.mark.parametrize(
    ("method", "path", "status", "field"),
    [
        ("GET", "/api/dislike-history?limit=0", 422, "limit"),
        ("GET", "/api/dislike-history?limit=101", 422, "limit"),
        ("GET", "/api/dislike-history?limit=x", 422, "limit"),
        ("GET", "/api/dislike-history?cursor=", 422, "cursor"),
        ("GET", "/api/dislike-history?cursor=1'", 422, "cursor"),
        ("GET", "/api/dislike-history?cursor=12345", 404, None),
        ("GET", "/api/dislike-history?cursor=9999999999999999999", 404, None),
        ("GET", "/api/dislike-patterns?of=me", 422, "of"),
        ("GET", "/api/recommendations?k=0", 422, "k"),
        ("GET", "/api/recommendations?k=51", 422, "k"),
        ("DELETE", "/api/dislike/x", 422, "dislike_id"),
        ("DELETE", "/api/dislike/0", 422, "dislike_id"),
        ("DELETE", "/api/dislike/9223372036854775808", 422, "dislike_id"),
        ("DELETE", "/api/dislike/12345", 404, None),
        ("DELETE", "/api/dislike/", 404, None),
        ("DELETE", "/api/users/", 422, "user_id"),
        ("DELETE", "/api/users/%00", 422, "user_id"),
        ("GET", "/api/nothing", 404, None),
        ("GET", "/", 404, None),
        ("PUT", "/api/dislike", 405, None),
        ("GET", "/api/dislike", 405, None),
        ("DELETE", "/api/dislike-history", 405, None),
    ],
)
def test_bad_addresses(api: Api, method: str, path: str, status: int, field: str | None) -> None:
    headers = api.key(*Scope, user="u1")
    state = api.everything()
    answer = api.client.request(method, path, headers=headers)
    problem = refused(api, answer, status, state)
    assert [error["field"] for error in problem.get("errors", [])] == ([field] if field else [])
    if status == 405:
        assert answer.headers["allow"]


def test_an_answer_to_bad_values_is_small_whatever_came(api: Api) -> None:
    headers = api.server("u1")
    state = api.everything()
    long = "\u754c" * 400
    bodies: list[Any] = [
        {f"{number}{long}": long for number in range(10)},
        {f"field{number}": number for number in range(5_000)},
        {**SENT, "genres": ["x" * 101] * 1_000, "cast": [long] * 10, "reason": long, "movie_title": long},
        {"interactions": [{"item_id": 1, "kind": long, "unknown": long}] * 10},
    ]
    for body in bodies:
        for path in ("/api/dislike", "/api/interactions"):
            answer = api.client.post(path, json=body, headers=headers)
            problem = refused(api, answer, 422, state)
            assert len(answer.content) < 2_000, answer.text
            assert 1 <= len(problem["errors"]) <= 5
            assert answer.text.count("\u754c") <= 6 * 2 * 40
    answer = api.client.get(f"/api/recommendations?k={'9' * 5_000}", headers=headers)
    assert (answer.status_code, len(answer.content) < 2_000) == (422, True)


def test_numbers_texts_and_depths_that_programs_stumble_over(api: Api) -> None:
    headers = {**api.server("u1"), **JSON}
    state = api.everything()
    values = {
        b"movie_id": [b"1" + b"0" * 400, b"-1" + b"0" * 400, b"1e400", b"9" * 5_000, b"1e-400", b"-0.0"],
        b"predicted_score": [b"NaN", b"Infinity", b"-Infinity", b"1e400", b"1" + b"0" * 400],
        b"movie_title": [b'"\\ud800"', b'"\\udfff\\ud800"', b'"a\\u0000"', b'"\xff"', b"[" * 50_000, b'{"a":' * 20_000],
        b"created_at": [
            b'"9999-12-31T23:59:59Z"',
            b'"10000-01-01T00:00:00Z"',
            b'"2026-01-01T00:00:00+99:99"',
            b"1e400",
        ],
        b"genres": [b"[" * 200 + b"]" * 200, b'["a\\u0000"]', b'["\\ud800"]'],
    }
    for name, some in values.items():
        for value in some:
            body = b'{"movie_title": "Film", "' + name + b'": ' + value + b"}"
            answer = api.client.post("/api/dislike", content=body, headers=headers)
            assert answer.status_code in {400, 422}, (name, value[:40], answer.text)
            refused(api, answer, answer.status_code, state)
    moments = ["2099-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00Z"]
    for moment in moments:
        row = {"item_id": "a", "kind": "click", "occurred_at": moment}
        refused(api, api.client.post("/api/interactions", json={"interactions": [row]}, headers=headers), 422, state)
    for value in (b"NaN", b"1e400", b"Infinity"):
        row_text = b'{"interactions": [{"item_id": "a", "kind": "rating", "value": ' + value + b"}]}"
        refused(api, api.client.post("/api/interactions", content=row_text, headers=headers), 422, state)
    for path in (
        "/api/items/%00",
        "/api/items/%ff",
        "/api/users/%00",
        "/api/dislike/" + "9" * 400,
        "/api/dislike/1e400",
    ):
        for method in ("GET", "PUT", "DELETE"):
            answer = api.client.request(method, path, headers=api.key(*Scope, user="u1"))
            assert 400 <= answer.status_code < 500, (method, path, answer.text)
    assert api.everything() == state
