"""Titles as keys: what tells films apart by name, in few bytes however long the name is.

PostgreSQL refuses an index entry of more than about 2,700 bytes, and a title of 500 characters may be longer: Unicode's
compatibility form has characters that become eighteen others. So the index holds a digest, and the id of a placeholder
that a title made is never longer than the ids that clients may send.
"""

from __future__ import annotations

import hashlib
import unicodedata

from recsys.store.placeholders import TITLE

MAX_ITEM_ID = 200  # characters, as the API takes them


def title_key(title: str) -> str:
    """A title without what does not tell films apart: letter case, width, spaces."""
    return " ".join(unicodedata.normalize("NFKC", title).casefold().split())


def title_hash(title: str) -> str:
    """The SHA-256 of a title's key, 64 characters: equal for titles of the same film."""
    return hashlib.sha256(title_key(title).encode()).hexdigest()


def title_placeholder(title: str) -> str:
    """The id of the placeholder for a film of which only the title is known; readable unless the title is long."""
    item_id = f"{TITLE}{title_key(title)}"
    return item_id if len(item_id) <= MAX_ITEM_ID else f"{TITLE}{title_hash(title)}"
