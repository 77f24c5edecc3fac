"""`recsys serve` and `recsys api-key`, as a person runs them."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from recsys.cli import app
from recsys.settings import Settings
from recsys.store import FeedbackStore, migrate
from tests.integration.command_line import SECONDS, Finished, finish, start
from tests.integration.serving.live_api import SECRET, SENT, bearer, user_token


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    """A home with a migrated database."""
    settings = Settings.under(tmp_path / "home")
    migrate(settings.database_url)
    return settings


@contextmanager
def served(settings: Settings, *arguments: str, **environment: str) -> Iterator[tuple[httpx.Client, list[str]]]:
    """`recsys serve` on a free port until the block ends; yields a client and what it said first."""
    process: subprocess.Popen[str] = start(settings, "serve", "--port", "0", *arguments, **environment)
    assert process.stdout is not None
    try:
        said = [process.stdout.readline() for _ in range(3)]
        found = re.search(r"http://\S+", said[0])
        assert found, said
        with httpx.Client(base_url=found.group(), trust_env=False, timeout=SECONDS) as client:
            yield client, said
    finally:
        process.send_signal(signal.SIGTERM)
        ended = finish(process)
    assert ended.code == 0, ended.err
    assert "Traceback" not in ended.err


def quick(settings: Settings, *arguments: str, **environment: str) -> Finished:
    """A command that ends by itself, in this process: the many words about what is wrong need no process each."""
    runner = CliRunner(env={"COLUMNS": "150", "TERM": "dumb", **settings.as_environment(), **environment})
    ended = runner.invoke(app, arguments)
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exc_info
    return Finished(ended.exit_code, ended.stdout, ended.stderr)


def make_key(settings: Settings, *scopes: str) -> Finished:
    options = [word for scope in scopes for word in ("--scope", scope)]
    return quick(settings, "api-key", "create", "--name", "shop", *options)


def test_a_key_is_made_shown_once_listed_and_revoked(home: Settings) -> None:
    assert "No API key yet" in quick(home, "api-key", "list").out
    made = make_key(home, "act-for-users", "metrics:read")
    assert made.code == 0
    token = made.out.strip()
    assert re.fullmatch(r"recsys_[0-9a-f]{16}_[\w-]{43}", token)
    key_id = token.split("_")[1]
    assert made.says(f"recsys api-key revoke {key_id}")
    listed = quick(home, "api-key", "list")
    assert listed.shows(key_id)
    assert token.split("_", 2)[2] not in listed.out
    assert quick(home, "api-key", "revoke", key_id).shows("is revoked since")
    again = quick(home, "api-key", "revoke", key_id)
    assert again.code == 0
    wrong = quick(home, "api-key", "revoke", "nothing")
    assert (wrong.code, wrong.says("Expected the id of an API key, got 'nothing'")) == (1, True)
    assert quick(home, "api-key", "create", "--name", "shop", "--scope", "everything").code == 2
    assert quick(home, "api-key", "create", "--name", "  ", "--scope", "metrics:read").code == 2


def test_serve_says_where_it_is_and_stops_in_order(home: Settings) -> None:
    token = make_key(home, "act-for-users").out.strip()
    headers = {**bearer(token), "X-User-ID": "u1"}
    with served(home) as (client, said):
        assert said[1].split() == ["Documentation", f"{str(client.base_url).rstrip('/')}/docs"]
        assert "Authorization: Bearer" in said[2]
        assert client.get("/readyz").status_code == 200
        assert client.post("/api/dislike", json=SENT, headers=headers).status_code == 201
    with FeedbackStore.open(home.database_url) as store:
        assert len(store.feedback.list_dislikes("u1")) == 1


def test_several_workers_count_together(home: Settings) -> None:
    token = make_key(home, "act-for-users", "metrics:read").out.strip()
    headers = {**bearer(token), "X-User-ID": "u1"}
    with served(home, "--workers", "2", RECSYS_JWT_SECRET=SECRET) as (client, _):
        for _ in range(10):  # each on a connection of its own, so that both workers may get some
            with httpx.Client(base_url=client.base_url, trust_env=False, timeout=SECONDS) as once:
                assert once.post("/api/dislike", json=SENT, headers=headers).status_code == 201
        text = client.get("/metrics", headers=headers).text
        assert 'recsys_dislikes_recorded_total{reason="wrong_genre"} 10.0' in text
        assert "recsys_backlog 10.0" in text
        own = bearer(user_token("u2", aud=None, iss=None))
        assert client.get("/api/dislike-history", headers=own).status_code == 200


def test_without_configuration_only_this_machine_and_nobodys_data(home: Settings) -> None:
    refused = quick(home, "serve", "--host", "0.0.0.0", "--port", "0")
    assert refused.code == 2
    assert refused.says("Expected an API key or a JWT configuration before other machines may connect")
    assert refused.says("recsys api-key create")
    with served(home) as (client, said):
        assert client.base_url.host == "127.0.0.1"
        answer = client.post("/api/dislike", json=SENT, headers={"X-User-ID": "u1"})
        assert answer.status_code == 401
        assert client.get("/healthz").status_code == 200
        token = make_key(home, "act-for-users").out.strip()  # counts at once
        headers = {**bearer(token), "X-User-ID": "u1"}
        assert client.get("/api/dislike-history", headers=headers).status_code == 200
    assert said[0].startswith("Feedback API")


def test_a_revoked_key_does_not_open_the_door(home: Settings) -> None:
    key_id = make_key(home, "act-for-users").out.split("_")[1]
    quick(home, "api-key", "revoke", key_id)
    assert quick(home, "serve", "--host", "0.0.0.0", "--port", "0").code == 2


def test_what_cannot_work_is_told_before_it_listens(home: Settings, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        busy = quick(home, "serve", "--port", port)
        assert (busy.code, busy.says(f"port {port} to be free")) == (3, True)
    told = {
        ("--port", "70000"): (2, "Invalid value for"),
        ("--port", "x"): (2, "Invalid value for"),
        ("--port", "-1"): (2, "Invalid value for"),
        ("--workers", "0"): (2, "Invalid value for"),
        ("--host", "no.such.host.invalid"): (2, "found none for --host"),
        ("--user-limit", "many"): (2, "300/minute"),
    }
    for arguments, (code, words) in told.items():
        ended = quick(home, "serve", *arguments)
        assert (ended.code, ended.says(words)) == (code, True), (arguments, ended.err)
    environments = {
        "RECSYS_API_PORT": ("http", "Expected RECSYS_API_PORT"),
        "RECSYS_JWT_SECRET": ("short", "at least 32 bytes"),
        "RECSYS_JWT_PUBLIC_KEY": ("/nowhere", "RECSYS_JWT_PUBLIC_KEY"),
        "RECSYS_RATE_LIMIT_URL": ("nowhere://", "RECSYS_RATE_LIMIT_URL"),
    }
    for name, (value, words) in environments.items():
        ended = quick(home, "serve", **{name: value})
        assert (ended.code, ended.says(words)) == (2, True), (name, ended.err)
    host = quick(home, "serve", "--host", "no.such.host.invalid", RECSYS_JWT_SECRET=SECRET)
    assert (host.code, host.says("address of this machine")) == (2, True)
    none = quick(Settings.under(tmp_path / "none"), "serve")
    assert (none.code, none.says("recsys db upgrade")) == (1, True)
    assert not (tmp_path / "none").exists()
    away = quick(home, "serve", RECSYS_DATABASE_URL="postgresql://recsys@127.0.0.1:1/recsys")
    assert away.code == 75
