"""Dislike, repeat, undo, erase, in any order: what is left is as if only what remains had ever happened."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select

from recsys.config.run import RunConfig
from recsys.errors import ErasedError, NotFoundError
from recsys.records import (
    Batch,
    BatchStatus,
    Dislike,
    DislikeReason,
    Interaction,
    Item,
    RecommendationEntry,
    RecommendationSet,
    SetKind,
)
from recsys.serving.lists import current_adjustments
from recsys.store import FeedbackStore
from recsys.store.tables import (
    dislike_feedback_impact,
    dislike_patterns,
    erasures,
    interactions,
    items,
    metadata,
    negative_training_examples,
    tombstones,
    user_dislikes,
)

START = datetime(2024, 5, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
FILMS = [
    Item("a", "A", ("Action", "Drama"), ("Ann",), "Robots"),
    Item("b", "B", ("Action",), ("Ann", "Bob"), "Robots"),
    Item("c", "C", ("Drama",), ("Bob",)),
]
USERS = ["u0", "u1"]
OPERATIONS = st.one_of(
    st.tuples(
        st.just("dislike"),
        st.sampled_from(USERS),
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(list(DislikeReason)),
    ),
    st.tuples(st.just("like"), st.sampled_from(USERS), st.sampled_from(["a", "b", "c"])),
    st.tuples(st.just("repeat"), st.integers(0, 9)),
    st.tuples(st.just("undo"), st.integers(0, 9)),
    st.tuples(st.just("erase"), st.sampled_from(USERS)),
    st.tuples(st.just("bring back"), st.sampled_from(USERS)),
)


@dataclass
class Sent:
    """A dislike that was sent, and the number that came back."""

    dislike: Dislike
    number: int


def clear(store: FeedbackStore) -> None:
    tables = (
        dislike_feedback_impact, negative_training_examples, user_dislikes, interactions, tombstones, erasures, items,
    )  # fmt: skip
    store.database.write(lambda connection: [connection.execute(delete(table)) for table in tables])
    store.catalog.upsert_items(FILMS)


def state(store: FeedbackStore, now: datetime) -> dict[str, Any]:
    """Everything that feedback decides: adjustments, backlog, examples, histories."""
    catalog = store.catalog.all_items()
    training_set = store.stream.read_training_set(now, now, 30.0).drop_columns(["source_id"]).to_pylist()
    return {
        "adjustments": {
            user: current_adjustments(store.stream.user_signals(user, now), catalog, 30.0, now) for user in USERS
        },
        "impacts": sorted(
            (s.dislike.user_id, s.dislike.item_id, s.dislike.created_at, tuple(sorted(s.adjustments.items())))
            for user in USERS
            for s in store.feedback.list_dislikes(user)
        ),
        "backlog": store.backlog.count_backlog(now),
        "examples": training_set,
        "histories": store.stream.read_histories(now, 30.0).to_dict("records"),
    }


def test_any_sequence_leaves_what_replaying_the_rest_leaves(store: FeedbackStore) -> None:
    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(OPERATIONS, max_size=14))
    def check(operations: list[tuple[Any, ...]]) -> None:
        clear(store)
        sent: list[Sent] = []
        liked: list[Interaction] = []
        erased: set[str] = set()
        for hour, (name, *args) in enumerate(operations):
            now = START + hour * HOUR
            if name in {"dislike", "like"} and args[0] in erased:
                with pytest.raises(ErasedError):
                    store.feedback.record_dislikes([Dislike(args[0], now, now, item_id=args[1])])
                with pytest.raises(ErasedError):
                    store.feedback.insert_interactions([Interaction(args[0], args[1], "like", now, now, is_like=True)])
            elif name == "dislike":
                user, item, reason = args
                dislike = Dislike(user, now, now, item_id=item, reason=reason, idempotency_key=f"k{hour}")
                sent.append(Sent(dislike, store.feedback.record_dislikes([dislike])[0].dislike_id))
            elif name == "like":
                liked.append(Interaction(args[0], args[1], "like", now, now, is_like=True))
                store.feedback.insert_interactions(liked[-1:])
            elif name == "erase":
                store.erasures.erase_user(args[0], "test", now)
                erased.add(args[0])
                sent = [one for one in sent if one.dislike.user_id != args[0]]
                liked = [one for one in liked if one.user_id != args[0]]
            elif name == "bring back" and args[0] in erased:
                assert store.erasures.bring_back(args[0], "test", now).lifted_at == now
                erased.remove(args[0])
            elif sent and name == "repeat":
                one = sent[args[0] % len(sent)]
                again = store.feedback.record_dislikes([replace(one.dislike, recorded_at=now, feedback_text="again")])[
                    0
                ]
                assert (again.dislike_id, again.is_new) == (one.number, False)
            elif sent and name == "undo":
                one = sent.pop(args[0] % len(sent))
                assert store.feedback.retract_dislike(one.dislike.user_id, one.number, now).retracted_at == now
        end = START + 100 * HOUR
        found = state(store, end)
        clear(store)
        store.feedback.insert_interactions(liked)
        store.feedback.record_dislikes([one.dislike for one in sent])
        assert found == state(store, end)

    check()


def test_an_undone_dislike_comes_back_to_nobody_else(store: FeedbackStore) -> None:
    clear(store)
    number = store.feedback.record_dislikes([Dislike("u0", START, START, item_id="a")])[0].dislike_id
    with pytest.raises(NotFoundError):
        store.feedback.retract_dislike("u1", number, START)
    assert store.backlog.count_backlog(START) == 1
    first = store.feedback.retract_dislike("u0", number, START + HOUR)
    assert store.feedback.retract_dislike("u0", number, START + 2 * HOUR) == first
    assert store.backlog.count_backlog(START) == 1  # as of then it was there
    assert store.backlog.count_backlog(START + HOUR) == 0


def test_an_erased_user_is_gone_from_every_table_and_the_audit_proves_it(store: FeedbackStore) -> None:
    clear(store)
    store.feedback.insert_interactions([Interaction("u0", "a", "like", START, START, is_like=True)])
    entry = RecommendationEntry(1, "b", 1.0, "Popular right now", {"trend": 1.0})
    mine = store.lists.add_list(RecommendationSet("u0", "1", START, START, (entry,), kind=SetKind.ADJUSTED))
    store.catalog.exclude_item("u0", "b", START)
    store.lists.add_exposure(mine, 1, START)
    for user in USERS:
        dislike = Dislike(user, START, START, item_id="b", reason=DislikeReason.WRONG_GENRE, recommendation_set_id=mine)
        store.feedback.record_dislikes([dislike])
        pattern = {"user_id": user, "pattern_type": "reason", "pattern_value": "wrong_genre", "frequency": 1,
                   "severity": "low", "identified_at": START}  # fmt: skip
        store.database.write(lambda c, row=pattern: c.execute(insert(dislike_patterns), [row]))
    for name, hours in (("before", -1), ("after", 1)):
        cut_off = START + hours * HOUR
        store.backlog.claim_backlog(
            Batch(name, cut_off, cut_off, None, BatchStatus.CLAIMED, 0, RunConfig(), cut_off, cut_off + HOUR)
        )
        store.backlog.update_batch(
            name, challenger_version=f"{name}-1", refit_version=f"{name}-2",
            training_set_uri=f"file:///{name}", training_set_digest=name,
        )  # fmt: skip
        store.backlog.settle_backlog(name, cut_off)
    erasure = store.erasures.erase_user("u0", "the user", START + 2 * HOUR)
    assert erasure.num_rows == {
        "dislike_feedback_impact": 2, "brigading_flags": 0, "negative_training_examples": 1, "user_dislikes": 1,
        "interactions": 1, "recommendation_sets": 1, "dislike_patterns": 1, "user_exclusions": 1,
        "items": 0,
    }  # fmt: skip
    assert [batch["batch_id"] for batch in erasure.batches] == ["after"]
    assert erasure.model_versions == ("after-1", "after-2")
    with store.database.reading() as connection:
        for table in metadata.sorted_tables:
            rows = [str(tuple(row)) for row in connection.execute(select(table))]
            assert not [row for row in rows if "'u0'" in row], table.name
    assert len(store.feedback.list_dislikes("u1")) == 1  # somebody else's stays
    assert set(store.stream.read_histories(START + 3 * HOUR, 30.0)["user_id"]) == {"u1"}
    assert store.erasures.list_erasures("u0") == [erasure]
    again = store.erasures.erase_user("u0", "the user", START + 3 * HOUR)
    assert set(again.num_rows.values()) == {0}
    assert again.batches == ()
