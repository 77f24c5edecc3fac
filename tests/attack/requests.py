"""Hostile requests: headers, bodies, ids, tokens, methods and paths. The same seed makes the same ones."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from tests.attack.strings import header_value, octets, text
from tests.attack.wire import Request

REASONS = ("wrong_genre", "poor_quality", "not_interested", "tired_of_franchise", "already_watched", "unspecified")
PATHS = (
    "/api/dislike", "/api/dislike-history", "/api/dislike/1", "/api/dislike-patterns", "/api/feedback-metrics", "/metrics",
    "/api/interactions", "/api/recommendations", "/api/users/x", "/api/items/film-1", "/api/exclusions",
    "/api/exclusions/film-1", "/healthz", "/readyz", "/openapi.json", "/docs",
)  # fmt: skip
PUBLIC = ("/healthz", "/readyz", "/openapi.json", "/docs")
NAMES = (
    b"X-User-ID", b"Authorization", b"Idempotency-Key", b"Content-Type", b"Host", b"Cookie", b"X-Forwarded-For", b"Range",
    b"Accept", b"Accept-Encoding", b"Transfer-Encoding", b"Content-Length", b"Content-Encoding", b"Expect", b"Upgrade",
    b"Connection", b"Origin", b"Referer", b"User-Agent", b"If-Match", b"X-HTTP-Method-Override", b"Forwarded", b"TE",
    b"X-" + b"a" * 300,
)  # fmt: skip


@dataclass
class Requests:
    """Makes them.

    Attributes:
        rng: of all choices.
        token: a key that may speak for users.
        weak: one that may not.
        victims: users whose data nobody else may see, and the dislikes that are theirs.
        prefix: of every mark.
    """

    rng: random.Random
    token: str
    weak: str
    victims: dict[str, int]
    prefix: str
    num_marks: int = field(default=0)

    def draw(self) -> Request:
        """The next request, of a kind at random."""
        kinds: list[Callable[[], Request]] = [
            self.headers, self.bodies, self.ids, self.tokens, self.methods, self.paths, self.cut, self.honest, self.of_others,
        ]  # fmt: skip
        return self.rng.choice(kinds)()

    # Kinds

    def honest(self) -> Request:
        """What a product sends, between the others: it must be stored, once."""
        return self._dislike(
            "honest", {"reason": self.rng.choice(REASONS), "item_id": f"film-{self.rng.randrange(30)}"}
        )

    def headers(self) -> Request:
        """A good request with one to three headers that are not, or very many."""
        good = self._dislike("headers", {"movie_title": "A film"})
        if self.rng.random() < 0.1:
            more = tuple((b"X-%d" % n, b"v") for n in range(self.rng.choice([50, 150, 2_000])))
        else:
            more = tuple((self.rng.choice(NAMES), header_value(self.rng)) for _ in range(self.rng.randrange(1, 4)))
        mixed = [*good.headers, *more]
        self.rng.shuffle(mixed)
        return replace(good, headers=tuple(mixed), user="", is_slow=True)

    def bodies(self) -> Request:
        """A body that is no JSON, no object, too large, too deep, or not what its length says."""
        good = self._dislike("bodies", {"movie_title": "A film"})
        if self.rng.random() < 0.1:
            chunks = [b"5\r\nabcde\r\n0\r\n\r\n", b"zz\r\n", b"-1\r\n\r\n", b"ffffffffffffffff\r\nx"]
            headers = (*good.headers, (b"Transfer-Encoding", b"chunked"))
            return replace(
                good, headers=headers, has_length=self.rng.random() < 0.5, body=self.rng.choice(chunks), is_slow=True
            )
        return replace(good, body=self.rng.choice([self._damaged, self._other_json, self._wrong_value])(good.body))

    def _damaged(self, body: bytes) -> bytes:
        at = self.rng.randrange(len(body))
        return self.rng.choice([
            body[:at] + octets(self.rng, 2) + body[at + 1 :], body[:at], body[:at] + octets(self.rng) + body[at:],
            body.decode().encode(self.rng.choice(["utf-16", "utf-16-le", "utf-32", "utf-8-sig"])),
            b"", b"\x00", body + body, body + b"\x00", b"\xff" + body,
        ])  # fmt: skip

    def _other_json(self, body: bytes) -> bytes:
        return self.rng.choice([
            b"[" * self.rng.choice([100, 10_000, 100_000]), b'{"a":' * 10_000 + b"1" + b"}" * 10_000, b"null", b"5", b"[]",
            b'""', b"NaN", b"Infinity", b"{}", b"true", body[:-1] + b"," + body[1:],  # every field twice
            b'{"movie_title": "' + b"x" * self.rng.choice([130_000, 1_100_000]) + b'"}',
        ])  # fmt: skip

    def _wrong_value(self, body: bytes) -> bytes:
        name = self.rng.choice(["movie_id", "predicted_score", "recommendation_set_id", text(self.rng)])
        values = [1e308, -1, 2**63, 2**64, 10**400, "5", None, [], {}, True, 0.5, -0.0, text(self.rng)]
        return json.dumps(json.loads(body) | {name: self.rng.choice(values)}).encode()

    def ids(self) -> Request:
        """Hostile text as an id, a title, a genre, a name, a user: what the schema takes is stored, the rest is refused."""
        fields: dict[str, Any] = {
            "item_id": text(self.rng), "movie_title": text(self.rng), "genres": [text(self.rng) for _ in range(3)],
            "cast": [text(self.rng)], "created_at": text(self.rng), "reason": text(self.rng),
        }  # fmt: skip
        chosen = {name: fields[name] for name in self.rng.sample(sorted(fields), self.rng.randrange(1, 4))}
        if not {"item_id", "movie_title"} & set(chosen):
            chosen["movie_title"] = text(self.rng)
        if self.rng.random() < 0.3:
            chosen = {name: value for name, value in chosen.items() if name in {"movie_title", "genres", "cast"}}
        return self._dislike("ids", chosen or {"movie_title": text(self.rng)})

    def tokens(self) -> Request:
        """A key that is wrong in one way: it must be refused wherever a key is needed."""
        token = self.token
        at = self.rng.randrange(len(token))
        other = self.rng.choice("abcXYZ019-_")
        # Not drawn anew: how much is drawn may not depend on the key, which differs from run to run.
        other = "~" if other == token[at] else other
        wrong: list[bytes] = [
            f"Bearer {token[:at]}{other}{token[at + 1 :]}".encode(), f"Bearer {token[:-1]}".encode(),
            f"Bearer {token}x".encode(),
            f"Bearer {token[:at]}".encode(), f"Basic {token}".encode(), token.encode(), b"Bearer", b"Bearer ", b"",
            f"Bearer {token.swapcase()}".encode(), f"Bearer {token}, Bearer {token}".encode(), b"Bearer " + octets(self.rng),
            b"Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ2aWN0aW0ifQ.", f"Bearer {token}\x00".encode(), f"Token {token}".encode(),
            f"Bearer {self.weak}".encode(), b"Bearer " + text(self.rng).encode("utf-8", "surrogatepass")[:500],
        ]  # fmt: skip
        drawn = self.rng.choice(wrong).replace(b"\r", b"").replace(b"\n", b"")
        user = self.rng.choice(sorted(self.victims))
        path = self.rng.choice(
            [one for one in PATHS if one not in PUBLIC and one not in {"/metrics", "/api/feedback-metrics"}]
        )
        method, body = (
            (b"POST", b'{"movie_title": "x"}') if path in {"/api/dislike", "/api/interactions"} else (b"GET", b"")
        )
        headers = ((b"Authorization", drawn), (b"X-User-ID", user.encode()), (b"Content-Type", b"application/json"))
        is_same = drawn.removeprefix(b"Bearer ").strip() == token.encode()
        return Request("tokens", method, path.encode(), headers, body, must_fail=not is_same)

    def methods(self) -> Request:
        """Methods that the API has not, and paths that want another one."""
        method = self.rng.choice([
            b"TRACE", b"CONNECT", b"OPTIONS", b"HEAD", b"PATCH", b"PROPFIND", b"get", b"G\x00T", b"X" * 3_000, b"PUT",
            b"DELETE", b"POST", b"GET", b"PRI", octets(self.rng, 12).translate(None, b" \r\n"),
        ])  # fmt: skip
        path = self.rng.choice([path for path in PATHS if path != "/api/users/x"])
        return Request("methods", method, path.encode(), self._good(), is_slow=True)

    def paths(self) -> Request:
        """Paths and queries that lead elsewhere."""
        base = self.rng.choice(PATHS)
        hostile = quote(text(self.rng).encode("utf-8", "surrogatepass"))
        value = quote(text(self.rng).encode("utf-8", "surrogatepass"))
        path = self.rng.choice([
            f"{base}/{hostile}", f"{base}?{hostile}", f"{base}?k={value}&limit={value}&cursor={value}&scope={value}",
            f"/{base}",
            f"{base}/../{hostile}", f"{base}%00", f"{base}%2f..%2f..", f"http://evil{base}", f"{base}#{hostile}", "*", "/", "",
            f"{base}?" + "a=b&" * 3_000, "/" + "a" * self.rng.choice([3_000, 70_000]), f"/api/items/{hostile}",
            f"/api/exclusions/{hostile}", f"/api/dislike/{value}",
            f"/api/recommendations?k={self.rng.choice([0, -1, 10**30, 'x'])}",
            f"/api/dislike-history?limit=1&cursor={self.rng.choice([0, 2**63, 10**18, -5])}",
        ]).encode()  # fmt: skip
        if self.rng.random() < 0.1:
            path += octets(self.rng, 20).translate(None, b" \r\n")
        return Request("paths", b"GET", path, self._good(), is_slow=True)

    def cut(self) -> Request:
        """A request whose end never comes: recorded once, or not at all."""
        return replace(self._dislike("cut", {"movie_title": "A film"}), is_cut=True, is_slow=True)

    def of_others(self) -> Request:
        """A stranger asks for what belongs to a victim, with a good key and in their own name."""
        victim, number = self.rng.choice(sorted(self.victims.items()))
        user = f"stranger-{self.rng.randrange(20)}"
        path, method = self.rng.choice([
            (f"/api/dislike/{number}", b"DELETE"), (f"/api/dislike-history?limit=100&cursor={number + 1}", b"GET"),
            ("/api/dislike-history?limit=100", b"GET"), ("/api/recommendations?k=20", b"GET"), ("/api/exclusions", b"GET"),
            ("/api/dislike-patterns", b"GET"), (f"/api/dislike-patterns?user_id={victim}", b"GET"),
            (f"/api/dislike-history?user_id={victim}", b"GET"),
        ])  # fmt: skip
        if f"user_id={victim}" in path:  # what is repeated to whoever sent it is no leak
            path = path.replace(victim, "victim")
        headers = ((b"Authorization", f"Bearer {self.token}".encode()), (b"X-User-ID", user.encode()))
        return Request("of others", method, path.encode(), headers, user=user)

    # Parts

    def _good(self) -> tuple[tuple[bytes, bytes], ...]:
        user = f"guest-{self.rng.randrange(50)}"
        return (b"Authorization", f"Bearer {self.token}".encode()), (b"X-User-ID", user.encode())

    def _dislike(self, kind: str, fields: dict[str, Any]) -> Request:
        self.num_marks += 1
        mark, user = f"{self.prefix}-mark-{self.num_marks}", f"guest-{self.rng.randrange(50)}"
        key = f"{self.prefix}-key-{self.num_marks}"
        headers = (
            (b"Authorization", f"Bearer {self.token}".encode()), (b"X-User-ID", user.encode()),
            (b"Idempotency-Key", key.encode()), (b"Content-Type", b"application/json"),
        )  # fmt: skip
        body = json.dumps({"reason": "unspecified", **fields, "feedback_text": mark}).encode()
        return Request(kind, b"POST", b"/api/dislike", headers, body, mark=mark, user=user)
