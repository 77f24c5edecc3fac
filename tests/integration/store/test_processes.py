"""Several processes at once, and one that is killed in the middle."""

import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from recsys.records import Dislike
from recsys.store import FeedbackStore

NOW = datetime(2013, 6, 1, 12, tzinfo=UTC)

# Says "ready", waits for a line, acts, prints one line of JSON.
ACTOR = """
import json, sys
from datetime import UTC, datetime, timedelta
from recsys.errors import ConflictError
from recsys.config.run import RunConfig
from recsys.records import Batch, BatchStatus, Dislike, Promotion
from recsys.store import FeedbackStore

url, action, name = sys.argv[1:]
now = datetime(2013, 6, 1, 12, tzinfo=UTC)
later = now + timedelta(hours=7)

def claim(store, at):
    plan = Batch(name, now, now, None, BatchStatus.CLAIMED, 0, RunConfig(), at, at + timedelta(hours=6))
    return store.backlog.claim_backlog(plan).num_examples

actions = {
    "claim": lambda store: claim(store, now),
    "take_over": lambda store: claim(store, later),
    "promote": lambda store: store.audit.begin_promotion(Promotion(1, name, None, name, "x", now, False)).sequence,
    "dislike": lambda store: sum(
        r.is_new for r in store.feedback.record_dislikes(
            [Dislike("7", now, now, movie_id=n + 1, idempotency_key=f"k{n}") for n in range(300)]
        )
    ),
}
with FeedbackStore.open(url) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        print(json.dumps(["done", actions[action](store)]))
    except ConflictError as error:
        print(json.dumps(["conflict", str(error)]))
"""

# Records dislikes until it is stopped inside the transaction, after the last row was sent.
VICTIM = """
import sys
from datetime import UTC, datetime
from recsys.records import Dislike
from recsys.store import FeedbackStore, feedback_rows

now = datetime(2013, 6, 1, 12, tzinfo=UTC)
rows = [Dislike("7", now, now, movie_id=n + 1, idempotency_key=f"k{n}") for n in range(2000)]
with FeedbackStore.open(sys.argv[1]) as store:
    store.feedback.record_dislikes(rows[:1000])
    def record_and_wait(connection):
        feedback_rows.record_dislikes(connection, rows)
        print("ready", flush=True)
        sys.stdin.readline()
    store.database.write(record_and_wait)
"""


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def race(database_url: str, action: str, names: list[str]) -> list[tuple[str, object]]:
    """Lets one process per name act at the same moment; (outcome, value) per name."""
    processes = [start(ACTOR, database_url, action, name) for name in names]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = []
    for process in processes:
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        answers.append(tuple(json.loads(out)))
    return answers


def dislike(store: FeedbackStore, count: int) -> None:
    store.feedback.record_dislikes([Dislike("7", NOW, NOW, movie_id=n + 1) for n in range(count)])


@pytest.mark.parametrize("action", ["claim", "take_over"])
def test_two_claims_at_once_one_wins(store: FeedbackStore, database_url: str, action: str) -> None:
    dislike(store, 50)
    if action == "take_over":
        assert race(database_url, "claim", ["dead"]) == [("done", 50)]
    names = ["r1", "r2", "r3"]
    answers = race(database_url, action, names)
    winners = [name for name, answer in zip(names, answers, strict=True) if answer == ("done", 50)]
    losers = [str(text) for outcome, text in answers if outcome == "conflict"]
    assert len(winners) == 1
    assert len(losers) == 2
    assert all(f"run {winners[0]} has held the backlog" in text for text in losers)
    assert store.backlog.count_backlog(NOW) == 0
    assert store.backlog.get_batch(winners[0]).num_examples == 50


def test_one_run_claiming_twice_at_once_is_one_claim(store: FeedbackStore, database_url: str) -> None:
    dislike(store, 50)
    assert race(database_url, "claim", ["r1", "r1", "r1"]) == [("done", 50)] * 3


def test_two_promotions_at_once_one_wins(store: FeedbackStore, database_url: str) -> None:
    answers = race(database_url, "promote", ["r1", "r2", "r3"])
    assert sorted(outcome for outcome, _ in answers) == ["conflict", "conflict", "done"]
    (promotion,) = store.audit.list_promotions()
    assert all(f"run {promotion.run_id} promoted" in str(text) for outcome, text in answers if outcome == "conflict")


def test_same_dislikes_at_once_are_recorded_once(store: FeedbackStore, database_url: str) -> None:
    answers = race(database_url, "dislike", ["a", "b", "c"])
    assert sorted(answers) == [("done", 0), ("done", 0), ("done", 300)]
    assert store.backlog.count_backlog(NOW) == 300
    assert len(store.catalog.all_items()) == 300


def test_killed_in_the_middle_of_a_bulk_leaves_all_or_nothing(store: FeedbackStore, database_url: str) -> None:
    process = start(VICTIM, database_url)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    assert store.backlog.count_backlog(NOW) == 1_000  # what was acknowledged; the rest is written but not committed
    process.kill()
    process.communicate()
    assert store.backlog.count_backlog(NOW) == 1_000
    rows = [Dislike("7", NOW, NOW, movie_id=n + 1, idempotency_key=f"k{n}") for n in range(2_000)]
    assert sum(recorded.is_new for recorded in store.feedback.record_dislikes(rows)) == 1_000
    assert store.backlog.count_backlog(NOW) == 2_000
