"""Ids of runs: which are accepted, and the folder that each has for itself. Standard library only."""

from __future__ import annotations

import hashlib
import re

from recsys.errors import InputError

MAX_LENGTH = 250  # Airflow's own limit
PREFIX_LENGTH, DIGEST_LENGTH = 48, 16


def require_run_id(run_id: str) -> str:
    """The id, if it is one: 1 to 250 characters that can be printed, none of them a blank at its beginning or end.

    Raises:
        InputError: if it is none.
    """
    if 0 < len(run_id) <= MAX_LENGTH and run_id.isprintable() and run_id == run_id.strip():
        return run_id
    shown = ascii(run_id[:80]) + ("..." if len(run_id) > 80 else "")
    raise InputError(
        f"Expected a run id of 1 to {MAX_LENGTH} characters that can be printed, without a blank at its beginning or end, got "
        f"{len(run_id)} characters: {shown}. Choose another one."
    )


def folder_name(run_id: str) -> str:
    """Name of a run's folder: what can be read of its id, and a digest, by which no two ids share one.

    Any text gives the name of one folder inside another: ASCII letters, digits, `_` and `-`, no longer than 65 characters.
    """
    readable = re.sub(r"[^A-Za-z0-9_-]+", "_", run_id)[:PREFIX_LENGTH]
    digest = hashlib.sha256(run_id.encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST_LENGTH]
    return f"{readable}-{digest}"
