"""What a schema cannot say to schemathesis about an honest client; see `scripts/fuzz_api.py`."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import schemathesis
from hypothesis import strategies as st

OLDEST = datetime(1970, 1, 2, tzinfo=UTC)
KEY = re.compile(r"[!-~]{1,150}\Z")


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


# JSON Schema knows times, but not that something which has happened lies in the past.
past = st.datetimes(OLDEST.replace(tzinfo=None), (datetime.now(UTC) - timedelta(days=1)).replace(tzinfo=None))
schemathesis.openapi.format("date-time", past.map(lambda moment: _text(moment.replace(tzinfo=UTC))))


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """An honest client never gives one idempotency key to two events, and ends what is available after it begins."""
    body = case.body
    if isinstance(body, dict):
        begin, end = body.get("available_from"), body.get("available_until")
        if isinstance(begin, str) and isinstance(end, str) and begin >= end:
            case.body = {**body, "available_until": None}
    key = (case.headers or {}).get("Idempotency-Key")
    if isinstance(key, str) and KEY.match(key):
        digest = hashlib.sha256(json.dumps(case.body, sort_keys=True, default=str).encode()).hexdigest()
        case.headers["Idempotency-Key"] = f"{key}-{digest[:32]}"
