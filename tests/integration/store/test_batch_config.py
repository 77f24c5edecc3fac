"""What a batch remembers of its settings and its plan, in rows of any age."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from recsys.config.eligibility import EligibilityRule
from recsys.config.run import RunConfig
from recsys.errors import InputError
from recsys.records import Batch, BatchStatus
from recsys.store import FeedbackStore
from recsys.store.database_errors import parse_url
from recsys.store.engine import make_engine, writing
from recsys.store.tables import training_batches

NOW = datetime(2013, 6, 1, 12, tzinfo=UTC)
TRIAL = {"candidate": {"family": "closed_form", "decay_power": 1.0, "embedding_dim": 0}, "reg": 8.0, "ndcg_at_10": 0.2}
OLD_ROW = {
    "half_life_days": 91.25, "requested_half_life_days": None, "seed": 7, "force_reason": "r", "families": ["closed_form"],
    "eligible": {"without_tags": ["shelved"]}, "kept_trial": TRIAL, "gate_margins": {"ndcg_at_10": 0.045},
}  # fmt: skip


def claimed(store: FeedbackStore, **planned: Any) -> Batch:
    config = planned.pop("config", RunConfig())
    batch = Batch("r1", NOW, NOW, None, BatchStatus.CLAIMED, 0, config, NOW, NOW + timedelta(hours=6), **planned)
    return store.backlog.claim_backlog(batch)


def written_before(database_url: str, config: dict[str, Any]) -> None:
    """Makes the row what an earlier version left there."""
    engine = make_engine(parse_url(database_url))
    with writing(engine) as connection:
        connection.execute(update(training_batches).values(config=config))
    engine.dispose()


@pytest.mark.parametrize(
    "config",
    [
        RunConfig(),
        RunConfig.from_dict({"half_life_days": 30, "threshold": 5, "families": ["a"], "eligible": {}, "seed": 3}),
        RunConfig.from_dict(
            {"eligible": {"genres": ["Drama"]}, "keep_candidate": True, "force_reason": "a new catalog"}
        ),
    ],
)
def test_settings_and_plan_come_back_as_they_were(store: FeedbackStore, config: RunConfig) -> None:
    rule = config.eligible or EligibilityRule(max_year=2011)
    batch = claimed(store, config=config, planned_half_life_days=91.25, rule=rule, kept_trial=TRIAL)
    assert (batch.config, batch.half_life_days, batch.rule, batch.kept_trial) == (config, 91.25, rule, TRIAL)
    assert store.backlog.get_batch("r1") == batch


def test_a_row_of_an_earlier_version_is_read(store: FeedbackStore, database_url: str) -> None:
    claimed(store)
    written_before(database_url, OLD_ROW)
    batch = store.backlog.get_batch("r1")
    rule = EligibilityRule(without_tags=("shelved",))
    assert (batch.half_life_days, batch.rule, batch.kept_trial) == (91.25, rule, TRIAL)
    assert (batch.config.seed, batch.config.families, batch.config.force_reason) == (7, ("closed_form",), "r")
    assert (batch.config.half_life_days, batch.config.eligible) == (None, rule)
    assert batch.config.triggers == RunConfig().triggers
    store.backlog.update_batch("r1", challenger_version="4")
    assert store.backlog.half_life_of_version("4") == 91.25
    assert store.catalog.rule_of_version("4") == rule


def test_a_row_that_says_nothing_is_read_and_has_no_half_life(store: FeedbackStore, database_url: str) -> None:
    claimed(store)
    written_before(database_url, {})
    batch = store.backlog.get_batch("r1")
    assert (batch.config, batch.rule, batch.kept_trial) == (RunConfig(), EligibilityRule(), None)
    store.backlog.update_batch("r1", challenger_version="4")
    assert store.backlog.half_life_of_version("4") is None
    with pytest.raises(InputError, match="Expected batch r1 to have the half-life of its sample weights, found none"):
        _ = batch.half_life_days
