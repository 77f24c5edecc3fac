"""Every command on a small stream, and what `--help` says about it."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from recsys.cli import app
from recsys.errors import InputError
from recsys.pipeline.context import Context
from recsys.pipeline.monitoring import drift
from recsys.pipeline.night import NIGHT_STEPS
from recsys.settings import Settings
from recsys.store import FeedbackStore, migrate
from tests.integration.command_line import quick, state
from tests.integration.conftest import Champion
from tests.integration.small_stream import FIRST_AS_OF, SECOND_AS_OF, write_stream

AS_OF = FIRST_AS_OF.isoformat()
RUN_ID = f"cli__{AS_OF}"


def commands(command: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command and group of commands, with the words that call it."""
    command = command or typer.main.get_command(app)
    yield path, command
    for name in command.list_commands(None) if hasattr(command, "list_commands") else ():
        yield from commands(command.get_command(None, name), (*path, name))


ALL = [pytest.param(path, command, id=" ".join(path) or "recsys") for path, command in commands()]


def test_the_commands_are_those_of_the_design() -> None:
    words = {
        " ".join(path) for path, command in commands() if path and getattr(command, "invoke_without_command", True)
    }
    assert words == {
        "run", "step", "replay", "status", "decisions", "decisions show", "models", "models check", "rollback", "recommend",
        "release", "db upgrade", "import movietweetings", "import movielens", "import interactions", "import items",
        "patterns", "feedback-metrics", "drift", "serve", "api-key create", "api-key list", "api-key revoke",
        "brigading list", "brigading release", "erase-user", "erasures", "erasures purge", "bring-back", "users", "items",
        "items list",
        "dislike", "undo", "storage", "home move", "home repair", "items show", "items set", "exclusions add",
        "exclusions remove", "exclusions list", "promote",
    }  # fmt: skip


@pytest.mark.parametrize(("path", "command"), ALL)
def test_every_command_and_option_is_documented(path: tuple[str, ...], command: Any) -> None:
    words = (command.help or "").split()
    assert len(words) >= 3, f"Expected `recsys {' '.join(path)}` to have a help text, got {command.help!r}."
    named = [param for param in command.params if "--install-completion" not in param.opts]
    silent = [param.opts for param in named if not (getattr(param, "help", None) or "").strip()]
    assert silent == [], "Expected each argument and option to have a help text."


@pytest.mark.parametrize(("path", "command"), ALL)
def test_help_shows_it(path: tuple[str, ...], command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    shown = CliRunner().invoke(app, [*path, "--help"])
    assert shown.exit_code == 0
    first_words = command.help.strip().splitlines()[0].rstrip(".").split()[:4]
    assert " ".join(first_words) in " ".join(shown.stdout.split())
    for option in (name for param in command.params for name in param.opts if name.startswith("--")):
        assert option in shown.stdout


def test_the_tour_names_commands_that_exist() -> None:
    known = {" ".join(path) for path, _ in commands()}
    tour = str(typer.main.get_command(app).help).split("**")[1::2]
    assert len(tour) >= 6
    for words in (part.removeprefix("recsys ").split() for part in tour):
        assert words[0] in known
        assert " ".join(words[:2]) in known or words[0] not in {"db", "import"}


def test_a_night_shows_each_step_and_why(champion: Champion) -> None:
    rows = [[cell.strip() for cell in line.split("│")[1:4]] for line in champion.night.out.splitlines() if "│" in line]
    assert [step for step, _, _ in rows if step] == list(NIGHT_STEPS)
    assert all(seconds and said for step, seconds, said in rows if step), rows
    assert "promote" in champion.night.out.splitlines()[0]
    assert "- NDCG@10" in champion.night.out
    assert not champion.night.err


def test_status_says_who_serves(champion: Champion) -> None:
    shown = quick(champion.settings, "status")
    assert (shown.code, shown.err) == (0, "")
    assert "champion   version 2" in shown.out
    assert "(threshold 20)" in shown.out
    assert shown.shows(f"{RUN_ID} decide_promotion: promote.")


def test_decisions_say_why(champion: Champion) -> None:
    shown = quick(champion.settings, "decisions")
    assert (shown.code, shown.err) == (0, "")
    assert shown.shows("enough to retrain")
    lines = quick(champion.settings, "decisions", "--json", "-k", "1").out.splitlines()
    (decision,) = map(json.loads, lines)
    assert (decision["step"], decision["verdict"]) == ("decide_promotion", "promote")
    assert decision["reasons"]
    assert decision["numbers"]["model_version"] == "1"


def test_patterns_say_what_is_disliked(champion: Champion) -> None:
    shown = quick(champion.settings, "patterns", "--as-of", AS_OF)
    assert (shown.code, shown.err) == (0, "")
    assert "unspecified" in shown.out
    assert "Horror" in shown.out
    overall = json.loads(quick(champion.settings, "patterns", "--as-of", AS_OF, "--json").out)
    own = json.loads(quick(champion.settings, "patterns", "--as-of", AS_OF, "--json", "--user", "u001").out)
    assert overall["total_dislikes"] > own["total_dislikes"] > 0
    assert {genre["name"] for genre in own["genres"]} <= {"Comedy", "Western"}, "u001 likes horror"


def test_feedback_metrics_say_how_the_loop_does(champion: Champion) -> None:
    shown = quick(champion.settings, "feedback-metrics")
    assert (shown.code, shown.err) == (0, "")
    assert "total negative examples" in shown.out
    metrics = json.loads(quick(champion.settings, "feedback-metrics", "--json").out)
    assert metrics["loop_efficiency"]["retrainings"] == metrics["loop_efficiency"]["promotions"] == 1
    assert (
        metrics["total_negative_examples"]
        == metrics["loop_efficiency"]["dislikes_used"] + metrics["time_to_champion"]["waiting"]
    )


def test_drift_says_how_far_the_newest_days_are_from_what_the_champion_knows(
    champion: Champion, tmp_path: Path
) -> None:
    before = state(champion.settings.home)
    report = tmp_path / "drift.html"
    shown = quick(champion.settings, "drift", "--as-of", SECOND_AS_OF.isoformat(), "--json", "--report", str(report))
    assert (shown.code, shown.err) == (0, "")
    found = json.loads(shown.out)
    assert found["champion_version"] == "2"
    assert {one["name"] for one in found["drifts"]} == {
        "items", "genres", "signals", "events_per_user", "reasons", "scores"
    }  # fmt: skip
    known = [one for one in found["drifts"] if one["verdict"] != "not_enough"]
    assert {"genres", "signals", "scores"} <= {one["name"] for one in known}
    assert all(0 <= one["distance"] <= 1 and one["limit"] > max(one["reference_distances"]) for one in known)
    assert "data:image/png;base64" in report.read_text(encoding="utf-8")
    assert state(champion.settings.home) == before, "it only looks"


def test_drift_needs_something_that_the_champion_has_not_seen(champion: Champion) -> None:
    with Context.open(champion.settings) as context:
        found = drift.measure(context, FIRST_AS_OF, drift.drift_config(7))
        with pytest.raises(InputError, match="nothing was compared"):
            drift.report_of(found)
    assert (found.verdict, found.alerts, found.metrics()) == ("not_enough", [], {})
    assert found.reasons[0].startswith("Champion version 2 knows everything up to 2024-03-2")
    with pytest.raises(InputError, match="Expected days above 0, got 0"):
        drift.drift_config(0)


def test_the_loop_is_watched_as_of_a_day(champion: Champion) -> None:
    def watch(**arguments: Any) -> dict[str, Any]:
        found = quick(champion.settings, "step", "watch_loop", "--json", "--arguments", json.dumps(arguments))
        assert (found.code, found.err) == (0, "")
        return json.loads(found.out)

    assert watch(as_of=AS_OF)["alerts"] == []
    later = watch(as_of=SECOND_AS_OF.isoformat(), max_champion_days=10.0)
    assert later["champion_version"] == "2"
    assert later["num_refusals"] == 0
    assert 11 < later["champion_days"] <= 13
    (alert,) = later["alerts"]
    assert alert.startswith("Champion version 2 has seen nothing of the last 1")


def test_the_fidelity_of_explanations_is_logged_with_the_judged_version_and_the_refit(champion: Champion) -> None:
    with closing(sqlite3.connect(champion.settings.home / "mlflow" / "mlflow.db")) as connection:
        rows = connection.execute("SELECT run_uuid, key, value FROM metrics WHERE key LIKE 'fidelity_max_%'").fetchall()
    assert len({run for run, _, _ in rows}) == 2
    names = ("sum_error", "deletion_error_at_1", "deletion_error_at_3")
    assert sorted(key for _, key, _ in rows) == sorted(f"fidelity_max_{name}" for name in names * 2)
    assert all(0 < value < 1e-5 for _, _, value in rows)


def test_recommend_shows_a_users_list_with_reasons(champion: Champion) -> None:
    shown = quick(champion.settings, "recommend", "u001", "--contributions")
    assert (shown.code, shown.err) == (0, "")
    assert "For user u001, model version 2" in shown.out
    assert "Film " in shown.out
    assert re.search(r"\+0\.\d{6}  (popular right now|you liked Film \d+)", shown.out)
    assert not re.search(r"(like|recent|dislike|genre|adjustment):", shown.out), "rows are in words"
    assert not re.search(r"[+-]0\.000000", shown.out)


def test_recommend_shows_where_an_item_would_rank_without_what_it_rests_on(champion: Champion) -> None:
    shown = quick(champion.settings, "recommend", "u001", "--counterfactuals", COLUMNS="250")
    assert shown.code == 0
    assert re.search(r"Without Film \d+ it would be rank \d+, without Film \d+ rank \d+", shown.out)


def test_recommend_gives_a_stranger_the_newcomers_list(champion: Champion) -> None:
    shown = quick(champion.settings, "recommend", "nobody")
    assert shown.code == 0
    assert shown.shows("newcomers (user nobody has no list of their own)")


def test_a_dry_run_says_what_would_happen_and_writes_nothing(champion: Champion) -> None:
    before = state(champion.settings.home)
    shown = quick(
        champion.settings, "run", "--as-of", SECOND_AS_OF.isoformat(), "--dry-run", "--keep-candidate", "--json"
    )
    assert (shown.code, shown.err) == (0, "")
    checked, outcome = map(json.loads, shown.out.splitlines())
    assert checked["retrain"]
    assert checked["backlog"] >= 20
    assert outcome["would"] in {"promote", "reject", "insufficient_evidence"}
    assert outcome["reasons"]
    assert outcome["metrics"]["challenger_ndcg_at_10"] > 0
    assert outcome["written"] == "nothing"
    assert state(champion.settings.home) == before


@pytest.fixture
def stream(settings: Settings) -> Settings:
    """The small stream in a home of this test's own, before any run."""
    migrate(settings.database_url)
    with FeedbackStore.open(settings.database_url) as store:
        write_stream(store)
    return settings


def test_a_dry_run_below_the_threshold_says_so_and_writes_nothing(stream: Settings) -> None:
    before = state(stream.home)
    rehearsal = ("run", "--as-of", AS_OF, "--threshold", "100000", "--dry-run")
    shown = quick(stream, *rehearsal)
    assert (shown.code, shown.err) == (0, "")
    assert "decision   skip. " in shown.out
    assert shown.out.endswith("Nothing was written: dry run.\n")
    assert json.loads(quick(stream, *rehearsal, "--json").out)["retrain"] is False
    assert state(stream.home) == before


def test_a_night_below_the_threshold_is_skipped_and_says_why(stream: Settings) -> None:
    before = state(stream.home)
    night = quick(stream, "run", "--as-of", AS_OF, "--threshold", "100000")
    assert (night.code, night.err) == (0, "")
    assert "skip" in night.out.splitlines()[0]
    assert "not enough to retrain" in night.out
    after = state(stream.home)
    assert {name for name in after if after[name] != before.get(name)} == {"feedback.db: decisions"}


def test_an_open_batch_stops_other_runs_until_it_is_released(stream: Settings, tmp_path: Path) -> None:
    plan = {"run_id": "first", "as_of": AS_OF, "now": AS_OF, "config": {"half_life_days": 10}}
    result = tmp_path / "result.json"
    claimed = quick(stream, "step", "claim_backlog", "--arguments", json.dumps(plan), "--result", str(result))
    assert (claimed.code, claimed.out) == (0, "")
    assert json.loads(result.read_text())["value"]["batch_id"] == "first"
    other = json.dumps({**plan, "run_id": "other", "now": (FIRST_AS_OF + timedelta(hours=1)).isoformat()})
    refused = quick(stream, "step", "claim_backlog", "--arguments", other)
    assert refused.code == 3
    assert "first" in refused.message
    assert re.search(r"claimed    \d+ dislikes by run first, since ", quick(stream, "status").out)
    released = quick(stream, "release", "first")
    assert (released.code, released.out) == (0, "Batch first is released.\n")
    assert quick(stream, "step", "claim_backlog", "--arguments", other).code == 0


def test_a_database_is_made_filled_and_made_again(settings: Settings, tmp_path: Path) -> None:
    items, own = tmp_path / "items.csv", tmp_path / "own.csv"
    items.write_text("item_id,title\nx,Film X\n")
    own.write_text("user_id,item_id,occurred_at,label\nu,x,2024-01-01,like\nv,x,2024-01-02,dislike\n")
    for _ in range(2):
        assert quick(settings, "db", "upgrade").code == 0
        for kind, file in (("items", items), ("interactions", own)):
            done = quick(settings, "import", kind, str(file))
            assert (done.code, done.err) == (0, "")
    assert "backlog    1 new dislike (threshold 20)" in quick(settings, "status").out


def test_a_proof_says_what_holds_the_user_and_when_nothing_does(settings: Settings) -> None:
    migrate(settings.database_url)
    asked = ("erase-user", "ann", "--requested-by", "ann", "--yes")
    assert re.search(r"state +open\n.*known to +no version", quick(settings, *asked).out, re.DOTALL)
    with FeedbackStore.open(settings.database_url) as store:
        (proof,) = store.erasures.list_erasures("ann")
        store.erasures.note_remaining(int(proof.erasure_id or 0), {}, proof.erased_at)
    assert re.search(r"state +complete since .*was known to +no version", quick(settings, "erasures").out, re.DOTALL)
    assert quick(settings, "bring-back", "ann", "--requested-by", "ann").code == 0
    assert re.search(r"state +brought back at .* by ann", quick(settings, "erasures").out)
