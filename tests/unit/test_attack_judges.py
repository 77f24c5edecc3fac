"""What `make attack` calls a failure: a judge that finds nothing wrong with anything would prove nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.attack.requesting import Attack
from tests.attack.requests import Requests
from tests.attack.tally import Tally
from tests.attack.victim import SECRET
from tests.attack.wire import Reply, Request

VICTIM = "victim-1"


@dataclass
class Double:
    """A victim of which the test decides what is in its database and its log."""

    port: int = 0
    token: str = "recsys_key_secret"
    weak: str = "recsys_weak_secret"
    victims: dict[str, int] = field(default_factory=lambda: {VICTIM: 1})
    rows: dict[str, int] = field(default_factory=lambda: {f"{SECRET}-{VICTIM}": 1})
    lines: list[str] = field(default_factory=list)

    def marks(self) -> dict[str, int]:
        return self.rows

    def dislike_ids(self) -> set[int]:
        return {1, 2}

    def log_says(self) -> list[str]:
        return self.lines


def attack(**victim: Any) -> Attack:
    return Attack(Double(**victim), 1, Tally())  # type: ignore[arg-type] # a double


def answer(text: bytes) -> bytes:
    return b'{"dislike_id": 2, "title": "%s"}' % text


HONEST = Request("honest", b"POST", b"/api/dislike", mark="m", user="guest")
WRONG = Request("tokens", b"GET", b"/api/recommendations", must_fail=True)


@pytest.mark.parametrize(
    ("request_", "reply", "says"),
    [
        (HONEST, Reply(201, b'{"dislike_id": 2}'), None),
        (HONEST, Reply(503, b"try again"), "was answered 503"),
        (HONEST, Reply(422, b"no"), "though nothing was wrong"),
        (HONEST, Reply(201, answer(VICTIM.encode())), "shows what is victim-1's"),
        (HONEST, Reply(201, answer(f"{SECRET}-x".encode())), "shows what is secret-of's"),
        (replace(HONEST, body=VICTIM.encode()), Reply(201, answer(VICTIM.encode())), None),
        (HONEST, Reply(201, answer(b"sqlalchemy.exc.DataError")), "shows how the service is made"),
        (WRONG, Reply(401), None),
        (WRONG, Reply(0), None),
        (WRONG, Reply(200), "with a wrong key"),
        (WRONG, Reply(302), "with a wrong key"),
    ],
)
def test_an_answer_is_judged(request_: Request, reply: Reply, says: str | None) -> None:
    found = attack()
    found._judge(request_, reply)
    assert found.tally.total == 1
    assert found.tally.num_failures == (says is not None)
    assert says is None or says in found.tally.failures[0]


@pytest.mark.parametrize(
    ("statuses", "rows", "says"),
    [
        ([201], 1, None),
        ([201], 0, "acknowledged, and there are 0"),
        ([201, 201, 0], 2, "acknowledged, and there are 2"),
        ([422], 0, None),
        ([422, 401], 1, "was refused"),
        ([0], 1, None),
        ([0], 0, None),
        ([0, 422], 2, "never answered, and there are 2"),
    ],
)
def test_what_was_answered_is_held_against_what_is_there(statuses: list[int], rows: int, says: str | None) -> None:
    found = attack(rows={f"{SECRET}-{VICTIM}": 1, "m": rows})
    found.answered["m"] = [(status, 2 if status == 201 else None) for status in statuses]
    found.requested["m"] = HONEST
    found._check_rows()
    assert [says in failure for failure in found.tally.failures if says] == [True] * (says is not None)
    assert found.tally.num_failures == (says is not None)


def test_an_event_under_a_number_that_is_not_there_or_of_another_is_a_failure() -> None:
    found = attack(rows={f"{SECRET}-{VICTIM}": 1, "m": 1, "n": 1, "o": 1})
    found.answered = {"m": [(201, 2)], "n": [(201, 2)], "o": [(201, 3)]}
    found.requested = dict.fromkeys(found.answered, HONEST)
    found._check_rows()
    assert found.tally.failures == [
        "n and m were acknowledged as one dislike, 2", "o was acknowledged as dislike 3, which is not there",
    ]  # fmt: skip


def test_a_victims_row_that_is_gone_and_a_traceback_are_failures() -> None:
    found = attack(rows={}, lines=["Traceback (most recent call last):"])
    found._check_rows()
    assert found.tally.num_failures == 2


def test_the_same_seed_makes_the_same_requests_and_another_one_others() -> None:
    def drawn(seed: int) -> list[bytes]:
        made: Requests = attack().requests
        made.rng.seed(seed)
        return [made.draw().as_bytes() for _ in range(300)]

    assert drawn(1) == drawn(1) != drawn(2)
    kinds = attack().requests
    assert {kinds.draw().kind for _ in range(300)} == {
        "headers", "bodies", "ids", "tokens", "methods", "paths", "cut", "honest", "of others",
    }  # fmt: skip


def test_a_report_counts_by_kind_and_outcome() -> None:
    tally = Tally()
    for outcome in ("4xx", "4xx", "2xx"):
        tally.add("ids", outcome)
    assert [line.split() for line in tally.lines()] == [["ids", "3", "2xx:", "1", "4xx:", "2"]]


def test_no_key_that_must_be_refused_is_a_right_one() -> None:
    made = attack().requests
    keys = [(dict(one.headers)[b"Authorization"], one.must_fail) for one in (made.tokens() for _ in range(500))]
    assert not [key for key, must_fail in keys if must_fail and key == f"Bearer {made.token}".encode()]
    assert sum(must_fail for _, must_fail in keys) > 450
