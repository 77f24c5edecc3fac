"""Imports say when items may be recommended, and leave alone what they do not say."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from recsys.ingest import ImportOptions, import_items, import_movielens
from recsys.records import Item
from recsys.store import FeedbackStore

NOW = datetime(2024, 5, 1, tzinfo=UTC)
START = datetime(2024, 4, 1, tzinfo=UTC)


def import_text(store: FeedbackStore, folder: Path, text: str) -> None:
    file = folder / "items.csv"
    file.write_text(text, encoding="utf-8")
    import_items(store, file, ImportOptions(imported_at=NOW))


def test_a_file_that_says_nothing_of_it_changes_nothing(store: FeedbackStore, tmp_path: Path) -> None:
    """What a person hid stays hidden, however often the catalog is imported."""
    known = Item("1", "Film", ("Drama",), tags=("a",), available_from=START, is_hidden=True)
    store.catalog.upsert_items([known])
    import_text(store, tmp_path, "item_id,title,genres\n1,Film,Drama\n")
    import_text(store, tmp_path, "item_id,title,tags,available_from,is_hidden\n1,Film,,,\n")
    assert store.catalog.all_items() == {"1": known}
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,1,4,1700000000\n", encoding="utf-8")
    (tmp_path / "movies.csv").write_text("movieId,title,genres\n1,Film (1999),Comedy\n", encoding="utf-8")
    import_movielens(store, tmp_path)
    changed = store.catalog.all_items()["1"]
    assert (changed.genres, changed.release_year) == (("Comedy",), 1999)
    assert (changed.tags, changed.available_from, changed.is_hidden) == (("a",), START, True)


def test_a_file_hides_and_shows_and_the_history_says_when(store: FeedbackStore, tmp_path: Path) -> None:
    import_text(store, tmp_path, "item_id,title,is_hidden,tags\n1,Film,true,a|b\n2,Other,,\n")
    assert store.catalog.all_items() == {
        "1": Item("1", "Film", tags=("a", "b"), is_hidden=True),
        "2": Item("2", "Other"),
    }
    import_text(store, tmp_path, "item_id,title,is_hidden\n1,Film,false\n")
    assert store.catalog.all_items()["1"] == Item("1", "Film", tags=("a", "b"))
    assert [(one.is_hidden, one.recorded_at) for one in store.catalog.list_item_changes("1")] == [
        (False, NOW),
        (True, NOW),
    ]
    assert store.catalog.list_item_changes("2") == []
