"""The frozen inputs of one batch: Parquet files in one folder, and a digest that names their content.

training_set.parquet   training examples through `as_of`, split into `fit` and `holdout` at `fit_through`
histories.parquet      what every scorer may know on the holdout: each user's newest signal through `fit_through`
neutral.parquet        ratings without an opinion, and clicks, through `as_of`: they only say what comes next
items.parquet          catalog: `item_id`, `title`, `genres`, `cast`, `franchise`, and what eligibility reads, as it was when
                       this was written: a retry finds the same, whatever was hidden since
digest.json            content digest and counts; written last, so a folder with it is whole
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from recsys.errors import InputError
from recsys.files.atomic import whole_folder
from recsys.files.digests import NOTHING_KNOWN, Known, checked_bytes
from recsys.model.eligible_items import with_availability
from recsys.training.dataset.weights import user_share_factors

TRAINING_SET, HISTORIES, NEUTRAL, ITEMS = (
    "training_set.parquet",
    "histories.parquet",
    "neutral.parquet",
    "items.parquet",
)
DIGEST = "digest.json"
FILES = (TRAINING_SET, HISTORIES, NEUTRAL, ITEMS, DIGEST)
ADVICE = "Put it back from a backup, or start a new run, which freezes a set of its own."


ITEM_SCHEMA = pa.schema([
    ("item_id", pa.string()), ("title", pa.string()), ("genres", pa.list_(pa.string())), ("cast", pa.list_(pa.string())),
    ("franchise", pa.string()), ("release_year", pa.int32()), ("tags", pa.list_(pa.string())),
    ("available_from", pa.timestamp("us", tz="UTC")), ("available_until", pa.timestamp("us", tz="UTC")),
    ("is_hidden", pa.bool_()),
])  # fmt: skip


@dataclass(frozen=True)
class TrainingSetSummary:
    """What a training set holds.

    Attributes:
        digest: sha256 over the content of the tables: the same for the same inputs, whatever wrote them.
        num_rows: training examples.
        num_dislikes: of which dislikes.
        num_holdout: of which in the holdout.
        num_users: distinct users.
        num_items: distinct items.
        trained_through: newest `recorded_at`, ISO 8601; None for an empty set.
        num_capped_users: users whose weight was cut to the share that one may hold.
    """

    digest: str
    num_rows: int
    num_dislikes: int
    num_holdout: int
    num_users: int
    num_items: int
    trained_through: str | None
    num_capped_users: int = 0


def content_digest(*tables: pa.Table) -> str:
    """sha256 over names, types and values of the columns, row by row in their order; file layout does not matter."""
    digest = hashlib.sha256()
    for table in tables:
        for name in table.column_names:
            column = table[name].combine_chunks()
            # Not the type itself: Parquet gives the items of a list another name.
            kind = f"list<{column.type.value_type}>" if pa.types.is_list(column.type) else column.type
            digest.update(f"{name}:{kind}:{len(column)}\n".encode())
            if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
                digest.update(column.to_numpy(zero_copy_only=False).tobytes())
            elif pa.types.is_timestamp(column.type):
                digest.update(column.cast(pa.int64()).to_numpy(zero_copy_only=False).tobytes())
            else:
                digest.update(json.dumps(column.to_pylist(), ensure_ascii=False).encode())
    return digest.hexdigest()


def cap_user_shares(training_set: pa.Table, max_share: float) -> tuple[pa.Table, int]:
    """Scales the sample weights of users who hold too much; returns the table and how many users that were."""
    users, _ = pd.factorize(training_set["user_id"].to_pandas())
    weights = training_set["sample_weight"].to_numpy()
    factors = user_share_factors(users, weights, max_share)
    column = training_set.column_names.index("sample_weight")
    capped = pa.chunked_array([pa.array(weights * factors[users], pa.float64())])
    return training_set.set_column(column, training_set.schema.field(column), capped), int((factors < 1.0).sum())


def write_training_set(
    folder: Path,
    training_set: pa.Table,
    histories: pd.DataFrame,
    neutral: pa.Table,
    items: pd.DataFrame,
    max_user_share: float,
) -> TrainingSetSummary:
    """Writes all files of a batch, or none: into a sibling folder that is renamed when it is whole.

    No user's sample weights sum to more than `max_user_share` of all (see `user_share_factors`).
    """
    training_set, num_capped = cap_user_shares(training_set, max_user_share)
    history_table = pa.Table.from_pandas(histories, preserve_index=False).replace_schema_metadata()
    items = with_availability(items)
    item_table = pa.Table.from_pandas(
        items.assign(
            **{name: items[name].map(list) for name in ("genres", "cast", "tags")},
            **{name: items[name].astype(object) for name in ("available_from", "available_until")},
        ),
        schema=ITEM_SCHEMA,
        preserve_index=False,
    ).replace_schema_metadata()
    labels = training_set["label"].to_pandas()
    newest = training_set["recorded_at"].to_pandas().max()
    summary = TrainingSetSummary(
        digest=content_digest(training_set, history_table, neutral, item_table),
        num_rows=training_set.num_rows,
        num_dislikes=int((labels == 0).sum()),
        num_holdout=int((training_set["split"].to_pandas() == "holdout").sum()),
        num_users=int(training_set["user_id"].to_pandas().nunique()),
        num_items=int(training_set["item_id"].to_pandas().nunique()),
        trained_through=None if pd.isna(newest) else newest.isoformat(),
        num_capped_users=num_capped,
    )
    with whole_folder(folder) as building:
        pq.write_table(training_set, building / TRAINING_SET)
        pq.write_table(history_table, building / HISTORIES)
        pq.write_table(neutral, building / NEUTRAL)
        pq.write_table(item_table, building / ITEMS)
        (building / DIGEST).write_text(json.dumps(asdict(summary), indent=2), encoding="utf-8")
    return summary


def read_summary(folder: Path, known: Known = NOTHING_KNOWN) -> TrainingSetSummary | None:
    """The summary of a whole training set in `folder`, or None.

    Args:
        folder: of the set.
        known: file -> digest, as it was recorded.

    Raises:
        DigestError: if the file is not the one that was recorded.
        InputError: if it cannot be read.
    """
    path = folder / DIGEST
    if not path.is_file() and DIGEST not in known:
        return None
    content = checked_bytes(path, known.get(DIGEST), ADVICE)
    try:
        return TrainingSetSummary(**json.loads(content))
    except (ValueError, TypeError) as error:
        raise InputError(f"Expected the digest of a training set in {path}, but {_cause(error)}. {ADVICE}") from error


def _cause(error: Exception) -> str:
    return f"it cannot be read ({str(error)[:200]})"


def _read_table(folder: Path, name: str, known: Known) -> pd.DataFrame:
    path = folder / name
    try:
        return pd.read_parquet(io.BytesIO(checked_bytes(path, known.get(name), ADVICE)))
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"Expected the Parquet file {path}, but {_cause(error)}. {ADVICE}") from error


def require_content(folder: Path, digest: str) -> None:
    """Refuses a frozen set whose tables do not give its digest.

    Raises:
        InputError: if they give another one, or a file is missing or cannot be read.
    """
    try:
        tables = [pq.read_table(folder / name) for name in (TRAINING_SET, HISTORIES, NEUTRAL, ITEMS)]
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"Expected a training set in {folder}, but {_cause(error)}. {ADVICE}") from error
    summary, found = read_summary(folder), content_digest(*tables)
    if not summary or {summary.digest, found} != {digest}:
        raise InputError(
            f"Expected a training set with the digest {digest[:12]} in {folder}, got {found[:12]}. {ADVICE}"
        )


@dataclass(frozen=True)
class TrainingSet:
    """A training set read back; see the module's text for the tables."""

    examples: pd.DataFrame
    histories: pd.DataFrame
    neutral: pd.DataFrame
    items: pd.DataFrame

    @classmethod
    def read(cls, folder: Path, known: Known = NOTHING_KNOWN) -> TrainingSet:
        """Reads the files of a batch, each once: what is compared with its digest is what is parsed.

        Args:
            folder: of the set.
            known: file -> digest, as it was recorded; what was not is read as it is.

        Raises:
            DigestError: if a file is not the one that was recorded.
            InputError: if the folder is not a whole training set, or a file cannot be read.
        """
        if read_summary(folder, known if folder.is_dir() else NOTHING_KNOWN) is None:
            raise InputError(
                f"Expected a training set in {folder}, found none: run build_training_set for this batch again."
            )
        return cls(*(_read_table(folder, name, known) for name in (TRAINING_SET, HISTORIES, NEUTRAL, ITEMS)))

    def examples_through(self, cut_off: datetime) -> pd.DataFrame:
        """Training examples recorded up to `cut_off`."""
        return self.examples[self.examples["recorded_at"] <= pd.Timestamp(cut_off)]

    def neutral_through(self, cut_off: datetime) -> pd.DataFrame:
        """Neutral signals recorded up to `cut_off`."""
        return self.neutral[self.neutral["recorded_at"] <= pd.Timestamp(cut_off)]

    @property
    def holdout(self) -> pd.DataFrame:
        """`user_id`, `item_id`, `label`, `recorded_at` of the holdout, without pairs that were in a history before it."""
        rows = self.examples.loc[self.examples["split"] == "holdout", ["user_id", "item_id", "label", "recorded_at"]]
        known = pd.MultiIndex.from_frame(self.histories[["user_id", "item_id"]])
        return rows[~pd.MultiIndex.from_frame(rows[["user_id", "item_id"]]).isin(known)].reset_index(drop=True)
