"""Who asks: an API key, or a user's own JSON Web Token. Both come as `Authorization: Bearer ...`.

`X-User-ID` names a user only together with a key that may speak for users; anybody else who sends it is refused, unless it
names the token's own user.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio.to_thread

from recsys.serving.auth.tokens import TokenVerifier
from recsys.serving.problems import FieldError, Problem, forbidden, invalid, shown, unauthorized
from recsys.store import FeedbackStore
from recsys.store.api_keys import ApiKey, Scope, find_key, split_token

MAX_USER_ID = 200
USER_HEADER = re.compile(r"[!-~]{1,200}\Z")  # printable ASCII without spaces: a header carries nothing else safely
MAX_CACHED_KEYS = 1_000
HOW = "send `Authorization: Bearer <API key>` (made by `recsys api-key create`) or a user's own JWT"


@dataclass(frozen=True)
class Caller:
    """Who asks, and for whom.

    Attributes:
        user_id: the user spoken for; None: a key that named none.
        key_id: the API key; None: a user's own token.
        scopes: of the key.
    """

    user_id: str | None
    key_id: str | None = None
    scopes: frozenset[Scope] = field(default_factory=frozenset)

    @property
    def is_trusted(self) -> bool:
        """Whether this is the product's own server, whose numbers about a user are believed."""
        return Scope.ACT_FOR_USERS in self.scopes

    @property
    def name(self) -> str:
        """For the audit."""
        return f"key {self.key_id}" if self.key_id else "the user"

    def require_user(self) -> str:
        """The user spoken for; a 403 without one."""
        if self.user_id is not None:
            return self.user_id
        if self.is_trusted:
            missing = FieldError("header", "X-User-ID", "the user this is about", "nothing")
            raise forbidden("Expected X-User-ID to say which user this API key speaks for, got none.", [missing])
        raise forbidden(f"Expected a key with the scope {Scope.ACT_FOR_USERS}, got key {self.key_id} without it.")

    def require(self, scope: Scope) -> None:
        """A 403 without this scope."""
        if scope not in self.scopes:
            raise forbidden(f"Expected an API key with the scope {scope}, got {self.name} without it.")


class KeyCache:
    """API keys as the database had them a moment ago.

    A revoked key ends within `keeps_s`. Unknown ids are remembered too, so that a wrong key costs one look-up.
    """

    def __init__(self, store: FeedbackStore, keeps_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._keeps_s = keeps_s
        self._monotonic = monotonic
        self._found: OrderedDict[str, tuple[float, ApiKey | None]] = OrderedDict()
        self._looking: dict[str, asyncio.Task[ApiKey | None]] = {}
        self._held: OrderedDict[str, None] = OrderedDict()  # ids of keys with which somebody came in

    async def get(self, key_id: str) -> ApiKey | None:
        """The key with this id, revoked or not."""
        kept = self._found.get(key_id)
        if kept is not None and self._monotonic() < kept[0]:
            return kept[1]
        task = self._looking.get(key_id)  # many requests of one server: one of them looks, the others wait for it
        if task is None:
            task = asyncio.create_task(self._look_up(key_id))
            self._looking[key_id] = task
            task.add_done_callback(lambda _: self._looking.pop(key_id, None))
        return await asyncio.shield(task)

    def note_held(self, key_id: str) -> None:
        """Remembers that somebody came in with this key."""
        self._held[key_id] = None
        self._held.move_to_end(key_id)
        while len(self._held) > MAX_CACHED_KEYS:
            self._held.popitem(last=False)

    def has_held(self, key_id: str) -> bool:
        """Whether somebody came in with this key."""
        return key_id in self._held

    async def _look_up(self, key_id: str) -> ApiKey | None:
        now = self._monotonic()
        key = await anyio.to_thread.run_sync(self._read, key_id)
        # Counted from before the look-up: what it read may be as old as that.
        self._found[key_id] = (now + self._keeps_s, key)
        self._found.move_to_end(key_id)
        while len(self._found) > MAX_CACHED_KEYS:
            self._found.popitem(last=False)
        return key

    def _read(self, key_id: str) -> ApiKey | None:
        with self._store.database.reading() as connection:
            return find_key(connection, key_id)


class Identity:
    """Tells who asks from the headers of a request."""

    def __init__(self, keys: KeyCache, tokens: TokenVerifier) -> None:
        self._keys = keys
        self._tokens = tokens

    async def identify(self, authorization: str | None, user_header: str | None, *, is_limited: bool = False) -> Caller:
        """Who asks. `is_limited`: after too many failures, where no key is looked up that never held.

        Raises:
            Problem: 401 without credentials or with wrong ones, 403 for a user who may not be spoken for, 422 for an
                X-User-ID that is none.
        """
        scheme, _, token = (authorization or "").strip().partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise unauthorized(f"Expected a bearer token, got none: {HOW}.")
        token = token.strip()
        parts = split_token(token)
        if parts is None:
            return self._of_user(self._tokens.user_of(token), user_header)
        may_look_up = not is_limited or self._keys.has_held(parts[0])
        key = await self._keys.get(parts[0]) if may_look_up else None
        if key is None or not key.accepts(parts[1]):
            raise unauthorized(
                "Expected an API key that holds, got one that is unknown or revoked: `recsys api-key list` shows them.",
                "invalid_token",
            )
        self._keys.note_held(key.key_id)
        return _of_key(key, user_header)

    def _of_user(self, user_id: str, user_header: str | None) -> Caller:
        if user_header is not None and user_header != user_id:
            raise _refused(user_header, "your own id: a user's token speaks for that user only")
        return Caller(user_id)


def _of_key(key: ApiKey, user_header: str | None) -> Caller:
    if user_header is None:
        return Caller(None, key.key_id, key.scopes)
    if Scope.ACT_FOR_USERS not in key.scopes:
        raise _refused(user_header, f"left out: key {key.key_id} has no scope {Scope.ACT_FOR_USERS}")
    if not USER_HEADER.match(user_header):
        raise invalid("header", "X-User-ID", "1 to 200 printable ASCII characters without spaces", user_header)
    return Caller(user_header, key.key_id, key.scopes)


def _refused(user_header: str, expected: str) -> Problem:
    error = FieldError("header", "X-User-ID", expected, shown(user_header))
    return forbidden(f"Expected X-User-ID to be {expected}, got {error.received}.", [error])
