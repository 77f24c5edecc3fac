import json

import pytest

from recsys.evaluation.gate.config import GateConfig
from recsys.evaluation.gate.margins import AbsoluteMargin, RelativeMargin, margin_from_dict, signed


@pytest.mark.parametrize(
    "wrong",
    [
        {"ndcg_margin": 0.05},  # of what?
        {"slice_margin": "5 %"},
        {"sanity_ratio": 1.5},
        {"max_plausible_ratio": 0.9},
        {"confidence": 95},
        {"min_users": 0},
        {"min_refresh_users": 0},
        {"min_refresh_users": 201},  # more than any challenger needs
        {"exposure_days": 0},
        {"min_users_with_dislikes": 0},
        {"min_slice_users": 0},
        {"num_resamples": 0},
    ],
)
def test_thresholds_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="Expected"):
        GateConfig(**wrong)


@pytest.mark.parametrize("kind", [RelativeMargin, AbsoluteMargin])
@pytest.mark.parametrize("size", [-0.05, 5.0, float("nan")])
def test_a_margin_is_a_share_or_points_not_percent(kind, size: float) -> None:
    with pytest.raises(ValueError, match="Expected"):
        kind(size)


def test_the_two_kinds_of_margins_are_never_equal_and_read_differently() -> None:
    assert RelativeMargin(0.05) != AbsoluteMargin(0.05)
    assert (signed(RelativeMargin(0.05)), signed(AbsoluteMargin(0.05), "+")) == ("-5.0%", "+0.0500")
    for margin in (RelativeMargin(0.05), AbsoluteMargin(0.05)):
        assert margin_from_dict(json.loads(json.dumps(margin.as_dict()))) == margin
    with pytest.raises(ValueError, match="Expected a margin such as"):
        margin_from_dict({"relative": 0.05, "absolute": 0.05})


def test_thresholds_are_read_back_as_they_were_written() -> None:
    config = GateConfig(ndcg_margin=AbsoluteMargin(0.01), max_plausible_ratio=None, num_resamples=77)
    assert GateConfig.from_dict(json.loads(json.dumps(config.as_dict()))) == config


@pytest.mark.parametrize("change", [{"ndcg_margin_relative": 0.05}, {"min_users": None}])
def test_thresholds_of_another_gate_are_refused(change) -> None:
    given = GateConfig().as_dict()
    for name, value in change.items():
        given.pop(name, None)
        given |= {} if value is None else {name: value}
    with pytest.raises(ValueError, match=f"{next(iter(change))}.*of another version of the gate"):
        GateConfig.from_dict(given)


def test_more_confidence_asks_for_more_differing_users() -> None:
    assert [GateConfig(confidence=c).min_differing_users for c in (0.5, 0.9, 0.95, 0.99)] == [2, 5, 6, 8]


def test_the_thresholds_of_the_gate_with_an_absolute_margin_of_exposure_are_of_another_gate() -> None:
    """What verdicts of schema 2 carry: `recsys decisions show` says so."""
    older = {**GateConfig().as_dict(), "exposure_margin": {"absolute": 0.005}}
    for newer in ("exposure_days", "min_refresh_users"):
        del older[newer]
    with pytest.raises(ValueError, match=r"\(exposure_days, min_refresh_users\): the verdict is of another version"):
        GateConfig.from_dict(older)
