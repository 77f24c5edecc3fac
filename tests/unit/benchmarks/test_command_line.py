"""`make bench-cli`: two checkouts take turns, each on its own store, and what one of them lacks is said."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import typer

from benchmarks import command_line, two_nights
from benchmarks.command_line import Checkout, Cost, measure_all, table, verdict
from benchmarks.two_nights import Subject, subject_of

ABOUT = Subject("u1", "i1", 4, "2013-06-13T23:59:49Z", "2026-11-28")
STAND_IN = """
import os, sys
with open({log!r}, "a") as log:
    print({name!r}, os.environ["RECSYS_HOME"].rpartition("/")[2], *sys.argv[1:], file=log)
sys.exit(2 if sys.argv[1] in {lacks!r} else 0)
"""


def checkout(folder: Path, name: str, about: Subject, lacks: tuple[str, ...] = ()) -> Checkout:
    """Code whose commands write down that they ran."""
    package, home = folder / name / "recsys", folder / f"{name}-home"
    package.mkdir(parents=True)
    home.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(STAND_IN.format(log=str(folder / "log"), name=name, lacks=lacks))
    return Checkout(package.parent, home, about)


def test_checkouts_take_turns_and_each_is_asked_about_what_its_store_has(tmp_path: Path) -> None:
    old = Subject("u2", "i2", 7, "2013-06-13T23:59:49Z", "2026-11-28")
    both = {"before": checkout(tmp_path, "old", old, lacks=("users",)), "now": checkout(tmp_path, "new", ABOUT)}
    measured = measure_all(both, 2, ["users", "recommend"])
    assert list(measured) == [
        "users", "recommend u1", "recommend u1 --contributions", "recommend u1 --counterfactuals",
    ]  # fmt: skip
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines[:6] == ["old old-home users", "new new-home users"] * 3, "one try that is not counted, and two"
    assert lines[6:12] == ["old old-home recommend u2", "new new-home recommend u1"] * 3
    assert measured["users"]["before"] is None
    assert all(costs["now"] is not None for costs in measured.values())


def test_the_table_has_a_ratio_where_both_have_the_command() -> None:
    costs = {
        "users": {"before": None, "now": Cost(0.5, 0.4, 60.0)},
        "status": {"before": Cost(4.0, 3.0, 500.0), "now": Cost(0.5, 0.4, 60.0)},
        "drift": {"before": Cost(24.0, 20.0, 900.0), "now": Cost(2.0, 0.4, 60.0)},
    }
    assert table(costs).splitlines() == [
        "| command | before, s | CPU s | MB | now, s | CPU s | MB | before / now |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
        "| `recsys users` | - | - | - | 0.50 | 0.40 | 60 | - |",
        "| `recsys status` | 4.00 | 3.00 | 500 | 0.50 | 0.40 | 60 | 8.0 |",
        "| `recsys drift` | 24.00 | 20.00 | 900 | 2.00 | 0.40 | 60 | 12.0 |",
    ]
    said = verdict(costs)
    assert said.startswith("Before, 0 of 2 take at most 1 s. Now, 2 of 3 take at most 1 s.")
    assert said.endswith("the median took 10.0 times as long before as now: 8.0 to 12.0 times.")
    alone = {command: {"now": own["now"]} for command, own in costs.items()}
    assert table(alone).splitlines()[2] == "| `recsys users` | 0.50 | 0.40 | 60 |"
    assert verdict(alone) == "Now, 2 of 3 take at most 1 s."


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The tables that every version of the database has."""
    with closing(sqlite3.connect(tmp_path / "feedback.db")) as database, database:
        database.executescript("""
            CREATE TABLE interactions (user_id, item_id);
            CREATE TABLE recommendation_sets (recommendation_set_id, user_id);
            CREATE TABLE recommendation_entries (recommendation_set_id, rank, item_id);
            CREATE TABLE decisions (decision_id, step, verdict, as_of, recorded_at);
            INSERT INTO interactions VALUES ('none', 1), ('none', 2), ('none', 3), ('much', 1), ('much', 2), ('few', 1);
            INSERT INTO recommendation_sets VALUES (1, 'much'), (2, 'few'), (3, 'much'), (4, NULL);
            INSERT INTO recommendation_entries VALUES (1, 1, 'a'), (2, 1, 'b'), (3, 1, 'c'), (3, 2, 'd'), (4, 1, 'e');
            INSERT INTO decisions VALUES
                (4, 'decide_promotion', 'promote', '2013-06-13 23:59:49.000000Z', '2026-11-28 22:18:00.000000Z'),
                (5, 'check_backlog', 'skip', '2013-06-15 00:00:00.000000Z', '2026-11-28 22:19:00.000000Z');
        """)
    return tmp_path


def test_commands_are_about_the_same_user_where_both_stores_have_their_list(home: Path) -> None:
    verdict_of = (4, "2013-06-13T23:59:49.000000Z", "2026-11-28")
    assert subject_of(home) == Subject("much", "c", *verdict_of)
    assert subject_of(home, "few") == Subject("few", "b", *verdict_of)
    assert subject_of(home, "nobody") == Subject("much", "c", *verdict_of)


def test_a_store_that_has_nothing_to_ask_about_is_refused(home: Path) -> None:
    with closing(sqlite3.connect(home / "feedback.db")) as database, database:
        database.execute("DELETE FROM decisions")
    with pytest.raises(SystemExit, match="Expected a list and a promotion"):
        subject_of(home)


def test_a_store_is_made_once_by_the_commands_of_its_own_checkout(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code = checkout(tmp_path, "old", ABOUT)
    two_nights.build(code.code, code.home)
    assert [line.split()[2:4] for line in (tmp_path / "log").read_text().splitlines()] == [
        ["db", "upgrade"], ["import", "movietweetings"], ["run", "--as-of"], ["run", "--as-of"],
    ]  # fmt: skip
    assert two_nights.is_one(code.home)
    (code.home / "feedback.db").touch()
    two_nights.build(code.code, code.home)
    assert len((tmp_path / "log").read_text().splitlines()) == 4
    broken = checkout(tmp_path, "broken", ABOUT, lacks=("import",))
    with pytest.raises(SystemExit, match=r"Expected `recsys import movietweetings .* got exit code 2"):
        two_nights.build(broken.code, broken.home)


def test_another_checkout_needs_a_store_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match="Expected --beside and --beside-home together"):
        command_line.main(beside=tmp_path)
