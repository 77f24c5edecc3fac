"""A database that was written before there were publications keeps its lists, and what refers to them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, insert, select, text

from recsys.errors import TerminalError
from recsys.records import Promotion, SetKind
from recsys.store import FeedbackStore, migrate
from recsys.store.database_errors import parse_url
from recsys.store.engine import make_engine, writing
from recsys.store.schema import MIGRATIONS
from recsys.store.tables import recommendation_exposures, recommendation_sets, user_dislikes

EARLY, LATE = "2013-06-12 00:00:00.000000Z", "2026-11-28 00:00:00.000000Z"
NOW = datetime(2026, 11, 28, tzinfo=UTC)
TERMS = {"trend": 0.1 + 0.2, "like:i2": -1e-17}


@contextmanager
def at_revision(url: str, revision: str) -> Iterator[Connection]:
    """A new database with an earlier schema, to write to."""
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir(exist_ok=True)
    engine = make_engine(parse_url(url))
    with writing(engine) as connection:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        yield connection
    engine.dispose()


def fill(connection: Connection) -> None:
    """Lists of two versions and one that was made for a user, an exposure, a dislike, and a number that was given once."""
    connection.execute(
        text("INSERT INTO items VALUES ('i1', 'Film', 'film', '[]', '[]', NULL, NULL, NULL, NULL, false)")
    )
    sets = [
        (1, "u1", "2", EARLY, LATE, "published"), (2, None, "2", EARLY, LATE, "published"),
        (3, "u1", "4", LATE, EARLY, "published"), (4, "u1", "4", "2026-11-28 01:00:00.000000Z", EARLY, "adjusted"),
        (5, "u2", "4", LATE, EARLY, "published"), (9, "gone", "4", LATE, EARLY, "published"),
    ]  # fmt: skip
    for number, user, version, as_of, created_at, kind in sets:
        values: dict[str, Any] = {"n": number, "u": user, "v": version, "a": as_of, "c": created_at, "k": kind}
        connection.execute(
            text(
                "INSERT INTO recommendation_sets (recommendation_set_id, user_id, model_version, as_of, created_at, kind)"
                " VALUES (:n, :u, :v, :a, :c, :k)"
            ),
            values,
        )
        if number != 5:  # an empty list
            connection.execute(
                text("INSERT INTO recommendation_entries VALUES (:n, 1, 'i1', 0.3, :reason, :terms, 0.5)"),
                {"n": number, "reason": f"reason {number}", "terms": json.dumps(TERMS)},
            )
    connection.execute(text("DELETE FROM recommendation_sets WHERE recommendation_set_id = 9"))
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT setval('recommendation_sets_recommendation_set_id_seq', 9)"))
    connection.execute(insert(recommendation_exposures).values(recommendation_set_id=1, num_items=1, served_at=NOW))
    dislike = {
        "user_id": "u1", "movie_title": "Film", "item_id": "i1", "recommendation_set_id": 3, "reason": "unspecified",
        "genres": [], "cast_members": [], "created_at": NOW, "recorded_at": NOW,
    }  # fmt: skip
    connection.execute(insert(user_dislikes).values(dislike))


def test_lists_and_what_refers_to_them_survive(empty_database_url: str) -> None:
    with at_revision(empty_database_url, "0004") as connection:
        fill(connection)
    migrate(empty_database_url)
    with FeedbackStore.open(empty_database_url) as store:
        for number, version in enumerate(("4", "2"), start=1):
            store.audit.begin_promotion(Promotion(number, f"r{number}", None, version, "x", NOW, is_complete=False))
            store.audit.finish_promotion(NOW, lambda rows: None)
        found = store.lists.get_recommendations("u1")
        assert found is not None
        assert (found.model_version, found.recommendation_set_id) == ("2", 1)
        assert [(e.item_id, e.score, e.predicted_score, e.reason, e.contributions) for e in found.entries] == [
            ("i1", 0.3, 0.5, "reason 1", TERMS)
        ]
        strangers = store.lists.get_recommendations(None)
        assert strangers is not None
        store.audit.begin_promotion(Promotion(3, "r3", None, "4", "x", NOW, is_complete=False))
        empty = store.lists.get_recommendations("u2")
        assert empty is not None
        assert (empty.recommendation_set_id, empty.entries) == (5, ())
        with store.database.reading() as connection:
            numbers = list(connection.scalars(select(recommendation_sets.c.recommendation_set_id)))
            assert sorted(numbers) == [1, 2, 3, 4, 5]
            assert list(connection.scalars(select(recommendation_exposures.c.recommendation_set_id))) == [1]
            assert list(connection.scalars(select(user_dislikes.c.recommendation_set_id))) == [3]
        assert store.lists.add_list(replace(found, kind=SetKind.ADJUSTED)) > 9, (
            "a number that was given once is not given again"
        )


def test_a_reference_that_does_not_hold_stops_the_migration(tmp_path: Path) -> None:
    """PostgreSQL does not let it be written."""
    empty_database_url = f"sqlite:///{tmp_path / 'feedback.db'}"
    with at_revision(empty_database_url, "0004") as connection:
        fill(connection)
    engine = make_engine(parse_url(empty_database_url))
    with engine.connect() as raw:
        driver: Any = raw.connection.driver_connection
        driver.execute("PRAGMA foreign_keys=OFF")
        driver.execute("UPDATE recommendation_exposures SET recommendation_set_id = 77")
    engine.dispose()
    with pytest.raises(TerminalError, match="1 do not, such as"):
        migrate(empty_database_url)
    with at_revision(empty_database_url, "0004") as connection:
        assert connection.execute(text("SELECT count(*) FROM recommendation_sets")).scalar_one() == 5
