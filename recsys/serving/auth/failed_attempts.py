"""How often an address may fail to say who it is.

Secrets of 256 bits are not found by trying; what trying costs is look-ups, and the log. An address beyond the limit gets
429 in place of 401, and no look-up is made for a key that never held. A caller with credentials that hold is let in all
the same: many users may come from one address, and one of them must not lock out the others.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable

from limits import RateLimitItem

from recsys.serving.problems import Problem

MAX_ADDRESSES = 10_000  # remembered; the oldest goes first
IPV6_PREFIX = 64  # what one customer has


class FailedAttempts:
    """Counts failures per address in fixed windows, in this process.

    Args:
        limit: failures of a window; None: no limit.
        monotonic: a clock, in seconds.
    """

    def __init__(self, limit: RateLimitItem | None, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._monotonic = monotonic
        self._failed: OrderedDict[str, tuple[int, float]] = OrderedDict()  # network -> failures, end of the window

    def is_limited(self, address: str) -> bool:
        """Whether the next failure of this address is one too many."""
        if self._limit is None:
            return False
        count, ends_at = self._failed.get(_network(address), (0, 0.0))
        return count >= self._limit.amount and self._monotonic() < ends_at

    def count(self, address: str) -> Problem | None:
        """Counts a failure; the answer to one beyond the limit, else None."""
        if self._limit is None:
            return None
        now, network = self._monotonic(), _network(address)
        count, ends_at = self._failed.pop(network, (0, 0.0))
        if now >= ends_at:
            count, ends_at = 0, now + self._limit.get_expiry()
        self._failed[network] = (min(count + 1, self._limit.amount + 1), ends_at)
        while len(self._failed) > MAX_ADDRESSES:
            self._failed.popitem(last=False)
        return self._problem(ends_at - now) if count >= self._limit.amount else None

    def _problem(self, seconds: float) -> Problem:
        assert self._limit is not None
        wait_s = max(1, math.ceil(seconds))
        headers = {
            "Retry-After": str(wait_s),
            "RateLimit-Policy": f'"failures";q={self._limit.amount};w={self._limit.get_expiry()}',
            "RateLimit": f'"failures";r=0;t={wait_s}',
        }
        detail = (
            f"Expected at most {self._limit.amount} failed authentications per {self._limit.get_expiry()} s of one address, "
            f"got more. Send credentials that hold, or try again in {wait_s} s."
        )
        return Problem(429, "too-many-requests", detail, headers=headers)


def _network(address: str) -> str:
    """The address, or the network of an IPv6 address."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), IPV6_PREFIX), strict=False))
