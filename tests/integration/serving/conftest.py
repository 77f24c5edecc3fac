"""A running feedback API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from recsys.store import FeedbackStore
from tests.integration.serving.live_api import Api, serving


@pytest.fixture
def api(store: FeedbackStore) -> Iterator[Api]:
    """The service on a migrated database without rows; it believes keys for no longer than one request."""
    with serving(store) as running:
        yield running
