"""Other names for users: the same verdict under every key, and the same samples."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest

from recsys.evaluation.behaviour.explanations import sample_users
from recsys.evaluation.gate.decide import GateConfig, decide
from recsys.evaluation.gate.evidence import Evidence
from recsys.evaluation.gate.opinions import pooled
from recsys.evaluation.pseudonyms import Pseudonym, in_order, keyed
from tests.unit.evaluation.conftest import MakeEvidence


def under(key: str) -> Pseudonym:
    return lambda user_id: hashlib.sha256(f"{key}{user_id}".encode()).hexdigest()


@pytest.fixture
def named(make_evidence: MakeEvidence) -> Evidence:
    """Evidence as it was before there were pseudonyms, with slices and opinions in the order of events."""
    scores = np.random.default_rng(2).uniform(0.1, 0.3, 200)
    evidence = make_evidence(challenger=list(scores + 0.02), champion=list(scores))
    users = np.array(evidence.users("champion").index, dtype=object)
    rng = np.random.default_rng(3)
    slices = pd.DataFrame({"user_id": users, "activity": rng.choice(["new", "heavy"], len(users))})
    who = rng.choice(users, 3 * len(users))
    opinions = pd.DataFrame({
        "user_id": who, "item_id": [f"f{n}" for n in range(len(who))], "label": rng.integers(0, 2, len(who)),
        "recorded_at": pd.Timestamp(evidence.as_of), "batch_id": evidence.batch_id,
        "challenger": rng.random(len(who)) < 0.3, "champion": rng.random(len(who)) < 0.3,
    })  # fmt: skip
    return Evidence(**{**vars(evidence), "slices": slices, "opinions": opinions})


def test_a_verdict_is_the_same_to_the_bit_under_every_key(named: Evidence) -> None:
    one, other = (decide(named.keyed(under(key)), GateConfig()) for key in ("one", "other"))
    assert one == other
    assert one.verdict == decide(named, GateConfig()).verdict
    assert not set(named.keyed(under("one")).per_user["user_id"]) & set(named.per_user["user_id"])


def test_evidence_gets_its_pseudonyms_once(named: Evidence) -> None:
    once = named.keyed(under("one"))
    assert once.is_keyed
    assert once.keyed(under("other")) is once


def test_nights_from_before_and_after_are_pooled_by_user(named: Evidence) -> None:
    before, after = named.keyed(under("one")).opinions, keyed(named.opinions, under("one"))
    both = pooled(after, [before], pd.Timestamp("2000-01-01", tz="UTC"))
    assert len(both) == len(named.opinions), "each opinion once"


def test_a_sample_of_users_does_not_depend_on_the_key() -> None:
    users = [f"user {n}" for n in range(30)]
    histories = pd.DataFrame({"user_id": users, "item_id": "f1", "signal": "like"})
    drawn = sample_users(histories, 7, np.random.default_rng(5))
    renamed = in_order(histories, under("key"))
    again = sample_users(renamed, 7, np.random.default_rng(5))
    of_name = dict(zip(renamed["user_id"], users, strict=True))
    assert [of_name[name] for name in again] == drawn
    assert not any(user in name for name in again for user in users)
