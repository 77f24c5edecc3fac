"""Health, metrics, limits and the API's description of itself."""

from __future__ import annotations

import re
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from sqlalchemy import delete

from recsys.feedback.handler import get_dislike_pattern_analysis, get_user_dislikes
from recsys.records import DislikeReason
from recsys.store import FeedbackStore
from recsys.store.api_keys import Scope
from recsys.store.database import Database
from recsys.store.database_errors import parse_url
from recsys.store.engine import make_engine
from recsys.store.tables import metadata
from tests.integration.serving.live_api import CONFIG, SENT, Api, bearer, is_problem, serving, user_token


def nowhere() -> FeedbackStore:
    """A store whose database server is away: the port was free a moment ago, and is not given to anybody now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    return FeedbackStore(Database(make_engine(parse_url(f"postgresql://recsys:hunter2@127.0.0.1:{port}/recsys"))))


def test_health_and_readiness(api: Api) -> None:
    for path, status in (("/healthz", "ok"), ("/readyz", "ready")):
        answer = api.client.get(path)
        assert (answer.status_code, answer.json()) == (200, {"status": status})


def test_not_ready_with_another_schema(api: Api) -> None:
    def forget(connection) -> None:  # type: ignore[no-untyped-def]
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")

    api.store.database.write(forget)
    assert is_problem(api.client.get("/readyz"), 503)["type"].endswith("try-again")
    assert api.client.get("/healthz").status_code == 200


def test_with_the_database_away_every_answer_says_when_to_come_back() -> None:
    with serving(nowhere()) as api:
        mine = bearer(user_token())
        requests = [
            ("POST", "/api/dislike", SENT), ("GET", "/api/dislike-history", None), ("GET", "/api/dislike-patterns", None),
            ("DELETE", "/api/dislike/1", None),
            ("POST", "/api/interactions", {"interactions": [{"item_id": "a", "kind": "click"}]}),
            ("GET", "/api/recommendations", None), ("DELETE", "/api/users/jwt-user", None), ("GET", "/readyz", None),
        ]  # fmt: skip
        for method, path, body in requests:
            answer = api.client.request(method, path, json=body, headers=mine)
            assert is_problem(answer, 503)["type"].endswith("try-again"), path
            assert answer.headers["retry-after"] == "5"
            assert "hunter2" not in answer.text
            assert "127.0.0.1" not in answer.text
        unknown = {"Authorization": "Bearer recsys_0123_secret"}  # cannot be told from a good key now
        is_problem(api.client.get("/api/dislike-history", headers=unknown), 503)
        assert api.client.get("/healthz").status_code == 200


@pytest.mark.parametrize("backend", ["sqlite"])
def test_prometheus_sees_requests_dislikes_and_the_backlog(api: Api) -> None:
    for key in ("a", "a", "b"):
        headers = {**api.server("u1"), "Idempotency-Key": key}
        assert api.client.post("/api/dislike", json=SENT, headers=headers).status_code == 201
    api.client.get("/api/dislike-history")
    api.client.delete("/api/dislike/12345", headers=api.server("u1"))
    api.client.get("/nothing/here")
    answer = api.client.get("/metrics", headers=api.key(Scope.METRICS_READ))
    assert answer.headers["content-type"].startswith("text/plain")
    for line in (
        'recsys_api_requests_total{method="POST",path="/api/dislike",status="201"} 3.0',
        'recsys_api_requests_total{method="GET",path="/api/dislike-history",status="401"} 1.0',
        'recsys_api_requests_total{method="DELETE",path="/api/dislike/{dislike_id}",status="404"} 1.0',
        'recsys_api_requests_total{method="GET",path="unmatched",status="404"} 1.0',
        'recsys_api_request_seconds_count{method="POST",path="/api/dislike"} 3.0',
        'recsys_dislikes_recorded_total{reason="wrong_genre"} 2.0',
        "recsys_backlog 2.0",
    ):
        assert line in answer.text.splitlines(), line


@pytest.mark.parametrize("backend", ["sqlite"])
def test_too_many_requests(store: FeedbackStore) -> None:
    config = replace(CONFIG, rate_limit_per_user="3/hour", rate_limit_per_key="5/hour")
    with serving(store, config) as api:
        statuses = []
        for user in ("u1", "u1", "u1", "u1", "u2", "u2"):
            answer = api.client.post("/api/dislike", json=SENT, headers=api.server(user))
            statuses.append(answer.status_code)
        assert statuses == [201, 201, 201, 429, 201, 429]
        assert is_problem(answer, 429)["type"].endswith("too-many-requests")
        assert 0 < int(answer.headers["retry-after"]) <= 3600
        assert answer.headers["ratelimit-policy"] == '"key";q=5;w=3600'
        assert answer.headers["ratelimit"].startswith('"key";r=0;t=')
        own = bearer(user_token("u1"))  # counted with what the server asked for this user: it is the same user
        assert api.client.get("/api/dislike-history", headers=own).status_code == 429
        assert api.client.get("/api/dislike-history", headers=bearer(user_token("u3"))).status_code == 200
        assert len(api.rows("user_dislikes")) == 4


OPEN_PAGES = ("/docs", "/docs/start.js", "/docs/assets/swagger-ui-bundle.js", "/openapi.json", "/healthz", "/readyz")


@pytest.mark.parametrize("backend", ["sqlite"])
def test_what_should_never_happen_is_a_500_without_a_traceback(
    store: FeedbackStore, caplog: pytest.LogCaptureFixture
) -> None:
    def drop(connection) -> None:  # type: ignore[no-untyped-def]
        connection.execute(delete(metadata.tables["recommendation_exposures"]))
        connection.exec_driver_sql("DROP TABLE recommendation_exposures")

    with serving(store) as api:
        api.publish("u1")
        store.database.write(drop)
        answer = api.client.get("/api/recommendations", headers=api.server("u1"))
        assert is_problem(answer, 500)["type"].endswith("unexpected")
        assert "recommendation_exposures" not in answer.text
        assert "recommendation_exposures" in caplog.text
        assert api.client.get("/healthz").status_code == 200


@pytest.mark.parametrize("backend", ["sqlite"])
def test_the_description_is_whole(api: Api) -> None:
    schema = api.client.get("/openapi.json").json()
    operations = {
        f"{method.upper()} {path}": operation
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    }
    assert set(operations) == {
        "POST /api/dislike", "GET /api/dislike-history", "GET /api/dislike-patterns", "GET /api/feedback-metrics",
        "DELETE /api/dislike/{dislike_id}", "POST /api/interactions", "GET /api/recommendations",
        "DELETE /api/users/{user_id}", "PUT /api/items/{item_id}", "GET /api/exclusions",
            "PUT /api/exclusions/{item_id}", "DELETE /api/exclusions/{item_id}", "GET /healthz", "GET /readyz", "GET /metrics",
    }  # fmt: skip
    references = set(re.findall(r"#/components/schemas/(\w+)", str(schema)))
    assert references == references & set(schema["components"]["schemas"])
    for name, operation in operations.items():
        assert operation["summary"], name
        assert operation["description"], name
        is_open = name in {"GET /healthz", "GET /readyz"}
        assert operation.get("security", []) == ([] if is_open else [{"bearer": []}]), name
        assert is_open or {"401", "403", "422", "429", "500", "503"} <= set(operation["responses"]), name
        sent = operation.get("requestBody", {}).get("content", {}).get("application/json")
        answers = [one["content"].get("application/json") for one in operation["responses"].values()]
        for content in [sent, *answers]:
            if content and "example" in content:
                whole = {**content["schema"], "components": schema["components"]}
                Draft202012Validator(whole).validate(content["example"])
    for name in ("POST /api/dislike", "POST /api/interactions"):
        assert operations[name]["requestBody"]["content"]["application/json"]["example"], name


@pytest.mark.parametrize("backend", ["sqlite"])
def test_the_documentation_loads_nothing_from_other_servers(api: Api) -> None:
    page = api.client.get("/docs")
    assert page.status_code == 200
    loaded = re.findall(r"""(?:src|href)=["']([^"']+)""", page.text)
    assert len(loaded) == 4, page.text
    for address in loaded:
        assert "//" not in address, "only its own"
        asset = api.client.get(f"/{address}")
        assert (asset.status_code, len(asset.content) > 100) == (200, True), address
    assert 'data-openapi="openapi.json"' in page.text
    assert "validatorUrl: null" in api.client.get("/docs/start.js").text
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\son\w+=|\sstyle=", page.text), (
        "its policy forbids what is inline"
    )
    assert api.client.get("/redoc").status_code == 404
    assert api.client.get("/docs/assets/none.js").status_code == 404


@pytest.mark.parametrize("backend", ["sqlite"])
def test_the_example_of_the_description_is_accepted(api: Api) -> None:
    paths = api.client.get("/openapi.json").json()["paths"]
    for path in ("/api/dislike", "/api/interactions"):
        example = paths[path]["post"]["requestBody"]["content"]["application/json"]["example"]
        assert api.client.post(path, json=example, headers=api.server("u1")).status_code in {200, 201}


@pytest.mark.parametrize("backend", ["sqlite"])
def test_the_api_shows_what_the_functions_of_the_document_say(api: Api) -> None:
    for reason in DislikeReason:
        api.dislike("u1", reason=str(reason))
    stored = get_user_dislikes(api.store.feedback, "u1")
    assert [one["dislike_id"] for one in api.history("u1")] == [one.dislike_id for one in stored]
    shown = api.client.get("/api/dislike-patterns", headers=api.server("u1")).json()
    as_of = stored[0].dislike.recorded_at
    counted = get_dislike_pattern_analysis(api.store.insights, "u1", as_of=as_of)
    assert shown["reason_distribution"] == counted["reason_distribution"] == dict.fromkeys(DislikeReason, 1)


def test_the_page_of_the_documentation_names_every_endpoint_and_problem() -> None:
    root = Path(__file__).resolve().parents[3]
    page = (root / "docs" / "api.md").read_text(encoding="utf-8")
    for path in ("/api/dislike", "/api/dislike-history", "/api/dislike-patterns", "/api/feedback-metrics",
                 "/api/interactions", "/api/recommendations", "/api/users/{user_id}", "/healthz", "/readyz",
                 "/metrics"):  # fmt: skip
        assert f"`{path}" in page or f" {path}`" in page, path
    text = "".join(one.read_text(encoding="utf-8") for one in (root / "recsys" / "serving").glob("*.py"))
    kinds = set(re.findall(r'Problem\(\s*\d{3}, "([a-z-]+)"', text))
    assert len(kinds) >= 8
    assert [kind for kind in sorted(kinds) if f"`{kind}`" not in page] == []


@pytest.mark.parametrize("backend", ["sqlite"])
def test_every_answer_says_what_a_browser_may_not_do_with_it(store: FeedbackStore) -> None:
    with serving(store) as api:
        known = api.server("u1")
        api.publish("u1")
        answers = {
            200: api.client.get("/api/dislike-history", headers=known),
            201: api.client.post("/api/dislike", json=SENT, headers=known),
            401: api.client.get("/api/dislike-history"), 404: api.client.get("/nowhere"),
            405: api.client.delete("/healthz"), 422: api.client.post("/api/dislike", json={"x": 1}, headers=known),
            431: api.client.get("/healthz", headers={"X-Long": "x" * 40_000}),
        }  # fmt: skip
        answers |= {-number: api.client.get(path) for number, path in enumerate(OPEN_PAGES, start=1)}
        store.database.write(lambda c: c.exec_driver_sql("DROP TABLE recommendation_exposures"))
        answers[500] = api.client.get("/api/recommendations", headers=known)
    for status, answer in answers.items():
        assert answer.status_code == (status if status > 0 else 200), (status, answer.text[:200])
        assert answer.headers["x-content-type-options"] == "nosniff", status
        assert answer.headers["x-frame-options"] == "DENY", status
        assert answer.headers["referrer-policy"] == "no-referrer", status
        policy = answer.headers["content-security-policy"]
        assert {"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"} <= set(policy.split("; ")), status
        is_page = answer.url.path == "/docs"
        assert ("script-src 'self'" in policy) == is_page, status
        assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0], status
        assert all(len(answer.headers.get_list(name)) == 1 for name in ("content-security-policy", "x-frame-options"))
