"""A seeded stream of 40 days, and two nights on it: a first champion, and a second night that promotes again.

Films come out over the days and people mostly watch what is new, so the second night's challenger knows films that the
first champion never saw: it passes the gate by a wide margin, on any machine.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from recsys.config.run import RunConfig
from recsys.feedback.handler import save_dislikes
from recsys.pipeline.night import run_night
from recsys.records import Dislike, Interaction, Item
from recsys.settings import Settings
from recsys.store import FeedbackStore, migrate

START = datetime(2024, 3, 1, tzinfo=UTC)
NUM_USERS, NUM_ITEMS, NUM_DAYS, SIGNALS_PER_USER = 750, 60, 40, 10
GENRES = ("Comedy", "Horror", "Western")
FIRST_AS_OF, SECOND_AS_OF = START + timedelta(days=28), START + timedelta(days=NUM_DAYS)
FIRST, SECOND = "first", "second"  # run ids
NOW = SECOND_AS_OF + timedelta(hours=3)  # when the second night runs
FAMILY = "closed_form"  # the other family takes longer and is not what these nights are about


def write_stream(
    store: FeedbackStore,
    seed: int = 7,
    max_dislikes: int | None = None,
    name: str = "u{:03d}",
    without: Collection[str] = (),
) -> None:
    """Three groups of users, each of which likes one genre and dislikes half of what else it sees.

    Args:
        store: an empty one.
        seed: of the stream.
        max_dislikes: only the first so many.
        name: what users are called.
        without: users who were never there; of the others everything is the same.
    """
    rng = np.random.default_rng(seed)
    store.catalog.upsert_items([
        Item(f"f{n:02d}", f"Film {n}", (GENRES[n % len(GENRES)],), release_year=2024) for n in range(NUM_ITEMS)
    ])  # fmt: skip
    likes: list[Interaction] = []
    dislikes: list[Dislike] = []
    for user in range(NUM_USERS):
        for second in rng.integers(86_400, NUM_DAYS * 86_400, SIGNALS_PER_USER):
            num_released = 6 + int((NUM_ITEMS - 6) * second / (NUM_DAYS * 86_400))
            item = num_released - 1 - min(int(rng.exponential(8)), num_released - 1)
            if rng.random() < 0.5:  # looks for its own genre
                item = max(item - (item - user) % len(GENRES), user % len(GENRES))
            who, what, at = name.format(user), f"f{item:02d}", START + timedelta(seconds=int(second))
            if (item - user) % len(GENRES) == 0:
                likes.append(Interaction(who, what, "like", at, at, is_like=True))
            elif rng.random() < 0.5:
                dislikes.append(Dislike(who, at, at, item_id=what))
    store.feedback.insert_interactions([like for like in likes if like.user_id not in without])
    save_dislikes(store.feedback, [dislike for dislike in dislikes[:max_dislikes] if dislike.user_id not in without])


def record_first_night(settings: Settings) -> None:
    """Runs the first night in an empty place."""
    settings.use()
    migrate(settings.database_url)
    with FeedbackStore.open(settings.database_url) as store:
        write_stream(store)
    first = run_night(FIRST, FIRST_AS_OF, lambda: FIRST_AS_OF, RunConfig(families=(FAMILY,)))
    assert first.outcome == "promote", first.reasons


def record_second_night(settings: Settings, copies: Path) -> dict[str, dict[str, Any]]:
    """Runs the second night and copies the home before each of its steps.

    Args:
        settings: a place after the first night.
        copies: a copy goes to the folder in here that is named after the step; `end` is what the night left behind.

    Returns:
        Step -> what it returned.
    """
    settings.use()

    def take_copy(step: str) -> None:
        shutil.copytree(settings.home, copies / step)

    second = run_night(SECOND, SECOND_AS_OF, lambda: NOW, RunConfig(families=(FAMILY,)), on_step=take_copy)
    assert second.outcome == "promote", second.reasons
    take_copy("end")
    return second.results


def arguments_of(step: str, results: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What a step of the second night is called with."""
    batch, night = {"batch_id": SECOND}, {"run_id": SECOND, "now": NOW}
    judged = {"model_version": results["train_challenger"]["model_version"]}
    refit = {"model_version": results["refit_challenger"]["model_version"]}
    return {
        "check_backlog": {**night, "as_of": SECOND_AS_OF},
        "claim_backlog": {**night, "as_of": SECOND_AS_OF, "config": {"families": [FAMILY]}},
        "try_candidate": {**batch, "candidate": results["try_candidate"]["candidate"]},
        "settle_backlog": {**batch, "now": NOW},
        "decide_promotion": {**night, **judged},
        "refit_challenger": judged,
        "promote": {**night, **refit},
        "measure_feedback": {"as_of": NOW, "now": NOW},
        "measure_drift": {"run_id": "monitoring", "as_of": SECOND_AS_OF, "now": NOW},
        "rollback": {"run_id": "back", "reason": "lists are worse", "now": NOW},
        "publish_recommendations": {**refit, "as_of": SECOND_AS_OF, "now": NOW},
    }.get(step, batch)
