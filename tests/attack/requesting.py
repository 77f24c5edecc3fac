"""Sends hostile requests from several threads, and holds the service to what it answered."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.attack.requests import Requests
from tests.attack.tally import Tally
from tests.attack.victim import SECRET, Victim
from tests.attack.wire import Reply, Request, send, some_address

NUM_THREADS = 4
NUM_RACERS = 4
NO_ANSWER = "no answer"


class Attack:
    """One round against one service.

    Args:
        victim: the service.
        seed: of all requests.
        tally: where the outcomes go.
    """

    def __init__(self, victim: Victim, seed: int, tally: Tally) -> None:
        self.victim = victim
        self.tally = tally
        self.rng = random.Random(seed)
        self.requests = Requests(self.rng, victim.token, victim.weak, victim.victims, f"{seed}")
        self.answered: dict[str, list[tuple[int, int | None]]] = {}
        self.requested: dict[str, Request] = {}
        self._lock = threading.Lock()

    def run(self, count: int, moved: Callable[[int], None]) -> None:
        """Sends so many requests; one in twenty is a race of several. `moved` is called with how many were sent."""
        jobs: list[tuple[Request, str, int]] = []
        while sum(times for _, _, times in jobs) < count:
            request = self.requests.draw()
            is_race = bool(request.mark) and self.rng.random() < 0.1
            jobs.append((request, some_address(self.rng), NUM_RACERS if is_race else 1))

        def work(job: tuple[Request, str, int]) -> None:
            request, address, times = job
            if times == 1:
                self._judge(request, send(self.victim.port, request, address))
            else:
                self._race(request, address)
            moved(times)

        with ThreadPoolExecutor(NUM_THREADS) as pool:
            list(pool.map(work, jobs))
        self._check_rows()

    def _race(self, request: Request, address: str) -> None:
        """The same event several times at once: recorded once, under one number."""
        barrier = threading.Barrier(NUM_RACERS)
        replies: list[Reply] = []

        def racer() -> None:
            barrier.wait()
            replies.append(send(self.victim.port, request, address))

        threads = [threading.Thread(target=racer) for _ in range(NUM_RACERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for reply in replies:
            self._judge(request, reply, "race of ")
        numbers = {reply.json()["dislike_id"] for reply in replies if reply.status == 201}
        if len(numbers) > 1:
            self.tally.fail(f"one event was recorded under several numbers: {sorted(numbers)}")

    def _judge(self, request: Request, reply: Reply, which: str = "") -> None:
        kind = which + request.kind
        self.tally.add(kind, f"{reply.status // 100}xx" if reply.status else NO_ANSWER)
        shown = f"{kind}: {request.method[:20]!r} {request.path[:80]!r} was answered {reply.status}"
        if reply.status >= 500:
            self.tally.fail(f"{shown}: {reply.body[:200]!r}")
        if request.must_fail and 0 < reply.status < 400:
            self.tally.fail(f"{shown} with a wrong key: {dict(request.headers).get(b'Authorization', b'')[:60]!r}")
        secrets = [user for user in self.victim.victims if user.encode() in reply.body] or (
            [SECRET] if SECRET.encode() in reply.body else []
        )
        # What a request itself names may be repeated to whoever sent it.
        if secrets and not any(name.encode() in request.as_bytes() for name in secrets):
            self.tally.fail(f"{shown} and shows what is {secrets[0]}'s: {reply.body[:200]!r}")
        if b"Traceback" in reply.body or b"sqlalchemy" in reply.body.lower():
            self.tally.fail(f"{shown} and shows how the service is made: {reply.body[:200]!r}")
        if request.kind == "honest" and reply.status != 201 and reply.status < 500:
            self.tally.fail(f"{shown}, though nothing was wrong with it: {reply.body[:200]!r}")
        if request.mark:
            with self._lock:
                number = reply.json()["dislike_id"] if reply.status == 201 else None
                self.answered.setdefault(request.mark, []).append((reply.status, number))
                self.requested[request.mark] = request

    def _check_rows(self) -> None:
        """What was acknowledged is there once; what was refused is not; what was not answered is there once at most."""
        rows = self.victim.marks()
        for mark, replies in self.answered.items():
            statuses, number = [status for status, _ in replies], rows.get(mark, 0)
            is_changed = self.requested[mark].kind == "bodies"  # the text that is looked for may be what was changed
            if 201 in statuses and number != 1 and not is_changed:
                self.tally.fail(f"{mark} was acknowledged, and there are {number} rows of it")
            elif 201 not in statuses and all(statuses) and number:
                self.tally.fail(f"{mark} was refused with {statuses}, and there are {number} rows of it")
            elif number > 1:
                self.tally.fail(f"{mark} was never answered, and there are {number} rows of it")
        self._check_numbers()
        for user in self.victim.victims:
            if rows.get(f"{SECRET}-{user}") != 1:
                self.tally.fail(f"what {user} said is there {rows.get(f'{SECRET}-{user}', 0)} times")
        for line in self.victim.log_says():
            self.tally.fail(f"the log of the service says: {line[:200]}")

    def _check_numbers(self) -> None:
        """Each acknowledged event is there, under a number of its own."""
        stored = self.victim.dislike_ids()
        acknowledged: dict[int, str] = {}
        for mark, replies in self.answered.items():
            for dislike_id in {one for _, one in replies if one is not None}:
                if dislike_id not in stored:
                    self.tally.fail(f"{mark} was acknowledged as dislike {dislike_id}, which is not there")
                if acknowledged.setdefault(dislike_id, mark) != mark:
                    self.tally.fail(
                        f"{mark} and {acknowledged[dislike_id]} were acknowledged as one dislike, {dislike_id}"
                    )
