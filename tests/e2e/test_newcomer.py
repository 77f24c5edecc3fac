"""A newcomer's first hour: `make demo`, the commands that it prints, `make up`; and every place says the same."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recsys.pipeline.context import Context
from recsys.settings import Settings
from recsys.store import FeedbackStore
from tests.e2e.demo_state import contents, run_demo
from tests.e2e.running_stack import OPENER, RunningStack

pytestmark = [pytest.mark.thorough, pytest.mark.slow, pytest.mark.airflow, pytest.mark.timeout(1200)]
NUM_USERS, NUM_FILMS = 3_000, 200


@dataclass(frozen=True)
class Demo:
    """A demo that ran: where, what it printed, and what the user of its story is called."""

    home: Path
    output: str
    story: dict[str, Any]

    def run(self, command: str) -> str:
        """A command as it was printed, pasted into a shell."""
        done = subprocess.run(
            ["bash", "-c", command], env={**os.environ, "COLUMNS": "200"}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def recsys(self, *arguments: str) -> list[dict[str, Any]]:
        """What `recsys ... --json` says, one object a line."""
        prefix = f"RECSYS_HOME={shlex.quote(str(self.home))} {shlex.quote(sys.executable)} -m recsys "
        return [json.loads(line) for line in self.run(prefix + shlex.join([*arguments, "--json"])).splitlines()]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    home = tmp_path_factory.mktemp("newcomer") / "var"
    output = run_demo(home)
    return Demo(home, output, json.loads((home / "demo-story.json").read_text()))


@pytest.fixture(scope="module")
def stack(demo: Demo) -> Iterator[RunningStack]:
    started = RunningStack(demo.home)
    try:
        started.wait_until_ready()
        yield started
    finally:
        if started.process.poll() is None:
            started.stop()


def champion_of(demo: Demo) -> str:
    (version,) = re.findall(r"Champion now: version (\d+)", demo.output)
    return str(version)


def test_the_demo_ends_with_a_skip_a_promotion_and_what_was_learned(demo: Demo) -> None:
    outcome = {(d["run_id"], d["step"]): d["verdict"] for d in demo.recsys("decisions", "-k", "50")}
    verdicts = [verdict for (_, step), verdict in sorted(outcome.items()) if step == "check_backlog"]
    assert sorted(verdicts) == ["retrain", "retrain", "skip"]
    assert [v for (_, step), v in outcome.items() if step == "decide_promotion"] == ["promote", "promote"]
    assert "not enough to retrain" in demo.output
    assert "the same list as before, to the last digit" in demo.output
    assert re.search(r"train_challenger\s*│\s*\d+\.\d", demo.output)
    assert f"list of version {champion_of(demo)}, which learned from the click" in demo.output


def test_the_click_of_the_story_did_what_it_says(demo: Demo) -> None:
    before, after, undone = (demo.story[name] for name in ("before", "after", "undone"))
    film = demo.story["film"]["item_id"]
    assert before[0]["item_id"] == film
    assert film not in {entry["item_id"] for entry in after}
    assert [(e["item_id"], e["score"]) for e in undone] == [(e["item_id"], e["score"]) for e in before]
    after_score = {entry["item_id"]: entry["score"] for entry in after}
    shared = [e for e in before[1:] if set(e["genres"]) & set(demo.story["film"]["genres"]) and e["score"] > 0]
    assert shared
    assert all(after_score.get(e["item_id"], -math.inf) < e["score"] for e in shared), "what shares its genre falls"
    with FeedbackStore.open(Settings.under(demo.home).database_url) as store:
        assert store.feedback.get_dislikes([demo.story["dislike_id"]])[demo.story["dislike_id"]].retracted_at is None


def test_everybody_has_a_list_of_their_own(demo: Demo) -> None:
    found = re.search(
        r"([\d,]+) different films fill the first 3 positions in the lists of ([\d,]+) users", demo.output
    )
    assert found is not None
    films, users = (int(number.replace(",", "")) for number in found.groups())
    assert users == NUM_USERS
    assert films >= NUM_FILMS


def test_every_command_that_it_prints_can_be_pasted(demo: Demo) -> None:
    printed = demo.output.split("Where to look next:\n")[1].split("Done in")[0].splitlines()[::2]
    commands = [line.strip() for line in printed if "make up" not in line and not line.strip().endswith(".log")]
    assert len(commands) >= 3
    for command in commands:
        demo.run(command)
    assert Path(printed[-1].strip()).is_file()


def test_every_place_says_the_same(demo: Demo, stack: RunningStack) -> None:
    """Champion, lists, times: the demo's table, command line, API, Airflow's page, MLflow."""
    champion, user = champion_of(demo), demo.story["user_id"]
    token = stack.log_in()
    key = (demo.home / "api_key").read_text().strip()

    (served,) = [one for one in demo.recsys("models") if "champion" in one["aliases"]]
    (status,) = demo.recsys("status")
    _, found = stack.ask_mlflow("/api/2.0/mlflow/registered-models/alias?name=feedback-recommender&alias=champion")
    registered = json.loads(found)["model_version"]
    _, page = stack.get("/feedback/", token=token)
    said = {served["version"], str(status["champion"]), registered["version"]}
    assert said == {champion}
    assert re.search(rf"[Vv]ersion {champion}\b", page)

    listed = demo.recsys("recommend", user, "-k", "10")
    headers = {"Authorization": f"Bearer {key}", "X-User-ID": user}
    request = urllib.request.Request(f"{stack.api}/api/recommendations?k=10", headers=headers)
    with OPENER.open(request, timeout=30) as answer:
        given = json.loads(answer.read())
    assert given["model_version"] == champion
    films = [entry["item_id"] for entry in given["recommendations"]]
    assert films == [entry["item_id"] for entry in listed]
    assert all(entry["title"] in demo.output for entry in given["recommendations"]), "the demo's last table has them"

    made, (tenure,) = datetime.fromisoformat(served["created_at"]), served["champion"]
    since, now = datetime.fromisoformat(tenure["from"]), datetime.now(UTC)
    assert now - timedelta(hours=3) < made <= since <= now
    with Context.open(Settings.under(demo.home)) as context:
        assert context.store.audit.list_promotions()[-1].completed_at == since
    assert f"{since:%Y-%m-%d %H:%M}" in page


def test_make_up_starts_no_run_and_shows_the_nights_of_the_demo(demo: Demo, stack: RunningStack) -> None:
    token = stack.log_in()
    runs = stack.get_json("/api/v2/dags/~/dagRuns?limit=100", token)["dag_runs"]
    assert sorted((run["dag_id"], run["state"], run["run_type"]) for run in runs) == [
        ("feedback_retraining", "success", "manual"),
        ("feedback_retraining", "success", "manual"),
        ("model_promotion", "success", "manual"),
        ("recommendation_publishing", "success", "manual"),
    ]
    (promotion,) = (run for run in runs if run["dag_id"] == "model_promotion")
    path = f"/api/v2/dags/model_promotion/dagRuns/{promotion['dag_run_id']}/taskInstances/decide_promotion/logs/1"
    status, log = stack.get(path, token=token)
    assert status == 200
    assert "promote" in log
    (state,) = demo.recsys("status")
    assert state["backlog"] == 0


def test_the_demo_again_doubles_nothing(demo: Demo, stack: RunningStack) -> None:
    if stack.process.poll() is None:
        assert stack.stop() == 0
    first = contents(demo.home)
    again = run_demo(demo.home)
    assert "Done in" in again
    assert contents(demo.home) == first
