"""Hostile text and bytes, drawn from a seed."""

from __future__ import annotations

import random

TEXTS = (
    "[/x]", "[red]", "\x1b[31m\x1b[2J", "\x9b2J", "\u202egpj.exe", "a\r\nb", "a\nrecsys.audit: erased",
    "\u2028", "%s%n{0}{{7*7}}", "' OR 1=1 --", "'; DROP TABLE items; --", '" or ""="', "../../etc/passwd",
    "..\\..\\x", "file:///etc/passwd", "C:\\x", "<script>alert(1)</script>", "=cmd|' /C calc'!A0", "+1+1",
    "@SUM(1)", "$(id)", "`id`", "|id", "ﷺ" * 166, "㌀" * 500, "漢" * 500, "e\u0301" * 200, "\ufb03" * 300,
    "🧑‍🤝‍🧑" * 40, "\u0130", "ß", "\ufeff", "\u200b", "\u3164", "\U000e0041", "\uffff", "\ud7ff", "nan", "NaN",
    "null", "None", "undefined", "true", "0", "-1", "1e999", "0x10", "٣", "tmdb:1", "title:x", "item:1", "a:b",
    "a|b", "a::b", "*", "_", "%", "%00", "%2e%2e%2f", "\\", "\\u0000", "__proto__", "constructor", "x" * 200,
    "x" * 201, "x" * 500, "x" * 501, "x" * 5_000, " ", "", "\t", "  padded  ", "a\x7fb", "\x01", "\x00",
)  # fmt: skip


def text(rng: random.Random) -> str:
    """One of the hostile texts, two joined, or characters at random."""
    drawn = rng.random()
    if drawn < 0.6:
        return rng.choice(TEXTS)
    if drawn < 0.8:
        return rng.choice(TEXTS) + rng.choice(TEXTS)
    ranges = (
        (0, 0x20),
        (0x20, 0x7F),
        (0x7F, 0xA0),
        (0xA0, 0x2FF),
        (0x2000, 0x2070),
        (0x4E00, 0x9FFF),
        (0x1F300, 0x1F6FF),
    )
    return "".join(chr(rng.randrange(*rng.choice(ranges))) for _ in range(rng.randrange(1, 60)))


def octets(rng: random.Random, most: int = 200) -> bytes:
    """Bytes that may be no text."""
    return bytes(rng.randrange(256) for _ in range(rng.randrange(1, most)))


def header_value(rng: random.Random) -> bytes:
    """A value for a header: without line breaks, mostly."""
    drawn = rng.random()
    if drawn < 0.5:
        value = text(rng).encode("utf-8", "surrogatepass")[:4_000]
    elif drawn < 0.8:
        value = octets(rng)
    else:
        value = rng.choice([b"x" * 9_000, b"x" * 70_000, b"", b"a, b", b"\x00", b"\xff" * 50, b"a;b=c", b'"'])
    return value if drawn > 0.95 else value.replace(b"\r", b"").replace(b"\n", b"")
