"""Evidence: what the gate looks at, kept so that a verdict can be reached again."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, get_args

import pandas as pd
import pyarrow as pa

from recsys.errors import InputError
from recsys.evaluation.pseudonyms import Pseudonym, keyed
from recsys.files.atomic import whole_folder
from recsys.files.digests import NOTHING_KNOWN, Known, checked_bytes

Kind = Literal["first", "refresh", "recipe_change"]
PER_USER, REST = "per_user.parquet", "evidence.json"
OPTIONAL = {"slices": "slices.parquet", "opinions": "opinions.parquet"}  # older evidence has none
ADVICE = (
    "Put it back from a backup, or run evaluate_challenger for this batch again. Of an earlier batch you may remove the whole "
    "folder: then its opinions are left out, and the verdict says so."
)
TIMES = ("as_of", "fit_through", "challenger_trained_through", "champion_trained_through")
COLUMNS = {"system", "user_id", "num_liked", "num_disliked", "ndcg_at_10", "dislike_exposure_at_10"}  # the gate's


@dataclass(frozen=True, eq=False)
class Evidence:
    """Champion, challenger and baselines on one holdout, user by user.

    Attributes:
        batch_id: the run that made it.
        kind: `first` (no champion: the better baseline stands in), `refresh` (the champion's recipe on newer data) or
            `recipe_change`.
        as_of: end of the holdout.
        fit_through: begin of the holdout; nobody's fit goes beyond it.
        champion_version: None only for `first`.
        challenger_version: the judged fit.
        per_user: see `judgement.Judgement`.
        seed: of the bootstrap.
        fidelity: of the challenger's explanations, see `fidelity.Fidelity.metrics`.
        per_system: system -> metrics of all its lists together, see `list_spread.spread_of`.
        slices: one row per holdout user: `user_id` and one text column per dimension, see `user_slices`.
        behaviour: results of the judged fit's behaviour tests: `name`, `version`, `passed`, `detail`, `metrics`.
        challenger_trained_through: the newest event that the judged fit may have seen; None if nobody knows.
        champion_trained_through: the same of the champion.
        opinions: see `opinions.opinions_of`, with `recorded_at` and the `batch_id` whose lists are meant: those of this
            holdout, and what earlier verdicts on the same champion add. Kept here whole, so that the verdict can be reached
            again when the earlier evidence is gone.
        pooled_from: of each earlier verdict whose evidence was read: `batch_id`, `as_of`, `num_opinions` that it added.
        not_pooled: sentences: which earlier evidence could not be read.
        training_set_digest: of the set that the judged fit learned from; None in older evidence.
        claims: system -> whether the model claims exact contributions (see `recsys.model.protocol`); older evidence has
            none, of models that all did.
        is_keyed: `user_id` is a pseudonym in every table; False in older evidence, which has the ids.
    """

    batch_id: str
    kind: Kind
    as_of: datetime
    fit_through: datetime
    champion_version: str | None
    challenger_version: str
    per_user: pd.DataFrame
    seed: int
    fidelity: dict[str, float] = field(default_factory=dict)
    per_system: dict[str, dict[str, float]] = field(default_factory=dict)
    slices: pd.DataFrame = field(default_factory=pd.DataFrame)
    behaviour: list[dict[str, Any]] = field(default_factory=list)
    challenger_trained_through: datetime | None = None
    champion_trained_through: datetime | None = None
    opinions: pd.DataFrame = field(default_factory=pd.DataFrame)
    pooled_from: list[dict[str, Any]] = field(default_factory=list)
    not_pooled: list[str] = field(default_factory=list)
    training_set_digest: str | None = None
    claims: dict[str, bool] = field(default_factory=dict)
    is_keyed: bool = False

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"Expected a kind from {get_args(Kind)}, got {self.kind!r}.")
        if (self.champion_version is None) != (self.kind == "first"):
            raise ValueError(
                f"Expected a champion unless kind is 'first', got kind {self.kind!r} with {self.champion_version}."
            )
        if missing := COLUMNS - set(self.per_user):
            raise ValueError(f"Expected per_user as `judge` makes it, missing {sorted(missing)}.")

    @property
    def systems(self) -> list[str]:
        """Names of the compared systems."""
        return sorted(self.per_user["system"].unique())

    def claims_exact(self, system: str) -> bool:
        """Whether a model claims that its scores are exactly the sums of their contributions."""
        return self.claims.get(system, True)

    @property
    def own_opinions(self) -> pd.DataFrame:
        """Those of this batch's holdout."""
        return self.opinions if self.opinions.empty else self.opinions[self.opinions["batch_id"] == self.batch_id]

    def opinions_within(self, days: float) -> pd.DataFrame:
        """Those of this batch's holdout, and of earlier ones what was recorded in so many days before `as_of`."""
        if self.opinions.empty:
            return self.opinions
        since = pd.Timestamp(self.as_of - timedelta(days=days))
        return self.opinions[(self.opinions["batch_id"] == self.batch_id) | (self.opinions["recorded_at"] > since)]

    def users(self, system: str) -> pd.DataFrame:
        """One row per user of the holdout for one system; the users in one order, whatever the system.

        Ids are sorted; pseudonyms stand in the order that the ids had when they were replaced, so that nothing that is drawn
        depends on the key.
        """
        own = self.per_user[self.per_user["system"] == system].set_index("user_id")
        if not self.is_keyed:
            return own.sort_index()
        if own.index.has_duplicates:
            return own
        everyone = pd.Index(self.per_user["user_id"].unique(), name="user_id")
        return own.reindex(everyone[everyone.isin(own.index)])

    def keyed(self, pseudonym: Pseudonym) -> Evidence:
        """The evidence with pseudonyms in place of user ids; itself, if it has them already."""
        if self.is_keyed:
            return self
        tables: dict[str, Any] = {name: keyed(getattr(self, name), pseudonym) for name in ("per_user", *OPTIONAL)}
        return replace(self, **tables, is_keyed=True)

    def pair(self, first: str, second: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        """`users` of two systems, row by row the same.

        Raises:
            ValueError: if one is missing, or they were not evaluated on the same users and judgements.
        """
        one, other = self.users(first), self.users(second)
        for name, users in ((first, one), (second, other)):
            if users.empty and len(self.per_user):
                raise ValueError(f"Expected {name} among the evaluated systems, got {self.systems}.")
            if users.index.has_duplicates:
                twice = users.index[users.index.duplicated()][0]
                raise ValueError(f"Expected each user once for {name}, got {twice} twice.")
        if not one.index.equals(other.index):
            alone = one.index.symmetric_difference(other.index)
            raise ValueError(
                f"Expected {first} and {second} evaluated on the same users, got {len(one)} and {len(other)} with "
                f"{len(alone)} on one side only, such as {alone[0]}: evaluate them together, in one call."
            )
        differs = (_judged_on(one) != _judged_on(other)).any(axis=1)
        if differs.any():
            raise ValueError(
                f"Expected {first} and {second} evaluated on the same holdout, but {int(differs.sum())} users, such as "
                f"{differs.idxmax()}, have other judgements: evaluate them together, in one call."
            )
        return one, other

    def save(self, folder: Path) -> Path:
        """Writes all files, or none, and returns `folder`; what was there is replaced."""
        with whole_folder(folder) as building:
            self.write_into(building)
        return folder

    def write_into(self, folder: Path) -> None:
        """Writes all files into a folder, one by one."""
        rest = {name: value for name, value in vars(self).items() if name not in ("per_user", *OPTIONAL)}
        self.per_user.to_parquet(folder / PER_USER, index=False)
        for name, file in OPTIONAL.items():
            if not getattr(self, name).empty:
                getattr(self, name).to_parquet(folder / file, index=False)
        (folder / REST).write_text(json.dumps(rest, indent=2, default=datetime.isoformat), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, known: Known = NOTHING_KNOWN) -> Evidence:
        """Reads what `save` wrote, each file once: what is compared with its digest is what is parsed.

        Args:
            folder: of the evidence.
            known: file -> digest, as it was recorded; what was not is read as it is.

        Raises:
            DigestError: if a file is not the one that was recorded.
            InputError: if the evidence is not there, or cannot be read.
        """
        if not folder.is_dir() or (not known and not all((folder / name).is_file() for name in (REST, PER_USER))):
            raise InputError(
                f"Expected evidence in {folder}, found none: run evaluate_challenger for this batch again."
            )
        try:
            rest: dict[str, Any] = dict(json.loads(checked_bytes(folder / REST, known.get(REST), ADVICE)))
            rest |= {name: datetime.fromisoformat(rest[name]) for name in TIMES if rest.get(name)}
            coverage: dict[str, float] = rest.pop("coverage", {})  # what evidence had of systems before `per_system`
            rest.setdefault("per_system", {name: {"coverage_at_10": share} for name, share in coverage.items()})
            tables: dict[str, Any] = {
                name: _read_table(folder, file, known)
                if (folder / file).is_file() or file in known else pd.DataFrame()
                for name, file in OPTIONAL.items()
            }  # fmt: skip
            return cls(**rest, per_user=_read_table(folder, PER_USER, known), **tables)
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"Expected evidence in {folder / REST}, got what cannot be read ({str(error)[:200]}): run evaluate_challenger "
                "for this batch again."
            ) from error


def _read_table(folder: Path, name: str, known: Known) -> pd.DataFrame:
    content = checked_bytes(folder / name, known.get(name), ADVICE)
    try:
        return pd.read_parquet(io.BytesIO(content))
    except (OSError, pa.ArrowException) as error:
        raise InputError(
            f"Expected evidence in {folder / name}, got a file that cannot be read ({str(error)[:200]}): run "
            "evaluate_challenger for this batch again."
        ) from error


def _judged_on(users: pd.DataFrame) -> pd.DataFrame:
    """What the holdout says of each user; the same for every system."""
    has_metric = users[["ndcg_at_10", "dislike_exposure_at_10"]].notna()
    return users[["num_liked", "num_disliked"]].join(has_metric)
