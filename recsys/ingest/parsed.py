"""What every reader hands to the writer: checked items and feedback, and what was wrong with the files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from recsys.errors import InputError
from recsys.ingest.raw_table import MAX_REFUSED_SHOWN, RawTable, Refused
from recsys.records import Item

LIKE, DISLIKE, SEEN = "like", "dislike", "seen"
FEEDBACK_COLUMNS = ("user_id", "item_id", "kind", "value", "signal", "reason", "occurred_at", "recorded_at")


@dataclass(frozen=True)
class Thresholds:
    """Which ratings are likes and which are dislikes; what lies between only marks the item as seen.

    Attributes:
        like_at_least: a rating from here on is a like.
        dislike_at_most: a rating up to here is a dislike.
    """

    like_at_least: float
    dislike_at_most: float

    def __post_init__(self) -> None:
        # Written so that NaN, which compares false with everything, is refused too.
        if not self.dislike_at_most < self.like_at_least:
            raise InputError(
                "The dislike threshold must lie below the like threshold.\n"
                f"expected: --dislike-at-most < --like-at-least\n"
                f"came: dislike at most {self.dislike_at_most:g}, like at least {self.like_at_least:g}\n"
                "What to do: a rating can only be one of the two; move one of the thresholds."
            )

    def signals(self, values: pd.Series) -> pd.Series:
        """`like`, `dislike` or `seen` for each rating."""
        signals = pd.Series(SEEN, index=values.index, dtype="str")
        signals = signals.mask(values >= self.like_at_least, LIKE)
        return signals.mask(values <= self.dislike_at_most, DISLIKE)


@dataclass(frozen=True)
class CheckedFile:
    """One file's outcome: how many rows it has and which were refused."""

    path: Path
    expected: str
    num_rows: int
    refused: Refused
    ignored_columns: tuple[str, ...] = ()
    line_name: str = "line"

    @classmethod
    def of(cls, table: RawTable, refused: Refused) -> CheckedFile:
        """The outcome of a table's check."""
        return cls(table.path, table.expected, table.num_rows, refused, table.ignored_columns, table.line_name)


@dataclass(frozen=True)
class Parsed:
    """Everything an import would write.

    Attributes:
        source: first part of the idempotency keys: movietweetings, movielens, interactions.
        files: outcome per file, in reading order.
        items: the catalog part by item id.
        feedback: one row per signal with `FEEDBACK_COLUMNS`, in the order of `recorded_at`.
        says_hidden: items of which the files say whether they are hidden; others stay as they are.
    """

    source: str
    files: Sequence[CheckedFile]
    items: dict[str, Item] = field(default_factory=dict)
    feedback: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(FEEDBACK_COLUMNS)))
    says_hidden: frozenset[str] = frozenset()

    @property
    def num_bad(self) -> int:
        """Refused rows of all files."""
        return sum(file.refused.num_rows for file in self.files)

    @property
    def ignored_columns(self) -> tuple[str, ...]:
        """Columns that nothing reads, of all files."""
        return tuple(name for file in self.files for name in file.ignored_columns)

    def require_good(self) -> None:
        """Raises InputError that names the bad rows, unless there are none."""
        if self.num_bad:
            raise InputError(describe_bad_rows(self.files))


def ordered_feedback(kept: pd.DataFrame) -> pd.DataFrame:
    """The kept rows in the order in which the world recorded them, so that an interrupted import is a prefix of it."""
    return kept.sort_values(["recorded_at", "line"], kind="stable", ignore_index=True)[list(FEEDBACK_COLUMNS)]


def describe_bad_rows(files: Sequence[CheckedFile]) -> str:
    """The refused rows as a message: the first of each file with line and reason, the counts, what to do."""
    bad = [file for file in files if file.refused.num_rows]
    room = MAX_REFUSED_SHOWN
    lines = []
    for file in bad:
        lines += [f"{file.path}: {file.refused.num_rows:,} of {file.num_rows:,} rows cannot be imported."]
        lines += [f"expected: {file.expected}", "came:"]
        shown = file.refused.first[:room]
        room -= len(shown)
        lines += [f"  {file.line_name} {row.line}: {row.reason}" for row in shown]
        if len(shown) < file.refused.num_rows:
            lines += [f"  ... and {file.refused.num_rows - len(shown):,} more"]
    lines += ["Nothing was written. What to do: correct these rows, or leave them out with --skip-bad-rows."]
    return "\n".join(lines)
