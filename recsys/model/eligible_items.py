"""Eligibility over a catalog at once: arrays of bool instead of one item after another."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys.config.eligibility import EligibilityRule
from recsys.records import Item

BoolArray = npt.NDArray[np.bool_]
DEFAULTS: dict[str, Any] = {
    "release_year": None, "tags": (), "available_from": None, "available_until": None, "is_hidden": False,
}  # fmt: skip

COLUMNS = ("item_id", "title", "genres", "cast", "franchise", *DEFAULTS)


def catalog_frame(items: Iterable[Item]) -> pd.DataFrame:
    """A catalog as a table, in the order of item ids: what a fit knows of items, and what eligibility reads."""
    rows = [[getattr(item, name) for name in COLUMNS] for item in sorted(items, key=lambda item: item.item_id)]
    return with_availability(pd.DataFrame(rows, columns=list(COLUMNS)))


def with_availability(items: pd.DataFrame) -> pd.DataFrame:
    """The same catalog with every column that eligibility reads; what is missing is an item without restrictions."""
    values = {name: items[name] if name in items else _filled(name, items.index) for name in DEFAULTS}
    return items.assign(
        release_year=values["release_year"].astype("Float64").astype("Int64"),
        tags=values["tags"].map(lambda tags: tuple(tags) if _is_list(tags) else ()),
        available_from=pd.to_datetime(values["available_from"], utc=True).dt.as_unit("us"),
        available_until=pd.to_datetime(values["available_until"], utc=True).dt.as_unit("us"),
        is_hidden=values["is_hidden"].map(lambda hidden: not pd.isna(hidden) and bool(hidden)).astype(bool),
    )


def _filled(name: str, index: pd.Index) -> pd.Series:
    return pd.Series([DEFAULTS[name]] * len(index), index=index, dtype=object)


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple | np.ndarray)


def eligible_mask(items: pd.DataFrame, rule: EligibilityRule, at: datetime | None) -> BoolArray:
    """Which items of a catalog may be recommended at a time; `(num_items,)`.

    Args:
        items: `genres`, and any of `release_year`, `tags`, `available_from`, `available_until`, `is_hidden`.
        rule: of the version or the run.
        at: aware; None leaves out when items are available.
    """
    catalog = with_availability(items)
    mask = ~catalog["is_hidden"].to_numpy(bool)
    if at is not None:
        moment = pd.Timestamp(at)
        mask &= ~(catalog["available_from"] > moment).to_numpy(bool)
        mask &= ~(catalog["available_until"] <= moment).to_numpy(bool)
    if rule.is_open:
        return mask
    years = [None if pd.isna(year) else int(year) for year in catalog["release_year"]]
    genres = [tuple(names) if _is_list(names) else () for names in catalog["genres"]]
    admitted = [rule.admits(*one) for one in zip(years, genres, catalog["tags"], strict=True)]
    return np.asarray(mask & np.array(admitted, bool), bool)


def barred_items(items: pd.DataFrame, rule: EligibilityRule, at: datetime | None) -> frozenset[str]:
    """Ids of the items of a catalog that may not be recommended at a time; arguments as for `eligible_mask`."""
    return frozenset(items["item_id"].to_numpy(dtype=object)[~eligible_mask(items, rule, at)])
