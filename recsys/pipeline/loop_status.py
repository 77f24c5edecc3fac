"""What the pages show: backlog, champion, decisions; patterns and metrics of the feedback."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from recsys.config.triggers import TriggerConfig
from recsys.feedback.improvement import get_feedback_improvement_metrics
from recsys.feedback.patterns import get_dislike_pattern_analysis
from recsys.pipeline.champion.lineage import tenures
from recsys.pipeline.champion.version_history import tenure_as_dict
from recsys.pipeline.context import Context
from recsys.settings import Settings

NUM_CHAMPIONS = 5  # shown, newest first
LATEST = datetime.max.replace(tzinfo=UTC)


def status() -> dict[str, Any]:
    """What the status page shows: backlog, last decisions, champion and those before it, and where MLflow is."""
    with Context.open() as context:
        promotions = context.store.audit.list_promotions()
        promotion = promotions[-1] if promotions else None
        decisions = context.store.audit.list_decisions(limit=10)
        return {
            "backlog": context.store.backlog.count_backlog(LATEST),
            "threshold": TriggerConfig.threshold,
            "last_decisions": [
                {
                    "run_id": d.run_id, "step": d.step, "verdict": d.verdict, "reasons": list(d.reasons),
                    "as_of": d.as_of.isoformat(), "recorded_at": d.recorded_at.isoformat(),
                }
                for d in decisions
            ],
            "champion": None if promotion is None else {
                "from_version": promotion.from_version, "to_version": promotion.to_version,
                "sequence": promotion.sequence,
            },
            "champions": [tenure_as_dict(tenure) for tenure in reversed(tenures(promotions)[-NUM_CHAMPIONS:])],
            "mlflow_url": Settings.from_environment().mlflow_link_url,
        }  # fmt: skip


def feedback_report(as_of: datetime) -> dict[str, Any]:
    """What the page shows of the feedback of all users: `analysis`, patterns as last `identified`, `metrics`."""
    with Context.open() as context:
        return {
            "analysis": get_dislike_pattern_analysis(context.store.insights, as_of=as_of),
            "identified": [pattern.as_dict() for pattern in context.store.insights.list_patterns(None, as_of)],
            "metrics": get_feedback_improvement_metrics(context.store.insights, as_of),
        }
