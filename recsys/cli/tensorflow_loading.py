"""Loads TensorFlow without its greeting."""

from __future__ import annotations

import os
import sys

# The steps, and questions, that use TensorFlow; it takes seconds to load, so the others do without.
TENSORFLOW_STEPS = {
    "counterfactuals",
    "try_candidate",
    "train_challenger",
    "evaluate_challenger",
    "extend_holdout",
    "refit_challenger",
    "publish_recommendations",
    "measure_drift",
    "dry_run",
    "score_next_day",
}


def load_for(step: str) -> None:
    """Loads TensorFlow if `step` uses it, with stderr closed meanwhile.

    TensorFlow writes half a screen about the processor and missing graphics cards to file descriptor 2 before any of its
    own settings are read. An error while loading is raised as it came.
    """
    if step not in TENSORFLOW_STEPS or "tensorflow" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        import keras  # noqa: F401 - loads TensorFlow as its backend
        import tensorflow  # noqa: F401
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
