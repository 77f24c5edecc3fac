from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recsys.errors import DataCheckError
from recsys.training.dataset.checks import PreviousBatch, ValidationConfig, ValidationReport, validate_training_set

AS_OF = datetime(2013, 4, 2, tzinfo=UTC)
FIT_THROUGH = datetime(2013, 3, 25, tzinfo=UTC)
SUITES = ("training_set_schema", "training_set_values", "training_set_shape")


def make_training_set(num_rows: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    seconds = np.sort(rng.integers(0, 86_400 * 90, num_rows))
    recorded_at = (pd.Timestamp(AS_OF) - pd.Timedelta(days=90) + pd.to_timedelta(seconds, unit="s")).as_unit("us")
    return pd.DataFrame(
        {
            "user_id": [f"u{row % 50}" for row in range(num_rows)],
            "item_id": [f"i{row // 50}" for row in range(num_rows)],
            "label": (rng.uniform(size=num_rows) > 0.3).astype("int8"),
            "sample_weight": rng.uniform(0.01, 1.0, num_rows),
            "age_days": (pd.Timestamp(AS_OF) - recorded_at) / pd.Timedelta(days=1),
            "occurred_at": recorded_at,
            "recorded_at": recorded_at,
            "base_weight": 1.0,
            "reason": "",
            "split": np.where(recorded_at <= FIT_THROUGH, "fit", "holdout"),
            "source_id": np.arange(num_rows),
        }
    )


def validate(
    training_set: pd.DataFrame,
    folder: Path,
    previous: PreviousBatch | None = None,
    config: ValidationConfig | None = None,
) -> ValidationReport:
    return validate_training_set(
        training_set,
        as_of=AS_OF,
        fit_through=FIT_THROUGH,
        previous=previous,
        config=config or ValidationConfig(),
        docs_folder=folder / "data_docs",
    )


def with_value(row: int, column: str, value: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def corrupt(training_set: pd.DataFrame) -> pd.DataFrame:
        training_set.loc[row, column] = value
        return training_set

    return corrupt


def with_type(column: str, dtype: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda training_set: training_set.assign(**{column: training_set[column].astype(dtype)})


def with_duplicate(training_set: pd.DataFrame) -> pd.DataFrame:
    training_set.loc[8, ["user_id", "item_id"]] = training_set.loc[7, ["user_id", "item_id"]]
    return training_set


def test_a_good_set_passes_and_leaves_data_docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    current_folder = tmp_path / "current"
    current_folder.mkdir()
    monkeypatch.chdir(current_folder)

    report = validate(make_training_set(), tmp_path, PreviousBatch(400, 0.3))

    assert report.success
    assert not report.failures
    assert not report.warnings
    assert set(report.statistics) == set(SUITES)
    assert report.num_expectations == sum(counts["evaluated"] for counts in report.statistics.values()) > 30
    assert json.loads(json.dumps(report.to_dict()))["data_docs"] == str(report.data_docs)
    page = report.data_docs.read_text(encoding="utf-8")
    assert all(suite in page for suite in SUITES)
    assert "dataContextId" not in page
    assert list(current_folder.iterdir()) == []
    assert [path.name for path in tmp_path.iterdir() if path != current_folder] == ["data_docs"]


def test_data_docs_need_no_network(tmp_path: Path) -> None:
    report = validate(make_training_set(), tmp_path, PreviousBatch(400, 0.3))
    folder = report.data_docs.parent
    pages = list(folder.rglob("*.html"))
    assert len(pages) == 1 + 2 * len(SUITES)
    for page in pages:
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r"""<(?:script|img|link)\b[^>]*?(?:src|href)=["']([^"']+)""", text)
        assert {Path(address).name for address in loaded} >= {"pages.css", "pages.js", "logo-long.png"}, page
        for address in loaded:
            assert (page.parent / address).is_file(), (page, address)
        assert not re.findall(r"""url\(["']?https?:""", text), page
        assert text.index("pages.js") < text.index("<script>") if "<script>" in text else True, page
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) < 700_000, (
        "it is kept with every version"
    )
    for style in folder.rglob("*.css"):
        assert "http" not in style.read_text(encoding="utf-8"), style


def test_data_docs_are_replaced_as_a_whole_even_after_a_killed_run(tmp_path: Path) -> None:
    for folder in ("data_docs", "data_docs.x7y.building"):  # an older run's pages; what a killed run left
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "stale.html").write_text("stale", encoding="utf-8")

    report = validate(make_training_set(), tmp_path)

    assert report.data_docs.is_file()
    assert not list(tmp_path.rglob("stale.html"))
    assert [path.name for path in tmp_path.iterdir()] == ["data_docs"]


@pytest.mark.parametrize(
    ("corrupt", "expectation", "sample_row"),
    [
        pytest.param(with_value(3, "user_id", None), "not_be_null(column=user_id)", "'source_id': '3'", id="null"),
        pytest.param(with_type("label", "int64"), "of_type(column=label, type_=int8)", "'source_id': '0'", id="dtype"),
        pytest.param(
            with_type("user_id", "category"), "of_type(column=user_id", "'source_id': '0'", id="dtype-of-text"
        ),
        pytest.param(
            lambda df: df.assign(occurred_at=df["occurred_at"].dt.tz_localize(None)),
            "of_type(column=occurred_at",
            "'source_id': '0'",
            id="no-time-zone",
        ),
        pytest.param(
            lambda df: df.drop(columns="label"), "match_ordered_list", "'source_id': '0'", id="missing-column"
        ),
        pytest.param(
            lambda df: df[[*df.columns[1:], df.columns[0]]], "match_ordered_list", "'source_id': '0'", id="column-order"
        ),
        pytest.param(
            with_value(3, "sample_weight", 0.0), "between(column=sample_weight", "'source_id': '3'", id="weight-0"
        ),
        pytest.param(
            with_value(3, "sample_weight", 1.2), "between(column=sample_weight", "'source_id': '3'", id="weight-1.2"
        ),
        pytest.param(with_value(3, "label", 2), "in_set(column=label", "'source_id': '3'", id="label-2"),
        pytest.param(with_value(3, "age_days", -0.1), "between(column=age_days", "'source_id': '3'", id="negative-age"),
        pytest.param(
            with_duplicate, "to_be_unique(column_list=['user_id', 'item_id'])", "'source_id': '7'", id="twice"
        ),
        pytest.param(
            with_value(399, "recorded_at", pd.Timestamp(AS_OF) + pd.Timedelta(seconds=1)),
            "between(column=recorded_at, max_value=2013-04-02",
            "'source_id': '399'",
            id="recorded-after-as-of",
        ),
        pytest.param(
            with_value(399, "occurred_at", pd.Timestamp(AS_OF) + pd.Timedelta(seconds=1)),
            "between(column=occurred_at, max_value=2013-04-02",
            "'source_id': '399'",
            id="occurred-after-as-of",
        ),
        pytest.param(
            with_value(3, "occurred_at", pd.Timestamp(AS_OF) - pd.Timedelta(days=1)),
            "greater_than_b(column_A=recorded_at, column_B=occurred_at",
            "'source_id': '3'",
            id="recorded-before-it-occurred",
        ),
        pytest.param(with_value(3, "split", "test"), "in_set(column=split", "'source_id': '3'", id="unknown-split"),
        pytest.param(
            with_value(3, "split", "holdout"), "where=split == holdout", "'source_id': '3'", id="old-event-in-holdout"
        ),
        pytest.param(with_value(399, "split", "fit"), "where=split == fit", "'source_id': '399'", id="leak-into-fit"),
        pytest.param(
            lambda df: df.assign(label=np.where(np.arange(len(df)) % 100 == 0, 1, 0).astype("int8")),
            "mean_to_be_between(column=label, min_value=0.1, max_value=1.0), got 0.01",
            "'source_id': '0'",
            id="dislikes-99-percent",
        ),
        pytest.param(
            lambda df: df.assign(label=df["label"].where(df["split"] == "holdout", 0)),
            "distinct_values_to_contain_set(column=label, value_set=[1], where=split == fit), got none of [1]",
            "'source_id': '0'",
            id="no-like-to-fit-on",
        ),
        pytest.param(
            lambda df: df.head(99), "row_count_to_be_between(min_value=100), got 99", "'source_id': '0'", id="few"
        ),
        pytest.param(
            lambda df: df.head(0),
            "row_count_to_be_between(min_value=100), got 0",
            "First rows of the set: none",
            id="empty",
        ),
    ],
)
def test_a_corrupted_set_fails_with_the_expectation_and_a_sample_row(
    corrupt: Callable[[pd.DataFrame], pd.DataFrame], expectation: str, sample_row: str, tmp_path: Path
) -> None:
    with pytest.raises(DataCheckError) as failure:
        validate(corrupt(make_training_set()), tmp_path)

    message = str(failure.value)
    assert expectation in message
    assert sample_row in message.split(expectation)[1]
    assert "run build_training_set again" in message
    assert "Traceback" not in message
    assert (tmp_path / "data_docs" / "index.html").is_file()


def test_at_most_five_sample_rows_are_shown_per_check(tmp_path: Path) -> None:
    with pytest.raises(DataCheckError, match="400 of 400 rows") as failure:
        validate(make_training_set().assign(sample_weight=0.0), tmp_path)
    shown = str(failure.value).split("First rows")[0]
    assert len(re.findall("'source_id'", shown)) == 5


@pytest.mark.parametrize(
    ("previous", "failed", "warned"),
    [
        pytest.param(PreviousBatch(400, 0.3), "", "", id="as-before"),
        pytest.param(PreviousBatch(500, 0.3), "", "row_count_to_be_between(min_value=450)", id="shrunk"),
        pytest.param(PreviousBatch(900, 0.3), "row_count_to_be_between(min_value=450)", "", id="collapsed"),
        pytest.param(PreviousBatch(400, 0.12), "", "mean_to_be_between(column=label", id="more-dislikes"),
        pytest.param(PreviousBatch(400, 0.05), "mean_to_be_between(column=label", "", id="flood-of-dislikes"),
    ],
)
def test_volume_and_share_of_dislikes_are_held_against_the_last_batch(
    previous: PreviousBatch, failed: str, warned: str, tmp_path: Path
) -> None:
    if failed:
        with pytest.raises(DataCheckError, match="Against the last batch") as failure:
            validate(make_training_set(), tmp_path, previous)
        assert failed in str(failure.value)
        return
    report = validate(make_training_set(), tmp_path, previous)
    assert report.success
    assert [warned in check for check in report.warnings] == ([True] if warned else [])
    assert report.statistics["training_set_shape"]["warned"] == len(report.warnings)


def with_dislikes(share: float) -> pd.DataFrame:
    """A thousand rows, so many of them dislikes, spread over fit and holdout."""
    training_set = make_training_set(1_000)
    is_dislike = np.arange(1_000) % round(1 / share) == 0 if share else np.zeros(1_000, bool)
    return training_set.assign(label=np.where(is_dislike, 0, 1).astype("int8"))


def test_likes_alone_are_enough_to_begin_with(tmp_path: Path) -> None:
    report = validate(with_dislikes(0.0), tmp_path)
    assert report.success
    (warning,) = report.warnings
    assert "got none of [0]" in warning


@pytest.mark.parametrize(
    ("before", "now", "passes"),
    [
        pytest.param(0.0, 0.01, True, id="the first ones"),
        pytest.param(0.002, 0.04, True, id="the button is found"),
        pytest.param(0.002, 0.1, False, id="a flood"),
        pytest.param(0.04, 0.004, False, id="they got lost"),
    ],
)
def test_dislikes_may_be_rare_and_become_more(before: float, now: float, passes: bool, tmp_path: Path) -> None:
    previous = PreviousBatch(1_000, before)
    if passes:
        report = validate(with_dislikes(now), tmp_path, previous)
        assert report.success
        assert not report.warnings
    else:
        with pytest.raises(DataCheckError, match="Against the last batch"):
            validate(with_dislikes(now), tmp_path, previous)


def test_thresholds_come_from_the_configuration(tmp_path: Path) -> None:
    few = make_training_set(50)
    with pytest.raises(DataCheckError, match="got 50"):
        validate(few, tmp_path)
    assert validate(few, tmp_path, config=ValidationConfig(min_rows=50)).success


def test_an_event_exactly_at_a_cut_off_belongs_to_the_earlier_side(tmp_path: Path) -> None:
    training_set = make_training_set()
    at_cut_off = training_set.index[training_set["split"] == "fit"][-1]
    for column in ("occurred_at", "recorded_at"):
        training_set.loc[at_cut_off, column] = FIT_THROUGH
        training_set.loc[399, column] = AS_OF
    assert validate(training_set, tmp_path).success

    training_set.loc[at_cut_off, "recorded_at"] = FIT_THROUGH + timedelta(microseconds=1)
    with pytest.raises(DataCheckError, match="where=split == fit"):
        validate(training_set, tmp_path)


def test_a_set_without_holdout_passes(tmp_path: Path) -> None:
    training_set = make_training_set()
    assert validate(training_set[training_set["split"] == "fit"], tmp_path).success


def test_ids_of_others_are_text_in_the_data_docs(tmp_path: Path) -> None:
    training_set = make_training_set()
    hostile = ["<img src=x onerror=alert(1)>\x1b[31m $x ${y}", "<script>alert(2)</script>"]
    training_set.loc[[7, 8], ["user_id", "item_id"]] = hostile
    training_set.loc[[9, 10], "user_id"] = ["\x1b", "\\x1b"]  # differ, and look alike when they are shown
    training_set.loc[[9, 10], "item_id"] = "same"
    training_set.loc[11, "reason"] = "<svg onload=alert(3)>"
    with pytest.raises(DataCheckError, match="got 2 of 400 rows that break it"):
        validate(training_set, tmp_path)
    pages = [page.read_text(encoding="utf-8") for page in tmp_path.rglob("*.html")]
    assert any("&#x3c;script&#x3e;alert(2)" in page for page in pages)
    for forbidden in ("<img src=x", "<script>alert", "<svg onload", "\x1b"):
        assert not any(forbidden in page for page in pages), forbidden
