"""Checked columns as `Item` values, and titles with their year."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pandas as pd

from recsys.records import Item

# "Death Note (2006–2007)" and "Show (2011– )" are series: the first year counts.
TITLE_WITH_YEAR = r"^(?P<title>.*\S)\s*\((?P<year>(?:18|19|20)[0-9]{2})(?:\s*[–-]\s*(?:[0-9]{4})?\s*)?\)$"
NO_GENRES = "(no genres listed)"


def split_year(titles: pd.Series) -> pd.DataFrame:
    """Splits `Toy Story (1995)` into columns `title` and `release_year`; a title without a year stays as it is."""
    parts = titles.astype("object").str.extract(TITLE_WITH_YEAR)
    return pd.DataFrame({"title": parts["title"].fillna(titles), "release_year": pd.to_numeric(parts["year"])})


def split_list(texts: pd.Series) -> list[tuple[str, ...]]:
    """Splits `a|b` into `("a", "b")`, without empty parts and repeats."""
    return [_parts(text) if isinstance(text, str) and text != NO_GENRES else () for text in texts.tolist()]


def items_from(kept: pd.DataFrame) -> dict[str, Item]:
    """Items by id.

    Args:
        kept: columns `item_id`, `title`, and any of `genres`, `cast` (`a|b`), `franchise`, `release_year`, `tmdb_id`,
            `imdb_id`, `tags` (`a|b`), `available_from`, `available_until` (UTC), `is_hidden` (`true`, `false`); NA where
            unknown.
    """
    columns = zip(
        kept["item_id"].tolist(),
        kept["title"].tolist(),
        split_list(_column(kept, "genres")),
        split_list(_column(kept, "cast")),
        _known(_column(kept, "franchise")),
        _known(_column(kept, "release_year").astype("Int64")),
        _known(_column(kept, "tmdb_id").astype("Int64")),
        _known(_column(kept, "imdb_id")),
        [False] * len(kept),
        split_list(_column(kept, "tags")),
        _moments(_column(kept, "available_from")),
        _moments(_column(kept, "available_until")),
        [value == "true" for value in _known(_column(kept, "is_hidden"))],
        strict=True,
    )
    return {row[0]: Item(*row) for row in columns}


def imdb_ids(values: pd.Series) -> pd.Series:
    """IMDb ids in their own spelling: `0114709` becomes `tt0114709`, `tt0114709` stays."""
    return ("tt" + values.str.removeprefix("tt")).where(values.notna())


def _column(kept: pd.DataFrame, name: str) -> pd.Series:
    return kept[name] if name in kept else pd.Series(None, index=kept.index, dtype="object")


def _moments(values: pd.Series) -> list[datetime | None]:
    return [None if pd.isna(value) else value.to_pydatetime() for value in values.tolist()]


def _known(values: pd.Series) -> list[Any]:
    """The values with None for missing ones."""
    return values.astype("object").where(values.notna(), None).tolist()


def _parts(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split("|") if part.strip()))
