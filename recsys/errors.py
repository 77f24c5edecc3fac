"""The error tree. Standard library only.

    RecsysError
    |-- TerminalError        do not retry: the same call would fail again
    |   |-- InputError       a file, argument or stored value is not what was expected
    |   |-- DataCheckError   the training set failed its data validation
    |   |-- ConflictError    somebody else holds, took over or already changed what this call wanted
    |   |-- ErasedError      it is about a user who was erased
    |   |-- DigestError      a file does not hold what was written into it
    |   `-- NotFoundError    a version, batch, user or file that was named does not exist
    `-- TransientError       try again later: a service is away, a lock is held, the disk is full

Every message says what was expected, what came, and what to do next.
"""

from __future__ import annotations

import errno

# No space, quota used up, or a file at the size it may have: all end when somebody makes room.
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class RecsysError(Exception):
    """Base of all errors this package raises on purpose."""


class TerminalError(RecsysError):
    """Retrying cannot help."""


class InputError(TerminalError):
    """A file, argument or stored value is not what was expected."""


class DataCheckError(TerminalError):
    """The training set failed its data validation."""


class ConflictError(TerminalError):
    """Somebody else holds, took over or already changed what this call wanted."""


class ErasedError(TerminalError):
    """It is about users who were erased, and not brought back.

    Args:
        user_ids: who they are. The message does not name them: it may end in a log.
    """

    user_ids: frozenset[str] = frozenset()  # of one that came from another process: nobody is named there

    def __init__(self, user_ids: frozenset[str]) -> None:
        count = "a user who was" if len(user_ids) == 1 else f"{len(user_ids)} users who were"
        super().__init__(
            f"Expected users who are not erased, got {count}: nothing was written. Whoever runs the service brings a user back "
            "with `recsys bring-back USER`."
        )
        self.user_ids = user_ids

    def __reduce__(self) -> tuple[type[ErasedError], tuple[frozenset[str]]]:
        """Exceptions are copied with their message alone otherwise."""
        return ErasedError, (self.user_ids,)


class DigestError(TerminalError):
    """A file does not hold what was written into it: somebody edited it, or it was cut off or lost."""


class NotFoundError(TerminalError):
    """What was named does not exist."""


class TransientError(RecsysError):
    """A later retry may succeed: a service is away, a lock is held, the disk is full."""


def is_disk_full(error: OSError) -> bool:
    """Whether there was no room to write; `tempfile` says so in words only."""
    return error.errno in NO_ROOM or "No usable temporary directory" in str(error)
