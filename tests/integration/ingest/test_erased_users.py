"""An import meets users who were erased, before it or while it runs."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from recsys.cli.imports import report_table
from recsys.cli.output import out
from recsys.ingest import ImportOptions, import_interactions, import_movietweetings
from recsys.records import Dislike
from recsys.store import FeedbackStore
from tests.integration.ingest.test_import import stream, table_file

NOW = datetime(2026, 11, 1, tzinfo=UTC)
END = datetime(2030, 1, 1, tzinfo=UTC)


def users(store: FeedbackStore) -> set[str]:
    return set(store.stream.read_histories(END, 30.0)["user_id"])


def shown(report: Any) -> str:
    with out.capture() as captured:
        out.print(report_table(report))
    return " ".join(captured.get().split())


def test_the_same_file_again_does_not_bring_a_user_back(store: FeedbackStore, tmp_path: Path) -> None:
    folder = stream(tmp_path / "mt")
    import_movietweetings(store, folder)
    store.erasures.erase_user("7", "the user", NOW)
    dry = import_movietweetings(store, folder, ImportOptions(dry_run=True))
    again = import_movietweetings(store, folder)
    for report in (dry, again):
        assert (report.num_erased_users, report.num_erased_rows, report.num_brought_back) == (1, 2, 0)
        assert "rows of 1 erased user" in shown(report)
    assert (again.num_new, users(store)) == (0, {"8"})
    assert asdict(again)["num_erased_rows"] == 2


def test_an_option_brings_the_users_of_the_file_back(store: FeedbackStore, tmp_path: Path) -> None:
    folder = stream(tmp_path / "mt")
    import_movietweetings(store, folder)
    for user in ("7", "8", "not in the file"):
        store.erasures.erase_user(user, "the user", NOW)
    dry = import_movietweetings(store, folder, ImportOptions(dry_run=True, bring_back=True))
    assert (dry.num_brought_back, store.erasures.erased_users(["7", "8"])) == (0, {"7", "8"})
    report = import_movietweetings(store, folder, ImportOptions(bring_back=True))
    assert (report.num_brought_back, report.num_erased_rows, report.num_new) == (2, 0, 3)
    assert "who are brought back │ 2" in shown(report)
    assert users(store) == {"7", "8"}
    assert store.erasures.erased_users(["7", "8", "not in the file"]) == {"not in the file"}
    assert [one.lifted_by for one in store.erasures.list_erasures("7")] == ["import of mt"]


def test_who_is_erased_while_an_import_runs_is_left_out_from_then_on(
    store: FeedbackStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [f"u{n % 3},i{n},2026-10-0{n % 9 + 1},{'dislike' if n % 2 else 'like'}" for n in range(12)]
    file = table_file(tmp_path / "rows.csv", "user_id,item_id,occurred_at,label", *rows)
    original = store.feedback.record_dislikes
    written: list[int] = []

    def erasing(batch: list[Dislike]) -> Any:
        written.append(len(batch))
        if len(written) == 2:
            store.erasures.erase_user("u1", "the user", NOW)
        return original(batch)

    monkeypatch.setattr(store.feedback, "record_dislikes", erasing)
    report = import_interactions(store, file, ImportOptions(rows_per_batch=4))
    assert users(store) == {"u0", "u2"}
    assert report.num_erased_users == 1
    assert 0 < report.num_erased_rows < 4
    assert report.num_new > 8


def test_a_film_that_only_erased_users_name_gets_no_placeholder(store: FeedbackStore, tmp_path: Path) -> None:
    file = table_file(
        tmp_path / "rows.csv",
        "user_id,item_id,occurred_at,label",
        "u1,only-mine,2026-10-01,like",
        "u2,known,2026-10-01,like",
    )
    import_interactions(store, file)
    assert set(store.catalog.all_items()) == {"only-mine", "known"}
    assert store.erasures.erase_user("u1", "the user", NOW).num_rows["items"] == 1
    import_interactions(store, file)
    assert set(store.catalog.all_items()) == {"known"}
