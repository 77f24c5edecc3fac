"""MovieLens folders of both styles."""

from pathlib import Path

import pytest

from recsys.errors import InputError
from recsys.ingest.movielens import read_movielens
from recsys.records import Item

RATINGS_CSV = "userId,movieId,rating,timestamp\n1,1,4.0,964982703\n1,2,2.0,964982704\n2,2,3.5,964982705\n"
MOVIES_CSV = 'movieId,title,genres\n1,Toy Story (1995),Adventure|Comedy\n2,"Wonder, The",(no genres listed)\n'
LINKS_CSV = "movieId,imdbId,tmdbId\n1,0114709,862\n2,0113497,\n3,0113228,15602\n"
CROWE = "Cité des enfants perdus, La (1995)"


def write(folder: Path, **files: str | bytes) -> Path:
    for name, content in files.items():
        path = folder / name.replace("_", ".")
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def test_latest_style(tmp_path: Path) -> None:
    parsed = read_movielens(write(tmp_path, ratings_csv=RATINGS_CSV, movies_csv=MOVIES_CSV, links_csv=LINKS_CSV))
    assert parsed.num_bad == 0
    assert parsed.feedback[["user_id", "item_id", "value", "signal"]].values.tolist() == [
        ["1", "1", 4.0, "like"],
        ["1", "2", 2.0, "dislike"],
        ["2", "2", 3.5, "seen"],
    ]
    assert parsed.items == {
        "1": Item("1", "Toy Story", ("Adventure", "Comedy"), release_year=1995, tmdb_id=862, imdb_id="tt0114709"),
        "2": Item("2", "Wonder, The", imdb_id="tt0113497"),
    }


def test_links_are_optional(tmp_path: Path) -> None:
    parsed = read_movielens(write(tmp_path, ratings_csv=RATINGS_CSV, movies_csv=MOVIES_CSV))
    assert parsed.items["1"].tmdb_id is None


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
def test_dat_style_in_either_encoding(tmp_path: Path, encoding: str) -> None:
    movies = f"1::{CROWE}::Adventure|Sci-Fi\n".encode(encoding)
    parsed = read_movielens(write(tmp_path, ratings_dat="1::1::5::978300760\n1::1::1::978300761\n", movies_dat=movies))
    assert parsed.items["1"] == Item("1", "Cité des enfants perdus, La", ("Adventure", "Sci-Fi"), release_year=1995)
    assert parsed.feedback["signal"].tolist() == ["like", "dislike"]


def test_bad_rows_of_all_three_files(tmp_path: Path) -> None:
    write(
        tmp_path,
        ratings_csv=RATINGS_CSV + "1,1,0.0,964982703\n1,1,4.0\n",
        movies_csv=MOVIES_CSV + "x,Title,Drama\n",
        links_csv=LINKS_CSV + "4,0113228,-1\n",
    )
    parsed = read_movielens(tmp_path)
    bad = {file.path.name: [(row.line, row.reason) for row in file.refused.first] for file in parsed.files}
    assert bad == {
        "movies.csv": [(4, "item_id is not a number, came 'x'")],
        "links.csv": [(5, "tmdbId is not a whole number from 1 to 2147483647, came '-1'")],
        "ratings.csv": [
            (5, "rating is not a number from 0.5 to 5, came '0.0'"),
            (6, "3 fields instead of 4"),
        ],
    }


def test_wrong_columns(tmp_path: Path) -> None:
    write(tmp_path, ratings_csv="user,movieId,rating,timestamp\n1,1,4,964982703\n", movies_csv=MOVIES_CSV)
    with pytest.raises(InputError, match=r"(?s)ratings\.csv lacks userId.*came: the columns user, movieId"):
        read_movielens(tmp_path)


def test_neither_style(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        read_movielens(tmp_path / "nowhere")
    with pytest.raises(InputError, match="an empty folder"):
        read_movielens(tmp_path)
    with pytest.raises(InputError, match=r"came: u\.data"):
        read_movielens(write(tmp_path, u_data="1\t1\t5\t978300760\n"))


def test_ratings_without_movies(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"(?s)movies\.csv.*no such file"):
        read_movielens(write(tmp_path, ratings_csv=RATINGS_CSV))
