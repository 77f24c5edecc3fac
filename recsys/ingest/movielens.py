"""Reads MovieLens: the CSV files of ml-latest and ml-25m, or the `::` files of ml-1m and ml-10m.

| file | columns | needed |
|---|---|---|
| `ratings.csv` | userId, movieId, rating, timestamp | yes |
| `movies.csv` | movieId, title, genres | yes |
| `links.csv` | movieId, imdbId, tmdbId | no; gives TMDB and IMDb ids |
| `ratings.dat` | user::item::rating::unix_seconds | yes |
| `movies.dat` | item::title (year)::genres | yes |

Tags and users are not read. The `.dat` files are UTF-8 (ml-10m) or Latin-1 (ml-1m); Latin-1 fits any bytes, so UTF-8 is
tried first.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pandas as pd

from recsys.errors import InputError
from recsys.ingest.catalog_rows import imdb_ids
from recsys.ingest.parsed import CheckedFile, Parsed, Thresholds
from recsys.ingest.rating_tables import check_movies, check_ratings
from recsys.ingest.raw_table import RawTable, read_csv, read_double_colon
from recsys.ingest.table_check import DIGITS, TableCheck
from recsys.records import Item

DEFAULT_THRESHOLDS = Thresholds(like_at_least=4, dislike_at_most=2)
RATING_RANGE = (0.5, 5)
RATINGS_CSV = "userId,movieId,rating,timestamp, such as 1,31,2.5,1260759144"
MOVIES_CSV = "movieId,title,genres, such as 1,Toy Story (1995),Adventure|Animation"
LINKS_CSV = "movieId,imdbId,tmdbId, such as 1,0114709,862"
RATINGS_DAT = "user::item::rating::unix_seconds, such as 1::1193::5::978300760"
MOVIES_DAT = "item::title (year)::genres, such as 1::Toy Story (1995)::Animation|Comedy"
DAT_ENCODINGS = ("utf-8", "latin-1")
LARGEST_ID = 2**31 - 1


def read_movielens(folder: Path, thresholds: Thresholds = DEFAULT_THRESHOLDS, latest: datetime | None = None) -> Parsed:
    """Reads and checks a MovieLens folder of either style.

    A rating counts as recorded when it occurred, so that a replay sees it then.

    Raises:
        InputError: if the folder has neither style, or a file is missing, empty or cannot be read.
    """
    if (folder / "ratings.csv").exists():
        movies, ratings, links = _latest_tables(folder)
    elif (folder / "ratings.dat").exists():
        movies, ratings, links = *_dat_tables(folder), None
    else:
        raise _not_movielens(folder)
    items, movies_file = check_movies(movies)
    files = [movies_file]
    if links is not None:
        items, links_file = _linked(items, links)
        files.append(links_file)
    feedback, ratings_file = check_ratings(ratings, thresholds, RATING_RANGE, latest)
    return Parsed("movielens", (*files, ratings_file), items, feedback)


def _latest_tables(folder: Path) -> tuple[RawTable, RawTable, RawTable | None]:
    movies = read_csv(folder / "movies.csv", ("movieId", "title", "genres"), (), MOVIES_CSV)
    ratings = read_csv(folder / "ratings.csv", ("userId", "movieId", "rating", "timestamp"), (), RATINGS_CSV)
    links = None
    if (folder / "links.csv").exists():
        links = read_csv(folder / "links.csv", ("movieId", "imdbId", "tmdbId"), (), LINKS_CSV)
    names = {"movieId": "item_id", "userId": "user_id", "timestamp": "seconds"}
    for table in (movies, ratings, links):
        if table is not None:
            table.frame = table.frame.rename(columns=names)
    return movies, ratings, links


def _dat_tables(folder: Path) -> tuple[RawTable, RawTable]:
    movies = read_double_colon(folder / "movies.dat", ("item_id", "title", "genres"), MOVIES_DAT, DAT_ENCODINGS)
    columns = ("user_id", "item_id", "rating", "seconds")
    return movies, read_double_colon(folder / "ratings.dat", columns, RATINGS_DAT, DAT_ENCODINGS)


def _linked(items: dict[str, Item], table: RawTable) -> tuple[dict[str, Item], CheckedFile]:
    check = TableCheck(table)
    values = pd.DataFrame(
        {
            "item_id": check.text("item_id", pattern=DIGITS, meaning="a number"),
            "imdb_id": imdb_ids(check.optional_text("imdbId")),
            "tmdb_id": check.number("tmdbId", 1, LARGEST_ID, is_required=False, is_whole=True),
        }
    )
    kept = check.drop_repeats(values, ["item_id"], "item")
    linked = dict(items)
    for item_id, imdb_id, tmdb_id in zip(kept["item_id"], kept["imdb_id"], kept["tmdb_id"], strict=True):
        if item_id in items:
            linked[item_id] = replace(
                items[item_id],
                imdb_id=None if pd.isna(imdb_id) else imdb_id,
                tmdb_id=None if pd.isna(tmdb_id) else int(tmdb_id),
            )
    return linked, CheckedFile.of(table, check.refused())


def _not_movielens(folder: Path) -> InputError:
    came = "no such folder"
    if folder.is_dir():
        names = sorted(path.name for path in folder.iterdir())
        came = ", ".join(names[:10]) or "an empty folder"
    return InputError(
        f"{folder} is not a MovieLens folder.\n"
        "expected: ratings.csv and movies.csv (ml-latest, ml-25m) or ratings.dat and movies.dat (ml-1m, ml-10m)\n"
        f"came: {came}\nWhat to do: unpack the data set and name the folder that holds its files."
    )
