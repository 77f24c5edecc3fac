"""What holds for all commands: JSON lines with `--json` and text without, `-k`, units, and text that is never markup."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from recsys.cli import app
from recsys.feedback.handler import save_dislike
from recsys.records import Item
from recsys.settings import Settings
from recsys.store import FeedbackStore, api_keys, migrate
from tests.integration.command_line import copy_database, quick, state
from tests.integration.conftest import Champion
from tests.integration.small_stream import FIRST_AS_OF, SECOND_AS_OF, START
from tests.integration.test_cli import commands

AS_OF = FIRST_AS_OF.isoformat()
SHOWS_NOTHING = {"serve"}  # it runs until it is ended
LISTS = {
    "recommend", "users", "items", "items list", "decisions", "models", "patterns", "brigading list", "erasures",
    "api-key list", "exclusions list",
}  # fmt: skip
LOOKS = {
    "status": ("status",),
    "users": ("users",),
    "items": ("items",),
    "items list": ("items", "list", "--title", "film 1"),
    "recommend": ("recommend", "u001"),
    "decisions": ("decisions",),
    "decisions show": ("decisions", "show", "2"),
    "models": ("models",),
    "items show": ("items", "show", "f01"),
    "exclusions list": ("exclusions", "list", "u001"),
    "storage": ("storage",),
    "models check": ("models", "check"),
    "patterns": ("patterns", "--as-of", AS_OF),
    "feedback-metrics": ("feedback-metrics",),
    "drift": ("drift", "--as-of", AS_OF),
    "brigading list": ("brigading", "list"),
    "erasures": ("erasures",),
    "erasures purge": ("erasures", "purge", "--dry-run"),
    "api-key list": ("api-key", "list"),
    "db upgrade": ("db", "upgrade"),
    "step": ("step", "watch_loop", "--arguments", json.dumps({"as_of": AS_OF})),
    "run --dry-run": ("run", "--dry-run", "--as-of", SECOND_AS_OF.isoformat(), "--threshold", "100000"),
}
RUNNABLE = [
    pytest.param(" ".join(path), command, id=" ".join(path))
    for path, command in commands()
    if path and getattr(command, "invoke_without_command", True)
]


def option(command: Any, name: str) -> Any | None:
    return next((param for param in command.params if name in param.opts), None)


@pytest.mark.parametrize(("name", "command"), RUNNABLE)
def test_every_command_takes_json_and_every_list_takes_k(name: str, command: Any) -> None:
    as_json, k = option(command, "--json"), option(command, "-k")
    assert (as_json is None) == (name in SHOWS_NOTHING)
    assert as_json is None or (
        as_json.is_flag and as_json.help == "JSON lines instead of text: one object a line, nothing else."
    )
    assert (k is not None) == (name in LISTS)
    assert k is None or (k.help == "How many to show at most." and k.default >= 1)


@pytest.fixture(scope="module")
def looked_at(champion: Champion, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The champion's database, with whatever the lists would show, beside the champion's MLflow."""
    folder = tmp_path_factory.mktemp("looked-at")
    database = copy_database(champion.settings.home, folder)
    settings = Settings(champion.settings.home, f"sqlite:///{database}", champion.settings.tracking_uri)
    with FeedbackStore.open(settings.database_url) as store:
        store.database.write(lambda c: api_keys.create_key(c, "shop", [api_keys.Scope.METRICS_READ], START))
        store.erasures.erase_user("u749", "the user", START)
    return settings


@pytest.mark.parametrize("name", LOOKS)
def test_json_is_lines_of_objects_and_comes_only_when_asked_for(looked_at: Settings, name: str) -> None:
    shown, plain = quick(looked_at, *LOOKS[name], "--json"), quick(looked_at, *LOOKS[name])
    assert (shown.code, shown.err) == (plain.code, plain.err) == (0, "")
    rows = [json.loads(line) for line in shown.out.splitlines()]
    assert all(isinstance(row, dict) for row in rows)
    assert rows or name in {"models check", "brigading list", "exclusions list"}, "there is nothing to find"
    assert plain.out.strip()
    assert not [line for line in plain.out.splitlines() if line.lstrip()[:1] in {"{", "["}]


@pytest.mark.parametrize("name", ["users", "items", "recommend", "decisions", "models"])
def test_k_says_how_many(looked_at: Settings, name: str) -> None:
    every, one = (
        [json.loads(line) for line in quick(looked_at, *LOOKS[name], "--json", *words).out.splitlines()]
        for words in ((), ("-k", "1"))
    )
    assert len(one) == 1 < len(every)
    for row in (*every, *one):  # a list that feedback changes is as of the time when it is asked for
        row.pop("as_of", None)
    assert one[0] in every
    refused = quick(looked_at, *LOOKS[name], "-k", "0")
    assert (refused.code, refused.out) == (2, "")


def test_version_and_help_say_the_rule() -> None:
    from typer.testing import CliRunner

    said = CliRunner().invoke(app, ["--version"])
    assert (said.exit_code, said.stdout.split()[0]) == (0, "recsys")
    assert "--json prints JSON lines" in " ".join(
        CliRunner(env={"COLUMNS": "200"}).invoke(app, ["--help"]).stdout.split()
    )


def test_a_wrong_word_gets_the_nearest_command() -> None:
    from typer.testing import CliRunner

    ended = CliRunner().invoke(app, ["decisons"])
    assert ended.exit_code == 2
    assert "Did you mean 'decisions'" in ended.output


@pytest.fixture
def odd(settings: Settings) -> Settings:
    """A store whose ids, titles and genres look like Rich's markup, and longer than a terminal is wide."""
    migrate(settings.database_url)
    with FeedbackStore.open(settings.database_url) as store:
        store.catalog.upsert_items([
            Item("[red]i[/red]", "[bold]Title[/bold] [/nothing]", ("[blink]",)), Item("long", "word" * 40), Item("x" * 120, "X")
        ])  # fmt: skip
        for item_id in ("[red]i[/red]", "long"):
            save_dislike(
                store.feedback,
                user_id="[link=http://x]u[/link]",
                recorded_at=START,
                item_id=item_id,
                reason="wrong_genre",
            )
    return settings


def test_what_users_sent_is_printed_as_it_is(odd: Settings) -> None:
    for words in (("items",), ("users",), ("patterns", "--as-of", AS_OF, "--user", "[link=http://x]u[/link]")):
        shown = quick(odd, *words, COLUMNS="200")
        assert (shown.code, shown.err) == (0, "")
    assert "[bold]Title[/bold] [/nothing]" in quick(odd, "items", COLUMNS="200").out
    assert "[red]i[/red]" in quick(odd, "items", COLUMNS="200").out
    assert "[link=http://x]u[/link]" in quick(odd, "users", COLUMNS="200").out
    done = quick(odd, "dislike", "[link=http://x]u[/link]", "[red]i[/red]", "--reason", "wrong_genre")
    assert "user [link=http://x]u[/link], [bold]Title[/bold] [/nothing] ([red]i[/red])" in done.out
    assert "genre:[blink] by 15 %" in done.out


def test_a_narrow_terminal_loses_no_letter_of_an_id_or_a_title(odd: Settings) -> None:
    shown = quick(odd, "items", COLUMNS="80").out
    letters = "".join(character for character in shown if character.isalpha())
    assert "…" not in shown
    assert letters.count("x") >= 120
    assert sum(letters.count(letter) for letter in "word") >= 160
    assert max(map(len, shown.splitlines())) <= 80


@pytest.fixture
def served(champion: Champion, tmp_path: Path) -> Settings:
    """The champion's database to write to."""
    database = copy_database(champion.settings.home, tmp_path)
    return Settings(tmp_path, f"sqlite:///{database}", champion.settings.tracking_uri)


def first_item(settings: Settings, user: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(quick(settings, "recommend", user, "--json", "-k", "1").out)
    return found


def test_a_dislike_is_recorded_as_the_api_does_it_and_can_be_undone(served: Settings) -> None:
    entry = first_item(served, "u001")
    shown = quick(served, "dislike", "u001", entry["item_id"], "--reason", "wrong_genre", "--text", "not mine")
    assert (shown.code, shown.err) == (0, "")
    with FeedbackStore.open(served.database_url) as store:
        stored = store.feedback.list_dislikes("u001", 1)[0]
        backlog = store.backlog.count_backlog(stored.dislike.recorded_at)
    given = stored.dislike
    assert (given.item_id, given.reason, given.feedback_text) == (entry["item_id"], "wrong_genre", "not mine")
    assert given.predicted_score == entry["predicted_score"], "from the list that showed it, not from the command"
    assert given.recommendation_set_id is not None
    assert set(stored.adjustments.values()) == {-0.15}
    assert f"Dislike {stored.dislike_id}: user u001, {entry['title']} ({entry['item_id']}), wrong_genre." in shown.out
    assert all(f"plays down  {name} by 15 %" in shown.out for name in stored.adjustments)
    taken = quick(served, "undo", "u001", "--last", "--json")
    assert json.loads(taken.out)["dislike_id"] == stored.dislike_id
    with FeedbackStore.open(served.database_url) as store:
        retracted_at = store.feedback.get_dislikes([stored.dislike_id])[stored.dislike_id].retracted_at
        assert retracted_at is not None
        assert store.backlog.count_backlog(retracted_at) == backlog - 1
    again = quick(served, "undo", "u001", str(stored.dislike_id))
    assert (again.code, again.err) == (0, "")


def test_a_refused_dislike_or_undo_writes_nothing(served: Settings) -> None:
    before = state(served.home)
    refused = (
        (("dislike", "u001", "no such item"), 1),
        (("dislike", "", "f01"), 2),
        (("dislike", "u001", "f01", "--reason", "bored"), 2),
        (("dislike", "u001", "f01", "--text", "x" * 2001), 2),
        (("undo", "u001"), 2),
        (("undo", "u001", "999999"), 1),
        (("undo", "nobody", "--last"), 1),
    )
    for words, code in refused:
        ended = quick(served, *words)
        assert (ended.code, ended.out) == (code, ""), words
    assert state(served.home) == before


def test_users_and_items_are_listed_by_what_is_known_of_them(looked_at: Settings) -> None:
    users = [json.loads(line) for line in quick(looked_at, "users", "--json", "-k", "10000").out.splitlines()]
    with FeedbackStore.open(looked_at.database_url) as store:
        user = next(user for user in users if user["user_id"] == "u001")
        signals = store.stream.user_signals("u001", SECOND_AS_OF)
        assert user["num_items"] == len(signals)
        assert user["num_dislikes"] == len({one.dislike.item_id for one in store.feedback.list_dislikes("u001")})
    assert [one["num_items"] for one in users] == sorted((one["num_items"] for one in users), reverse=True)
    assert "u749" not in {one["user_id"] for one in users}, "erased"
    found = [json.loads(line) for line in quick(looked_at, "items", "--json", "--title", "FILM 5").out.splitlines()]
    assert {one["title"] for one in found} == {"Film 5", *(f"Film {number}" for number in range(50, 60))}
    assert all(one["num_likes"] >= 0 and not one["is_placeholder"] for one in found)
    assert quick(looked_at, "items", "--title", "100%").out == "No title holds '100%'.\n"
