"""Migrations, and that the database itself refuses what must not be."""

import logging
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.exc import IntegrityError

from recsys.errors import TerminalError
from recsys.records import Dislike, Item
from recsys.store import FeedbackStore, migrate
from recsys.store.database_errors import parse_url
from recsys.store.engine import make_engine, writing
from recsys.store.schema import MIGRATIONS
from recsys.store.tables import SCHEMA_REVISION, metadata

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
SPEC_COLUMNS = {
    "user_dislikes": "dislike_id user_id movie_id movie_title recommendation_set_id predicted_score reason feedback_text "
    "created_at",
    "dislike_feedback_impact": "impact_id dislike_id model_version_id impact_type feature_affected adjustment_magnitude "
    "applied_at",
    "negative_training_examples": "example_id user_id movie_id movie_title actual_rating predicted_rating error weight "
    "used_in_training",
    "dislike_patterns": "pattern_id user_id pattern_type pattern_value frequency severity identified_at",
}


def run_sql(database_url: str, *statements: str) -> None:
    engine = make_engine(parse_url(database_url))
    try:
        with writing(engine) as connection:
            for statement in statements:
                connection.execute(text(statement))
    finally:
        engine.dispose()


def described(connection: Connection) -> dict[str, Any]:
    """Everything about the tables that the database itself knows, checks and partial indexes included."""
    found = inspect(connection)
    return {
        table: (
            sorted(str(column) for column in found.get_columns(table)),  # a column that was added later comes last
            found.get_pk_constraint(table),
            sorted(map(str, found.get_foreign_keys(table))),
            sorted(map(str, found.get_check_constraints(table))),
            sorted(map(str, found.get_unique_constraints(table))),
            sorted(str({**index, "dialect_options": _text(index)}) for index in found.get_indexes(table)),
        )
        for table in found.get_table_names()
        if table != "alembic_version"
    }


def _text(index: Any) -> dict[str, str]:
    return {name: str(condition) for name, condition in index.get("dialect_options", {}).items()}


def test_autogenerate_finds_no_difference(database_url: str) -> None:
    engine = make_engine(parse_url(database_url))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_migrated_schema_is_that_of_the_tables(empty_database_url: str, database_url: str) -> None:
    if empty_database_url.startswith("sqlite"):
        Path(empty_database_url.removeprefix("sqlite:///")).parent.mkdir()
    made, migrated = make_engine(parse_url(empty_database_url)), make_engine(parse_url(database_url))
    with writing(made) as connection:
        metadata.create_all(connection)
    with made.connect() as expected, migrated.connect() as actual:
        assert described(actual) == described(expected)
    made.dispose()
    migrated.dispose()


def test_tables_have_the_columns_of_the_original_system() -> None:
    for table, columns in SPEC_COLUMNS.items():
        assert set(columns.split()) <= set(metadata.tables[table].columns.keys())


def test_revision_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    assert ScriptDirectory.from_config(config).get_heads() == [SCHEMA_REVISION]


def test_migrate_makes_the_folder_and_may_run_again(empty_database_url: str) -> None:
    migrate(empty_database_url)
    with FeedbackStore.open(empty_database_url) as store:
        store.catalog.upsert_items([])
    migrate(empty_database_url)
    with FeedbackStore.open(empty_database_url) as store:
        assert store.catalog.all_items() == {}


def test_migrate_leaves_logging_alone(empty_database_url: str) -> None:
    before = (list(logging.root.handlers), logging.root.level, logging.getLogger("recsys").disabled)
    migrate(empty_database_url)
    assert (list(logging.root.handlers), logging.root.level, logging.getLogger("recsys").disabled) == before


def test_two_processes_may_migrate_at_once(empty_database_url: str) -> None:
    script = "import sys; from recsys.store import migrate; migrate(sys.argv[1])"
    command = [sys.executable, "-W", "error", "-c", script, empty_database_url]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors.decode()
    FeedbackStore.open(empty_database_url).close()


def test_open_insists_on_the_schema(empty_database_url: str) -> None:
    with pytest.raises(TerminalError, match="run `recsys db upgrade`"):
        FeedbackStore.open(empty_database_url)
    if empty_database_url.startswith("sqlite"):
        assert not Path(empty_database_url.removeprefix("sqlite:///")).exists()


def test_newer_schema_is_refused(database_url: str) -> None:
    run_sql(database_url, "UPDATE alembic_version SET version_num = '9999'")
    for use in (FeedbackStore.open, migrate):
        with pytest.raises(TerminalError, match="newer version"):
            use(database_url)


def test_downgrade_leaves_nothing(database_url: str) -> None:
    from alembic import command

    engine = make_engine(parse_url(database_url))
    with writing(engine) as connection:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    with engine.connect() as connection:
        assert set(inspect(connection).get_table_names()) <= {"alembic_version", "sqlite_sequence"}
    engine.dispose()


def test_titles_that_were_there_are_found_after_the_migration(empty_database_url: str) -> None:
    from alembic import command

    migrate(empty_database_url)
    with FeedbackStore.open(empty_database_url) as store:
        store.catalog.upsert_items([Item("a", "\uff26ilm  One"), Item("b", "Film Two")])
    engine = make_engine(parse_url(empty_database_url))
    with writing(engine) as connection:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.downgrade(config, "0011-1")
    engine.dispose()
    migrate(empty_database_url)
    with FeedbackStore.open(empty_database_url) as store:
        recorded = store.feedback.record_and_read([Dislike("u", MOMENT, MOMENT, movie_title="film one")])
        assert recorded[0][0].dislike.item_id == "a"
        assert set(store.catalog.all_items()) == {"a", "b"}


ITEM = (
    "INSERT INTO items (item_id, title, title_key, genres, cast_members, is_placeholder) "
    "VALUES ('i', 'Film', 'film', '[]', '[]', {false})"
)
BATCH = (
    "INSERT INTO training_batches (batch_id, as_of, fit_through, status, num_examples, config, claimed_at, "
    "lease_expires_at, settled_at, challenger_version) VALUES ('{id}', '{t2}', '{fit}', '{status}', 0, '{{}}', '{t2}', "
    "'{t2}', {settled}, {version})"
)
DISLIKE = (
    "INSERT INTO user_dislikes (dislike_id, user_id, movie_title, item_id, reason, genres, cast_members, created_at, "
    "recorded_at, predicted_score, idempotency_key, retracted_at) VALUES ({id}, '{user}', 'Film', '{item}', '{reason}', "
    "'[]', '[]', '{created}', '{t2}', {score}, {key}, {retracted})"
)
EXAMPLE = (
    "INSERT INTO negative_training_examples (dislike_id, user_id, movie_title, item_id, actual_rating, weight, "
    "used_in_training, recorded_at, batch_id) VALUES (1, '7', 'Film', 'i', 0, {weight}, {used}, '{t2}', {batch})"
)
IMPACT = (
    "INSERT INTO dislike_feedback_impact (dislike_id, model_version_id, impact_type, feature_affected, "
    "adjustment_magnitude, applied_at) VALUES (1, '1', 'genre', 'Drama', {magnitude}, '{t2}')"
)
PROMOTION = (
    "INSERT INTO model_promotions (sequence, run_id, to_version, reason, created_at, is_complete, completed_at) "
    "VALUES ({sequence}, '{run}', '1', 'x', '{t2}', {false}, NULL)"
)
FILLED = {
    "t1": "2013-06-01 00:00:00.000000Z", "t2": "2013-06-02 00:00:00.000000Z", "false": "false", "id": "1", "user": "7",
    "item": "i", "reason": "unspecified", "created": "2013-06-02 00:00:00.000000Z", "score": "NULL", "key": "NULL",
    "retracted": "NULL", "weight": "0.8", "used": "false", "batch": "NULL", "fit": "2013-06-01 00:00:00.000000Z",
    "status": "claimed", "settled": "NULL", "version": "NULL", "magnitude": "0.1", "sequence": "1", "run": "r",
}  # fmt: skip
T3 = "'2013-06-03 00:00:00.000000Z'"


def filled(statement: str, **changed: str) -> str:
    return statement.format(**{**FILLED, **changed})


@pytest.mark.parametrize(
    ("before", "refused"),
    [
        ([], filled(DISLIKE, user="")),
        ([], filled(DISLIKE, item="unknown")),
        ([], filled(DISLIKE, created="2013-06-02 00:00:00.000001Z")),
        ([], filled(DISLIKE, score="1.01")),
        ([], filled(DISLIKE, retracted="'2013-06-01 00:00:00.000000Z'")),
        ([filled(DISLIKE, key="'k'")], filled(DISLIKE, id="2", key="'k'")),
        ([filled(DISLIKE)], filled(EXAMPLE, weight="0")),
        ([filled(DISLIKE)], filled(EXAMPLE, weight="1.01")),
        ([filled(DISLIKE)], filled(EXAMPLE, used="true")),
        ([filled(DISLIKE)], filled(EXAMPLE, batch="'unknown'")),
        ([filled(DISLIKE), filled(EXAMPLE)], filled(EXAMPLE)),
        ([], filled(EXAMPLE)),
        ([filled(DISLIKE)], filled(IMPACT, magnitude="-1.01")),
        ([filled(BATCH)], filled(BATCH, id="2")),
        ([], filled(BATCH, status="lost")),
        ([], filled(BATCH, fit="2013-06-03 00:00:00.000000Z")),
        ([], filled(BATCH, status="released")),
        ([], filled(BATCH, status="used", settled=T3)),
        ([filled(PROMOTION)], filled(PROMOTION, run="s")),
        ([], filled(PROMOTION, sequence="0")),
        ([filled(PROMOTION)], "UPDATE model_promotions SET kind = 'coup'"),
        ([], f"UPDATE items SET available_from = {T3}, available_until = {T3}"),
        ([], f"INSERT INTO user_exclusions (user_id, item_id, recorded_at) VALUES ('', 'i', {T3})"),
        ([], f"INSERT INTO user_exclusions (user_id, item_id, recorded_at) VALUES ('u', 'unknown', {T3})"),
        (
            [f"INSERT INTO user_exclusions (user_id, item_id, recorded_at) VALUES ('u', 'i', {T3})"],
            f"INSERT INTO user_exclusions (user_id, item_id, recorded_at) VALUES ('u', 'i', {T3})",
        ),
    ],
)
def test_database_refuses(database_url: str, before: list[str], refused: str) -> None:
    run_sql(database_url, filled(ITEM), *before)
    with pytest.raises(IntegrityError):
        run_sql(database_url, refused)


def test_database_takes_the_rows_that_the_refused_ones_differ_from(database_url: str) -> None:
    run_sql(
        database_url,
        filled(ITEM),
        filled(DISLIKE, key="'k'"),
        filled(DISLIKE, id="2", user="8", key="'k'"),
        filled(BATCH),
        filled(BATCH, id="2", status="used", settled=T3, version="'1'"),
        filled(BATCH, id="3", status="released", settled=T3),
        filled(EXAMPLE, batch="'2'", used="true"),
        filled(IMPACT, magnitude="-1"),
        filled(PROMOTION),
        filled(PROMOTION, sequence="2", run="s"),
    )


def test_sqlite_is_durable_and_checks_keys(tmp_path: Path) -> None:
    migrate(f"sqlite:///{tmp_path / 'feedback.db'}")
    engine = make_engine(parse_url(f"sqlite:///{tmp_path / 'feedback.db'}"))
    with engine.connect() as connection:
        values = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert values == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}
    engine.dispose()


def test_sqlite_readers_do_not_wait_for_the_writer(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'feedback.db'}"
    migrate(url)
    engine = make_engine(parse_url(url))
    with FeedbackStore.open(url) as store, writing(engine) as connection:
        connection.execute(text(filled(ITEM)))
        assert store.catalog.all_items() == {}
    engine.dispose()


def test_raw_engine_shares_the_file(tmp_path: Path) -> None:
    """What the store writes, any SQLite tool reads."""
    url = f"sqlite:///{tmp_path / 'feedback.db'}"
    migrate(url)
    run_sql(url, filled(ITEM), filled(DISLIKE))
    engine = create_engine(url)
    with engine.connect() as connection:
        found = connection.execute(text("SELECT date(created_at, '+1 day') FROM user_dislikes")).scalar()
    assert found == "2013-06-03"
    engine.dispose()


def test_an_item_from_before_eligibility_may_be_recommended_still(database_url: str) -> None:
    from alembic import command

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    engine = make_engine(parse_url(database_url))
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0008-1")  # what is before it
        connection.execute(text(filled(ITEM)))
    engine.dispose()
    migrate(database_url)
    with FeedbackStore.open(database_url) as store:
        assert store.catalog.all_items() == {"i": Item("i", "Film")}
