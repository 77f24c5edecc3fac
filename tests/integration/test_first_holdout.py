"""Where the holdout of a first champion begins: on a stream of few users it is longer, so that the loop can begin."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest

from recsys.config.run import RunConfig
from recsys.evaluation.gate.config import GateConfig
from recsys.pipeline.retraining import planning
from recsys.records import Interaction, Item
from tests.integration.audited_loop import START, AuditedLoop

HOUR = timedelta(hours=1)
ENOUGH = math.ceil(planning.MANY * GateConfig.min_users)


def share_of_holdout(loop: AuditedLoop, num_users: int, num_likes: int) -> float:
    """Of a stream in which one user after the other likes so many items in one sitting, an item an hour."""
    items = [f"i{number}" for number in range(num_likes)]
    loop.context.store.catalog.upsert_items([Item(item_id, item_id) for item_id in items])
    moments = [START + number * HOUR for number in range(num_users * num_likes)]
    loop.context.store.feedback.insert_interactions([
        Interaction(f"u{n // num_likes}", items[n % num_likes], "like", at, at, True) for n, at in enumerate(moments)
    ])  # fmt: skip
    batch = planning.plan_batch(loop.context, "first", moments[-1], moments[-1], RunConfig(), writes=False)
    later = [n for n, at in enumerate(moments) if at > batch.fit_through]
    return len(later) / len(moments)


@pytest.mark.parametrize(
    ("num_users", "share"),
    [
        pytest.param(20 * ENOUGH, 0.1, id="a tenth of the events holds enough"),
        pytest.param(4 * ENOUGH, 0.25, id="it takes more"),
        pytest.param(ENOUGH, 0.5, id="half is the most"),
        pytest.param(7, 0.5, id="there are not enough"),
    ],
)
def test_it_is_as_long_as_it_takes(loop: AuditedLoop, num_users: int, share: float) -> None:
    assert share_of_holdout(loop, num_users, num_likes=4) == pytest.approx(share, abs=0.02)
