"""A store with a hostile string wherever others may write text: every command shows it, and is steered by none."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import JSON, Connection, Table, Text, func, insert, select, text

from recsys.config.run import RunConfig
from recsys.feedback.handler import save_dislike
from recsys.records import (
    Batch,
    BatchStatus,
    Decision,
    Interaction,
    Item,
    RecommendationEntry,
    RecommendationSet,
)
from recsys.serving.lists import serve_list
from recsys.settings import Settings
from recsys.store import FeedbackStore, api_keys, tables
from recsys.store.column_types import UtcDateTime
from recsys.store.stream_shifts import StreamShift
from recsys.store.tables import metadata
from tests.integration.command_line import Finished, copy_home, quick
from tests.integration.test_cli import commands
from tests.unit.test_foreign_text import steers

NOW = datetime(2024, 5, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
MARK = "=cmd|"
HOSTILE = "[/x][red]\x1b[31m\x9b2J\x7f\u202e\r\nforged  line\t:smile: <b>{{7*7}} %s " + MARK + " "
SHOWN = r"[/x][red]\x1b[31m\x9b2J\x7f\u202e\r\nforged  line\t:smile: <b>{{7*7}} %s " + MARK
# What only this system writes, or what is one of a few words: their names, and how they end.
OURS = {
    "kind", "reason", "severity", "impact_type", "pattern_type", "status", "verdict", "step", "key_id", "scopes", "numbers",
    "num_rows", "batches", "config", "calibration", "model_version_id", "model_versions", "imdb_id",
    "remaining", "check_value", "sha256",
}  # fmt: skip
OURS_ENDING = ("version", "versions", "digest", "digests", "hash", "uri", "key_id")
NAMED = {("model_promotions", "reason")}  # a reason that a person wrote

READS: dict[str, tuple[str, ...]] = {
    "status": ("status",),
    "users": ("users",),
    "items": ("items",),
    "items list": ("items", "list", "--title", "film"),
    "items show": ("items", "show", "{}i0"),
    "recommend": ("recommend", "{}u", "--contributions"),
    "decisions": ("decisions",),
    "decisions show": ("decisions", "show", "1"),
    "models": ("models", "--at", "2024-05-02"),
    "exclusions list": ("exclusions", "list", "{}u"),
    "patterns": ("patterns", "--as-of", "2024-05-02"),
    "feedback-metrics": ("feedback-metrics", "--as-of", "2024-05-02"),
    "drift": ("drift", "--as-of", "2024-05-02"),
    "brigading list": ("brigading", "list"),
    "erasures": ("erasures",),
    "api-key list": ("api-key", "list"),
    "storage": ("storage",),
    "models check": ("models", "check"),
}
WRITES: dict[str, tuple[str, ...]] = {
    "exclusions add": ("exclusions", "add", "{}u", "{}i3"),
    "exclusions remove": ("exclusions", "remove", "{}u", "{}i3"),
    "dislike": ("dislike", "{}u", "{}i4", "--reason", "wrong_genre", "--text", "{}words"),
    "undo": ("undo", "{}u", "--last"),
    "items set": ("items", "set", "{}i5", "--tag", "{}tag"),
    "brigading release": ("brigading", "release", "{}i0", "--note", "{}note"),
    "release": ("release", "{}run"),
    "api-key create": ("api-key", "create", "--name", "{}shop", "--scope", "metrics:read"),
    "bring-back": ("bring-back", "{}gone", "--requested-by", "{}lawyer"),
    "erase-user": ("erase-user", "{}u9", "--requested-by", "{}lawyer", "--yes"),
}
MAY_SHOW_NONE = {"feedback-metrics", "drift", "storage", "models check"}  # numbers, and what this system says of itself
NO_VERSION = {"drift", "models check"}  # they say that the registry lacks the champion, and end with 1
NEEDS_A_MODEL_OR_FILES = {
    "run", "promote", "replay", "step", "rollback", "db upgrade", "import movietweetings", "import movielens",
    "import interactions", "import items", "home move", "home repair", "serve", "api-key revoke", "erasures purge",
}  # fmt: skip


def fill(store: FeedbackStore, say: Callable[[str], str]) -> None:
    """One row at least in every table, through the ways that users, products and operators have, as far as there are any."""
    user, items = say("u"), [say(f"i{n}") for n in range(6)]
    store.catalog.upsert_items([
        Item(item, say(f"Film {n}"), (say("Genre"),), (say("Star"),), say("Saga"), tags=(say("tag"),))
        for n, item in enumerate(items)
    ])  # fmt: skip
    store.catalog.change_item(items[0], {"tags": (say("other tag"),)}, NOW)
    store.feedback.insert_interactions([Interaction(user, items[1], "like", NOW, NOW, is_like=True)])
    for who in (user, say("u9"), say("erased")):
        save_dislike(
            store.feedback, user_id=who, recorded_at=NOW, item_id=items[0], reason="wrong_genre", feedback_text=say("words"),
            genres=(say("Genre"),), cast=(say("Star"),), idempotency_key=say(f"key {who}"),
        )  # fmt: skip
    store.catalog.exclude_item(user, items[2], NOW)
    store.stream.keep_stream_shift(StreamShift(say("source"), say("file"), 7, NOW))
    contributions = {"trend": 1.0, f"like:{items[1]}": 0.5}
    entries = tuple(
        RecommendationEntry(rank, item, 1.5, say("Because"), contributions, 0.5)
        for rank, item in enumerate(items[3:], 1)
    )
    lists = [RecommendationSet(whose, "2", NOW, NOW, entries) for whose in (user, None)]
    store.lists.replace_recommendation_sets("2", NOW, lists)
    store.audit.record_decision(
        Decision("run", "check_backlog", "retrain", (say("reason"),), NOW, NOW, {say("key"): say("x")})
    )
    serve_list(store, user, NOW + HOUR, 3)
    batch = Batch("run", NOW + HOUR, NOW, None, BatchStatus.CLAIMED, 0, RunConfig(), NOW, NOW + HOUR)
    store.backlog.claim_backlog(batch)
    store.erasures.erase_user(say("erased"), say("lawyer"), NOW)
    store.erasures.bring_back(say("erased"), say("lawyer"), NOW)
    store.erasures.erase_user(say("gone"), say("lawyer"), NOW)
    store.database.write(lambda c: api_keys.create_key(c, say("shop"), [api_keys.Scope.METRICS_READ], NOW))
    store.database.write(lambda c: _fill_behind_the_doors(c, say))


def _fill_behind_the_doors(connection: Connection, say: Callable[[str], str]) -> None:
    """What only a step of the loop writes."""
    rows: list[tuple[Table, dict[str, Any]]] = [
        (tables.model_promotions, {
            "sequence": 1, "run_id": say("run"), "to_version": "2", "reason": say("reason"), "created_at": NOW,
            "is_complete": True, "completed_at": NOW, "approved_by": say("boss"), "approved_at": NOW}),
        (tables.brigading_flags, {
            "dislike_id": 1, "item_id": say("i0"), "starts_at": NOW, "ends_at": NOW, "num_users": 1, "num_opinions": 1,
            "p_value": 1e-9, "note": say("note")}),
        (tables.backlog_announcements, {"after_batch": say("run"), "backlog": 1, "noticed_at": NOW}),
        (tables.dislike_patterns, {
            "user_id": say("u"), "pattern_type": "genre", "pattern_value": say("Genre"), "frequency": 1, "severity": "none",
            "identified_at": NOW}),
    ]  # fmt: skip
    if "artifact_digests" in metadata.tables:
        of_file = {
            "owner": say("run"),
            "kind": "fit",
            "path": say("path"),
            "sha256": "0" * 64,
            "size": 1,
            "written_at": NOW,
        }
        rows.append((metadata.tables["artifact_digests"], of_file))
    for table, row in rows:
        given = {name: value for name, value in row.items() if name in table.c}
        missing = [one for one in table.c if not one.nullable and one.name not in given and one.server_default is None]
        given |= {one.name: NOW if isinstance(one.type, UtcDateTime) else 1 for one in missing if not one.primary_key}
        connection.execute(insert(table).values(given))
    # A run is not named so at the door any more; one of an older version may be.
    connection.execute(text("pragma defer_foreign_keys = on"))
    connection.execute(text("update decisions set run_id = :run"), {"run": say("run")})
    connection.execute(text("update training_batches set batch_id = :run"), {"run": say("run")})
    connection.execute(
        text("update training_batches set taken_over_by = :run where batch_id = :run"), {"run": say("run")}
    )
    connection.execute(
        text("update negative_training_examples set batch_id = :run where batch_id = 'run' or example_id = 1"),
        {"run": say("run")},
    )


@pytest.fixture(scope="module")
def homes(empty_registry: Path, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Settings]:
    """The same store twice, with plain text and with hostile text."""
    found = {}
    for name, prefix in (("plain", ""), ("hostile", HOSTILE)):
        settings = copy_home(empty_registry, tmp_path_factory.mktemp("text") / name)
        (settings.home / "feedback.db").write_bytes(sqlite_template.read_bytes())
        with FeedbackStore.open(settings.database_url) as store:
            fill(store, lambda words, prefix=prefix: prefix + words)  # type: ignore[misc] # bound now
        found[name] = settings
    return found


def test_every_text_column_is_hostile(homes: dict[str, Settings]) -> None:
    lacking = []
    with FeedbackStore.open(homes["hostile"].database_url) as store, store.database.reading() as connection:
        for table in metadata.sorted_tables:
            for column in table.c:
                is_ours = (column.name in OURS or column.name.endswith(OURS_ENDING)) and (
                    (table.name, column.name) not in NAMED
                )
                if isinstance(column.type, Text | JSON) and not is_ours:
                    holds = func.instr(column if isinstance(column.type, Text) else text(column.name), MARK) > 0
                    if not connection.scalar(select(func.count()).select_from(table).where(holds)):
                        lacking.append(f"{table.name}.{column.name}")
    assert lacking == [], "Expected `fill` to write hostile text into these, or OURS to name them."


def test_every_command_is_tried() -> None:
    runnable = {" ".join(path) for path, one in commands() if path and getattr(one, "invoke_without_command", True)}
    assert runnable == set(READS | WRITES) | NEEDS_A_MODEL_OR_FILES


def run(settings: Settings, name: str, prefix: str, *more: str) -> Finished:
    words = [word.replace("{}", prefix) for word in (READS | WRITES)[name]]
    return quick(settings, *words, *more, COLUMNS="400")


@pytest.fixture
def own(homes: dict[str, Settings], tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, Settings]:
    """The homes; copies of them for a command that writes."""
    if request.node.callspec.params["name"] not in WRITES:
        return homes
    return {name: copy_home(settings.home, tmp_path / name) for name, settings in homes.items()}


def strings(value: object) -> list[str]:
    """All text in a JSON value."""
    if isinstance(value, str):
        return [value]
    parts = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for part in parts for text in strings(part)]


@pytest.mark.parametrize("name", READS | WRITES)
def test_hostile_text_is_shown_and_steers_nothing(own: dict[str, Settings], name: str) -> None:
    if name in {"exclusions remove", "undo"}:  # what they take back
        for settings, prefix in ((own["plain"], ""), (own["hostile"], HOSTILE)):
            assert run(settings, "exclusions add" if name == "exclusions remove" else "dislike", prefix).code == 0
    kept = own
    if name in WRITES:
        kept = {one: copy_home(settings.home, settings.home.parent / f"{one}-json") for one, settings in own.items()}
    plain, shown = run(own["plain"], name, ""), run(own["hostile"], name, HOSTILE)
    assert shown.code == plain.code == (name in NO_VERSION), shown.err + plain.err
    texts, plain_lines = shown.out + shown.err, (plain.out + plain.err).splitlines()
    assert set(steers(texts)) <= {"\n"}
    assert not any(line.startswith("forged") for line in texts.splitlines())
    assert len(texts.splitlines()) >= len(plain_lines) > 0, "no row is lost"
    assert SHOWN.split()[0] in texts or name in MAY_SHOW_NONE
    as_json, as_plain = run(kept["hostile"], name, HOSTILE, "--json"), run(kept["plain"], name, "", "--json")
    rows, plain_rows = ([json.loads(line) for line in one.out.splitlines()] for one in (as_json, as_plain))
    assert len(rows) == len(plain_rows)
    assert set(steers(as_json.out)) <= {"\n"}
    said = [one for one in strings(rows) if MARK in one]
    assert all(HOSTILE in one for one in said), "JSON is exact"
    assert said or name in MAY_SHOW_NONE | {"release", "api-key create", "erase-user", "bring-back"} or not plain_rows
