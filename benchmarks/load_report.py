"""docs/api_load.md and docs/api_load.png from what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def write_report(folder: Path, promised: Any, search: list[Any], max_p99_ms: float, memory_mib: float) -> None:
    """Writes it."""
