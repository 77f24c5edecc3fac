"""How many requests a user and an API key may make, counted by the `limits` library in fixed windows."""

from __future__ import annotations

import logging
import math
import time

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, Storage
from limits.aio.strategies import FixedWindowRateLimiter
from limits.errors import ConfigurationError, StorageError
from limits.storage import storage_from_string

from recsys.errors import InputError
from recsys.serving.auth.identity import Caller
from recsys.serving.config import ServingConfig
from recsys.serving.problems import Problem

NO_LIMIT = "none"
SWEEP_S = 10.0
# redis-py, since the library's other client does not work with the newest coredis; nobody waits long for a count.
REDIS_OPTIONS: dict[str, float | str | bool] = {
    "implementation": "redispy", "socket_timeout": 0.5, "socket_connect_timeout": 0.5,
}  # fmt: skip
log = logging.getLogger(__name__)


class SweptMemoryStorage(MemoryStorage):
    """Counters in this process. The library's own looks through all of them at every request; here, now and then."""

    STORAGE_SCHEME = ["async+swept-memory"]  # noqa: RUF012 - as the library declares it
    _swept_at = 0.0

    async def _MemoryStorage__schedule_expiry(self) -> None:  # overrides a private name
        if time.monotonic() - self._swept_at >= SWEEP_S:
            self._swept_at = time.monotonic()
            await super()._MemoryStorage__schedule_expiry()  # type: ignore[misc]


class RateLimits:
    """Counts requests and refuses those beyond the limits.

    If the storage cannot be reached, this process counts for itself until it can: a dislike is worth more than an exact
    count.

    Raises:
        InputError: if a limit or the storage is not what was expected.
    """

    def __init__(self, config: ServingConfig) -> None:
        self._user = parse_limit("RECSYS_RATE_LIMIT_PER_USER", config.rate_limit_per_user)
        self._key = parse_limit("RECSYS_RATE_LIMIT_PER_KEY", config.rate_limit_per_key)
        self._shared = FixedWindowRateLimiter(_storage(config.rate_limit_url))
        self._own = FixedWindowRateLimiter(SweptMemoryStorage())
        self._warned_at = -math.inf

    async def count(self, caller: Caller) -> None:
        """Counts one request.

        Raises:
            Problem: 429, saying when to come back.
        """
        if self._key is not None and caller.key_id is not None:
            await self._hit(self._key, "key", caller.key_id)
        if self._user is not None and caller.user_id is not None:
            await self._hit(self._user, "user", caller.user_id)

    async def _hit(self, limit: RateLimitItem, what: str, who: str) -> None:
        try:
            await _hit(self._shared, limit, what, who)
        except StorageError as error:
            self._warn(error)
            await _hit(self._own, limit, what, who)

    def _warn(self, error: StorageError) -> None:
        if time.monotonic() - self._warned_at >= SWEEP_S:
            self._warned_at = time.monotonic()
            log.warning("rate limits are counted in this process only: %s", error.storage_error)


async def _hit(limiter: FixedWindowRateLimiter, limit: RateLimitItem, what: str, who: str) -> None:
    if await limiter.hit(limit, what, who):
        return
    window = await limiter.get_window_stats(limit, what, who)
    wait_s = max(1, math.ceil(window.reset_time - time.time()))
    headers = {
        "Retry-After": str(wait_s),
        "RateLimit-Policy": f'"{what}";q={limit.amount};w={limit.get_expiry()}',
        "RateLimit": f'"{what}";r=0;t={wait_s}',
    }
    detail = f"Expected at most {limit.amount} requests per {limit.get_expiry()} s of one {what}, got more."
    raise Problem(429, "too-many-requests", f"{detail} Try again in {wait_s} s.", headers=headers)


def parse_limit(name: str, text: str) -> RateLimitItem | None:
    """A limit such as 300/minute; None for `none`. InputError, naming the setting, for anything else."""
    if text.strip().lower() == NO_LIMIT:
        return None
    try:
        limit = parse(text)
    except ValueError as error:
        raise InputError(f"Expected {name} such as 300/minute, or {NO_LIMIT}, got {text!r}.") from error
    if limit.amount < 1:
        raise InputError(f"Expected {name} to allow at least 1 request, got {text!r}; {NO_LIMIT} switches it off.")
    return limit


def _storage(url: str) -> Storage:
    if url.startswith("memory://"):
        return SweptMemoryStorage()
    scheme = url.partition(":")[0]
    try:
        options = REDIS_OPTIONS if scheme.startswith("redis") else {}
        storage = storage_from_string(f"async+{url}", wrap_exceptions=True, **options)
    except ConfigurationError as error:
        raise InputError(
            f"Expected RECSYS_RATE_LIMIT_URL such as memory:// or redis://host:6379, got the kind {scheme!r}, which the "
            "package limits cannot use here; Redis needs the package redis."
        ) from error  # whose text may hold the password
    assert isinstance(storage, Storage)
    return storage
