"""Text that is not ours: what users, products and files sent, made inert where it is shown. Standard library only.

Titles, genres, ids, notes and messages of others are stored exactly as they came. Where they are shown, each kind of
surface has one function here:

    visible        a terminal, a line of a log: no control character, no text direction, no second line
    in_markdown    pages of MLflow and Airflow, and Markdown files: nothing is a heading, a link, an image or HTML
    in_html        Data Docs, which escape nothing
    in_plot        labels and titles of pictures by Plotly
    in_chat        the text of an alert: nothing mentions a channel, and no link hides where it goes
    in_json        JSON that a terminal may show: the same values, with what could steer a terminal as an escape
    OneRecord      log records: whatever a message or a traceback holds, no line of it looks like a record of its own

HTML pages of ours are made by Jinja with escaping on.
"""

from __future__ import annotations

import logging
import re

LIMIT = 200  # characters of a stranger's text in a message
# C0 and C1 controls and DEL; marks and overrides of text direction; separators of lines; what has no width or no character.
# Zero-width joiners (U+200C, U+200D) stay: Persian, Hindi and emoji are written with them.
UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
UNSEEN_BUT_LINES = re.compile(f"(?!\n){UNSEEN.pattern}")
NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
MARKDOWN = re.compile(r"[\\`*_{}\[\]|~#$]")
JOINER = "\u2060"  # word joiner: has no width, and neither a link nor a mention goes on behind it
LINKS = re.compile(r"(?<=:)(?=//)|(?<=@)(?=[^\W\d])|(?<=www)(?=\.)", re.IGNORECASE)
MENTIONS = re.compile(r"(?<=@)(?=[^\W\d])")
IN_HTML = re.compile(f"[&<>\"'$`]|{UNSEEN.pattern}")
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def visible(text: str, *, keeps_lines: bool = False) -> str:
    r"""The text with every control character written out: `\x1b`, `\n`, `\u202e`.

    Args:
        text: of anybody.
        keeps_lines: line feeds stay: of a text of several lines that is ours, with values of others in it.
    """
    return (UNSEEN_BUT_LINES if keeps_lines else UNSEEN).sub(_written_out, text)


def shortened(text: str, limit: int = LIMIT) -> str:
    """Visible text of at most so many characters, and how many there are if there are more."""
    return visible(text) if len(text) <= limit else f"{visible(text[:limit])}... ({len(text):,} characters)"


def in_markdown(text: str) -> str:
    """The text as Markdown that shows it: in a sentence, an entry of a list or a cell of a table."""
    escaped = MARKDOWN.sub(lambda found: f"\\{found[0]}", _entities(visible(text)))
    return LINKS.sub(JOINER, escaped)


def in_code(text: str) -> str:
    """The text as Markdown's code, between backticks; also in a cell of a table."""
    return f"`{visible(text).replace('`', chr(39)).replace('|', '/')}`"


def in_html(text: str) -> str:
    """The text in the HTML of a program that escapes nothing; two texts that differ stay different."""
    return IN_HTML.sub(lambda found: f"&#x{ord(found[0]):x};", text)


def in_plot(text: str) -> str:
    """The text as a label of Plotly's, which reads some HTML."""
    return _entities(visible(text))


def in_chat(text: str) -> str:
    """The text as Slack and its like show it, lines after the first set in. An address stays one: it shows where it goes."""
    return MENTIONS.sub(JOINER, _entities(set_in(text)))


def set_in(text: str) -> str:
    """Visible text of several lines of which only the first begins at the left margin."""
    return visible(text, keeps_lines=True).replace("\n", "\n    ")


def in_json(text: str) -> str:
    """JSON with the same values, on one line for whoever splits it into lines, and nothing in it that steers a terminal."""
    return UNSEEN.sub(_as_json, text)


class OneRecord(logging.Formatter):
    """Formats log records so that only a record begins at the left margin; the rest of it is set in."""

    def format(self, record: logging.LogRecord) -> str:
        """The record, its further lines and its traceback below it."""
        return set_in(super().format(record))


def log_to_stderr(level: int) -> None:
    """Makes `OneRecord` the format of this process's log, unless it has handlers already."""
    handler = logging.StreamHandler()
    handler.setFormatter(OneRecord("%(name)s: %(message)s"))
    logging.basicConfig(handlers=[handler], level=level)


def _written_out(found: re.Match[str]) -> str:
    character = found[0]
    code = ord(character)
    if character in NAMED:
        return NAMED[character]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _as_json(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def _entities(text: str) -> str:
    return "".join(ENTITIES.get(character, character) for character in text)
