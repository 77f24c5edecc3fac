"""A few hundred cases of schemathesis with all checks; `make fuzz-api` runs ten thousand."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def fuzz_api(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import fuzz_api

    return fuzz_api


@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.usefixtures("postgres_server")
def test_every_answer_is_documented(fuzz_api: ModuleType, tmp_path: Path) -> None:
    found = fuzz_api.run(cases=300, seed=1, max_examples=4, folder=tmp_path)
    assert found["cases"] >= 300
    assert found["failures"] == 0
    assert found["operations"]["tested"] == found["operations"]["total"] == 15
    assert {"200", "201", "401", "422"} <= set(found["statuses"])
    assert not [status for status in found["statuses"] if status.startswith("5")]
