"""Requests are counted per user and per key."""

from __future__ import annotations

import asyncio

import pytest

from recsys.errors import InputError
from recsys.serving.auth.identity import Caller
from recsys.serving.auth.rate_limits import RateLimits, SweptMemoryStorage
from recsys.serving.config import ServingConfig
from recsys.serving.problems import Problem


def allowed(limits: RateLimits, *callers: Caller) -> list[bool]:
    """Whether each of these requests, one after the other, is allowed."""

    async def one(caller: Caller) -> bool:
        refused: Problem | None = None
        try:
            await limits.count(caller)
        except Problem as problem:
            refused = problem
        if refused is not None:
            assert refused.status == 429
            assert int(refused.headers["Retry-After"]) >= 1
            assert "r=0" in refused.headers["RateLimit"]
        return refused is None

    async def every() -> list[bool]:
        return [await one(caller) for caller in callers]

    return asyncio.run(every())


def test_a_user_is_stopped_and_others_are_not() -> None:
    limits = RateLimits(ServingConfig(rate_limit_per_user="2/hour", rate_limit_per_key="none"))
    ann, bob = Caller("ann", "k"), Caller("bob", "k")
    assert allowed(limits, ann, ann, ann, bob, Caller("ann")) == [True, True, False, True, False]


def test_a_key_is_stopped_over_all_its_users() -> None:
    limits = RateLimits(ServingConfig(rate_limit_per_user="none", rate_limit_per_key="2/hour"))
    callers = [Caller("ann", "k"), Caller("bob", "k"), Caller("cem", "k"), Caller(None, "k"), Caller("ann", "other")]
    assert allowed(limits, *callers, Caller("ann")) == [True, True, False, False, True, True]


def test_limits_can_be_switched_off() -> None:
    limits = RateLimits(ServingConfig(rate_limit_per_user="none", rate_limit_per_key=" None "))
    assert all(allowed(limits, *[Caller("ann", "k")] * 1000))


def test_the_window_passes() -> None:
    limits = RateLimits(ServingConfig(rate_limit_per_user="1/second"))
    answers = allowed(limits, *[Caller("ann")] * 2)
    while not (again := allowed(limits, Caller("ann"))[0]):
        answers.append(again)
    assert answers[:2] == [True, False]


def test_without_its_storage_this_process_counts_for_itself(caplog: pytest.LogCaptureFixture) -> None:
    class Away(SweptMemoryStorage):
        STORAGE_SCHEME = ["async+away"]  # noqa: RUF012

        async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
            raise ValueError("Connection refused")

    limits = RateLimits(ServingConfig(rate_limit_url="away://", rate_limit_per_user="1/hour"))
    assert allowed(limits, Caller("ann"), Caller("ann"), Caller("bob")) == [True, False, True]
    assert "counted in this process only: Connection refused" in caplog.text


@pytest.mark.parametrize("text", ["", "many", "10", "10/fortnight", "0/second", "-1/second"])
def test_a_limit_that_is_none(text: str) -> None:
    with pytest.raises(InputError, match="RECSYS_RATE_LIMIT_PER_USER"):
        RateLimits(ServingConfig(rate_limit_per_user=text))


@pytest.mark.parametrize("url", ["nowhere", "ftp://user:password@host", ""])
def test_a_storage_that_is_none(url: str) -> None:
    with pytest.raises(InputError, match="RECSYS_RATE_LIMIT_URL") as caught:
        RateLimits(ServingConfig(rate_limit_url=url))
    assert "password" not in str(caught.value)
