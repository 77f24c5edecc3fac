"""Who may do what: every endpoint, with every way of not being allowed."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from recsys.store.api_keys import Scope, list_keys, revoke_key
from tests.integration.serving.live_api import MATRIX, SECRET, SENT, Api, bearer, is_problem, user_token

# method, path, body; {dislike} is a dislike of the user "victim"
OF_A_USER: list[tuple[str, str, Any]] = [
    ("POST", "/api/dislike", SENT),
    ("GET", "/api/dislike-history", None),
    ("GET", "/api/dislike-patterns", None),
    ("DELETE", "/api/dislike/{dislike}", None),
    ("POST", "/api/interactions", {"interactions": [{"item_id": "a", "kind": "click"}]}),
    ("GET", "/api/recommendations", None),
    ("DELETE", "/api/users/victim", None),
]
OF_ALL_USERS: list[tuple[str, str, Any]] = [
    ("GET", "/api/dislike-patterns?of=everybody", None),
    ("GET", "/api/feedback-metrics", None),
    ("GET", "/metrics", None),
]
PATHS = [pytest.param(*one, id=f"{one[0]} {one[1]}") for one in OF_A_USER]
ALL_PATHS = [pytest.param(*one, id=f"{one[0]} {one[1]}") for one in OF_A_USER + OF_ALL_USERS]


def unsigned(**claims: Any) -> str:
    """A token that says that it needs no signature."""

    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    whole = {"sub": "victim", "aud": "recsys", "iss": "shop", "exp": 4_000_000_000, **claims}
    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(whole)}."


def strangers(api: Api) -> dict[str, dict[str, str]]:
    """Headers of those whom nobody knows, all after the victim's data."""
    past = datetime.now(UTC) - timedelta(seconds=1)
    token = api.token(Scope.ACT_FOR_USERS)
    key_id = token.split("_")[1]
    revoked = api.token(Scope.ACT_FOR_USERS, Scope.METRICS_READ, Scope.USERS_ERASE)
    api.store.database.write(lambda c: revoke_key(c, revoked.split("_")[1], datetime.now(UTC)))
    (stored,) = (row for row in api.rows("api_keys") if row["key_id"] == key_id)
    name = {"X-User-ID": "victim"}
    return {
        "nobody": name,
        "no bearer": {**name, "Authorization": f"Basic {token}"},
        "empty": {**name, "Authorization": "Bearer"},
        "unknown key": {**name, **bearer("recsys_0123456789abcdef_" + "x" * 43)},
        "wrong secret": {**name, **bearer(f"recsys_{key_id}_{'x' * 43}")},
        "its hash for the secret": {**name, **bearer(f"recsys_{key_id}_{stored['secret_hash']}")},
        "key without secret": {**name, **bearer(f"recsys_{key_id}_")},
        "revoked key": {**name, **bearer(revoked)},
        "expired token": bearer(user_token("victim", exp=past)),
        "token for ever": bearer(user_token("victim", exp=None)),
        "token of tomorrow": bearer(user_token("victim", nbf=datetime.now(UTC) + timedelta(days=1))),
        "wrong audience": bearer(user_token("victim", aud="other")),
        "no audience": bearer(user_token("victim", aud=None)),
        "wrong issuer": bearer(user_token("victim", iss="other")),
        "no issuer": bearer(user_token("victim", iss=None)),
        "no user": bearer(user_token(None)),
        "empty user": bearer(user_token(" ")),
        "long user": bearer(user_token("x" * 201)),
        "forged signature": bearer(user_token("victim", secret="another secret " * 5)),
        "other algorithm": bearer(user_token("victim", algorithm="HS512")),
        "alg none": bearer(unsigned()),
        "alg none with a signature": bearer(unsigned() + user_token("victim").rsplit(".", 1)[1]),
        "no token at all": bearer("x" * 5_000),
    }  # fmt: skip


def prepare(api: Api) -> int:
    """Publishes lists and records a dislike of the victim; returns its number."""
    api.publish("victim", None)
    return int(api.dislike("victim", item_id=MATRIX.item_id)["dislike_id"])


def send(api: Api, method: str, path: str, body: Any, headers: dict[str, str], dislike: int) -> Any:
    return api.client.request(method, path.format(dislike=dislike), json=body, headers=headers)


@pytest.mark.parametrize(("method", "path", "body"), ALL_PATHS)
@pytest.mark.parametrize("backend", ["sqlite"])
def test_strangers_get_401_and_change_nothing(api: Api, method: str, path: str, body: Any) -> None:
    dislike = prepare(api)
    headers_of = strangers(api)
    state = api.everything()
    for who, headers in headers_of.items():
        answer = send(api, method, path, body, headers, dislike)
        assert answer.status_code == 401, who
        assert is_problem(answer, 401)["type"].endswith("not-authenticated")
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert SECRET not in answer.text
    assert api.everything() == state


@pytest.mark.parametrize(("method", "path", "body"), PATHS)
@pytest.mark.parametrize("backend", ["sqlite"])
def test_only_a_key_that_may_speak_for_users_is_heard_with_a_user_id(
    api: Api, method: str, path: str, body: Any
) -> None:
    dislike = prepare(api)
    refused = {
        "key without the scope": api.key(Scope.METRICS_READ, user="victim"),
        "key without the scope or a user": api.key(Scope.METRICS_READ),
        "key that names no user": api.key(Scope.ACT_FOR_USERS),
        "token of another user": {**bearer(user_token("mallory")), "X-User-ID": "victim"},
    }
    state = api.everything()
    for who, headers in refused.items():
        assert send(api, method, path, body, headers, dislike).status_code == 403, who
    assert api.everything() == state


@pytest.mark.parametrize(("method", "path", "body"), [pytest.param(*one, id=one[1]) for one in OF_ALL_USERS])
@pytest.mark.parametrize("backend", ["sqlite"])
def test_numbers_over_all_users_are_for_keys_with_their_scope(api: Api, method: str, path: str, body: Any) -> None:
    dislike = prepare(api)
    for headers in (api.server("victim"), bearer(user_token("victim")), api.key(Scope.USERS_ERASE)):
        problem = is_problem(send(api, method, path, body, headers, dislike), 403)
        assert "metrics:read" in problem["detail"]
    assert send(api, method, path, body, api.key(Scope.METRICS_READ), dislike).status_code == 200


def test_a_user_cannot_read_undo_or_erase_anothers_feedback(api: Api) -> None:
    dislike = prepare(api)
    for mallory in (api.server("mallory"), bearer(user_token("mallory"))):
        state = api.everything()
        assert api.client.get("/api/dislike-history", headers=mallory).json() == {"dislikes": [], "next_cursor": None}
        is_problem(api.client.get(f"/api/dislike-history?cursor={dislike}", headers=mallory), 404)
        assert api.client.get("/api/dislike-patterns", headers=mallory).json()["total_dislikes"] == 0
        theirs = is_problem(api.client.delete(f"/api/dislike/{dislike}", headers=mallory), 404)
        nobodys = is_problem(api.client.delete("/api/dislike/999999", headers=mallory), 404)
        assert theirs["detail"].replace(str(dislike), "") == nobodys["detail"].replace("999999", "")
        is_problem(api.client.delete("/api/users/victim", headers=mallory), 403)
        assert api.everything() == state
        listed = api.client.get("/api/recommendations", headers=mallory).json()
        assert MATRIX.item_id in {
            one["item_id"] for one in listed["recommendations"]
        }  # the victim's list is without it
    assert [one["dislike_id"] for one in api.history("victim")] == [dislike]


def test_anothers_idempotency_key_reveals_nothing(api: Api) -> None:
    for user in ("victim", "mallory"):
        headers = {**api.server(user), "Idempotency-Key": "the victim's"}
        assert api.client.post("/api/dislike", json=SENT, headers=headers).status_code == 422  # a blank
        headers["Idempotency-Key"] = "the-victims"
        assert api.client.post("/api/dislike", json=SENT, headers=headers).status_code == 201
    assert api.history("victim")[0]["dislike_id"] != api.history("mallory")[0]["dislike_id"]


def test_a_token_speaks_for_its_user(api: Api) -> None:
    api.publish(None)
    mine = {**bearer(user_token("jwt-user")), "X-User-ID": "jwt-user"}  # may say so once more
    number = api.client.post("/api/dislike", json=SENT, headers=mine).json()["dislike_id"]
    assert [one["dislike_id"] for one in api.client.get("/api/dislike-history", headers=mine).json()["dislikes"]] == [
        number
    ]
    assert api.client.delete(f"/api/dislike/{number}", headers=mine).status_code == 200
    assert api.client.delete("/api/users/jwt-user", headers=mine).status_code == 200
    assert [row["requested_by"] for row in api.rows("erasures")] == ["the user"]


def test_any_text_may_be_a_users_id(api: Api) -> None:
    for user in ("a/b", "ü 電影", "?x=1#y", "..", "' OR 1=1 --"):
        mine = bearer(user_token(user))
        assert api.client.post("/api/dislike", json=SENT, headers=mine).status_code == 201
        assert len(api.client.get("/api/dislike-history", headers=mine).json()["dislikes"]) == 1
    assert [row["user_id"] for row in api.rows("user_dislikes")] == ["a/b", "ü 電影", "?x=1#y", "..", "' OR 1=1 --"]
    erased = api.client.delete("/api/users/a%2Fb", headers=bearer(user_token("a/b"))).json()
    assert erased["num_rows"]["user_dislikes"] == 1


@pytest.mark.parametrize("backend", ["sqlite"])
def test_a_key_that_may_erase_needs_no_user(api: Api) -> None:
    prepare(api)
    answer = api.client.delete("/api/users/victim", headers=api.key(Scope.USERS_ERASE))
    assert answer.status_code == 200
    assert answer.json()["num_rows"]["user_dislikes"] == 1
    key_id = api.token(Scope.USERS_ERASE).split("_")[1]
    assert [row["requested_by"] for row in api.rows("erasures")] == [f"key {key_id}"]


@pytest.mark.parametrize("backend", ["sqlite"])
def test_a_header_that_comes_twice_is_refused(api: Api) -> None:
    for name in ("X-User-ID", "Authorization"):
        headers = [*api.server("victim").items(), (name, api.server("mallory")[name])]
        problem = is_problem(api.client.get("/api/dislike-history", headers=headers), 400)
        assert problem["errors"][0]["field"] == name.lower()


def test_a_revoked_key_is_refused_at_once_where_nothing_is_remembered(api: Api) -> None:
    headers = api.server("u1")
    assert api.client.get("/api/dislike-history", headers=headers).status_code == 200
    key_id = headers["Authorization"].split("_")[1]
    first = api.store.database.write(lambda c: revoke_key(c, key_id, datetime.now(UTC)))
    is_problem(api.client.get("/api/dislike-history", headers=headers), 401)
    later = api.store.database.write(lambda c: revoke_key(c, key_id, datetime.now(UTC)))
    assert later == first
    with api.store.database.reading() as connection:
        assert list_keys(connection) == [first]


@pytest.mark.parametrize("backend", ["sqlite"])
def test_no_secret_is_stored(api: Api) -> None:
    token = api.token(Scope.ACT_FOR_USERS)
    secret = token.split("_", 2)[2]
    assert len(base64.urlsafe_b64decode(secret + "=")) == 32
    assert api.client.get("/api/dislike-history", headers=api.server("u1")).status_code == 200
    assert secret not in str(api.everything()) + str(api.rows("api_keys"))
