"""Schemathesis, with all its checks, against a running `recsys serve` on PostgreSQL: `make fuzz-api`.

Makes a database with films, published lists for two users and API keys, starts the service as a person would, and runs
rounds with new seeds until there were so many cases. Both users exist for the check that neither gets the other's data.
Prints how many cases ran and what was answered, writes the same to `fuzz-api.json` in RECSYS_HOME, and exits with 1 if
anything failed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import urllib.request
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from recsys.records import Item, RecommendationEntry, RecommendationSet
from recsys.settings import Settings
from recsys.store import FeedbackStore, migrate
from recsys.store.api_keys import Scope, create_key

ROOT = Path(__file__).resolve().parents[1]
HOOKS = ROOT / "scripts" / "fuzz_api_hooks.py"
SERVER_VARIABLE = "RECSYS_TEST_POSTGRES_URL"
USERS = ("alice", "bob")
NUM_ITEMS = 30
LIST_LENGTH = 10
START_TIMEOUT_S = 60
COUNTED = re.compile(r'recsys_api_requests_total{method="(\w+)",path="([^"]+)",status="(\d+)"} (\d+)')


@contextmanager
def database(server_url: str) -> Iterator[str]:
    """A migrated PostgreSQL database of its own."""
    name = f"recsys_fuzz_{uuid.uuid4().hex[:12]}"
    server = make_url(server_url).set(drivername="postgresql")
    admin = server.render_as_string(hide_password=False)
    url = server.set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        migrate(url)
        yield url
    finally:
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def prepare(url: str) -> str:
    """Writes films and published lists; returns a key that may do everything."""
    now = datetime.now(UTC) - timedelta(hours=1)
    entries = tuple(
        RecommendationEntry(rank, f"film-{rank}", 1 - rank / 20, "popular", {"trend:7.0": 1 - rank / 20}, 0.5)
        for rank in range(1, LIST_LENGTH + 1)
    )
    with FeedbackStore.open(url) as store:
        store.catalog.upsert_items([
            Item(f"film-{n}", f"Film {n}", ("Action", "Drama"), ("Actor 1",), tmdb_id=n) for n in range(NUM_ITEMS)
        ])  # fmt: skip
        sets = [RecommendationSet(user, "1", now, now, entries) for user in (None, *USERS)]
        store.lists.replace_recommendation_sets("1", now, sets)
        return store.database.write(lambda c: create_key(c, "fuzz", list(Scope), now))[1]


@contextmanager
def service(url: str, home: Path) -> Iterator[str]:
    """`recsys serve` on a free port; yields its address."""
    command = [sys.executable, "-m", "recsys", "serve", "--port=0", "--user-limit=none", "--key-limit=none"]
    env = {**os.environ, "RECSYS_HOME": str(home), "RECSYS_DATABASE_URL": url, "COLUMNS": "200"}
    with (home / "serve.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        if found is None:
            raise SystemExit(
                f"Expected `recsys serve` to start, got {line!r}:\n{(home / 'serve.log').read_text(encoding='utf-8')}"
            )
        yield found.group()
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=START_TIMEOUT_S)


def configure(folder: Path, token: str) -> Path:
    """Schemathesis' configuration: the key, speaking for either of two users who must not see each other's data."""
    users = [
        {
            "name": user,
            "fixedHeaders": [
                {"name": "Authorization", "value": f"Bearer {token}"},
                {"name": "X-User-ID", "value": user},
            ],
        }
        for user in USERS
    ]
    (folder / "users.json").write_text(json.dumps({"auth": users}), encoding="utf-8")
    path = folder / "schemathesis.toml"
    lines = [f"hooks = {json.dumps(str(HOOKS))}", "[auth.wfc]", f"path = {json.dumps(str(folder / 'users.json'))}"]
    path.write_text("\n".join([*lines, f"peers = {json.dumps(USERS)}", ""]), encoding="utf-8")
    return path


def fuzz(address: str, config: Path, seed: int, max_examples: int) -> dict[str, Any]:
    """One round; returns schemathesis' own report."""
    report = config.parent / f"report-{seed}.json"
    command = [
        str(Path(sys.executable).parent / "schemathesis"), f"--config-file={config}", "run", f"{address}/openapi.json",
        "--checks=all", f"--max-examples={max_examples}", f"--seed={seed}", "--continue-on-failure", "--wait-for-schema=30",
        "--report=json", f"--report-json-path={report}", "--generation-database=none", "--no-color",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=config.parent, capture_output=True, text=True, check=False)
    if done.returncode != 0 or not report.is_file():
        print(done.stdout[-8000:], done.stderr[-2000:], sep="\n")
    if not report.is_file():
        raise SystemExit(f"Expected a report of schemathesis, but it ended with {done.returncode} and wrote none.")
    found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return found


def answers(address: str, token: str) -> dict[str, dict[str, int]]:
    """Operation -> status -> how often the service answered it, by its own counters."""
    request = urllib.request.Request(f"{address}/metrics", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as response:
        text = response.read().decode("utf-8")
    found: dict[str, dict[str, int]] = {}
    for method, path, status, number in COUNTED.findall(text):
        found.setdefault(f"{method} {path}", {})[status] = int(number)
    return found


def run(cases: int, seed: int, max_examples: int, folder: Path) -> dict[str, Any]:
    """Rounds until there were `cases`; returns the numbers."""
    server_url = os.environ.get(SERVER_VARIABLE)
    if not server_url:
        raise SystemExit(f"Expected a PostgreSQL server in {SERVER_VARIABLE}: use `make fuzz-api`.")
    rounds: list[dict[str, Any]] = []
    with database(server_url) as url:
        token = prepare(url)
        config = configure(folder, token)
        with service(url, folder) as address:
            while sum(one["test_cases"]["generated"] for one in rounds) < cases:
                rounds.append(fuzz(address, config, seed + len(rounds), max_examples))
                done = sum(one["test_cases"]["generated"] for one in rounds)
                print(f"{done:>7,} of {cases:,} cases, {_failures(rounds)} failures", flush=True)
            answered = answers(address, token)
    by_status: Counter[str] = Counter()
    for statuses in answered.values():
        by_status.update(statuses)
    return {
        "cases": sum(one["test_cases"]["generated"] for one in rounds),
        "failures": _failures(rounds),
        "rounds": len(rounds),
        "seeds": [one["seed"] for one in rounds],
        "operations": rounds[-1]["operations"],
        "statuses": dict(sorted(by_status.items())),
        "answers": answered,
    }


def _failures(rounds: list[dict[str, Any]]) -> int:
    return sum(one["test_cases"]["unique_failures"] + len(one["errors"]) for one in rounds)


def main() -> None:
    """Reads the arguments, runs, reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000, help="minimum number of cases (default 10000)")
    parser.add_argument("--seed", type=int, default=1, help="of the first round (default 1)")
    parser.add_argument("--max-examples", type=int, default=150, help="per operation, phase and round (default 150)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="recsys-fuzz-") as folder:
        found = run(given.cases, given.seed, given.max_examples, Path(folder))
    home = Settings.from_environment().home
    home.mkdir(parents=True, exist_ok=True)
    (home / "fuzz-api.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    for operation, statuses in sorted(found["answers"].items()):
        print(f"  {operation:<38} " + "  ".join(f"{status}: {n:,}" for status, n in sorted(statuses.items())))
    print(
        f"{found['cases']:,} cases in {found['rounds']} rounds, {found['failures']} failures. Written: {home / 'fuzz-api.json'}"
    )
    sys.exit(1 if found["failures"] else 0)


if __name__ == "__main__":
    main()
