"""Tests of one night, which takes long to record: the same worker runs them all, see `pytest_xdist_make_scheduler`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.step_processes import SecondNight


@pytest.fixture(scope="session")
def second_night(first_night: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecondNight]:
    """An undisturbed second night, with copies of the home from before each step. See `SecondNight`."""
    night = SecondNight(tmp_path_factory.mktemp("second-night"), first_night)
    yield night
    night.close()
