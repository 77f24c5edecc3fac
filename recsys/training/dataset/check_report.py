"""Results of Great Expectations as a report: which checks failed, what was found, and rows that show it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

NUM_SAMPLE_ROWS = 5
FAIL, WARN = "critical", "warning"  # Great Expectations' words for it


@dataclass(frozen=True)
class FailedCheck:
    """One expectation that was not met.

    Attributes:
        suite: name of its suite.
        expectation: its type and arguments.
        is_warning: True if it does not fail the run.
        why: what it is there for, where that is not plain.
        received: what was found instead.
        sample_rows: up to five of the rows that break it, values as text; empty where it is about the set as a whole.
    """

    suite: str
    expectation: str
    is_warning: bool
    why: str
    received: str
    sample_rows: tuple[dict[str, str], ...]

    def __str__(self) -> str:
        why = f" ({self.why})" if self.why else ""
        return f"{self.suite}: {self.expectation}, got {self.received}{why}{_lines(self.sample_rows)}"


@dataclass(frozen=True)
class ValidationReport:
    """Outcome of all suites that ran.

    Attributes:
        success: no check failed; warnings do not count.
        num_expectations: expectations evaluated.
        statistics: suite -> counts `evaluated`, `met`, `failed`, `warned`.
        failures: each failed check with what was found and sample rows, to be read by a person.
        warnings: the same for checks that only warn.
        data_docs: index page of the Data Docs.
    """

    success: bool
    num_expectations: int
    statistics: dict[str, dict[str, int]]
    failures: tuple[str, ...]
    warnings: tuple[str, ...]
    data_docs: Path

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return asdict(self) | {"data_docs": str(self.data_docs)}


def failed_check(suite: str, result: Any, examples: pd.DataFrame) -> FailedCheck:
    """Reads a result of Great Expectations that is not a success."""
    config = result.expectation_config
    positions = result.result.get("partial_unexpected_index_list") or []
    return FailedCheck(
        suite=suite,
        expectation=f"{config.type}({_arguments(config.kwargs)})",
        is_warning=config.severity == WARN,
        why=str(config.notes or ""),
        received=_received(result),
        sample_rows=_as_text(examples.loc[positions[:NUM_SAMPLE_ROWS]]),
    )


def _arguments(kwargs: dict[str, Any]) -> str:
    shown = {name: value for name, value in kwargs.items() if name not in ("batch_id", "row_condition")}
    if where := kwargs.get("row_condition"):
        shown["where"] = f"{where['column']['name']} {where['operator']} {where['parameter']}"
    return ", ".join(f"{name}={value}" for name, value in shown.items())


def _received(result: Any) -> str:
    found = result.result
    if "unexpected_count" in found:
        return f"{found['unexpected_count']} of {found['element_count']} rows that break it"
    if found.get("observed_value") is not None:
        return str(found["observed_value"])
    if missing := found.get("partial_missing_list"):
        return f"none of {missing}"
    errors = [result.exception_info, *result.exception_info.values()]
    messages = [one["exception_message"] for one in errors if isinstance(one, dict) and one.get("exception_message")]
    return "; ".join(messages) or "nothing to look at"


def failure_message(report: ValidationReport, examples: pd.DataFrame) -> str:
    """What failed, with rows that show it, and what to do next."""
    checks = "\n".join(f"  {check}" for check in report.failures)
    first_rows = _lines(_as_text(examples.head(NUM_SAMPLE_ROWS))) or " none"
    return (
        f"Expected a training set that passes its data checks, got {len(report.failures)} failed:\n{checks}\n"
        f"First rows of the set:{first_rows}\n"
        f"All results: {report.data_docs}. Correct the data (or the threshold), then run build_training_set again."
    )


def _as_text(rows: pd.DataFrame) -> tuple[dict[str, str], ...]:
    return tuple({str(name): str(value) for name, value in row.items()} for row in rows.to_dict("records"))


def _lines(rows: tuple[dict[str, str], ...]) -> str:
    return "".join(f"\n    {row}" for row in rows)
