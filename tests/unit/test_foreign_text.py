"""What others wrote is inert wherever it is shown, and only where it is shown: nothing is lost on the way."""

from __future__ import annotations

import json
import logging
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.foreign_text import (
    OneRecord,
    in_chat,
    in_code,
    in_json,
    in_markdown,
    in_plot,
    set_in,
    shortened,
    visible,
)

HOSTILE = (
    '[/x]\x1b[31m\x9b1m\u202e\r\n- "forged" =cmd|x <script>alert(1)</script> ![i](http://h/p.png) <!channel> @here'
)
STEERS = {"Cc", "Zl", "Zp", "Cs"}  # controls, separators of lines and paragraphs, halves of characters
DIRECTIONS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
ANY_TEXT = st.text(st.characters(exclude_categories=()))


def steers(text: str) -> list[str]:
    """Characters that a terminal would act on."""
    return [one for one in text if unicodedata.category(one) in STEERS or unicodedata.bidirectional(one) in DIRECTIONS]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Alien (1979)", "Alien (1979)"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x9b31m", r"\x9b31m"),
        ("a\r\nb\tc\x7f", r"a\r\nb\tc\x7f"),
        ("\u202egnp.exe\u2066", r"\u202egnp.exe\u2066"),
        ("a\u2028b\x85c", r"a\u2028b\x85c"),
        ("\ud800 \U000e0041", r"\ud800 \U000e0041"),
        ("می‌خواهم 👩‍🚀 Amélie 七人の侍", "می‌خواهم 👩‍🚀 Amélie 七人の侍"),
        ("[red]:smile: `x` \\", "[red]:smile: `x` \\"),
    ],
)
def test_what_would_steer_a_terminal_is_written_out_and_the_rest_stays(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(ANY_TEXT)
def test_nothing_that_is_shown_steers(text: str) -> None:
    for shown in (visible(text), shortened(text, 20), in_markdown(text), in_code(text), in_plot(text)):
        assert steers(shown) == []
    assert set(steers(visible(text, keeps_lines=True))) <= {"\n"}
    assert all(line.startswith("    ") for line in set_in(text).split("\n")[1:])
    assert all(line.startswith("    ") for line in in_chat(text).split("\n")[1:])


@given(st.recursive(ANY_TEXT | st.none() | st.integers(), lambda x: st.lists(x) | st.dictionaries(ANY_TEXT, x)))
def test_json_says_the_same_on_one_line_that_steers_nothing(value: object) -> None:
    shown = in_json(json.dumps(value, ensure_ascii=False))
    assert json.loads(shown) == value
    assert steers(shown) == []
    assert len(shown.splitlines()) == 1


def test_markdown_of_others_is_text() -> None:
    shown = in_markdown(HOSTILE + " | a*b_c `d` ~~e~~ $f$ # g www.h.i j@k.l")
    assert not {"<", ">"} & set(shown)
    for sign in "[]*_`|~$#!":
        if sign != "!":
            assert shown.count(sign) == shown.count(f"\\{sign}") > 0, sign
    assert "://" not in shown
    assert "www." not in shown
    assert "k.l" in shown
    assert "j@k" not in shown
    assert in_code("a`b|c\n") == "`a'b/c\\n`"


def test_text_in_a_chat_mentions_nobody_and_hides_no_address() -> None:
    shown = in_chat("<!channel> <http://bad|http://good> @here & me\n- forged")
    assert shown == "&lt;!channel&gt; &lt;http://bad|http://good&gt; @\u2060here &amp; me\n    - forged"


def test_a_long_text_is_cut_and_says_how_long_it_was() -> None:
    assert shortened("a" * 201) == "a" * 200 + "... (201 characters)"
    assert shortened("a" * 200) == "a" * 200


def test_a_record_is_one_whatever_is_in_it() -> None:
    formatter = OneRecord("%(name)s: %(message)s")
    try:
        raise ValueError("no\nrecsys.audit: user erased\x1b[2J")
    except ValueError:
        record = logging.LogRecord("recsys", 40, "", 1, "refused %s", (HOSTILE,), sys.exc_info())
    lines = formatter.format(record).split("\n")
    assert lines[0].startswith("recsys: refused [/x]\\x1b[31m")
    assert all(line.startswith("    ") for line in lines[1:])
    assert "    recsys.audit: user erased\\x1b[2J" in lines
    assert set(steers("".join(lines))) == set()
