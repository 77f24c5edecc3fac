"""A stream that is moved in time by whole days: the same again is found again, and nothing is torn apart."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from recsys.cli import app
from recsys.errors import InputError
from recsys.ingest import ImportOptions, ShiftRequest, import_interactions, import_movietweetings
from recsys.records import Dislike
from recsys.settings import Settings
from recsys.store import FeedbackStore, migrate
from tests.integration.ingest.test_import import num_rows, stream, table_file

LAST = datetime(2013, 2, 28, 14, 38, 20, tzinfo=UTC)  # the newest of the three ratings
ENDS_ON = date(2026, 11, 27)
DAYS = (ENDS_ON - LAST.date()).days
NOW = datetime(2026, 11, 28, 8, tzinfo=UTC)
END = datetime(2090, 1, 1, tzinfo=UTC)


def moved(ends_on: date | None = None, days: int | None = None, **options: object) -> ImportOptions:
    return ImportOptions(shift=ShiftRequest(ends_on, days), imported_at=NOW, **options)  # type: ignore[arg-type]


def test_the_last_event_falls_on_the_day_and_everything_keeps_its_distance(
    store: FeedbackStore, tmp_path: Path
) -> None:
    report = import_movietweetings(store, stream(tmp_path / "mt"), moved(ENDS_ON))
    assert (report.shift_days, report.num_new) == (DAYS, 3)
    assert report.last_at == LAST + timedelta(days=DAYS)
    assert report.first_at == report.last_at - timedelta(seconds=200)
    summary = store.stream.stream_summary(END)
    assert (summary.first_recorded_at, summary.last_recorded_at) == (report.first_at, report.last_at)
    (dislike,) = store.feedback.list_dislikes("7")
    assert dislike.dislike.created_at == dislike.dislike.recorded_at == report.last_at - timedelta(seconds=100)
    assert dislike.dislike.imported_at == NOW
    (kept,) = store.stream.list_stream_shifts()
    assert (kept.source, kept.file_name, kept.shift_days, kept.created_at) == ("movietweetings", "mt", DAYS, NOW)


def test_recorded_at_moves_with_occurred_at_and_decides_where_the_stream_ends(
    store: FeedbackStore, tmp_path: Path
) -> None:
    rows = "user_id,item_id,occurred_at,label,recorded_at\nu,i,2013-03-01T23:00:00Z,dislike,2013-03-09T01:00:00Z"
    import_interactions(store, table_file(tmp_path / "own.csv", rows), moved(date(2013, 3, 19)))
    (dislike,) = store.feedback.list_dislikes("u")
    assert dislike.dislike.created_at == datetime(2013, 3, 11, 23, tzinfo=UTC)
    assert dislike.dislike.recorded_at == datetime(2013, 3, 19, 1, tzinfo=UTC)


def test_the_same_again_finds_all_rows_also_on_a_later_day_and_beside_clicks(
    store: FeedbackStore, database_url: str, tmp_path: Path
) -> None:
    folder = stream(tmp_path / "mt")
    import_movietweetings(store, folder, moved(ENDS_ON))
    store.feedback.record_dislikes([Dislike("7", NOW, NOW, item_id="0000001")])
    counts = num_rows(database_url)
    later = ImportOptions(imported_at=NOW + timedelta(days=9))
    for options in (moved(ENDS_ON), moved(days=DAYS), later):
        again = import_movietweetings(store, folder, options)
        assert (again.num_new, again.shift_days) == (0, DAYS)
    assert num_rows(database_url) == counts
    assert [one.created_at for one in store.stream.list_stream_shifts()] == [NOW]


def test_a_dry_run_says_the_shift_and_keeps_nothing(store: FeedbackStore, database_url: str, tmp_path: Path) -> None:
    report = import_movietweetings(store, stream(tmp_path / "mt"), moved(days=-3, dry_run=True))
    assert (report.shift_days, report.last_at) == (-3, LAST - timedelta(days=3))
    assert store.stream.list_stream_shifts() == []
    assert set(num_rows(database_url).values()) == {0}


@pytest.mark.parametrize("is_dry", [True, False])
def test_what_would_tear_a_stream_apart_is_refused_before_anything_is_written(
    store: FeedbackStore, database_url: str, tmp_path: Path, is_dry: bool
) -> None:
    own = table_file(tmp_path / "own.csv", "user_id,item_id,occurred_at,label", "u,i,2024-01-01,like")
    import_interactions(store, own)
    folder = stream(tmp_path / "mt")
    counts = num_rows(database_url)

    def refused(request: ShiftRequest, words: str) -> None:
        with pytest.raises(InputError, match=f"(?s){words}.*Nothing was written"):
            import_movietweetings(store, folder, ImportOptions(dry_run=is_dry, shift=request))
        assert num_rows(database_url) == counts
        assert store.stream.list_stream_shifts() == []

    refused(ShiftRequest(days=5), "a store that holds feedback")
    refused(ShiftRequest(ENDS_ON), "a store that holds feedback")
    with pytest.raises(InputError, match="a store that holds feedback"):
        import_interactions(store, own, moved(days=1))
    assert import_movietweetings(store, folder, moved(LAST.date())).num_new == 3, "where it is, it may stay"


def test_another_shift_of_the_same_file_is_refused(store: FeedbackStore, database_url: str, tmp_path: Path) -> None:
    folder = stream(tmp_path / "mt")
    import_movietweetings(store, folder, moved(ENDS_ON))
    counts = num_rows(database_url)
    for options in (moved(ENDS_ON + timedelta(days=1)), moved(days=0), moved(days=1, dry_run=True)):
        with pytest.raises(
            InputError, match=rf"(?s)moved by {DAYS:,} days when it was first imported.*Nothing was writ"
        ):
            import_movietweetings(store, folder, options)
    assert num_rows(database_url) == counts


def test_a_second_file_of_a_moved_source_says_whether_it_belongs_to_it(store: FeedbackStore, tmp_path: Path) -> None:
    files = [
        table_file(tmp_path / f"{name}.csv", "user_id,item_id,occurred_at,label", f"{name},i,2013-01-0{n},like")
        for n, name in enumerate(("one", "two", "live"), start=1)
    ]
    import_interactions(store, files[0], moved(days=365))
    with pytest.raises(InputError, match=r"(?s)one\.csv, by 365 days.*--shift-days 365.*--shift-days 0.*Nothing"):
        import_interactions(store, files[1], moved())
    assert import_interactions(store, files[1], moved(days=365)).num_new == 1
    assert import_interactions(store, files[2], moved(days=0)).num_new == 1
    for file, days in zip(files, (365, 365, 0), strict=True):
        again = import_interactions(store, file, moved())
        assert (again.num_new, again.shift_days) == (0, days)


def test_an_import_that_died_before_its_first_row_may_be_moved_otherwise(store: FeedbackStore, tmp_path: Path) -> None:
    def die(done: int, total: int) -> None:
        raise KeyboardInterrupt

    folder = stream(tmp_path / "mt")
    with pytest.raises(KeyboardInterrupt):
        import_movietweetings(store, folder, moved(days=5, rows_per_batch=1), die)
    assert [one.shift_days for one in store.stream.list_stream_shifts()] == [5], "kept before the first row"
    assert import_movietweetings(store, folder, moved(dry_run=True)).shift_days == 5
    assert import_movietweetings(store, folder, moved(days=6)).shift_days == 6
    assert [one.shift_days for one in store.stream.list_stream_shifts()] == [6]


def test_an_import_that_died_half_way_is_finished_at_its_own_shift(
    store: FeedbackStore, database_url: str, tmp_path: Path
) -> None:
    def die(done: int, total: int) -> None:
        if done == 4:  # both films and two ratings are stored
            raise KeyboardInterrupt

    folder = stream(tmp_path / "mt")
    with pytest.raises(KeyboardInterrupt):
        import_movietweetings(store, folder, moved(ENDS_ON, rows_per_batch=1), die)
    assert import_movietweetings(store, folder, moved()).num_new == 1
    assert num_rows(database_url)["user_dislikes"] == 1
    assert store.stream.stream_summary(END).last_recorded_at == LAST + timedelta(days=DAYS)


def test_a_shift_that_makes_no_sense_is_refused(store: FeedbackStore, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--ends-on or --shift-days"):
        ShiftRequest(ENDS_ON, 3)
    with pytest.raises(InputError, match="from -100000 to 100000"):
        ShiftRequest(days=10**9)
    for request in (ShiftRequest(date(2100, 6, 1)), ShiftRequest(days=-20_000)):
        with pytest.raises(InputError, match="out of the times that are taken"):
            import_movietweetings(store, stream(tmp_path / "mt"), ImportOptions(shift=request))


def test_a_person_sees_the_shift(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, folder = Settings.under(tmp_path / "home"), str(stream(tmp_path / "mt"))
    for name, value in {**settings.as_environment(), "COLUMNS": "200"}.items():
        monkeypatch.setenv(name, value)
    migrate(settings.database_url)

    def said(*arguments: str) -> str:
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
        return " ".join(result.stdout.replace("│", " ").split())

    load = ("import", "movietweetings", folder)
    ends_on = ("--ends-on", f"{ENDS_ON}")
    assert f"days by which all times would be moved +{DAYS:,}" in said(*load, *ends_on, "--dry-run")
    assert "moved" not in said("status")
    assert f"to {ENDS_ON} 14:38:20 UTC days by which all times are moved +{DAYS:,}" in said(*load, *ends_on)
    assert f"stream movietweetings mt: all times moved by +{DAYS:,} days" in said("status")
    assert f"+{DAYS:,}" in said(*load)
    refused = CliRunner().invoke(app, [*load, "--shift-days", "1"])
    assert refused.exit_code == 2
    assert "when it was first imported" in refused.stderr
    assert CliRunner().invoke(app, [*load, "--ends-on", "tomorrow"]).exit_code == 2
    with closing(sqlite3.connect(settings.home / "feedback.db")) as connection:
        (latest,) = connection.execute("SELECT max(recorded_at) FROM interactions").fetchone()
    assert latest.startswith(f"{ENDS_ON}")
