"""Evidence: what the gate looks at, kept so that a verdict can be reached again."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import pandas as pd

from recsys.errors import InputError

Kind = Literal["first", "refresh", "recipe_change"]
PER_USER, REST = "per_user.parquet", "evidence.json"


@dataclass(frozen=True)
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
        per_user: see `ranking_metrics.judge`.
        coverage: system -> share of the catalog in anybody's first 10.
        seed: of the bootstrap.
    """

    batch_id: str
    kind: Kind
    as_of: datetime
    fit_through: datetime
    champion_version: str | None
    challenger_version: str
    per_user: pd.DataFrame
    coverage: dict[str, float]
    seed: int

    def __post_init__(self) -> None:
        if (self.champion_version is None) != (self.kind == "first"):
            raise ValueError(
                f"Expected a champion unless kind is 'first', got kind {self.kind!r} with {self.champion_version}."
            )

    @property
    def systems(self) -> list[str]:
        """Names of the compared systems."""
        return sorted(self.per_user["system"].unique())

    def users(self, system: str) -> pd.DataFrame:
        """One row per user of the holdout for one system, by user."""
        return self.per_user[self.per_user["system"] == system].sort_values("user_id").set_index("user_id")

    def save(self, folder: Path) -> Path:
        """Writes both files, or none, and returns `folder`; what was there is replaced."""
        building = folder.with_name(f"{folder.name}.{os.getpid()}.building")
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        self.per_user.to_parquet(building / PER_USER, index=False)
        rest = {
            "batch_id": self.batch_id,
            "kind": self.kind,
            "as_of": self.as_of.isoformat(),
            "fit_through": self.fit_through.isoformat(),
            "champion_version": self.champion_version,
            "challenger_version": self.challenger_version,
            "coverage": self.coverage,
            "seed": self.seed,
        }
        (building / REST).write_text(json.dumps(rest, indent=2), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        building.rename(folder)
        return folder

    @classmethod
    def load(cls, folder: Path) -> Evidence:
        """Reads what `save` wrote.

        Raises:
            InputError: if it is not there.
        """
        if not (folder / REST).is_file() or not (folder / PER_USER).is_file():
            raise InputError(f"Expected evidence in {folder}, found none: run evaluate_challenger for this batch again.")
        rest = json.loads((folder / REST).read_text(encoding="utf-8"))
        moments = {name: datetime.fromisoformat(rest.pop(name)) for name in ("as_of", "fit_through")}
        return cls(**rest, **moments, per_user=pd.read_parquet(folder / PER_USER))
