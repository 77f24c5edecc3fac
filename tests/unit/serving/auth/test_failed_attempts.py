"""Failures of authentication by address: windows, networks, and a memory that does not grow."""

from __future__ import annotations

from limits import parse

from recsys.serving.auth.failed_attempts import MAX_ADDRESSES, FailedAttempts


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_window_ends_and_begins_anew() -> None:
    clock = Clock()
    failures = FailedAttempts(parse("2/minute"), clock)
    assert [failures.count("192.0.2.1") is None for _ in range(3)] == [True, True, False]
    assert failures.is_limited("192.0.2.1")
    assert not failures.is_limited("192.0.2.2")
    clock.now = 45.5
    refused = failures.count("192.0.2.1")
    assert refused is not None
    assert (refused.status, refused.headers["Retry-After"]) == (429, "15")
    clock.now = 60.0
    assert not failures.is_limited("192.0.2.1")
    assert failures.count("192.0.2.1") is None


def test_many_addresses_take_no_more_memory_than_some() -> None:
    failures = FailedAttempts(parse("1/hour"), Clock())
    for number in range(MAX_ADDRESSES + 500):
        failures.count(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(failures._failed) == MAX_ADDRESSES
    assert not failures.is_limited("10.0.0.0")
    assert failures.is_limited(f"10.0.{MAX_ADDRESSES >> 8}.0")


def test_what_one_customer_has_of_ipv6_is_one_address() -> None:
    failures = FailedAttempts(parse("1/hour"), Clock())
    failures.count("2001:db8::1")
    assert failures.is_limited("2001:db8::ffff:2")
    assert not failures.is_limited("2001:db8:0:1::1")
    failures.count("::ffff:192.0.2.1")
    assert failures.is_limited("192.0.2.1")
    failures.count("x" * 10_000)
    assert failures.is_limited("x" * 64)


def test_without_a_limit_nothing_is_counted() -> None:
    failures = FailedAttempts(None, Clock())
    assert [failures.count("192.0.2.1") for _ in range(1_000)] == [None] * 1_000
    assert not failures.is_limited("192.0.2.1")
