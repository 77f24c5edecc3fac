"""`make bench-publishing`: how long a dislike takes over HTTP while the lists of everybody are published, on SQLite.

A made stream; a first champion, fitted by `recsys run` on its first users; then what all users did, as many as asked for.
While `publish_recommendations` makes and writes the lists anew in a process of its own, clients record dislikes through
`recsys serve`. With `--beside FOLDER`, another checkout does the same in turn, on its own store that its own code made.
Writes docs/posts_while_publishing.md.
"""

from __future__ import annotations

import csv
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from recsys.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
START = datetime(2026, 1, 1, tzinfo=UTC)
NUM_ITEMS, NUM_DAYS, SIGNALS_PER_USER = 200, 28, 10
NUM_FIRST_USERS = 750  # that the champion was fitted on: how long a fit takes is not what is measured
GENRES = ("Comedy", "Horror", "Western")
NUM_CLIENTS, PAUSE_S, ANSWER_S = 4, 0.05, 120.0
TEXT = """\
# Dislikes while lists are published

Written by `make bench-publishing`. {num_clients} clients record dislikes through `recsys serve` (one worker, SQLite), each
{pause:g} ms after its last answer, while `publish_recommendations` makes and writes the lists of {num_users:,} users anew in
another process, by a champion that `recsys run` fitted on a made stream with {num_items} films. Times are those of the dislikes
that were sent while it ran, from the request to the answer; a client that waits sends nothing meanwhile, so that a long wait of
all weighs little in the p99 and shows in the longest.{beside}

Machine: {machine}.

| checkout | published in | dislikes | not 201 | median | p99 | longest |
|---|---:|---:|---:|---:|---:|---:|
{rows}
"""


@dataclass
class Answers:
    """What the clients got: milliseconds and status of every dislike. Status 0: no answer."""

    milliseconds: list[float] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    published_s: float = 0.0

    def row(self, name: str) -> str:
        """A line of the table."""
        median, p99, longest = np.percentile(self.milliseconds, [50, 99, 100])
        refused = sum(status != 201 for status in self.statuses)
        return (
            f"| {name} | {self.published_s:.0f} s | {len(self.statuses):,} | {refused:,} | {median:,.0f} ms | {p99:,.0f} ms |"
            f" {longest:,.0f} ms |"
        )


@dataclass(frozen=True)
class Checkout:
    """A folder with the code, and the folder of its own store."""

    name: str
    code: Path
    home: Path

    def command(self, *words: str) -> list[str]:
        """`recsys WORDS` of this checkout."""
        return [sys.executable, "-m", "recsys", *words]

    def environment(self) -> dict[str, str]:
        """In which its code is found first, and its store is used."""
        own = {"PYTHONPATH": str(self.code), "PYTHONUNBUFFERED": "1", "COLUMNS": "150"}
        settings = Settings.under(self.home).as_environment()
        return {**os.environ, **settings, **own}

    def run(self, *words: str) -> str:
        """What a command prints.

        Raises:
            SystemExit: if it fails.
        """
        done = subprocess.run(
            self.command(*words), cwd=self.code, env=self.environment(), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"Expected `recsys {words[0]}` of {self.code} to work, but it ended with:\n{done.stderr}")
        return done.stdout


def write_stream(folder: Path, num_users: int) -> None:
    """Writes items.csv, first.csv (four weeks of the first users) and second.csv (a day of everybody after that)."""
    rng = np.random.default_rng(7)
    with (folder / "items.csv").open("w", newline="", encoding="utf-8") as file:
        rows = ([f"f{n:03d}", f"Film {n}", GENRES[n % len(GENRES)], 2026] for n in range(NUM_ITEMS))
        csv.writer(file).writerows([["item_id", "title", "genres", "release_year"], *rows])
    parts = {"first.csv": (0, NUM_DAYS, NUM_FIRST_USERS), "second.csv": (NUM_DAYS, NUM_DAYS + 1, num_users)}
    for name, (begin, end, users) in parts.items():
        with (folder / name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["user_id", "item_id", "occurred_at", "label"])
            for user in range(users):
                for second in sorted(rng.integers(begin * 86_400 + 1, end * 86_400, SIGNALS_PER_USER)):
                    item = int(min(rng.exponential(NUM_ITEMS / 4), NUM_ITEMS - 1))
                    if rng.random() < 0.6:  # looks for its own genre
                        item = max(item - (item - user) % len(GENRES), user % len(GENRES))
                    label = "like" if (item - user) % len(GENRES) == 0 else "dislike"
                    at = START + timedelta(seconds=int(second))
                    writer.writerow([f"u{user}", f"f{item:03d}", at.isoformat(), label])


def prepare(checkout: Checkout, stream: Path) -> str:
    """Makes its store, with a champion and what everybody did since; returns an API key."""
    checkout.run("db", "upgrade")
    checkout.run("import", "items", str(stream / "items.csv"))
    checkout.run("import", "interactions", str(stream / "first.csv"))
    as_of = (START + timedelta(days=NUM_DAYS)).isoformat()
    checkout.run("run", "--as-of", as_of, "--force", "first champion", "--family", "closed_form")
    checkout.run("import", "interactions", str(stream / "second.csv"))
    made = checkout.run("api-key", "create", "--name", "bench", "--scope", "act-for-users")
    return made.split()[-1]


@contextmanager
def serving(checkout: Checkout) -> Iterator[int]:
    """Its API on a free port."""
    words = ("serve", "--port", "0", "--key-limit", "none", "--user-limit", "none")
    process = subprocess.Popen(
        checkout.command(*words), cwd=checkout.code, env=checkout.environment(), stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline().rsplit(":", 1)[1])
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=ANSWER_S):  # waits until it listens
            yield port
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=120)


def record_dislikes(port: int, token: str, client: int, is_over: threading.Event, answers: Answers) -> None:
    """One client: a dislike after the other until the lists are published."""
    number = 0
    while not is_over.is_set():
        number += 1
        body = json.dumps({"item_id": f"f{(number * NUM_CLIENTS + client) % NUM_ITEMS:03d}", "reason": "wrong_genre"})
        headers = {
            "Authorization": f"Bearer {token}",
            "X-User-ID": f"c{client}-{number}",
            "Content-Type": "application/json",
        }
        request = urllib.request.Request(f"http://127.0.0.1:{port}/api/dislike", body.encode(), headers)
        started = time.perf_counter()
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
                status = answer.status
        except urllib.error.HTTPError as error:
            status = error.code
        except OSError:
            status = 0
        answers.milliseconds.append(1_000 * (time.perf_counter() - started))
        answers.statuses.append(status)
        is_over.wait(PAUSE_S)


def measure(checkout: Checkout, token: str) -> Answers:
    """Publishes while the clients record dislikes."""
    answers, is_over = Answers(), threading.Event()
    as_of = START + timedelta(days=NUM_DAYS + 1)
    arguments = json.dumps({"as_of": as_of.isoformat(), "now": datetime.now(UTC).isoformat()})
    with serving(checkout) as port:
        clients = [
            threading.Thread(target=record_dislikes, args=(port, token, client, is_over, answers))
            for client in range(NUM_CLIENTS)
        ]
        for thread in clients:
            thread.start()
        started = time.perf_counter()
        try:
            checkout.run("step", "publish_recommendations", "--arguments", arguments)
        finally:
            is_over.set()
        answers.published_s = time.perf_counter() - started
        for thread in clients:
            thread.join()
    return answers


def main(
    beside: Annotated[
        Path | None, typer.Option(help="Another checkout, measured in the same run on its own store.")
    ] = None,
    users: Annotated[int, typer.Option(min=1, help="Users with a list.")] = 11_000,
    report: Annotated[Path, typer.Option(help="Where to write.")] = ROOT / "docs" / "posts_while_publishing.md",
) -> None:
    """Measures and writes the table."""
    codes = ({"before": beside.resolve()} if beside else {}) | {"now": ROOT}
    rows = []
    with tempfile.TemporaryDirectory(prefix="recsys-bench-publishing-") as name:
        folder = Path(name)
        write_stream(folder, users)
        checkouts = [Checkout(label, code, folder / label) for label, code in codes.items()]
        tokens = [prepare(checkout, folder) for checkout in checkouts]
        for checkout, token in zip(checkouts, tokens, strict=True):
            rows.append(measure(checkout, token).row(checkout.name))
            print(rows[-1], flush=True)
    text = TEXT.format(
        num_clients=NUM_CLIENTS, pause=1_000 * PAUSE_S, num_users=users, num_items=NUM_ITEMS, rows="\n".join(rows),
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        beside=" *before* is another checkout, measured in the same run on a store that its own code made." if beside else "",
    )  # fmt: skip
    report.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
