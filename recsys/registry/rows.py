"""Versions, tags and aliases read straight from the file of an embedded MLflow store.

Importing MLflow takes two seconds and its SQL store as long again, and `recsys models` asks for a few rows. So they are
read from its tables, without writing, where these are the tables that this module knows; anywhere else MLflow itself is
asked. `KNOWN_SCHEMA` is the revision of MLflow's own migrations: a newer MLflow brings another one, and with it a failing test.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

KNOWN_SCHEMA = "dc11669786a5"
OWN = "workspace = 'default' AND name = ?"
VERSIONS = f"SELECT version, creation_time FROM model_versions WHERE {OWN} AND current_stage != 'Deleted_Internal'"
TAGS = f"SELECT version, key, value FROM model_version_tags WHERE {OWN}"
ALIASES = f"SELECT alias, version FROM registered_model_aliases WHERE {OWN}"


@dataclass(frozen=True)
class ModelRows:
    """What the tables hold of one registered model.

    Attributes:
        created_ms: version -> when it was made, in milliseconds since 1970.
        tags: version -> its tags.
        aliases: alias -> version.
    """

    created_ms: dict[str, int]
    tags: dict[str, dict[str, str]]
    aliases: dict[str, str]


def read_rows(file: Path, name: str) -> ModelRows | None:
    """The rows of a registered model, in one snapshot.

    Args:
        file: of the store.
        name: of the registered model.

    Returns:
        None where the file is no MLflow store with the known tables, or cannot be read now: ask MLflow, which also says why.
    """
    try:
        with _snapshot(file) as connection:
            if connection.execute("SELECT version_num FROM alembic_version").fetchall() != [(KNOWN_SCHEMA,)]:
                return None
            created = {str(version): int(at) for version, at in connection.execute(VERSIONS, (name,))}
            tags: dict[str, dict[str, str]] = {version: {} for version in created}
            for version, key, value in connection.execute(TAGS, (name,)):
                tags.setdefault(str(version), {})[str(key)] = str(value)
            aliases = {str(alias): str(version) for alias, version in connection.execute(ALIASES, (name,))}
    except sqlite3.Error:
        return None
    return ModelRows(created, tags, aliases)


@contextmanager
def _snapshot(file: Path) -> Iterator[sqlite3.Connection]:
    """One read transaction on a file that is neither made nor changed."""
    with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        connection.execute("BEGIN")
        yield connection
