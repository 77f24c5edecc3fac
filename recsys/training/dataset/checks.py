"""Data checks on a training set, run by Great Expectations before anything is fitted.

| suite | asks |
|---|---|
| `training_set_schema` | columns, their order, their types, no nulls; the other suites only make sense when it holds |
| `training_set_values` | ranges, labels, no duplicates, nothing after `as_of`, a split that agrees with `fit_through` |
| `training_set_shape` | volume and share of dislikes, absolute and against the last batch |

A check either fails the run or warns. Both are in the report and in the Data Docs, where a person can browse them.
"""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from recsys.errors import DataCheckError
from recsys.feedback.reasons import REASON_EFFECTS
from recsys.files.atomic import whole_folder
from recsys.foreign_text import IN_HTML, in_html
from recsys.training.dataset.check_report import (
    FAIL,
    NUM_SAMPLE_ROWS,
    WARN,
    FailedCheck,
    ValidationReport,
    failed_check,
    failure_message,
)
from recsys.training.dataset.data_docs import make_self_contained

COLUMN_TYPES = {
    "user_id": "str",
    "item_id": "str",
    "label": "int8",
    "sample_weight": "float64",
    "age_days": "float64",
    "occurred_at": "Timestamp",  # what Great Expectations calls a datetime with a time zone
    "recorded_at": "Timestamp",
    "base_weight": "float64",
    "reason": "str",
    "split": "str",
    "source_id": "int64",
}
SITE = "data_docs"
TRAINING_REASONS = [reason for reason, effect in REASON_EFFECTS.items() if effect.trains]


@dataclass(frozen=True)
class ValidationConfig:
    """What is still plausible.

    Attributes:
        min_rows: fewer training examples fail.
        max_dislike_share: a higher share of label 0 fails. A low one does not: most products get few dislikes, and a first
            model may learn from likes alone.
        rare_dislike_share: up to here a share is no jump, whatever the last batch's was: a button that has just been
            found is used more from one batch to the next.
        max_share_factor: the share may be so many times the last batch's, up or down; beyond, it fails.
        warn_share_factor: beyond this factor it warns.
        min_volume_ratio: fewer rows than this share of the last batch's fail.
        warn_volume_ratio: fewer rows than this share of the last batch's warn.
    """

    min_rows: int = 100
    max_dislike_share: float = 0.9
    rare_dislike_share: float = 0.05
    max_share_factor: float = 4.0
    warn_share_factor: float = 2.0
    min_volume_ratio: float = 0.5
    warn_volume_ratio: float = 0.9


@dataclass(frozen=True)
class PreviousBatch:
    """What the last used batch looked like.

    Attributes:
        num_rows: its training examples.
        dislike_share: share of label 0 among them.
    """

    num_rows: int
    dislike_share: float


def validate_training_set(
    training_set: pd.DataFrame,
    *,
    as_of: datetime,
    fit_through: datetime,
    previous: PreviousBatch | None,
    config: ValidationConfig,
    docs_folder: Path,
) -> ValidationReport:
    """Runs all checks and writes the Data Docs, whether they pass or not.

    Args:
        training_set: one row per (user, item); see `COLUMN_TYPES`.
        as_of: the run's cut-off.
        fit_through: end of the split `fit`.
        previous: the last batch, if there was one.
        config: thresholds.
        docs_folder: replaced as a whole by the new Data Docs.

    Raises:
        DataCheckError: if a check fails; the message has the expectations and sample rows.
    """
    examples = training_set.reset_index(drop=True)
    with whole_folder(docs_folder) as building, tempfile.TemporaryDirectory(prefix="recsys-validation-") as temporary:
        context = _open_context(Path(temporary), building)
        suites = [schema_suite(), values_suite(as_of, fit_through), shape_suite(previous, config)]
        report = _run_suites(context, suites, examples, as_of)
        context.build_data_docs(site_names=[SITE])
        make_self_contained(building)
    report = replace(report, data_docs=docs_folder / "index.html")
    if not report.success:
        raise DataCheckError(failure_message(report, examples))
    return report


def schema_suite() -> Any:
    """Columns, order, types, no nulls."""
    import great_expectations.expectations as gxe

    checks: list[Any] = [gxe.ExpectTableColumnsToMatchOrderedList(column_list=list(COLUMN_TYPES))]
    for column, type_name in COLUMN_TYPES.items():
        checks.append(gxe.ExpectColumnValuesToBeOfType(column=column, type_=type_name))
        checks.append(gxe.ExpectColumnValuesToNotBeNull(column=column))
    return _suite("training_set_schema", checks)


def values_suite(as_of: datetime, fit_through: datetime) -> Any:
    """Each row by itself, and no (user, item) twice."""
    import great_expectations.expectations as gxe
    from great_expectations.expectations.row_conditions import Column

    between = gxe.ExpectColumnValuesToBeBetween
    is_fit, is_holdout = Column("split") == "fit", Column("split") == "holdout"
    return _suite(
        "training_set_values",
        [
            gxe.ExpectColumnValuesToBeInSet(column="label", value_set=[0, 1]),
            between(column="sample_weight", min_value=0, strict_min=True, max_value=1),
            between(column="base_weight", min_value=0, strict_min=True, max_value=1),
            gxe.ExpectColumnPairValuesAToBeGreaterThanB(
                column_A="base_weight", column_B="sample_weight", or_equal=True, notes="Age and cap only take away."
            ),
            gxe.ExpectColumnValuesToBeInSet(column="reason", value_set=["", *map(str, TRAINING_REASONS)]),
            between(column="age_days", min_value=0, notes="A negative age is an event after `as_of`: leakage."),
            gxe.ExpectCompoundColumnsToBeUnique(column_list=["user_id", "item_id"]),
            between(
                column="recorded_at", max_value=as_of, notes="What came after `as_of` does not exist for this run."
            ),
            between(column="occurred_at", max_value=as_of),
            gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A="recorded_at", column_B="occurred_at", or_equal=True),
            gxe.ExpectColumnValuesToBeInSet(column="split", value_set=["fit", "holdout"]),
            between(column="recorded_at", max_value=fit_through, row_condition=is_fit),
            between(column="recorded_at", min_value=fit_through, strict_min=True, row_condition=is_holdout),
        ],
    )


def shape_suite(previous: PreviousBatch | None, config: ValidationConfig) -> Any:
    """The set as a whole. The mean of the labels is the share of likes."""
    import great_expectations.expectations as gxe
    from great_expectations.expectations.row_conditions import Column

    def share_between(low: float, high: float, severity: str, notes: str) -> Any:
        return gxe.ExpectColumnMeanToBeBetween(
            column="label", min_value=round(1 - high, 6), max_value=round(1 - low, 6), severity=severity, notes=notes
        )

    def rows_at_least(min_rows: float, severity: str, notes: str) -> Any:
        return gxe.ExpectTableRowCountToBeBetween(min_value=int(min_rows), severity=severity, notes=notes)

    def has_label(label: int, severity: str, notes: str) -> Any:
        return gxe.ExpectColumnDistinctValuesToContainSet(
            column="label", value_set=[label], row_condition=Column("split") == "fit", severity=severity, notes=notes
        )

    checks = [
        rows_at_least(config.min_rows, FAIL, "Too few examples to fit on."),
        share_between(0.0, config.max_dislike_share, FAIL, "Share of likes; the rest are dislikes."),
        has_label(1, FAIL, "Likes to fit on."),
        has_label(0, WARN, "Dislikes to learn from: without any, the model knows what is liked."),
    ]
    if previous is not None:
        against = "Against the last batch"
        for factor, ratio, severity in [
            (config.max_share_factor, config.min_volume_ratio, FAIL),
            (config.warn_share_factor, config.warn_volume_ratio, WARN),
        ]:
            share = previous.dislike_share
            most = min(1.0, max(config.rare_dislike_share, share * factor))
            checks.append(rows_at_least(ratio * previous.num_rows, severity, f"{against}: {previous.num_rows} rows."))
            note = f"{against}: {1 - share:.1%} likes."
            checks.append(share_between(share / factor, most, severity, note))
    return _suite("training_set_shape", checks)


def _inert(examples: pd.DataFrame) -> pd.DataFrame:
    """The examples with ids that Great Expectations may write into its pages as they are; different ids stay different."""
    texts = {}
    for name in ("user_id", "item_id", "reason", "split"):
        if name in examples and pd.api.types.is_string_dtype(examples[name].dtype):
            special = [one for one in examples[name].unique() if isinstance(one, str) and IN_HTML.search(one)]
            if special:
                texts[name] = examples[name].replace({one: in_html(one) for one in special})
    return examples.assign(**texts)


def _suite(name: str, expectations: list[Any]) -> Any:
    import great_expectations as gx

    return gx.ExpectationSuite(name=name, expectations=expectations)


def _open_context(folder: Path, docs: Path) -> Any:
    """A project of Great Expectations in `folder`, quiet, that writes its Data Docs to `docs`."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    context = gx.get_context(mode="file", project_root_dir=folder)
    context.variables.analytics_enabled = False
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs.resolve())}
    index = {"class_name": "DefaultSiteIndexBuilder"}
    site = {"class_name": "SiteBuilder", "store_backend": store, "site_index_builder": index}
    context.add_data_docs_site(SITE, site | {"show_how_to_buttons": False})
    return context


def _run_suites(context: Any, suites: list[Any], examples: pd.DataFrame, as_of: datetime) -> ValidationReport:
    """Runs the suites in order; after a failed schema no other, since its failures would only be echoes."""
    import great_expectations as gx
    from great_expectations.core.run_identifier import RunIdentifier

    asset = context.data_sources.add_pandas("training").add_dataframe_asset("training_set")
    data = asset.add_batch_definition_whole_dataframe("whole")
    definitions = [
        context.validation_definitions.add(
            gx.ValidationDefinition(name=suite.name, data=data, suite=context.suites.add(suite))
        )
        for suite in suites
    ]
    shown = _inert(examples)
    statistics: dict[str, dict[str, int]] = {}
    found: list[FailedCheck] = []
    for definition in definitions:
        result = definition.run(
            batch_parameters={"dataframe": shown},
            run_id=RunIdentifier(run_name=f"as-of-{as_of:%Y%m%dT%H%M%S}", run_time=as_of),  # names a folder
            result_format={"result_format": "SUMMARY", "partial_unexpected_count": NUM_SAMPLE_ROWS},
        )
        checks = [failed_check(definition.name, one, examples) for one in result.results if not one.success]
        num_warned = sum(check.is_warning for check in checks)
        num_evaluated = len(result.results)
        statistics[definition.name] = {
            "evaluated": num_evaluated,
            "met": num_evaluated - len(checks),
            "failed": len(checks) - num_warned,
            "warned": num_warned,
        }
        found += checks
        if definition is definitions[0] and checks:
            break
    failures = tuple(str(check) for check in found if not check.is_warning)
    return ValidationReport(
        success=not failures,
        num_expectations=sum(counts["evaluated"] for counts in statistics.values()),
        statistics=statistics,
        failures=failures,
        warnings=tuple(str(check) for check in found if check.is_warning),
        data_docs=Path("index.html"),
    )
