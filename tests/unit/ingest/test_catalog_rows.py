"""Titles with years, lists and ids of items."""

import pandas as pd
import pytest

from recsys.ingest.catalog_rows import imdb_ids, items_from, split_list, split_year
from recsys.records import Item


@pytest.mark.parametrize(
    ("text", "title", "year"),
    [
        ("Toy Story (1995)", "Toy Story", 1995),
        ("Death Note: Desu nôto (2006–2007)", "Death Note: Desu nôto", 2006),
        ("Show (2011– )", "Show", 2011),
        ("Seven (a.k.a. Se7en) (1995) ", "Seven (a.k.a. Se7en) (1995) ", None),
        ("Seven (a.k.a. Se7en) (1995)", "Seven (a.k.a. Se7en)", 1995),
        ("Babylon 5", "Babylon 5", None),
        ("(1995)", "(1995)", None),
        ("Room (9999)", "Room (9999)", None),
    ],
)
def test_split_year(text: str, title: str, year: int | None) -> None:
    row = split_year(pd.Series([text], dtype="str")).iloc[0]
    assert row["title"] == title
    assert (None if pd.isna(row["release_year"]) else row["release_year"]) == year


def test_split_list_drops_blanks_and_repeats() -> None:
    texts = pd.Series(["a| b||a", None, "(no genres listed)", "|"], dtype="str")
    assert split_list(texts) == [("a", "b"), (), (), ()]


def test_items_with_all_and_with_only_needed_columns() -> None:
    kept = pd.DataFrame(
        {
            "item_id": ["1", "2"],
            "title": ["One", "Two"],
            "cast": pd.Series(["A|B", None], dtype="str"),
            "franchise": pd.Series(["F", None], dtype="str"),
            "release_year": [1999.0, None],
            "tmdb_id": [5.0, None],
            "imdb_id": imdb_ids(pd.Series(["0001", None], dtype="str")),
        }
    )
    assert items_from(kept) == {
        "1": Item("1", "One", (), ("A", "B"), "F", 1999, 5, "tt0001"),
        "2": Item("2", "Two"),
    }
    assert items_from(kept[["item_id", "title"]]) == {"1": Item("1", "One"), "2": Item("2", "Two")}


def test_imdb_ids_have_one_spelling() -> None:
    assert imdb_ids(pd.Series(["0114709", "tt0114709"], dtype="str")).tolist() == ["tt0114709"] * 2
