"""The null test: the bounds hold on a small simulation, and what is simulated is what it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from scipy.stats import binom

from benchmarks.gate_null import null_test, shown_dislikes
from benchmarks.gate_null.null_test import EQUAL, WORSENED, Setting, Tables, broken_bounds, draw_holdout, simulate
from benchmarks.gate_null.population import Population, demoted, synthetic_population
from benchmarks.gate_null.report import power_figure, write_report
from benchmarks.gate_null.shown_dislikes import (
    MANY_USERS,
    MORE,
    NIGHTS,
    Case,
    broken_promises,
    draw_opinions,
    shows_more,
)
from recsys.evaluation.gate.config import GateConfig


@pytest.fixture(scope="module")
def population() -> Population:
    return synthetic_population(3_000, seed=1, num_systems=3)


@pytest.fixture(scope="module")
def tables(population: Population) -> Tables:
    return Tables.of(population, [EQUAL, WORSENED], seed=1)


@pytest.fixture(scope="module")
def results(tables: Tables) -> pd.DataFrame:
    config = GateConfig(num_resamples=600)
    rows = [
        {"population": "synthetic", "share": share, "size": 1_000, "num": 60,
         **simulate(tables, Setting(0, share, 1_000, 60, seed=0), config)}
        for share in (EQUAL, WORSENED)
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def shown() -> pd.DataFrame:
    population = synthetic_population(5_000, seed=0)  # as the command has it
    config = GateConfig(num_resamples=200)
    rows = [
        {"population": "synthetic", "more": more, "size": MANY_USERS, "nights": nights, "num": 40,
         **shown_dislikes.simulate(population, Case(0, more, MANY_USERS, nights, 40, seed=0), config)}
        for more in (0.0, MORE) for nights in (1, NIGHTS)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_a_week_shows_that_a_tenth_more_is_disliked_and_one_day_does_not(shown: pd.DataFrame) -> None:
    assert broken_promises(shown) == []
    refused = shown.set_index(["more", "nights"])["refused"]
    assert refused[MORE, NIGHTS] >= 0.9
    assert refused[MORE, 1] < 0.5  # few users differ: no test could see it
    assert shown["lost"].max() < shown_dislikes.MAX_LOST  # or the promise would be about nothing


def test_broken_promises_are_said(shown: pd.DataFrame) -> None:
    fooled = broken_promises(shown.assign(refused=0.5))
    assert [words.split(": ")[1] for words in fooled] == [
        "50.0% of equal challengers refused, allowed 2.5%",
        "50.0% of equal challengers refused, allowed 2.5%",
        "50.0% that show 10% more refused, at least 90% must be",
    ]
    assert broken_promises(shown[shown["more"] == 0].assign(refused=0.026, num=600)) == []
    assert len(broken_promises(shown[shown["more"] == 0].assign(refused=0.05, num=600))) == 2
    less_alike = shown[shown["more"] > 0].assign(refused=0.5, lost=0.2)
    assert broken_promises(less_alike) == []


def test_a_challenger_that_shows_more_has_the_same_likes_and_a_tenth_more_dislikes(population: Population) -> None:
    listed, more = population.listed_dislikes(), shows_more(population, MORE, seed=3)
    assert (more >= listed).all()
    assert (more <= np.maximum(population.num_disliked[:, None], listed)).all()
    assert more.sum(axis=0) == pytest.approx(1.1 * listed.sum(axis=0), rel=0.01)
    evidence = draw_opinions(population, more, 200, 3, seed=1)
    liked = evidence.opinions[evidence.opinions["label"] == 1]
    assert abs(int(liked["challenger"].sum()) - int(liked["champion"].sum())) < 0.2 * len(liked)
    disliked = evidence.opinions[evidence.opinions["label"] == 0]
    assert disliked["user_id"].nunique() == 600
    own = evidence.users("challenger")["dislike_exposure_at_10"].sum() * 10
    assert own == pytest.approx(disliked.loc[disliked["batch_id"] == "0", "challenger"].sum())


def test_the_gate_is_not_fooled_by_noise_and_refuses_what_got_worse(results: pd.DataFrame) -> None:
    assert broken_bounds(results) == []
    equal, worse = results.to_dict("records")
    assert equal["promoted"] >= 0.8  # or the bound on the worse ones would be easy to keep
    assert worse["called_better"] == 0
    assert worse["refused"] > equal["refused"] + 0.5


def test_broken_bounds_are_told(results: pd.DataFrame) -> None:
    assert broken_bounds(results.assign(called_better=0.05, refused=0.95)) == []
    fooled = broken_bounds(results.assign(called_better=0.06, refused=0.94))
    assert [words.split(": ")[1] for words in fooled] == [
        "6.0% of equal challengers called better, allowed 5%",
        "94.0% worse by 5% refused, at least 95% must be",
    ]
    assert broken_bounds(results.assign(size=999, refused=0.0, called_better=0.0)) == []


def test_so_many_are_equal_that_a_gate_that_keeps_its_promise_breaks_no_bound_by_chance() -> None:
    """Of 200 in most cells, 100 and 50 in the largest, nearly one run in four would."""
    equal = [one.num_challengers for one in null_test.settings_of(3, seed=0) if one.share == EQUAL]
    assert len(equal) == 8
    kept = binom.cdf([int(null_test.MAX_FALSE_BETTER * num) for num in equal], equal, 0.025)
    assert 1 - np.prod(kept) < 0.005


def test_demotions_lower_the_mean_by_the_share_and_nobody_gains(population: Population) -> None:
    own = population.hits[0]
    worse = demoted(own, population.num_liked, 0.05, np.random.default_rng(3))
    assert (worse["rank"] >= own["rank"]).all()
    assert not worse.duplicated(["user", "rank"]).any()
    before = population.metrics(0)
    after = replace(population, hits=(worse,)).metrics(0)
    assert after[:, 0].mean() == pytest.approx(0.95 * before[:, 0].mean(), rel=0.005)
    assert (after <= before + 1e-12).all()
    assert (after[:, 0] < before[:, 0]).mean() < 0.3  # not a factor for everybody


def test_the_coin_makes_champion_and_challenger_equal_in_truth(tables: Tables) -> None:
    """Even if one system is better than the other."""
    better = tables.champions[0] + 0.1
    uneven = Tables(tables.population, [better, tables.champions[1]], {EQUAL: [better, tables.champions[1]]})
    gaps = []
    for seed in range(40):
        evidence = draw_holdout(uneven, EQUAL, 1_000, seed)
        challenger, champion = evidence.pair("challenger", "champion")
        assert not challenger["ndcg_at_10"].equals(champion["ndcg_at_10"])
        gaps.append(float((challenger["ndcg_at_10"] - champion["ndcg_at_10"]).mean()))
    assert abs(np.mean(gaps)) < 3 * np.std(gaps) / np.sqrt(40)


def test_the_same_seed_draws_the_same_holdout(tables: Tables) -> None:
    one, again, other = (draw_holdout(tables, WORSENED, 200, seed).per_user for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one, again)
    assert not one["ndcg_at_10"].equals(other["ndcg_at_10"])


@pytest.mark.parametrize("refused", [0.99, 0.5])
def test_the_command_writes_the_page_and_fails_if_a_bound_is_broken(
    results: pd.DataFrame, shown: pd.DataFrame, refused: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = synthetic_population(300, seed=1)
    for name in ("real_population", "synthetic_population"):
        monkeypatch.setattr(null_test, name, lambda *_, **__: few)
    monkeypatch.setattr(null_test, "run_all", lambda *_: results.assign(refused=refused, called_better=0.0))
    monkeypatch.setattr(null_test, "run_cases", lambda *_: shown)
    page = tmp_path / "docs" / "gate_null_test.md"
    if refused < 0.95:
        with pytest.raises(SystemExit, match=r"synthetic, 1,000 users: 50.0% worse by 5% refused"):
            null_test.null_test(report=page, smaller=1, seed=0, data=tmp_path)
    else:
        null_test.null_test(report=page, smaller=1, seed=0, data=tmp_path)
    text = page.read_text(encoding="utf-8")
    assert ("**The bounds do not hold.**" in text) == (refused < 0.95)
    assert f"| synthetic | 1,000 | {refused:.1%} |" in text
    assert "| synthetic | 1,000 | 60 | 0.0% (0.0% to 6.0%) |" in text
    assert page.with_suffix(".png").stat().st_size > 5_000


def test_single_cells_are_looked_at_with_another_seed_and_no_page_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = []
    monkeypatch.setattr(null_test, "real_population", lambda *_, **__: pytest.fail("nothing of it is wanted"))
    monkeypatch.setattr(
        null_test, "synthetic_population", lambda num, seed: made.append(seed) or synthetic_population(300, seed)
    )
    page = tmp_path / "page.md"
    null_test.null_test(report=page, smaller=500, seed=7, data=tmp_path, only="synthetic, 1,000 users, equal")
    head, row = capsys.readouterr().out.splitlines()
    assert (
        dict(zip(head.split(), row.split(), strict=True)).items()
        >= {"size": "1000", "share": "0.0", "num": "2"}.items()
    )
    assert (made, list(tmp_path.iterdir())) == ([7], [])
    with pytest.raises(typer.BadParameter, match="Expected words of a cell's title"):
        null_test.null_test(report=page, smaller=500, seed=7, data=tmp_path, only="no such cell")


def test_the_command_fails_if_the_rule_on_dislikes_breaks_its_promise(
    results: pd.DataFrame, shown: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = synthetic_population(300, seed=1)
    for name in ("real_population", "synthetic_population"):
        monkeypatch.setattr(null_test, name, lambda *_, **__: few)
    monkeypatch.setattr(null_test, "run_all", lambda *_: results.assign(refused=0.99, called_better=0.0))
    monkeypatch.setattr(null_test, "run_cases", lambda *_: shown.assign(refused=0.02))
    page = tmp_path / "page.md"
    with pytest.raises(SystemExit, match=r"300 disliking users in each of 7 holdouts: 2.0% that show 10% more refused"):
        null_test.null_test(report=page, smaller=1, seed=0, data=tmp_path)
    assert "**The bounds do not hold.**" in page.read_text(encoding="utf-8")


def test_a_page_of_several_populations_names_each(
    tables: Tables, results: pd.DataFrame, shown: pd.DataFrame, tmp_path: Path
) -> None:
    more = pd.concat([results, results.assign(population="other")])
    write_report(tmp_path / "page.md", [tables], more, shown, ["a bound"], 0, 60.0)
    text = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert text.count("| other | 1,000 |") == 2
    assert "\n\n- a bound.\n\n## How" in text


def test_the_picture_says_what_it_shows(results: pd.DataFrame) -> None:
    figure = power_figure(results)
    (axes,) = figure.axes
    assert "promotion gate refuse" in figure.get_suptitle()
    assert "drawn from" in axes.get_title()
    assert ("users in the holdout" in axes.get_xlabel(), "refuses" in axes.get_ylabel()) == (True, True)
    legend = axes.get_legend()
    assert "NDCG@10" in legend.get_title().get_text()
    told = [text.get_text() for text in legend.get_texts()]
    assert any("equal to the champion (should pass)" in line for line in told), told
    assert any("5% worse (should be refused)" in line for line in told), told
    assert any(line.startswith("bound:") for line in told), told
