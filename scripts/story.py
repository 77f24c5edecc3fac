"""One thumbs-down, as a front end sends it: its user's list before it, after it, after undo, and after the night.

A real API is started for it (`recsys serve`, on a free port of this machine) and asked over HTTP. What was seen is kept in
the home folder, so that a demo which is run again shows the same click instead of a second one.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import requests
from local_key import ensure_local_key
from results import published_lists
from rich.console import Console
from rich.table import Table
from rich.text import Text

from recsys.files.atomic import write_file
from recsys.settings import Settings
from recsys.store import FeedbackStore

REASON = "wrong_genre"
LENGTH = 10  # of the list
LOOK = 50  # places that a film may fall and still be found
NUM_ASKED = 500  # users among whom the one of the story is chosen
START_TIMEOUT_S = 60.0
LOCAL = "127.0.0.1"


@dataclass(frozen=True)
class Story:
    """What was seen.

    Attributes:
        user_id: whose list.
        film: the entry that was disliked, with `item_id`, `title`, `genres`.
        dislike_id: of the click that stands.
        adjustments: feature -> what the click took off its importance.
        before: the list, `LOOK` entries as the API gives them.
        after: the list after the click.
        undone: the list after the click was taken back.
        learned: the list after the night; empty until there was one.
        version: model version of `before`.
        clicked_at: of the click that stands, ISO 8601.
        learned_version: of `learned`.
    """

    user_id: str
    film: dict[str, Any]
    dislike_id: int
    adjustments: dict[str, float]
    before: list[dict[str, Any]]
    after: list[dict[str, Any]]
    undone: list[dict[str, Any]]
    version: str
    clicked_at: str
    learned: tuple[dict[str, Any], ...] = ()
    learned_version: str = ""

    def save(self, path: Path) -> None:
        """Writes it for the next demo in this folder."""
        write_file(path, json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> Story | None:
        """Reads it; None if no click was made yet."""
        return cls(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


class FrontEnd:
    """The requests that a product makes for one user.

    Args:
        url: of the API.
        key: with the scope `act-for-users`.
        user_id: whom it speaks for.
    """

    def __init__(self, url: str, key: str, user_id: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy stands between two processes of this machine
        self._session.headers.update({"Authorization": f"Bearer {key}", "X-User-ID": user_id})

    def recommendations(self) -> dict[str, Any]:
        """GET /api/recommendations."""
        return self._ask("GET", "/api/recommendations", params={"k": LOOK})

    def dislike(self, item_id: str, list_id: int, key: str) -> dict[str, Any]:
        """POST /api/dislike; the same key again is the same click."""
        body = {"item_id": item_id, "recommendation_set_id": list_id, "reason": REASON}
        return self._ask("POST", "/api/dislike", json=body, headers={"Idempotency-Key": key})

    def undo(self, dislike_id: int) -> dict[str, Any]:
        """DELETE /api/dislike/{dislike_id}."""
        return self._ask("DELETE", f"/api/dislike/{dislike_id}")

    def _ask(self, method: str, path: str, **given: Any) -> dict[str, Any]:
        answer = self._session.request(method, self._url + path, timeout=30, **given)
        if not answer.ok:
            raise RuntimeError(f"Expected {method} {path} to succeed, got {answer.status_code}: {answer.text}")
        return dict(answer.json())


@contextlib.contextmanager
def front_end(settings: Settings, user_id: str, log: Path) -> Iterator[FrontEnd]:
    """Starts `recsys serve`, yields what speaks to it for the user, and stops it."""
    key = ensure_local_key(settings)
    with socket.socket() as probe:
        probe.bind((LOCAL, 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "recsys", "serve", "--host", LOCAL, "--port", str(port)]
    with log.open("ab") as sink:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink)
    try:
        _wait_until_ready(server, f"http://{LOCAL}:{port}/readyz", log)
        yield FrontEnd(f"http://{LOCAL}:{port}", key, user_id)
    finally:
        server.terminate()
        server.wait()


def _wait_until_ready(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    session = requests.Session()
    session.trust_env = False
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        with contextlib.suppress(requests.ConnectionError):
            if session.get(url, timeout=5).ok:
                return
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"Expected `recsys serve` to answer within {START_TIMEOUT_S:.0f} s; see {log}.")
        time.sleep(0.1)


def choose_user(settings: Settings) -> str:
    """A user whose first film shares a genre with some, not all, of the other films: a click then moves something.

    Of those the one with the most personal list: the most films that are there because of what the user liked.
    """
    with FeedbackStore.open(settings.database_url) as store:
        lists, catalog = published_lists(store, NUM_ASKED), store.catalog.all_items()

    def personal(user_id: str) -> tuple[int, str]:
        liked = [entry for entry in lists[user_id].entries[:LENGTH] if entry.reason.startswith("Because you liked")]
        return len(liked), user_id

    def shared(user_id: str) -> int:
        first, *others = (set(catalog[entry.item_id].genres) for entry in lists[user_id].entries[:LENGTH])
        return sum(bool(first & genres) for genres in others)

    moved = [user_id for user_id, one in lists.items() if len(one.entries) >= LENGTH and 3 <= shared(user_id) <= 6]
    return max(moved or lists, key=personal)


def play(front: FrontEnd, user_id: str) -> Story:
    """The click, its undo, and the click once more: that one stands, and the night learns from it."""
    first = front.recommendations()
    before = first["recommendations"]
    film = before[0]
    click = front.dislike(film["item_id"], first["recommendation_set_id"], "demo-first-click")
    after = front.recommendations()["recommendations"]
    front.undo(click["dislike_id"])
    undone = front.recommendations()["recommendations"]
    kept = front.dislike(film["item_id"], first["recommendation_set_id"], "demo-click-that-stands")
    return Story(
        user_id, film, kept["dislike_id"], click["adjustments"], before, after, undone, first["model_version"],
        kept["created_at"],
    )  # fmt: skip


def with_learned(story: Story, front: FrontEnd) -> Story:
    """The story with the list that the new champion gives."""
    found = front.recommendations()
    return replace(story, learned=tuple(found["recommendations"]), learned_version=found["model_version"])


def show_click(story: Story, out: Console) -> None:
    """The list, the click, and what the list is after it."""
    film, ranks = story.film, _ranks(story.after)
    table = Table(title=f"User {story.user_id}: the list of version {story.version}, and after one thumbs-down")
    table.add_column("#", justify="right")
    table.add_column("film", overflow="fold")
    table.add_column("genres", overflow="fold")
    table.add_column("why", overflow="fold")
    table.add_column("after the click", overflow="fold")
    for entry in story.before[:LENGTH]:
        table.add_row(
            str(entry["rank"]), Text(entry["title"]), Text(", ".join(entry["genres"])), Text(entry["reason"]),
            Text(_moved(entry, film, ranks)),
        )  # fmt: skip
    out.print(table)
    taken = ", ".join(f"{name.partition(':')[2]} {change:+.0%}" for name, change in story.adjustments.items())
    out.print(
        Text(f"POST /api/dislike: {film['title']}, reason {REASON}. For this user alone, at once: {taken or 'none'}.")
    )
    out.print(Text(f"New in the list: {_titles(_came(story.before, story.after)) or 'nothing'}."))
    same = [(e["item_id"], e["score"]) for e in story.undone] == [(e["item_id"], e["score"]) for e in story.before]
    said = "the same list as before, to the last digit" if same else "NOT the list from before"
    out.print(f"DELETE /api/dislike/...: {said}. Then the click is made again: it waits for the night.")


def show_learned(story: Story, out: Console) -> None:
    """What the new champion made of the click."""
    name = f"dislike:{story.film['item_id']}"
    lowered = [entry for entry in story.learned if name in entry["contributions"]]
    table = Table(
        title=f"User {story.user_id}: the list of version {story.learned_version}, which learned from the click"
    )
    for heading in ("#", "film", "before the click", "why"):
        table.add_column(heading, overflow="fold")
    was = _ranks(story.before)
    for entry in story.learned[:LENGTH]:
        rank = str(was.get(entry["item_id"], f"below {LOOK}"))
        table.add_row(str(entry["rank"]), Text(entry["title"]), rank, Text(entry["reason"]))
    out.print(table)
    out.print(
        Text(
            f"The thumbs-down is one of the negative examples of version {story.learned_version}. Of the {len(story.learned)} "
            f"films that it would show this user, {len(lowered)} are scored lower for it (contribution {name})."
        )
    )


def _moved(entry: dict[str, Any], film: dict[str, Any], ranks: dict[str, int]) -> str:
    if entry["item_id"] == film["item_id"]:
        return "gone: disliked"
    rank = ranks.get(entry["item_id"])
    if rank is None or rank > LENGTH:
        shared = set(entry["genres"]) & set(film["genres"])
        return f"left: also {', '.join(sorted(shared))}" if shared else "left"
    return "stays" if rank == entry["rank"] else f"{rank} ({'up' if rank < entry['rank'] else 'down'})"


def _ranks(entries: Sequence[dict[str, Any]]) -> dict[str, int]:
    return {entry["item_id"]: entry["rank"] for entry in entries}


def _came(before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    there = _ranks(before[:LENGTH])
    return [entry for entry in after[:LENGTH] if entry["item_id"] not in there]


def _titles(entries: Sequence[dict[str, Any]]) -> str:
    return ", ".join(entry["title"] for entry in entries)
