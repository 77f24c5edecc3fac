import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recsys.errors import InputError
from recsys.evaluation.gate.decide import GateConfig, decide
from recsys.evaluation.gate.evidence import Evidence

CONFIG = GateConfig(num_resamples=200)


@pytest.fixture
def evidence(make_evidence) -> Evidence:
    rng = np.random.default_rng(0)
    exposure = {"challenger": rng.random(80), "champion": rng.random(80)}
    return make_evidence("refresh", exposure, challenger=rng.random(250), champion=rng.random(250))


@pytest.mark.parametrize("kind", ["first", "refresh", "recipe_change"])
def test_what_was_saved_is_read_back_and_gives_the_same_verdict(make_evidence, tmp_path: Path, kind) -> None:
    rng = np.random.default_rng(1)
    other = "champion" if kind != "first" else "popularity"
    exposure = {"challenger": rng.random(30), other: rng.random(30)}
    evidence = make_evidence(kind, exposure, challenger=rng.random(250), **{other: rng.random(250)})
    again = Evidence.load(evidence.save(tmp_path / "evidence"))
    pd.testing.assert_frame_equal(again.per_user, evidence.per_user, check_exact=True)
    pd.testing.assert_frame_equal(again.slices, evidence.slices)
    frames = {name: getattr(evidence, name) for name in ("per_user", "slices", "opinions")}
    assert replace(again, **frames).__dict__ == evidence.__dict__
    assert decide(again, CONFIG) == decide(evidence, CONFIG)


def test_all_that_the_gate_looks_at_is_kept(evidence: Evidence, tmp_path: Path) -> None:
    whole = replace(
        evidence,
        per_user=evidence.per_user.assign(auc=0.5),
        per_system={"champion": {"coverage_at_10": 0.2}, "challenger": {"coverage_at_10": 0.1}},
        slices=pd.DataFrame({"user_id": evidence.users("champion").index, "activity": "new"}),
        behaviour=[
            {"name": "same_twice", "version": 1, "passed": True, "detail": "200 users", "metrics": {"n": 200.0}}
        ],
        challenger_trained_through=evidence.fit_through,
        champion_trained_through=evidence.fit_through,
    )
    again = Evidence.load(whole.save(tmp_path / "evidence"))
    pd.testing.assert_frame_equal(again.slices, whole.slices, check_dtype=False)
    assert (again.per_system, again.behaviour) == (whole.per_system, whole.behaviour)
    assert again.challenger_trained_through == again.champion_trained_through == evidence.fit_through
    assert decide(again, CONFIG) == decide(whole, CONFIG)


def test_evidence_of_an_older_version_is_read(evidence: Evidence, tmp_path: Path) -> None:
    folder = evidence.save(tmp_path / "evidence")
    kept = json.loads((folder / "evidence.json").read_text(encoding="utf-8"))
    for newer in ("per_system", "behaviour", "challenger_trained_through", "champion_trained_through"):
        del kept[newer]
    kept["coverage"] = {"champion": 0.2}  # as it was kept then
    (folder / "evidence.json").write_text(json.dumps(kept), encoding="utf-8")
    again = Evidence.load(folder)
    assert again.slices.empty
    assert (again.per_system, again.behaviour) == ({"champion": {"coverage_at_10": 0.2}}, [])
    assert again.challenger_trained_through is again.champion_trained_through is None


def test_saving_again_replaces_everything(evidence: Evidence, tmp_path: Path) -> None:
    folder = evidence.save(tmp_path / "evidence")
    (folder / "systems.md").write_text("of the first save", encoding="utf-8")
    replace(evidence, seed=8).save(folder)
    assert Evidence.load(folder).seed == 8
    assert sorted(path.name for path in folder.iterdir()) == ["evidence.json", "per_user.parquet"]
    assert [path.name for path in tmp_path.iterdir()] == ["evidence"]


def test_a_save_that_fails_leaves_what_was_there(evidence: Evidence, tmp_path: Path) -> None:
    folder = evidence.save(tmp_path / "evidence")
    unwritable = replace(evidence, seed=9, fidelity={"champion": object()})  # type: ignore[dict-item]
    with pytest.raises(TypeError):
        unwritable.save(folder)
    assert Evidence.load(folder).seed == evidence.seed
    assert [path.name for path in tmp_path.iterdir()] == ["evidence"]


def test_missing_evidence_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found none: run evaluate_challenger"):
        Evidence.load(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("name", "content"),
    [("evidence.json", "{"), ("evidence.json", "{}"), ("evidence.json", "[1]"), ("per_user.parquet", "not Parquet")],
)
def test_damaged_evidence_says_what_to_do(evidence: Evidence, tmp_path: Path, name: str, content: str) -> None:
    folder = evidence.save(tmp_path / "evidence")
    (folder / name).write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"cannot be read .* run evaluate_challenger"):
        Evidence.load(folder)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"champion_version": None}, "Expected a champion unless kind is 'first', got kind 'refresh' with None"),
        ({"kind": "first"}, "got kind 'first' with 3"),
        ({"kind": "second"}, "got 'second'"),
        ({"per_user": pd.DataFrame({"system": []})}, "missing .*'user_id'"),
    ],
)
def test_evidence_that_contradicts_itself_is_refused(evidence: Evidence, change, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        replace(evidence, **change)
