"""Versions read from an embedded store's tables are those that MLflow gives."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from recsys.registry.registry import MODEL_NAME
from recsys.registry.rows import KNOWN_SCHEMA, read_rows
from tests.integration.audited_loop import AuditedLoop


def store_of(loop: AuditedLoop) -> Path:
    return loop.context.settings.home / "mlflow" / "mlflow.db"


def test_the_rows_are_what_mlflow_gives(loop: AuditedLoop) -> None:
    versions = loop.champions(2)
    loop.context.registry.versions.set_tags(versions[1], {"note": "ours"})
    loop.delete(versions[0])
    client = loop.context.registry.connection.client
    found = {version.version: version for version in client.search_model_versions(f"name = '{MODEL_NAME}'")}
    rows = read_rows(store_of(loop), MODEL_NAME)
    assert rows is not None
    assert {str(version) for version in found} == set(rows.created_ms) == {"1", "3", "4"}
    assert rows.created_ms == {str(version): one.creation_timestamp for version, one in found.items()}
    assert {version: rows.tags[version] for version in rows.created_ms} == {
        str(v): dict(one.tags) for v, one in found.items()
    }
    assert rows.tags["4"]["note"] == "ours"
    aliases = client.search_registered_models(f"name = '{MODEL_NAME}'")[0].aliases
    assert rows.aliases == {alias: str(version) for alias, version in aliases.items()} != {}


def test_the_registry_answers_from_the_rows_as_from_mlflow(loop: AuditedLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    loop.champions(1)
    registry = loop.context.registry
    quick = (
        registry.versions.list_versions(),
        registry.aliases.all_aliases(),
        registry.versions.get_tags("2"),
        registry.versions.has_version("9"),
    )
    monkeypatch.setattr("recsys.registry.versions.read_rows", lambda file, name: None)
    assert quick == (
        registry.versions.list_versions(),
        registry.aliases.all_aliases(),
        registry.versions.get_tags("2"),
        registry.versions.has_version("9"),
    )


def test_the_known_tables_are_those_of_the_installed_mlflow(loop: AuditedLoop) -> None:
    with closing(sqlite3.connect(store_of(loop))) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(KNOWN_SCHEMA,)], (
            "MLflow has new migrations: compare its tables with the queries of recsys/registry/rows.py, then name the revision."
        )


def test_other_tables_are_left_to_mlflow(loop: AuditedLoop, tmp_path: Path) -> None:
    other, text = tmp_path / "other.db", tmp_path / "text.db"
    shutil.copy(store_of(loop), other)
    assert read_rows(other, MODEL_NAME) is not None
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'newer'")
        connection.commit()
    text.write_text("This is a text and not a database.\n" * 99)
    assert [read_rows(file, MODEL_NAME) for file in (other, text, tmp_path / "missing.db")] == [None, None, None]
    assert not (tmp_path / "missing.db").exists()
