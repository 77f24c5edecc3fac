"""Evidence made to order: the gate reads per-user numbers, so its tests write them down."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from recsys.evaluation.gate.evidence import Evidence, Kind

MakeEvidence = Callable[..., Evidence]


def _system(name: str, ndcg: Sequence[float], exposure: Sequence[float]) -> pd.DataFrame:
    """Users with an NDCG first, then users with an exposure only: `exposure` covers the first of all users."""
    num_users = max(len(ndcg), len(exposure))
    columns = {"ndcg_at_10": ndcg, "dislike_exposure_at_10": exposure}
    padded = {
        key: np.r_[np.asarray(values, float), np.full(num_users - len(values), np.nan)]
        for key, values in columns.items()
    }
    return pd.DataFrame(
        {
            "system": name,
            "user_id": [f"u{n:05d}" for n in range(num_users)],
            "num_liked": np.isfinite(padded["ndcg_at_10"]).astype(np.int64),
            "num_disliked": np.isfinite(padded["dislike_exposure_at_10"]).astype(np.int64),
            "ndcg_at_10": padded["ndcg_at_10"],
            "recall_at_20": padded["ndcg_at_10"],
            "mrr": padded["ndcg_at_10"],
            "dislike_exposure_at_10": padded["dislike_exposure_at_10"],
        }
    )


@pytest.fixture(scope="session")
def make_evidence() -> MakeEvidence:
    def make(
        kind: Kind = "refresh",
        exposure: Mapping[str, Sequence[float]] | None = None,
        seed: int = 7,
        **ndcg: Sequence[float],
    ) -> Evidence:
        shown = exposure or {}
        frames = [_system(name, values, shown.get(name, [])) for name, values in ndcg.items()]
        return Evidence(
            batch_id="run-1",
            kind=kind,
            as_of=datetime(2013, 6, 8, 3, tzinfo=UTC),
            fit_through=datetime(2013, 6, 1, 3, tzinfo=UTC),
            champion_version=None if kind == "first" else "3",
            challenger_version="4",
            per_user=pd.concat(frames, ignore_index=True),
            seed=seed,
        )

    return make
