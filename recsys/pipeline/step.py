"""What makes a function a step.

It is registered by its name, checks the run's id, writes private files, logs what it found, and says clearly when the disk is
full.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from recsys.errors import TransientError, is_disk_full
from recsys.files.private import keep_private
from recsys.pipeline.facts import log_facts
from recsys.run_ids import require_run_id
from recsys.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")

STEPS: dict[str, Callable[..., dict[str, Any]]] = {}


def step(function: Callable[P, dict[str, Any]]) -> Callable[P, dict[str, Any]]:
    """Registers a step.

    Each call checks `run_id`, if the step has one, logs what the step returns, and turns a full disk into an error that says so
    and may be retried.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> dict[str, Any]:
        given = signature.bind_partial(*args, **kwargs).arguments
        if "run_id" in given:  # the id of a batch was one
            require_run_id(given["run_id"])
        keep_private(Settings.from_environment().home)
        try:
            result = function(*args, **kwargs)
        except OSError as error:
            if is_disk_full(error):
                raise TransientError(
                    f"Expected room to write in {function.__name__}, but the disk is full ({error}). Nothing half-written "
                    "is used: free space and run the step again."
                ) from error
            raise
        log_facts(function.__name__, result)
        return result

    STEPS[function.__name__] = guarded
    return guarded
