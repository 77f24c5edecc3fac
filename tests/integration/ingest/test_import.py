"""Imports into the real store, on every database that it supports."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from recsys.errors import InputError
from recsys.ingest import (
    ImportOptions,
    import_interactions,
    import_items,
    import_movielens,
    import_movietweetings,
)
from recsys.records import Item
from recsys.store import FeedbackStore

SHIPPED = Path(__file__).resolve().parents[3] / "data" / "movietweetings"
RATINGS = ["7::0000001::8::1362062300", "7::0000002::5::1362062200", "8::0000001::7::1362062100"]
MOVIES = ["0000001::Carmencita (1894)::Documentary|Short", "0000002::Le clown (1892)::"]
END = datetime(2030, 1, 1, tzinfo=UTC)


def stream(folder: Path, ratings: list[str] = RATINGS, movies: list[str] = MOVIES) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "ratings.dat").write_text("\n".join(ratings), encoding="utf-8")
    (folder / "movies.dat").write_text("\n".join(movies), encoding="utf-8")
    return folder


def table_file(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def num_rows(database_url: str) -> dict[str, int]:
    tables = ("items", "interactions", "user_dislikes", "negative_training_examples")
    engine = create_engine(database_url)
    with engine.connect() as connection:
        counts = {name: connection.execute(text(f"select count(*) from {name}")).scalar_one() for name in tables}
    engine.dispose()
    return counts


def test_hand_made_stream_is_counted_stored_and_recognised(
    store: FeedbackStore, database_url: str, tmp_path: Path
) -> None:
    first = import_movietweetings(store, stream(tmp_path))
    assert (first.num_items, first.num_likes, first.num_seen, first.num_dislikes) == (2, 1, 1, 1)
    assert (first.num_new, first.num_new_items, first.num_placeholders, first.num_bad) == (3, 2, 0, 0)
    assert first.first_at == datetime(2013, 2, 28, 14, 35, tzinfo=UTC)
    assert first.last_at == first.first_at + timedelta(seconds=200)
    counts = num_rows(database_url)
    # The dislike is not stored as an interaction as well.
    assert counts == {"items": 2, "interactions": 2, "user_dislikes": 1, "negative_training_examples": 1}
    second = import_movietweetings(store, tmp_path)
    assert (second.num_new, second.num_new_items, second.num_likes) == (0, 0, 1)
    assert num_rows(database_url) == counts
    assert store.catalog.all_items()["0000001"] == Item(
        "0000001", "Carmencita", ("Documentary", "Short"), release_year=1894, imdb_id="tt0000001"
    )


def test_a_row_exists_from_the_moment_it_was_recorded(store: FeedbackStore, tmp_path: Path) -> None:
    import_movietweetings(store, stream(tmp_path))
    at = datetime(2013, 2, 28, 14, 36, 40, tzinfo=UTC)  # of the dislike
    assert store.backlog.count_backlog(at - timedelta(seconds=1)) == 0
    assert store.backlog.count_backlog(at) == 1
    rows = "user_id,item_id,occurred_at,label,recorded_at\nu,i,2013-03-01,dislike,2013-03-09T00:00:00Z"
    import_interactions(store, table_file(tmp_path / "own.csv", rows))
    assert store.backlog.count_backlog(datetime(2013, 3, 8, tzinfo=UTC)) == 1
    assert store.backlog.count_backlog(datetime(2013, 3, 9, tzinfo=UTC)) == 2


def test_bad_rows_write_nothing_unless_skipped(store: FeedbackStore, database_url: str, tmp_path: Path) -> None:
    stream(tmp_path, [*RATINGS, "9::0000001::eight::1362062300", "9::0000001"])
    with pytest.raises(InputError, match=r"(?s)2 of 5 rows.*line 4: rating is not.*line 5: 2 fields.*Nothing was writ"):
        import_movietweetings(store, tmp_path)
    assert set(num_rows(database_url).values()) == {0}
    report = import_movietweetings(store, tmp_path, ImportOptions(skip_bad_rows=True))
    assert (report.num_bad, report.num_new) == (2, 3)


def test_dry_run_writes_nothing(store: FeedbackStore, database_url: str, tmp_path: Path) -> None:
    report = import_movietweetings(store, stream(tmp_path, [*RATINGS, "9::0000005::9::1362062300"]), DRY_RUN)
    assert (report.num_likes, report.num_placeholders, report.num_new, report.is_dry_run) == (2, 1, 0, True)
    assert set(num_rows(database_url).values()) == {0}


DRY_RUN = ImportOptions(dry_run=True)


def test_unknown_items_become_placeholders_until_somebody_names_them(store: FeedbackStore, tmp_path: Path) -> None:
    rows = ("user_id,item_id,occurred_at,label", "u,x,2024-01-01,like", "u,y,2024-01-01,dislike")
    report = import_interactions(store, table_file(tmp_path / "own.csv", *rows))
    assert (report.num_placeholders, report.num_new_items) == (2, 2)
    assert store.catalog.all_items()["x"] == Item("x", "x", is_placeholder=True)
    items = table_file(tmp_path / "items.csv", "item_id,title,cast", "x,Xanadu,Olivia|Gene")
    assert import_items(store, items).num_new_items == 1
    assert store.catalog.all_items()["x"] == Item("x", "Xanadu", cast=("Olivia", "Gene"))
    again = import_interactions(store, tmp_path / "own.csv")
    assert (again.num_placeholders, again.num_new, again.num_new_items) == (0, 0, 0)
    assert store.catalog.all_items()["x"].title == "Xanadu"


def test_what_a_later_file_leaves_empty_keeps_its_value(store: FeedbackStore, tmp_path: Path) -> None:
    items = table_file(tmp_path / "items.csv", "item_id,title,cast,tmdb_id", "0000001,Carmencita,Carmencita,16612")
    import_items(store, items)
    import_movietweetings(store, stream(tmp_path))
    item = store.catalog.all_items()["0000001"]
    assert (item.cast, item.tmdb_id, item.genres) == (("Carmencita",), 16612, ("Documentary", "Short"))


def test_movielens_of_both_styles_and_own_thresholds(store: FeedbackStore, tmp_path: Path) -> None:
    latest, dat = tmp_path / "latest", tmp_path / "dat"
    latest.mkdir()
    dat.mkdir()
    table_file(latest / "ratings.csv", "userId,movieId,rating,timestamp", "1,1,4.0,964982703", "1,2,2.0,964982704")
    table_file(latest / "movies.csv", "movieId,title,genres", "1,Toy Story (1995),Comedy", "2,Jumanji (1995),Drama")
    table_file(latest / "links.csv", "movieId,imdbId,tmdbId", "1,0114709,862")
    table_file(dat / "ratings.dat", "2::1::3::978300760")
    table_file(dat / "movies.dat", "1::Toy Story (1995)::Comedy")
    first = import_movielens(store, latest)
    assert (first.num_likes, first.num_dislikes, first.num_new) == (1, 1, 2)
    second = import_movielens(store, dat, ImportOptions(like_at_least=3))
    # The other style of the same set knows no TMDB ids; those of the first import stay.
    assert (second.num_likes, second.num_new, second.num_new_items) == (1, 1, 0)
    assert store.catalog.all_items()["1"].tmdb_id == 862


def test_thresholds_of_own_values(store: FeedbackStore, tmp_path: Path) -> None:
    file = table_file(tmp_path / "own.csv", "user_id,item_id,occurred_at,value", "u,x,2024-01-01,3", "v,x,2024-01-01,1")
    with pytest.raises(InputError, match="needs a label"):
        import_interactions(store, file)
    with pytest.raises(InputError, match="both --like-at-least and --dislike-at-most"):
        import_interactions(store, file, ImportOptions(like_at_least=3))
    report = import_interactions(store, file, ImportOptions(like_at_least=3, dislike_at_most=1))
    assert (report.num_likes, report.num_dislikes, report.num_new) == (1, 1, 2)


def test_colons_in_ids_do_not_mix_up_dislikes(store: FeedbackStore, tmp_path: Path) -> None:
    rows = ("user_id,item_id,occurred_at,label", "a:b,c,2024-01-01,dislike", "a,b:c,2024-01-01,dislike")
    assert import_interactions(store, table_file(tmp_path / "own.csv", *rows)).num_new == 2


def test_batches_are_told_and_add_up(store: FeedbackStore, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    report = import_movietweetings(
        store, stream(tmp_path), ImportOptions(rows_per_batch=2), lambda done, total: told.append((done, total))
    )
    assert told == [(2, 5), (4, 5), (5, 5)]
    assert report.num_new == 3
    with pytest.raises(InputError, match="1 or more"):
        ImportOptions(rows_per_batch=0)


@pytest.mark.thorough
@pytest.mark.slow
def test_the_shipped_stream(store: FeedbackStore, database_url: str) -> None:
    report = import_movietweetings(store, SHIPPED)
    assert (report.num_new, report.num_new_items, report.num_placeholders) == (70_000, 8_794, 0)
    counts = num_rows(database_url)
    assert (counts["items"], counts["interactions"]) == (8_794, 60_042)
    assert (counts["user_dislikes"], counts["negative_training_examples"]) == (9_958, 9_958)
    assert store.backlog.count_backlog(END) == 9_958
    again = import_movietweetings(store, SHIPPED)
    assert (again.num_new, again.num_new_items) == (0, 0)
    assert num_rows(database_url) == counts
