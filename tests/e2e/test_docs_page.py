"""The page /docs in a real browser: it works under its own policy, and nothing in it is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from recsys.store import FeedbackStore, migrate
from tests.e2e.test_browser import Browser
from tests.integration.serving.live_api import Api, serving

pytestmark = [pytest.mark.slow, pytest.mark.thorough, pytest.mark.timeout(300)]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """The service on an empty database."""
    url = f"sqlite:///{tmp_path / 'feedback.db'}"
    migrate(url)
    with FeedbackStore.open(url) as store, serving(store) as running:
        yield running


def test_a_person_tries_an_endpoint_and_the_policy_refuses_nothing(api: Api, tmp_path: Path) -> None:
    browser = Browser(tmp_path / "profile")
    try:
        browser.driver.get(f"{str(api.client.base_url).rstrip('/')}/docs")
        browser.read("Record a thumbs-down")
        for selector in (".opblock-summary-control", ".try-out__btn", ".execute"):
            browser.find(selector).click()
        assert "not-authenticated" in browser.read("not-authenticated")
        refused = [
            line["message"] for line in browser.driver.get_log("browser") if "Security Policy" in line["message"]
        ]
        assert refused == []
    finally:
        browser.driver.quit()
