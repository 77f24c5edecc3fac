"""Whatever nights, promotions and rollbacks there were: a version is made, then champion from a time to a later one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from recsys import pipeline
from recsys.errors import RecsysError
from recsys.pipeline.champion.version_history import champions_at, version_histories
from tests.integration.audited_loop import AuditedLoop

MOMENT = timedelta(microseconds=1)
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("night"), st.integers(-3_000, 3_000)),  # hours from the night before to this one's cut-off
        st.tuples(st.just("promote"), st.integers(0, 9)),
        st.tuples(st.just("rollback"), st.integers(0, 9)),
    ),
    min_size=1,
    max_size=5,
)


# Each example adds to the same history, so that one of six actions is looked at as well as one of thirty.
@hypothesis_settings(
    max_examples=6, deadline=None, phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(actions=ACTIONS)
def test_made_then_champion_from_then_to(loop: AuditedLoop, actions: list[tuple[str, int]]) -> None:
    loop.now = min(loop.now, datetime(2013, 6, 14, tzinfo=UTC))
    for kind, number in [("night", 0), ("promote", -1), *actions]:
        promotions = loop.context.store.audit.list_promotions()
        if kind == "night":
            loop.now += timedelta(hours=number)
            loop.night(promotions[-1].to_version if promotions else None)
            continue
        refits = [one.version for one in version_histories(loop.context) if one.fit == "refit"]
        version = refits[number % len(refits)]
        now = datetime.now(UTC)
        try:
            if kind == "promote":
                pipeline.promote(version, f"run-{version}", now)
            else:
                pipeline.rollback(f"back-{len(promotions)}", "lists are worse", now, version)
        except RecsysError:
            assert loop.context.store.audit.list_promotions() == promotions, "what is refused writes nothing"

    ended = datetime.now(UTC)
    histories = version_histories(loop.context)
    for one in histories:
        assert one.created_at is not None
        for tenure in one.tenures:
            assert one.created_at <= tenure.started_at <= (tenure.ended_at or ended) <= ended
    promotions = loop.context.store.audit.list_promotions()
    assert promotions, "the first night is promoted"
    assert [one.sequence for one in promotions] == list(range(1, len(promotions) + 1))
    for row in promotions:
        assert row.completed_at is not None
        assert row.created_at <= row.completed_at
        at = [tenure.promotion.to_version for tenure in champions_at(promotions, row.completed_at, is_day=False)]
        assert at == [row.to_version], "by the wall clock it is found at the moment of its promotion"
    assert champions_at(promotions, promotions[0].created_at - timedelta(days=1), is_day=False) == []
