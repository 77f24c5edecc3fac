"""What the feedback service may do in Airflow: asked of Airflow's own API, route by route."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from starlette.routing import Mount

from recsys.serving.backlog_ready import BACKLOG_READY_URI
from tests.dags.conftest import HOME, SERVICE_PASSWORD, read_dags

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

MAY = {
    ("GET", "/api/v2/assets"), ("GET", "/api/v2/assets/{asset_id}"), ("POST", "/api/v2/assets/events"),
    ("GET", "/api/v2/assets/events"), ("GET", "/api/v2/assets/aliases"), ("GET", "/api/v2/assets/aliases/{asset_alias_id}"),
    ("GET", "/api/v2/assets/{asset_id}/queuedEvents"),
}  # fmt: skip
