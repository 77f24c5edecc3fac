"""A dislike, and taking it back, for programs beside the API: checked and recorded as the API does it."""

from __future__ import annotations

from datetime import datetime

from pydantic import ValidationError

from recsys.errors import InputError, NotFoundError
from recsys.feedback.handler import StoredDislike
from recsys.records import Dislike, parse_reason
from recsys.serving.schemas import DislikeRequest
from recsys.store import FeedbackStore


def record_dislike(
    store: FeedbackStore, user_id: str, item_id: str, reason: str, now: datetime, feedback_text: str | None = None
) -> StoredDislike:
    """Records that a user dislikes an item of the catalog, with its effects, in one transaction.

    The list that showed the item to the user is looked up; its predicted score counts, as in `POST /api/dislike`. Unlike
    there, an item that nobody knows is an error: whoever types an id may mistype it.

    Args:
        store: where to.
        user_id: who; a user without feedback is new.
        item_id: in this system's catalog.
        reason: one of `DislikeReason`.
        now: when it happened and was recorded.
        feedback_text: the user's own words.

    Raises:
        InputError: if a value is not what it should be. Nothing was written then.
        NotFoundError: if there is no such item. Nothing was written then.
    """
    try:
        asked = DislikeRequest(item_id=item_id, reason=parse_reason(reason), feedback_text=feedback_text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InputError(
            f"Expected {'.'.join(map(str, first['loc']))} to be what the API takes, but: {first['msg']}. Nothing was written."
        ) from error
    if item_id not in store.catalog.get_items([item_id]):
        raise NotFoundError(
            f"Expected the id of an item, got {item_id!r}, which is none: `recsys items --title WORDS` finds ids. Nothing was "
            "written."
        )
    dislike = Dislike(
        user_id=user_id, created_at=now, recorded_at=now, item_id=asked.item_id, reason=asked.reason,
        feedback_text=asked.feedback_text,
    )  # fmt: skip
    ((stored, _),) = store.feedback.record_and_read([dislike])
    return stored


def newest_dislike(store: FeedbackStore, user_id: str) -> StoredDislike:
    """The dislike that a user gave last and did not take back.

    Raises:
        NotFoundError: if there is none.
    """
    found = store.feedback.list_dislikes(user_id, limit=1)
    if not found:
        raise NotFoundError(f"Expected a dislike of user {user_id}, found none that was not taken back.")
    return found[0]
