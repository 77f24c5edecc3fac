"""Sends dislikes to a running feedback API at a fixed rate, and notes what every single one cost.

Open loop: each request has its time in a schedule made beforehand, and its latency counts from that time, whether it
could be sent then or not. A stall of the server therefore shows in every request that was due meanwhile, where a client
that waits for answers would have asked less often and measured nothing ("coordinated omission").

It speaks HTTP by hand over kept-alive connections, because a full client library would use as much of the machine as the
server that is measured. Reads a plan (JSON) from stdin, writes a result (JSON) to stdout; see `Plan` and `Result`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Any

MAX_IDLE_S = 3.0  # the server closes after 5 s; a request must not meet that
ANSWER_TIMEOUT_S = 30.0
REASONS = ("wrong_genre", "poor_quality", "not_interested", "tired_of_franchise", "already_watched", "unspecified")


@dataclass(frozen=True)
class Plan:
    """One measurement.

    Attributes:
        host: of the API.
        port: of the API.
        token: API key that may speak for users.
        run: prefix of the idempotency keys.
        rate: dislikes per second.
        seconds: how long.
        lists: (user_id, recommendation_set_id, item_ids) of users with a list.
        titles: of the catalog.
        item_ids: of the catalog.
        seed: of the mix.
    """

    host: str
    port: int
    token: str
    run: str
    rate: float
    seconds: float
    lists: list[tuple[str, int, list[str]]]
    titles: list[str]
    item_ids: list[str]
    seed: int = 0


@dataclass
class Result:
    """What happened, one entry per request in the order of the schedule.

    Attributes:
        latency_ms: from the scheduled time to the last byte of the answer; None without one.
        status: HTTP status; 0 without an answer.
        acknowledged: (user_id, idempotency key, dislike_id) of every 201.
        problems: the first bodies and errors that were no 201.
        num_connections: opened in all.
        cpu_s: of this process.
    """

    latency_ms: list[float | None] = field(default_factory=list)
    status: list[int] = field(default_factory=list)
    acknowledged: list[tuple[str, str, int]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    num_connections: int = 0
    cpu_s: float = 0.0


@dataclass(frozen=True)
class Event:
    """A request, ready to be sent."""

    user_id: str
    key: str
    data: bytes


def make_events(plan: Plan) -> list[Event]:
    """What users click: mostly films of their list, some found by searching, some that nobody knows."""
    random_ = random.Random(plan.seed)
    events: list[Event] = []
    for number in range(round(plan.rate * plan.seconds)):
        if events and random_.random() < 0.01:  # a client that never saw the answer, or an impatient finger
            events.append(random_.choice(events[-1000:]))
            continue
        user_id, set_id, shown = random_.choice(plan.lists)
        body: dict[str, Any] = {"reason": random_.choice(REASONS)}
        kind = random_.random()
        if kind < 0.6:
            body |= {"recommendation_set_id": set_id, "item_id": random_.choice(shown), "predicted_score": 0.5}
        elif kind < 0.85:
            body |= {"item_id": random_.choice(plan.item_ids)}
        elif kind < 0.95:
            body |= {"movie_title": random_.choice(plan.titles), "feedback_text": "not my kind of film " * 5}
        else:
            body |= {"movie_id": random_.randrange(10**7, 2 * 10**7), "genres": ["Drama"], "cast": ["Somebody"]}
        events.append(_event(plan, user_id, f"{plan.run}-{number}", body))
    return events


def _event(plan: Plan, user_id: str, key: str, body: dict[str, Any]) -> Event:
    content = json.dumps(body).encode()
    head = (
        f"POST /api/dislike HTTP/1.1\r\nHost: {plan.host}:{plan.port}\r\nAuthorization: Bearer {plan.token}\r\n"
        f"X-User-ID: {user_id}\r\nIdempotency-Key: {key}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return Event(user_id, key, head.encode() + content)


class Connection(asyncio.Protocol):
    """A kept-alive connection that carries one request at a time."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self.is_open = True
        self.used_at = time.perf_counter()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self, data: bytes) -> asyncio.Future[tuple[int, bytes]]:
        """Sends a request; the future holds status and body."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(data)
        return self._answer

    def data_received(self, data: bytes) -> None:
        """Called by asyncio."""
        self._received += data
        head, separator, body = bytes(self._received).partition(b"\r\n\r\n")
        if not separator or self._answer is None:
            return
        lines = head.lower().split(b"\r\n")
        length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
        if len(body) >= length:
            self._received.clear()
            self.used_at = time.perf_counter()
            if not self._answer.done():
                self._answer.set_result((int(lines[0].split()[1]), body))

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio."""
        self.is_open = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError(f"connection lost: {exc}"))

    def close(self) -> None:
        """Ends it."""
        self._transport.close()


class Load:
    """One measurement under way."""

    def __init__(self, plan: Plan, events: list[Event]) -> None:
        self._plan = plan
        self._events = events
        self._idle: list[Connection] = []
        self.result = Result([None] * len(events), [0] * len(events))

    async def run(self) -> Result:
        """Sends everything at its time and waits for all answers."""
        started = time.perf_counter() + 0.2
        tasks = set()
        for number in range(len(self._events)):
            due = started + number / self._plan.rate
            if (wait_s := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait_s)
            task = asyncio.create_task(self._send(number, due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)
        self.result.cpu_s = time.process_time()
        return self.result

    async def _send(self, number: int, due: float) -> None:
        event = self._events[number]
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                connection = await self._connection()
                status, body = await connection.ask(event.data)
        except (OSError, TimeoutError) as error:
            self._note(f"{type(error).__name__}: {error}")
            return
        self.result.latency_ms[number] = (time.perf_counter() - due) * 1000
        self.result.status[number] = status
        self._idle.append(connection)
        if status == 201:
            self.result.acknowledged.append((event.user_id, event.key, int(json.loads(body)["dislike_id"])))
        else:
            self._note(f"{status}: {body.decode(errors='replace')}")

    async def _connection(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()  # the one used last: the others may rest and be closed
            if connection.is_open and time.perf_counter() - connection.used_at < MAX_IDLE_S:
                return connection
            connection.close()
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, self._plan.host, self._plan.port)
        self.result.num_connections += 1
        return connection

    def _note(self, problem: str) -> None:
        if len(self.result.problems) < 10:
            self.result.problems.append(problem)


def main() -> None:
    """Plan from stdin, result to stdout."""
    plan = Plan(**json.load(sys.stdin))
    events = make_events(plan)
    gc.freeze()
    gc.disable()  # a pause of this process would be measured as one of the server
    result = asyncio.run(Load(plan, events).run())
    json.dump(asdict(result), sys.stdout)


if __name__ == "__main__":
    main()
