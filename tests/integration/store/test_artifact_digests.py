"""What is recorded of files that steps leave behind, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from recsys.config.run import RunConfig
from recsys.errors import ConflictError
from recsys.files.digests import FileDigest
from recsys.records import Batch, BatchStatus
from recsys.store import FeedbackStore
from recsys.store.artifact_digests import ArtifactKind

NOW = datetime(2026, 11, 28, 3, tzinfo=UTC)
HOUR = timedelta(hours=1)


def digest(path: str, content: str = "a") -> FileDigest:
    return FileDigest(path, content * 64, 10**12, NOW)


def files(*paths: str, content: str = "a") -> dict[str, FileDigest]:
    return {path: digest(path, content) for path in paths}


def batch(batch_id: str = "r") -> Batch:
    return Batch(batch_id, NOW, NOW - HOUR, None, BatchStatus.CLAIMED, 0, RunConfig(), NOW, NOW + HOUR)


def test_a_folder_is_recorded_as_a_whole_and_others_stay(store: FeedbackStore) -> None:
    store.backlog.record_files(ArtifactKind.EVIDENCE, "r", "evidence", files("evidence/a", "evidence/b"))
    store.backlog.record_files(ArtifactKind.EVIDENCE, "r", "evidence_2", files("evidence_2/a"))
    store.backlog.record_files(ArtifactKind.EVIDENCE, "q", "evidence", files("evidence/a"))
    store.backlog.record_files(ArtifactKind.VERSION, "r", "judged", files("judged/a"))
    store.backlog.record_files(ArtifactKind.FIT, "r", "judged", files("judged/a", content="b"))
    store.backlog.record_files(ArtifactKind.EVIDENCE, "r", "evidence", files("evidence/b", content="c"))
    assert store.backlog.known_files("r", ArtifactKind.EVIDENCE) == {
        **files("evidence/b", content="c"), **files("evidence_2/a")
    }  # fmt: skip
    assert store.backlog.known_files("q", ArtifactKind.EVIDENCE) == files("evidence/a")
    assert store.backlog.known_files("r", ArtifactKind.FIT) == files("judged/a", content="b")
    assert store.backlog.known_files("r", ArtifactKind.VERSION) == files("judged/a")


def test_a_batch_that_was_released_gets_no_record(store: FeedbackStore) -> None:
    store.backlog.claim_backlog(batch())
    store.backlog.release_batch("r", NOW)
    with pytest.raises(ConflictError, match="was released"):
        store.backlog.record_files(
            ArtifactKind.TRAINING_SET, "r", "training_set", files("training_set/a"), training_set_digest="d"
        )
    assert store.backlog.known_files("r", ArtifactKind.TRAINING_SET) == {}, "both or neither"


def test_a_batch_that_begins_anew_and_one_that_is_pruned_know_nothing_of_what_is_gone(store: FeedbackStore) -> None:
    store.backlog.claim_backlog(batch())
    store.backlog.record_files(ArtifactKind.TRAINING_SET, "r", "training_set", files("training_set/a"))
    store.backlog.record_files(ArtifactKind.EVIDENCE, "r", "evidence", files("evidence/a"))
    store.backlog.record_files(ArtifactKind.FIT, "r", "judged", files("judged/a"))
    store.backlog.record_files(ArtifactKind.VERSION, "r", "judged", files("judged/a"))
    store.backlog.forget_files("r", ["training_set_uri"], ["training_set", "judged"])
    kinds = tuple(ArtifactKind)
    assert set(store.backlog.known_files("r", *kinds)) == {"evidence/a", "judged/a"}
    assert store.backlog.known_files("r", ArtifactKind.FIT) == {}
    assert store.backlog.known_files("r", ArtifactKind.VERSION) == files("judged/a"), "MLflow still has the model"
    store.backlog.release_batch("r", NOW)
    store.backlog.claim_backlog(batch())
    assert store.backlog.known_files("r", *kinds) == {}


def test_the_maker_of_a_version_is_found_by_either_fit(store: FeedbackStore) -> None:
    store.backlog.claim_backlog(batch())
    store.backlog.update_batch("r", challenger_version="3", refit_version="4")
    assert [(made[0].batch_id, made[1]) for v in ("3", "4") if (made := store.backlog.find_maker(v))] == [
        ("r", "judged"), ("r", "refit"),
    ]  # fmt: skip
    assert store.backlog.find_maker("5") is None
