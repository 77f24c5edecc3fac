"""How the feedback API works: limits, identity, waiting times."""

from __future__ import annotations

import ipaddress
import math
from dataclasses import dataclass, field
from pathlib import Path

from recsys.errors import InputError
from recsys.settings import ApiSettings

MAX_TIMEOUT_S = 3_600


@dataclass(frozen=True)
class ServingConfig:
    """One service's configuration.

    Attributes:
        jwt_secret: of users' tokens signed with HS256; empty: none are accepted.
        jwt_public_key: PEM of the key that signs users' tokens, or the path of its file; empty: none are accepted.
        jwt_audience: `aud` that a token must have; empty: a token must have none.
        jwt_issuer: `iss` that a token must have; empty: any.
        rate_limit_url: storage of the counters, as the `limits` library names it.
        rate_limit_per_user: such as `300/minute`, or `none`.
        rate_limit_per_key: the same for an API key, over all its users.
        rate_limit_failures: failed authentications of one address, such as `60/minute`, or `none`.
        trusted_proxies: addresses and networks whose `X-Forwarded-For` is believed.
        headers_timeout_s: in which a request's line and headers must come.
        body_timeout_s: in which its body must come after that.
        key_cache_s: for so long a looked-up API key is believed: a revoked one ends within it.
        max_body_bytes: of one request; the largest dislike that the schema allows fits, however it is escaped.
        max_batch_bytes: the same for many interactions at once.
        max_clock_skew_s: a client's clock may be ahead by so much; its times then count as now.
        retry_after_s: what a client is asked to wait when the database is away.
        num_threads: for what waits on the database; with the writer's connection within the pool's 15.
        metrics_folder: where several workers keep their counters together; None: one worker.
    """

    jwt_secret: str = field(default="", repr=False)
    jwt_public_key: str = ""
    jwt_audience: str = ""
    jwt_issuer: str = ""
    rate_limit_url: str = field(default="memory://", repr=False)
    rate_limit_per_user: str = "300/minute"
    rate_limit_per_key: str = "60000/minute"
    rate_limit_failures: str = "60/minute"
    trusted_proxies: tuple[str, ...] = ()
    headers_timeout_s: float = 10.0
    body_timeout_s: float = 30.0
    key_cache_s: float = 2.0
    max_body_bytes: int = 128 * 1024
    max_batch_bytes: int = 1024 * 1024
    max_clock_skew_s: float = 60.0
    retry_after_s: int = 5
    num_threads: int = 12
    metrics_folder: Path | None = None

    @classmethod
    def of(cls, settings: ApiSettings, metrics_folder: Path | None = None) -> ServingConfig:
        """The configuration for the addresses and secrets of an environment.

        Raises:
            InputError: if a time or an address is not what was expected.
        """
        return cls(
            jwt_secret=settings.jwt_secret, jwt_public_key=settings.jwt_public_key,
            jwt_audience=settings.jwt_audience, jwt_issuer=settings.jwt_issuer,
            rate_limit_url=settings.rate_limit_url, rate_limit_per_user=settings.rate_limit_per_user,
            rate_limit_per_key=settings.rate_limit_per_key, rate_limit_failures=settings.rate_limit_failures,
            trusted_proxies=_networks(settings.trusted_proxies),
            headers_timeout_s=_seconds("RECSYS_HEADERS_TIMEOUT_S", settings.headers_timeout_s),
            body_timeout_s=_seconds("RECSYS_BODY_TIMEOUT_S", settings.body_timeout_s), metrics_folder=metrics_folder,
        )  # fmt: skip

    @property
    def has_jwt(self) -> bool:
        """Whether users' own tokens are accepted."""
        return bool(self.jwt_secret or self.jwt_public_key)


def _seconds(name: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= MAX_TIMEOUT_S:
        raise InputError(f"Expected {name} to be seconds from 0 to {MAX_TIMEOUT_S}, got {text[:40]!r}.")
    return seconds


def _networks(text: str) -> tuple[str, ...]:
    """Addresses and networks, separated by commas."""
    named = tuple(part.strip() for part in text.split(",") if part.strip())
    for one in named:
        try:
            ipaddress.ip_network(one)
        except ValueError as error:
            raise InputError(
                f"Expected RECSYS_TRUSTED_PROXIES to be addresses or networks such as 10.0.0.0/8,::1, got {one[:60]!r}."
            ) from error
    return named
