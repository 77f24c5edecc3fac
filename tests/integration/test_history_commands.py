"""Who was champion when, why, and whether a verdict still follows from its evidence: as a person asks."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from recsys.evaluation.gate.evidence import Evidence
from recsys.files.digests import digest_folder
from recsys.settings import Settings
from recsys.store import FeedbackStore
from recsys.store.artifact_digests import ArtifactKind
from tests.integration.command_line import Finished, copy_database, quick
from tests.integration.conftest import Champion
from tests.integration.small_stream import FIRST_AS_OF

ALL_IS_WELL = "Aliases and champion are as the audit has them, and all files as they were written.\n"
RUN_ID = f"cli__{FIRST_AS_OF.isoformat()}"


def lines(shown: Finished) -> list[dict[str, Any]]:
    assert shown.err == ""
    return [json.loads(line) for line in shown.out.splitlines()]


@pytest.fixture(scope="module")
def verdict(champion: Champion) -> dict[str, Any]:
    """The gate's verdict on the first champion, as the ledger has it."""
    (found,) = lines(quick(champion.settings, "decisions", "--json", "--verdict", "promote"))
    assert found["step"] == "decide_promotion"
    return found


def test_models_tells_of_every_version_what_became_of_it(champion: Champion) -> None:
    judged, refit = lines(quick(champion.settings, "models", "--json"))
    assert (judged["version"], judged["fit"], judged["verdict"], judged["aliases"], judged["champion"]) == (
        "1", "judged", "promote", ["challenger"], []
    )  # fmt: skip
    assert (refit["version"], refit["fit"], refit["verdict"], refit["aliases"]) == (
        "2",
        "refit",
        "promote",
        ["champion"],
    )
    (tenure,) = refit["champion"]
    assert (tenure["kind"], tenure["run_id"], tenure["instead_of"], tenure["to"], tenure["approved_by"]) == (
        "promotion", RUN_ID, None, None, None
    )  # fmt: skip
    # The night had the cut-off of a day long past; what it made and did carries the time at which it did so, step by step.
    assert FIRST_AS_OF.isoformat() < judged["created_at"] <= refit["created_at"] <= tenure["from"]
    shown = quick(champion.settings, "models")
    assert (shown.code, shown.err) == (0, "")
    assert shown.shows("to now (promotion)")


def test_models_at_a_day_tells_who_was_champion(champion: Champion) -> None:
    with FeedbackStore.open(champion.settings.database_url) as store:
        since = store.audit.list_promotions()[0].completed_at
    assert since is not None
    day = f"{since:%Y-%m-%d}"
    (tenure,) = lines(quick(champion.settings, "models", "--at", day, "--json"))
    assert (tenure["version"], tenure["from"]) == ("2", since.isoformat())
    assert quick(champion.settings, "models", "--at", day).shows("version 2:")
    for before in (f"{since - timedelta(days=1):%Y-%m-%d}", (since - timedelta(seconds=1)).isoformat()):
        assert quick(champion.settings, "models", "--at", before).shows(f"No version was champion at {before}.")


def test_the_check_finds_the_registry_as_the_audit_says(champion: Champion) -> None:
    shown = quick(champion.settings, "models", "check")
    assert (shown.code, shown.out, shown.err) == (0, ALL_IS_WELL, "")


def test_decisions_are_found_by_run_and_time(champion: Champion, verdict: dict[str, Any]) -> None:
    def found(*options: str) -> list[int]:
        return [one["decision_id"] for one in lines(quick(champion.settings, "decisions", "--json", *options))]

    assert verdict["decision_id"] in found("--run-id", RUN_ID)
    assert found("--run-id", "another") == []
    assert found("--since", "2100-01-01") == []
    assert found("--since", "2000-01-01") == found()


def test_a_verdict_replays_to_the_same_from_its_evidence(champion: Champion, verdict: dict[str, Any]) -> None:
    number = str(verdict["decision_id"])
    shown = quick(champion.settings, "decisions", "show", number)
    assert (shown.code, shown.err) == (0, "")
    assert shown.shows("Evaluated again from the stored evidence: promote, the same verdict, reasons and numbers.")
    (full,) = lines(quick(champion.settings, "decisions", "show", number, "--json"))
    assert full.pop("reaudit") == {"is_same": True, "verdict": "promote", "differences": []}
    assert full == verdict


def test_a_decision_that_is_no_verdict_is_only_shown(champion: Champion) -> None:
    (checked,) = lines(quick(champion.settings, "decisions", "--json", "--verdict", "retrain"))
    shown = quick(champion.settings, "decisions", "show", str(checked["decision_id"]))
    assert shown.code == 0
    assert shown.shows("Only verdicts of the gate can be evaluated again.")
    assert quick(champion.settings, "decisions", "show", "999").says("Expected the number of a decision, got 999")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("gone", "It cannot be evaluated again"),
        ("edited", "It cannot be evaluated again: Expected"),
        ("worse", "verdict: on record 'promote', now 'reject'"),
    ],
)
def test_a_verdict_whose_evidence_is_gone_or_changed_does_not_replay(
    champion: Champion, verdict: dict[str, Any], tmp_path: Path, change: str, words: str
) -> None:
    copy = Settings.under(tmp_path / "home")
    copy.home.mkdir()
    copy_database(champion.settings.home, copy.home)
    folder = tmp_path / "evidence"
    if change != "gone":
        kept = Evidence.load(next(champion.settings.artifacts.glob("*/evidence")))
        kept.per_user.loc[kept.per_user["system"] == "challenger", "ndcg_at_10"] *= 0.1
        kept.save(folder)
    with FeedbackStore.open(copy.database_url) as store:
        decision = store.audit.get_decision(verdict["decision_id"])
        if change == "worse":
            store.backlog.record_files(ArtifactKind.EVIDENCE, RUN_ID, folder.name, digest_folder(folder, folder.name))
        store.audit.record_decision(replace(decision, numbers={**decision.numbers, "evidence_uri": folder.as_uri()}))
    shown = quick(copy, "decisions", "show", str(verdict["decision_id"]))
    assert (shown.code, shown.err) == (1, "")
    assert shown.shows("not the same")
    assert shown.shows(words)


def test_a_rollback_that_cannot_be_says_why(champion: Champion) -> None:
    for options, code, words in (
        ((), 2, "Expected a champion before version 2, found none"),
        (("--to", "1"), 2, "Expected a version that was champion before, got version 1"),
        (("--to", "1", "--dry-run"), 2, "Expected a version that was champion before, got version 1"),
    ):
        refused = quick(champion.settings, "rollback", "--reason", "worse", *options)
        assert (refused.code, refused.out) == (code, "")
        assert refused.says(words)
