"""Runs for nights long past, with the real steps: cut-offs are the run's, and every record carries the wall clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recsys import pipeline
from recsys.pipeline.champion.version_history import version_histories
from recsys.pipeline.context import Context
from recsys.pipeline.promotion import verdicts
from recsys.settings import Settings
from recsys.store import migrate
from tests.integration.audited_loop import AuditedLoop

pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.usefixtures("airflow_database")]

NIGHTS = (
    datetime(2013, 6, 14, 2, tzinfo=UTC),
    datetime(2013, 6, 15, 2, tzinfo=UTC),
    datetime(2013, 6, 16, 2, tzinfo=UTC),
)


@pytest.fixture
def loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AuditedLoop]:
    """Stores in which the runs of 2013 passed the gate; the steps find them, those in processes of their own, too."""
    settings = Settings.under(tmp_path / "home")
    for name, value in settings.as_environment().items():
        monkeypatch.setenv(name, value)
    # These versions have a verdict, but no model that a card could describe.
    monkeypatch.setattr(verdicts, "describe_verdict", lambda context, batch, verdict: None)
    migrate(settings.database_url)
    with Context.open(settings) as context:
        context.registry.ensure()
        yield AuditedLoop(context, tmp_path / "evidence", datetime(2013, 6, 13, tzinfo=UTC))


def test_nights_of_2013_are_recorded_when_they_were_run(loop: AuditedLoop, run: Any) -> None:
    began = datetime.now(UTC)
    assert run("feedback_retraining", NIGHTS[0])[0] == "success"  # nothing to train on: it is skipped
    champion = None
    for night in NIGHTS[:2]:
        champion = loop.night(champion)
        batch = loop.context.store.backlog.get_batch(f"run-{champion}")
        assert run("model_promotion", night, model_version=batch.challenger_version)[0] == "success"
    assert run("champion_rollback", NIGHTS[2], reason="lists are worse")[0] == "success"
    assert run("feedback_monitoring", NIGHTS[0])[0] == "success"
    ended = datetime.now(UTC)

    promotions = loop.context.store.audit.list_promotions()
    assert [one.to_version for one in promotions] == ["2", "4", "2"]
    stamps = [at for one in promotions for at in (one.created_at, one.completed_at) if at is not None]
    assert [began, *stamps, ended] == sorted([began, *stamps, ended])
    assert began <= (promotions[-1].approved_at or began) <= ended
    decisions = [one for one in loop.context.store.audit.list_decisions() if not one.run_id.startswith("run-")]
    assert {one.step for one in decisions} == {"check_backlog", "decide_promotion", "measure_drift"}
    assert all(began <= one.recorded_at <= ended for one in decisions)
    assert {one.as_of.year for one in decisions} == {2013}
    assert decisions == sorted(decisions, key=lambda one: -(one.decision_id or 0))
    assert pipeline.status()["last_decisions"][0]["step"] == "measure_drift"

    tenures = [
        (version.created_at, tenure.started_at, tenure.ended_at)
        for version in version_histories(loop.context)
        for tenure in version.tenures
    ]
    assert len(tenures) == 3
    for made, start, end in tenures:
        assert began - timedelta(seconds=1) <= made <= start <= (end or ended)
