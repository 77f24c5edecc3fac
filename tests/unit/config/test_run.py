"""The settings of a run: what is refused and how, what comes back from JSON and from older rows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from recsys.config.eligibility import EligibilityRule
from recsys.config.run import RunConfig
from recsys.config.triggers import TriggerConfig
from recsys.errors import InputError

SET = {
    "force_reason": "a new catalog", "threshold": 5, "error_trigger": False, "half_life_days": 30, "seed": 3,
    "families": ["closed_form", "my.package:Family"], "keep_candidate": True, "eligible": {"max_year": 2011},
}  # fmt: skip


def test_settings_come_from_names_and_values() -> None:
    assert RunConfig.from_dict(SET) == RunConfig(
        force_reason="a new catalog", triggers=TriggerConfig(threshold=5, error_trigger=False), half_life_days=30.0, seed=3,
        families=("closed_form", "my.package:Family"), keep_candidate=True, eligible=EligibilityRule(max_year=2011),
    )  # fmt: skip
    assert RunConfig.from_dict(None) == RunConfig.from_dict({}) == RunConfig.from_dict(RunConfig()) == RunConfig()


def test_what_is_written_down_comes_back() -> None:
    for config in (RunConfig(), RunConfig.from_dict(SET), RunConfig(eligible=EligibilityRule())):
        written = json.loads(json.dumps(config.as_dict(), allow_nan=False))
        assert RunConfig.from_dict(written) == RunConfig.restored(written) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"threshold": 0}, "Expected threshold between 1 and 1,000,000, got 0."),
        ({"threshold": "many"}, "Expected threshold to be a whole number between 1 and 1,000,000, got 'many'."),
        ({"threshold": 2.5}, "Expected threshold to be a whole number between 1 and 1,000,000, got 2.5."),
        ({"threshold": True}, "Expected threshold to be a whole number between 1 and 1,000,000, got True."),
        ({"threshold": None}, "Expected threshold to be a whole number between 1 and 1,000,000, got None."),
        ({"error_threshold": float("nan")}, "Expected error_threshold between 0 and 1, got nan."),
        ({"feature_lift": 1}, "Expected feature_lift above 1 and up to 1000, got 1."),
        ({"feature_significance": 1.0}, "Expected feature_significance above 0 and below 1, got 1.0."),
        ({"half_life_days": float("inf")}, "Expected half_life_days between 0.01 and 36,500, got inf."),
        (
            {"half_life_days": "30"},
            "Expected half_life_days to be a number between 0.01 and 36,500 or empty, got '30'.",
        ),
        ({"seed": 2**32}, "Expected seed between 0 and 4,294,967,295, got 4294967296."),
        ({"keep_candidate": "yes"}, "Expected keep_candidate to be true or false, got 'yes'."),
        ({"force_reason": "ok"}, "Expected force_reason to be a text of 3 to 500 characters or empty, got 'ok'."),
        ({"families": "closed_form"}, "Expected families to be a list of names, got 'closed_form'."),
        ({"families": [" "]}, "Expected families to be a list of names, got [' ']."),
        ({"eligible": 5}, "Expected eligible to be an object, such as {} or empty, got 5."),
        ({"eligible": {"max_year": "2011"}}, "Expected max_year to be a year from 1870 to 2100, got '2011'."),
        ([1], "Expected settings with their values, such as {}, got [1]."),
    ],
)
def test_what_is_wrong_is_named_with_what_was_expected_and_what_came(values: Any, message: str) -> None:
    with pytest.raises(InputError) as refused:
        RunConfig.from_dict(values)
    assert str(refused.value) == message


def test_an_unknown_name_is_refused_with_the_names_that_there_are() -> None:
    with pytest.raises(InputError, match=r"^Expected settings out of force_reason, .*, eligible, got day\.$"):
        RunConfig.from_dict({"day": 1, "threshold": 3})


def test_a_wrong_value_is_refused_in_python_too() -> None:
    with pytest.raises(InputError, match="Expected seed between 0 and 4,294,967,295, got -1"):
        RunConfig(seed=-1)


def test_what_was_written_down_is_read_whatever_its_age() -> None:
    """An older row has fewer settings, a newer one more, and a range may have been wider once."""
    assert RunConfig.restored({}) == RunConfig()
    old = RunConfig.restored(
        {"seed": 7, "force_reason": "r", "gate_margins": {"ndcg": 0.1}, "eligible": {"max_yea": 3}}
    )
    assert (old.seed, old.force_reason, old.eligible, old.triggers) == (7, "r", EligibilityRule(), TriggerConfig())
    assert RunConfig.restored({"threshold": 10**9}).triggers.threshold == 10**9
