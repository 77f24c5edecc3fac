"""What makes a function a step: it is registered by its name, logs what it found, and says clearly when the disk is full."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import datetime
from typing import Any, ParamSpec, TypeVar

from recsys.errors import InputError, TransientError, is_disk_full
from recsys.moments import moment_of
from recsys.pipeline.facts import log_facts

P = ParamSpec("P")
R = TypeVar("R")

STEPS: dict[str, Callable[..., dict[str, Any]]] = {}


def step(function: Callable[P, dict[str, Any]]) -> Callable[P, dict[str, Any]]:
    """Registers a step, logs what it returns, and turns a full disk into an error that says so and may be retried."""

    @functools.wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> dict[str, Any]:
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


def moment(value: datetime | str) -> datetime:
    """A time in UTC from one, or from ISO 8601 text, with a zone in either.

    Raises:
        InputError: if it is neither, has no zone, or is not from 1970 to 2199.
    """
    found = moment_of(value)
    if (datetime.fromisoformat(value) if isinstance(value, str) else value).tzinfo is None:
        raise InputError(f"Expected a time with a zone, such as 2013-06-14T00:00:00+00:00, got {value}.")
    return found
