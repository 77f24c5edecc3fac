"""The assets that connect the DAGs: each with who emits it and who consumes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import Asset

# Emitted by: the feedback service, by POST to /api/v2/assets/events, when the backlog reaches its threshold.
# Consumed by: feedback_retraining. Extra: none is read; the run counts the backlog itself.
BACKLOG_READY = Asset("backlog_ready", uri="recsys://feedback/backlog-ready")

# Emitted by: feedback_retraining, task evaluate_challenger. Extra: model_version, batch_id, as_of.
# Consumed by: model_promotion.
CHALLENGER = Asset("challenger", uri="recsys://registry/feedback-recommender/challenger")

# Emitted by: model_promotion, task request_approval, where a person is to be asked. Extra: model_version.
# Consumed by: champion_approval.
AWAITING_APPROVAL = Asset("awaiting_approval", uri="recsys://registry/feedback-recommender/awaiting-approval")

# Emitted by: model_promotion and champion_approval, task promote, extra: model_version, as_of; and champion_rollback, task
# rollback, extra: model_version.
# Consumed by: recommendation_publishing.
CHAMPION = Asset("champion", uri="recsys://registry/feedback-recommender/champion")


def newest_extra(events: Mapping[Asset, Sequence[Any]], asset: Asset) -> dict[str, Any]:
    """Extra of the newest event of `asset` behind this run; empty for a run started by hand.

    Events pile up while a run is active, so one run can stand for several: the newest one names what is current.
    """
    newest = max(events.get(asset, []), key=lambda event: event.timestamp, default=None)
    return {} if newest is None else dict(newest.extra)
