"""A family outside of the package runs a night: its how-to, followed to the letter by a user in a folder of their own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from recsys.pipeline.context import Context
from recsys.records import DislikeReason
from recsys.settings import Settings
from recsys.store import FeedbackStore
from tests.integration.command_line import copy_home
from tests.integration.conftest import Champion
from tests.integration.serving.live_api import Api, serving
from tests.integration.small_stream import SECOND_AS_OF, write_stream

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "own_model"
BASH = re.compile(r"```bash\n(.*?)```", re.DOTALL)
LOADS = """
import mlflow, pandas as pd, sys
model = mlflow.pyfunc.load_model(sys.argv[1])
histories = pd.DataFrame({"user_id": ["ann"], "item_id": ["f03"], "signal": ["like"], "weight": [1.0]})
print(model.predict(histories, params={"k": 3}).to_json(orient="records"))
"""


@dataclass(frozen=True)
class Follower:
    """Somebody who follows the how-to.

    Attributes:
        folder: of their own.
        settings: of the home in it.
        said: what the commands printed.
    """

    folder: Path
    settings: Settings
    said: str

    def types(self, *command: str, folder: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs a command in their folder, or another one."""
        return _run(command, folder or self.folder, {**self.settings.as_environment(), **environment})


def _run(command: tuple[str, ...], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    scripts = str(Path(sys.executable).parent)
    env = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "160", "TERM": "dumb", "CHECKOUT": str(ROOT),
        "TF_CPP_MIN_LOG_LEVEL": "3", **environment,
    }  # fmt: skip
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=280, check=False)


@pytest.fixture(scope="module")
def follower(tmp_path_factory: pytest.TempPathFactory) -> Follower:
    """Types every command of the how-to; its stream is a small one."""
    folder = tmp_path_factory.mktemp("my-model")
    settings, said = Settings.under(folder / "var"), ""
    for block in BASH.findall((EXAMPLE / "README.md").read_text(encoding="utf-8")):
        typed = "\n".join(line for line in block.splitlines() if "recsys import" not in line)
        done = _run(("bash", "-euc", typed), folder, settings.as_environment())
        assert done.returncode == 0, f"{typed}\n{done.stdout}\n{done.stderr}"
        said += done.stdout
        if typed != block.rstrip("\n"):
            with FeedbackStore.open(settings.database_url) as store:
                write_stream(store)
    return Follower(folder, settings, said)


@pytest.fixture
def night(follower: Follower) -> dict[str, Any]:
    """What the ledger says of the gate's verdict."""
    with FeedbackStore.open(follower.settings.database_url) as store:
        (decided,) = store.audit.list_decisions(step="decide_promotion")
        return {"verdict": decided.verdict, "reasons": decided.reasons, "numbers": decided.numbers}


@pytest.fixture
def api(follower: Follower) -> Iterator[Api]:
    with FeedbackStore.open(follower.settings.database_url) as store, serving(store) as running:
        yield running


def test_the_module_is_short() -> None:
    assert len((EXAMPLE / "my_model.py").read_text(encoding="utf-8").splitlines()) < 150


def test_it_becomes_champion_and_what_it_does_not_claim_is_said(follower: Follower, night: dict[str, Any]) -> None:
    assert night["verdict"] == "promote", night["reasons"]
    assert night["reasons"][-1].startswith("Not claimed: version 1 does not say that its scores are the sum")
    assert "two_tower-" in follower.said
    assert not (follower.folder / "recsys").exists(), "the package is not what is run from here"


def test_the_cards_of_both_fits_say_what_is_not_claimed(follower: Follower) -> None:
    with Context.open(follower.settings) as context:
        for version in ("1", "2"):
            page = context.registry.versions.get_tags(version)
            assert page["fit"] == {"1": "judged", "2": "refit"}[version]
        batch = next(iter(context.store.audit.list_decisions(step="decide_promotion"))).numbers["batch_id"]
        for fit in ("judged", "refit"):
            card = (context.folder(batch) / fit / "model_card.md").read_text(encoding="utf-8")
            assert re.search(r"contributions_sum_to_score v\d[^|]*\|[^|]*not claimed", card)
            assert re.search(r"deletion_lowers_by_share v\d[^|]*\|[^|]*not claimed", card)
            assert "no reason says what a score is made of" in card


def test_the_api_serves_its_lists_with_reasons_and_takes_out_what_is_disliked(follower: Follower, api: Api) -> None:
    before = api.client.get("/api/recommendations?k=10", headers=api.server("u003")).json()
    assert before["model_version"] == "2"
    shown = before["recommendations"]
    assert any(one["reason"].startswith("Of what you liked, Film ") for one in shown)
    posted = api.client.post(
        "/api/dislike", headers=api.server("u003"),
        json={"item_id": shown[0]["item_id"], "reason": str(DislikeReason.WRONG_GENRE)},
    )  # fmt: skip
    assert posted.status_code == 201, posted.text
    after = api.client.get("/api/recommendations?k=9", headers=api.server("u003")).json()["recommendations"]
    assert [one["item_id"] for one in after] == [one["item_id"] for one in shown[1:]]
    assert [one["score"] for one in after] == [one["score"] for one in shown[1:]], "served as it was published"


def test_a_registered_version_is_loaded_where_the_module_is_not(follower: Follower, tmp_path: Path) -> None:
    uri = "models:/feedback-recommender@champion"
    done = follower.types(sys.executable, "-c", LOADS, uri, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout.splitlines()[-1])
    assert [row["rank"] for row in rows] == [1, 2, 3]
    assert rows[0]["reason"] == "Of what you liked, Film 3 is nearest."


@pytest.mark.thorough
def test_an_installed_package_is_found_by_its_name(tmp_path: Path) -> None:
    site, environment = tmp_path / "site", Settings.under(tmp_path / "var").as_environment()
    install = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target", str(site))
    shutil.copytree(EXAMPLE, tmp_path / "own", ignore=shutil.ignore_patterns("__pycache__"))
    done = _run((sys.executable, *install, str(tmp_path / "own")), tmp_path, environment)
    assert done.returncode == 0, done.stderr
    environment["PYTHONPATH"] = str(site)
    finds = "from recsys.training.families.registry import find_family; print(find_family('two_tower').name)"
    done = _run((sys.executable, "-c", finds), tmp_path, environment)
    assert done.stdout == "two_tower\n", done.stderr
    done = _run(("recsys", "run", "--family", "towers"), tmp_path, environment)
    assert done.returncode == 2
    assert "Expected a family out of closed_form, embedding, two_tower" in " ".join(done.stderr.split())


def test_a_folder_without_the_module_is_told_so(follower: Follower, tmp_path: Path) -> None:
    done = follower.types("recsys", "run", "--family", "my_model:TwoTower", folder=tmp_path)
    assert done.returncode == 2
    assert "start from the folder that does" in " ".join(done.stderr.replace("│", " ").split())
    done = follower.types("recsys", "run", "--family", "matrix", folder=tmp_path)
    assert done.returncode == 2
    assert "Expected a family out of closed_form, embedding" in " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.thorough
def test_beside_a_champion_that_claims_more_only_a_person_lets_it_pass(champion: Champion, tmp_path: Path) -> None:
    own, settings = tmp_path / "own", copy_home(champion.settings.home, tmp_path / "home")
    own.mkdir()
    shutil.copy(EXAMPLE / "my_model.py", own)
    environment = settings.as_environment()
    as_of = ("--as-of", SECOND_AS_OF.isoformat())
    night = _run(("recsys", "run", *as_of, "--family", "my_model:TwoTower"), own, environment)
    assert night.returncode == 0, night.stderr
    with FeedbackStore.open(settings.database_url) as store:
        decided = store.audit.list_decisions(step="decide_promotion")[0]
    assert decided.verdict == "insufficient_evidence", decided.reasons
    assert decided.reasons[0].startswith("Not claimed: the champion's contributions (version 2) are exact sums")
    assert decided.numbers["claim"] == "better"
    version = decided.numbers["model_version"]
    assert f'recsys promote {version} --accept-thin-evidence "WHY"' in decided.reasons[0]
    allowed = _run(
        ("recsys", "promote", version, "--accept-thin-evidence", "read by people", "--by", "Ann"), own, environment
    )
    assert allowed.returncode == 0, allowed.stderr
    assert "approved by Ann" in allowed.stdout
