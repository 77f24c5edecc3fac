"""The catalog, what of it may be recommended, and what users excluded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from recsys.config.eligibility import EligibilityRule
from recsys.records import Item
from recsys.store import backlog, batch_config, catalog, exclusions, item_changes
from recsys.store.database import Database
from recsys.store.exclusions import Exclusion
from recsys.store.item_changes import ItemChange


class Catalog:
    """Items and exclusions; every call is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def upsert_items(self, items: Sequence[Item], recorded_at: datetime | None = None) -> int:
        """Writes items that are new or differ, and returns how many; a placeholder never replaces an item.

        `recorded_at`: time of the change, for the history of availability; None keeps none.
        """
        return self._database.write(lambda c: catalog.upsert_items(c, items, recorded_at))

    def change_item(self, item_id: str, values: Mapping[str, Any], recorded_at: datetime) -> Item:
        """Changes some values of one item; see `catalog.change_item`."""
        return self._database.write_against_others(
            lambda c: catalog.change_item(c, item_id, values, recorded_at), f"change item {item_id}"
        )

    def all_items(self) -> dict[str, Item]:
        """All items by id, in the order of their ids."""
        with self._database.reading() as connection:
            return catalog.read_catalog(connection)

    def get_items(self, item_ids: Iterable[str]) -> dict[str, Item]:
        """The items with these ids that there are, by id."""
        with self._database.reading() as connection:
            return catalog.read_items(connection, item_ids)

    def list_item_changes(self, item_id: str) -> list[ItemChange]:
        """When an item could be recommended, as it was changed, newest first."""
        with self._database.reading() as connection:
            return item_changes.list_changes(connection, item_id)

    def items_changed_at(self, item_ids: Iterable[str]) -> datetime | None:
        """When one of these items was last hidden, shown, tagged, or given other times; None if never."""
        with self._database.reading() as connection:
            return item_changes.changed_at(connection, item_ids)

    def exclude_item(self, user_id: str, item_id: str, now: datetime) -> Exclusion:
        """Keeps an item out of a user's lists from now on; idempotent. NotFoundError for an unknown item."""
        return self._database.write(lambda c: exclusions.exclude(c, user_id, item_id, now))

    def include_item(self, user_id: str, item_id: str, now: datetime) -> None:
        """Takes an exclusion back; idempotent. NotFoundError if the user never excluded the item."""
        self._database.write(lambda c: exclusions.include_again(c, user_id, item_id, now))

    def list_exclusions(self, user_id: str) -> list[Exclusion]:
        """What a user excludes now, newest first."""
        with self._database.reading() as connection:
            return exclusions.list_exclusions(connection, user_id)

    def rule_of_version(self, model_version: str) -> EligibilityRule:
        """What a version may recommend; an open rule for one that no batch made."""
        with self._database.reading() as connection:
            return batch_config.rule_of(backlog.config_of_version(connection, model_version))
