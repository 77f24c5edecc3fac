from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from recsys.evaluation.gate.decide import GateConfig, decide
from recsys.evaluation.reporting.plots import plot_systems, plot_training_set_age, verdict_markdown


@pytest.fixture
def evidence(make_evidence):
    values = np.tile([0.0, 0.1, 0.2, 0.5], 50)
    exposure = {"challenger": [0.1] * 40, "champion": [0.2] * 40}
    return make_evidence("refresh", exposure, challenger=values, champion=values / 2, decayed_popularity=values / 4)


def test_the_verdict_is_the_first_thing_to_read_and_every_reason_is_there(evidence) -> None:
    verdict = decide(evidence, GateConfig(num_resamples=100))
    text = verdict_markdown(verdict, evidence)
    assert text.startswith("**Verdict: promote** (refresh, holdout 2013-06-01 03:00 to 2013-06-08 03:00 UTC)\n\n- ")
    assert all(f"- {reason}\n" in text for reason in verdict.reasons)
    assert "\n\n| system |" in text


def test_a_holdout_without_users_has_a_plot_too(make_evidence, tmp_path: Path) -> None:
    empty = make_evidence("refresh", {"challenger": [0.1], "champion": [0.1]}, challenger=[], champion=[])
    plot_systems(empty, tmp_path / "empty.png")
    assert has_colour(tmp_path / "empty.png")


def test_the_plots_are_pictures(evidence, tmp_path: Path) -> None:
    plot_systems(evidence, tmp_path / "systems.png")
    age_days = np.linspace(0, 100, 500)
    labels = (np.arange(500) % 4 > 0).astype(np.int8)
    plot_training_set_age(age_days, 0.5 ** (age_days / 10), labels, tmp_path / "ages.png")
    plot_training_set_age(age_days[:0], age_days[:0], labels[:0], tmp_path / "no_ages.png")
    assert has_colour(tmp_path / "systems.png")
    assert has_colour(tmp_path / "ages.png")


def has_colour(path: Path) -> bool:
    """Whether something was drawn: a picture of axes alone is grey."""
    pixels = matplotlib.image.imread(path)[..., :3]
    return bool((np.ptp(pixels, axis=2) > 0.2).any())
