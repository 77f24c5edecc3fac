"""Reads MovieTweetings: `ratings.dat` and `movies.dat` of one folder, UTF-8, no header."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from recsys.ingest.parsed import Parsed, Thresholds
from recsys.ingest.rating_tables import check_movies, check_ratings
from recsys.ingest.raw_table import read_double_colon

DEFAULT_THRESHOLDS = Thresholds(like_at_least=8, dislike_at_most=5)
RATINGS = "user::item::rating::unix_seconds, such as 12620::2171847::6::1362062307"
MOVIES = "item::title (year)::genres, such as 0007264::The Rink (1916)::Comedy|Short"
RATING_RANGE = (0, 10)


def read_movietweetings(
    folder: Path, thresholds: Thresholds = DEFAULT_THRESHOLDS, latest: datetime | None = None
) -> Parsed:
    """Reads and checks a MovieTweetings folder.

    The stream holds one time per rating: it counts as recorded when it occurred, so that a replay sees it then.

    Raises:
        InputError: if a file is missing, empty, in the wrong encoding or cannot be read.
    """
    movies = read_double_colon(folder / "movies.dat", ("item_id", "title", "genres"), MOVIES)
    items, movies_file = check_movies(movies)
    # Item ids are IMDb ids without their "tt".
    items = {item_id: replace(item, imdb_id=f"tt{item_id}") for item_id, item in items.items()}
    columns = ("user_id", "item_id", "rating", "seconds")
    ratings = read_double_colon(folder / "ratings.dat", columns, RATINGS)
    feedback, ratings_file = check_ratings(ratings, thresholds, RATING_RANGE, latest)
    return Parsed("movietweetings", (movies_file, ratings_file), items, feedback)
