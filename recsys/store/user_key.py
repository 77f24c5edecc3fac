"""The key under which users are named once they are erased: a file beside the database, never in it.

An erased user is named by `HMAC-SHA256(key, SHA-256(user_id))`. Ids are often short numbers: of a hash without a key all of
them can be tried in a moment. Whoever has the database, or a copy of it, but not the key, learns nobody's id from it.

The file is made when the first user is named, with 32 random bytes, for this account alone. The database holds a check
value of it, so another key, with which nobody would be found erased, is refused.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
import secrets
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from recsys.errors import TerminalError

KEY_BYTES = 32
KEY_OPTION = "user_key_file"  # of an engine's execution options: the `KeyFile` of its database
HEX = re.compile(rf"[0-9a-fA-F]{{{2 * KEY_BYTES}}}\Z")
MAX_FILE_BYTES = 1_000


def plain_hash(user_id: str) -> str:
    """SHA-256 of a user's id, in hex: what the key is applied to."""
    return hashlib.sha256(user_id.encode()).hexdigest()


@dataclass(frozen=True)
class UserKey:
    """A key.

    Attributes:
        secret: 32 bytes.
    """

    secret: bytes = field(repr=False)

    def hash_of(self, user_id: str) -> str:
        """How a user is named; 64 hex digits."""
        return self.keyed(plain_hash(user_id))

    def keyed(self, digest: str) -> str:
        """The same for a user of whom only the SHA-256 is known, as the audit kept it before there was a key."""
        return hmac.new(self.secret, digest.encode(), hashlib.sha256).hexdigest()

    @property
    def check_value(self) -> str:
        """Tells this key from another one, and nothing else."""
        return self.keyed("check value of the user key")


class KeyFile:
    """The file of a database's key, which may not be there yet.

    Args:
        path: of the file: 64 hex digits.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._key: UserKey | None = None

    def read(self) -> UserKey:
        """The key.

        Raises:
            TerminalError: if there is no file, or no key in it.
        """
        if self._key is None:
            try:
                with self.path.open("rb") as file:
                    text = file.read(MAX_FILE_BYTES).decode("ascii", "replace").strip()
            except OSError as error:
                raise TerminalError(
                    f"Expected the key that names erased users at {self.path}, but: {error.strerror}. Without it nobody can "
                    "say who was erased: bring the file back from where the database came from, or set RECSYS_USER_KEY_FILE."
                ) from error
            if not HEX.match(text):
                raise TerminalError(
                    f"Expected {2 * KEY_BYTES} hex digits in {self.path}, got something else ({len(text)} characters): bring "
                    "the file back from where the database came from, or set RECSYS_USER_KEY_FILE."
                )
            self._key = UserKey(bytes.fromhex(text))
        return self._key

    def make(self) -> UserKey:
        """The key; of several processes that make one at once, the same for all.

        Raises:
            TerminalError: if it can neither be read nor made.
        """
        if not self.path.exists():
            try:
                self._write(secrets.token_bytes(KEY_BYTES))
            except OSError as error:
                raise TerminalError(
                    f"Expected to make the key that names erased users at {self.path}, but: {error.strerror}. Make the folder "
                    "writable, or set RECSYS_USER_KEY_FILE to a file of 64 random hex digits."
                ) from error
        return self.read()

    def _write(self, secret: bytes) -> None:
        """The whole file at once, for this account alone; whoever comes second leaves the first one's."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{self.path.name}-", dir=self.path.parent)  # O_EXCL, 0600
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(f"{secret.hex()}\n")
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(name, self.path)
        finally:
            os.unlink(name)
