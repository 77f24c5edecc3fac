"""What the audit says: who is champion, where a rollback leads, who was champion when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.pipeline.champion.lineage import champion_line, tenures
from recsys.pipeline.champion.version_history import champions_at
from recsys.records import Promotion, PromotionKind

START = datetime(2013, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def audit(*steps: str, days: float = 1) -> list[Promotion]:
    """Rows from words: `2` promotes version 2, `<2` rolls back to it, `!2` promotes it and dies before its aliases move."""
    rows: list[Promotion] = []
    for number, word in enumerate(steps, start=1):
        version, at = word.lstrip("<!"), START + number * days * DAY
        kind = PromotionKind.ROLLBACK if word.startswith("<") else PromotionKind.PROMOTION
        is_complete = not word.startswith("!")
        before = rows[-1].to_version if rows else None
        rows.append(
            Promotion(number, f"r{number}", before, version, "x", at, is_complete, at if is_complete else None, kind)
        )
    return rows


@pytest.mark.parametrize(
    ("words", "line", "withdrawn"),
    [
        ("", "", ""),
        ("2 4 6", "2 4 6", ""),
        ("2 4 <2", "2", "4"),
        ("2 4 6 <4", "2 4", "6"),
        ("2 4 6 <2", "2", "4 6"),
        ("2 4 <2 8", "2 8", "4"),
        ("2 4 <2 <4", "2 4", ""),  # the rollback is taken back
        ("2 4 <2 6 <4", "2 4", "6"),  # not behind 6: nobody wants to go back there
        ("2 !4", "2 4", ""),  # begun: whoever comes next finishes it
        ("2 !4 <2", "2", ""),  # 4 was deleted before its alias moved: it never was champion
    ],
)
def test_a_rollback_leads_to_what_was_champion_before(words: str, line: str, withdrawn: str) -> None:
    found = champion_line(audit(*words.split()))
    assert found.versions == tuple(line.split())
    assert found.withdrawn == set(withdrawn.split())
    assert found.champion == (line.split() or [None])[-1]
    assert found.previous(lambda version: True) == ([None, None, *line.split()][-2] if len(line.split()) > 1 else None)


def test_a_rollback_leads_past_what_was_deleted() -> None:
    line = champion_line(audit("2", "4", "6"))
    assert line.previous(lambda version: version != "4") == "2"
    assert line.previous(lambda version: False) is None


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 20)), max_size=12))
def test_the_line_always_ends_with_the_newest_row(choices: list[tuple[bool, int]]) -> None:
    words: list[str] = []
    for number, (rolls_back, choice) in enumerate(choices, start=1):
        past = [word.lstrip("<") for word in words]
        words.append(f"<{past[choice % len(past)]}" if rolls_back and past else str(number))
    rows = audit(*words)
    line = champion_line(rows)
    assert line.champion == (rows[-1].to_version if rows else None)
    assert len(set(line.versions)) == len(line.versions)
    assert not line.withdrawn & set(line.versions)
    assert line.withdrawn | set(line.versions) <= {row.to_version for row in rows}


def test_reigns_follow_each_other_without_gaps() -> None:
    times = tenures(audit("2", "!3", "4", "<2", "!5"))
    assert [(tenure.promotion.to_version, tenure.started_at, tenure.ended_at) for tenure in times] == [
        ("2", START + DAY, START + 3 * DAY), ("4", START + 3 * DAY, START + 4 * DAY), ("2", START + 4 * DAY, None),
    ]  # fmt: skip


def test_a_reign_never_ends_before_it_began() -> None:
    early = audit("2", "4", days=-1)  # the later run was due before the other
    assert [(tenure.started_at, tenure.ended_at) for tenure in tenures(early)] == [
        (START - DAY, START - DAY),
        (START - DAY, None),
    ]


@pytest.mark.parametrize(
    ("moment", "is_day", "versions"),
    [
        (START, True, ""),  # the first one came when this day was over
        (START, False, ""),
        (START + DAY, False, "2"),
        (START + 1.5 * DAY, False, "2"),
        (START + 2 * DAY, True, "4"),
        (START + 2.5 * DAY, True, "4 6"),  # a day, wherever it begins
        (START + 100 * DAY, True, "6"),
    ],
)
def test_who_was_champion_on_a_day(moment: datetime, is_day: bool, versions: str) -> None:
    found = champions_at(audit("2", "4", "6"), moment, is_day=is_day)
    assert [tenure.promotion.to_version for tenure in found] == versions.split()
