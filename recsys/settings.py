"""Where things are. The only reader of the environment.

| variable | meaning | default |
|---|---|---|
| `RECSYS_HOME` | folder of everything this project writes | `<checkout>/var`, outside one `~/.local/share/recsys` |
| `RECSYS_DATABASE_URL` | feedback database, a SQLAlchemy URL | SQLite file `feedback.db` in `RECSYS_HOME` |
| `MLFLOW_TRACKING_URI` | MLflow server or store | SQLite file `mlflow/mlflow.db` in `RECSYS_HOME` |

*How* things are done is not here: those are frozen dataclasses beside the code that they configure.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PACKAGE_PARENT = Path(__file__).resolve().parent.parent


def default_home() -> Path:
    """`var/` of the checkout, or a per-user folder for an installed package; never the current folder."""
    if (PACKAGE_PARENT / "pyproject.toml").is_file():
        return PACKAGE_PARENT / "var"
    return Path.home() / ".local" / "share" / "recsys"


@dataclass(frozen=True)
class Settings:
    """Places of one deployment.

    Attributes:
        home: folder of everything that is written.
        database_url: SQLAlchemy URL of the feedback database.
        tracking_uri: MLflow tracking and registry URI.
    """

    home: Path
    database_url: str
    tracking_uri: str

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Reads the variables of the table above; an empty value counts as unset."""
        env = os.environ if environ is None else environ
        home = Path(env.get("RECSYS_HOME") or default_home()).expanduser().resolve()
        return cls(
            home=home,
            database_url=env.get("RECSYS_DATABASE_URL") or f"sqlite:///{home / 'feedback.db'}",
            tracking_uri=env.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home / 'mlflow' / 'mlflow.db'}",
        )

    @classmethod
    def under(cls, home: Path) -> Settings:
        """Embedded stores under `home`, whatever the environment says."""
        return cls.from_environment({"RECSYS_HOME": str(home)})

    def use(self) -> None:
        """Makes this process, and what it starts, see these places."""
        os.environ.update(self.as_environment())

    def as_environment(self) -> dict[str, str]:
        """The variables that make a child process see the same places."""
        return {
            "RECSYS_HOME": str(self.home),
            "RECSYS_DATABASE_URL": self.database_url,
            "MLFLOW_TRACKING_URI": self.tracking_uri,
        }

    @property
    def artifacts(self) -> Path:
        """Folder of what the steps leave behind, one sub-folder per batch."""
        return self.home / "artifacts"

    @property
    def mlflow_artifacts(self) -> Path:
        """Folder of the embedded MLflow store's artifacts."""
        return self.home / "mlflow" / "artifacts"
