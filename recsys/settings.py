"""Where things are. The only reader of the environment.

| variable | meaning | default |
|---|---|---|
| `RECSYS_HOME` | folder of everything this project writes | `<checkout>/var`, outside one `~/.local/share/recsys` |
| `RECSYS_DATABASE_URL` | feedback database, a SQLAlchemy URL | SQLite file `feedback.db` in `RECSYS_HOME` |
| `RECSYS_USER_KEY_FILE` | key that names erased users, 64 hex digits | `user.key` beside a SQLite database, else in the home |
| `MLFLOW_TRACKING_URI` | MLflow server or store | SQLite file `mlflow/mlflow.db` in `RECSYS_HOME` |
| `RECSYS_MLFLOW_PUBLIC_URL` | MLflow as a browser reaches it, for links only | `MLFLOW_TRACKING_URI` |
| `RECSYS_API_HOST`, `RECSYS_API_PORT` | where the feedback API listens | `127.0.0.1`, `8000` |
| `RECSYS_JWT_SECRET` | secret of users' tokens signed with HS256, at least 32 bytes | none |
| `RECSYS_JWT_PUBLIC_KEY` | RSA or elliptic-curve key of users' tokens: PEM, or the path of a PEM file | none |
| `RECSYS_JWT_AUDIENCE`, `RECSYS_JWT_ISSUER` | `aud` and `iss` that users' tokens must have | not asked for |
| `RECSYS_RATE_LIMIT_URL` | where requests are counted: `memory://`, `redis://host:6379` | `memory://`, each worker for itself |
| `RECSYS_RATE_LIMIT_PER_USER` | requests of one user, such as `300/minute`; `none` | `300/minute` |
| `RECSYS_RATE_LIMIT_PER_KEY` | requests of one API key | `60000/minute` |
| `RECSYS_RATE_LIMIT_FAILURES` | failed authentications of one address, such as `60/minute`; `none` | `60/minute` |
| `RECSYS_TRUSTED_PROXIES` | addresses or networks of proxies whose `X-Forwarded-For` names the client, with commas | none |
| `RECSYS_HEADERS_TIMEOUT_S`, `RECSYS_BODY_TIMEOUT_S` | seconds for a request's headers, and for its body | `10`, `30` |
| `RECSYS_AIRFLOW_URL` | Airflow, which is notified when the backlog is ready | none: only the nightly run looks |
| `RECSYS_AIRFLOW_USERNAME`, `RECSYS_AIRFLOW_PASSWORD` | login for that | none |
| `RECSYS_ALERT_WEBHOOK_URL` | gets a POST for every alert; see `recsys.alerting` | none: alerts are in the log |
| `PROMETHEUS_MULTIPROC_DIR` | where several workers keep their counters together | a temporary folder |

*How* things are done is not here: those are frozen dataclasses beside the code that they configure.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from urllib.parse import unquote, urlparse

PACKAGE_PARENT = Path(__file__).resolve().parent.parent


def default_home() -> Path:
    """`var/` of the checkout, or a per-user folder for an installed package; never the current folder."""
    if (PACKAGE_PARENT / "pyproject.toml").is_file():
        return PACKAGE_PARENT / "var"
    return Path.home() / ".local" / "share" / "recsys"


@dataclass(frozen=True)
class ApiSettings:
    """Where the feedback API listens, and whom it believes. The variables are in the table above."""

    host: str = "127.0.0.1"
    port: str = "8000"
    jwt_secret: str = field(default="", repr=False)
    jwt_public_key: str = ""
    jwt_audience: str = ""
    jwt_issuer: str = ""
    rate_limit_url: str = field(default="memory://", repr=False)  # may hold a password
    rate_limit_per_user: str = "300/minute"
    rate_limit_per_key: str = "60000/minute"
    rate_limit_failures: str = "60/minute"
    trusted_proxies: str = ""
    headers_timeout_s: str = "10"
    body_timeout_s: str = "30"
    airflow_url: str = ""
    airflow_username: str = ""
    airflow_password: str = field(default="", repr=False)
    metrics_folder: str = ""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> ApiSettings:
        """Reads the variables; an empty value counts as unset."""
        env = os.environ if environ is None else environ
        return cls(**{name: env[variable] for name, variable in cls._variables().items() if env.get(variable)})

    def use(self) -> None:
        """Makes the worker processes that this one starts see the same."""
        given = {variable: getattr(self, name) for name, variable in self._variables().items()}
        os.environ.update({variable: value for variable, value in given.items() if value})

    @classmethod
    def _variables(cls) -> dict[str, str]:
        own_name = {field.name: f"RECSYS_{field.name.upper()}" for field in fields(cls)}
        shared = {"metrics_folder": "PROMETHEUS_MULTIPROC_DIR"}
        return own_name | {"host": "RECSYS_API_HOST", "port": "RECSYS_API_PORT"} | shared


@dataclass(frozen=True)
class AlertSettings:
    """Who is notified when something needs a person.

    Attributes:
        webhook_url: gets a POST for every alert; empty: alerts are in the log only. Often its path is a secret.
    """

    webhook_url: str = field(default="", repr=False)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> AlertSettings:
        """Reads `RECSYS_ALERT_WEBHOOK_URL`."""
        env = os.environ if environ is None else environ
        return cls(env.get("RECSYS_ALERT_WEBHOOK_URL", ""))


@dataclass(frozen=True)
class Settings:
    """Paths and addresses of one deployment.

    Attributes:
        home: folder of everything that is written.
        database_url: SQLAlchemy URL of the feedback database.
        tracking_uri: MLflow tracking and registry URI.
        mlflow_public_url: MLflow as a browser reaches it, where that is another address than the programs'; else empty.
    """

    home: Path
    database_url: str
    tracking_uri: str
    mlflow_public_url: str = ""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Reads the variables of the table above; an empty value counts as unset."""
        env = os.environ if environ is None else environ
        home = Path(env.get("RECSYS_HOME") or default_home()).expanduser().resolve()
        return cls(
            home=home,
            database_url=env.get("RECSYS_DATABASE_URL") or f"sqlite:///{home / 'feedback.db'}",
            tracking_uri=env.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home / 'mlflow' / 'mlflow.db'}",
            mlflow_public_url=env.get("RECSYS_MLFLOW_PUBLIC_URL", ""),
        )

    @classmethod
    def under(cls, home: Path) -> Settings:
        """Embedded stores under `home`, whatever the environment says."""
        return cls.from_environment({"RECSYS_HOME": str(home)})

    def use(self) -> None:
        """Makes this process, and what it starts, use these paths and addresses."""
        os.environ.update(self.as_environment())

    def as_environment(self) -> dict[str, str]:
        """The variables that make a child process use the same paths and addresses."""
        return {
            "RECSYS_HOME": str(self.home),
            "RECSYS_DATABASE_URL": self.database_url,
            "MLFLOW_TRACKING_URI": self.tracking_uri,
            "RECSYS_MLFLOW_PUBLIC_URL": self.mlflow_public_url,
        }

    @property
    def mlflow_link_url(self) -> str:
        """What links for people start with: MLflow's public address, or the one that the programs use."""
        return self.mlflow_public_url or self.tracking_uri

    def reference(self, path: Path) -> str:
        """How records name a file: relative to the home, which may be moved; outside it an absolute `file:` URI."""
        absolute = path.resolve()
        if absolute.is_relative_to(self.home):
            return absolute.relative_to(self.home).as_posix()
        return absolute.as_uri()

    def locate(self, reference: str) -> Path:
        """Where a file is that a record names; the opposite of `reference`.

        Records from before references were relative hold absolute URIs. What such a one names in a home that was moved
        is looked for among this home's artifacts.
        """
        if not reference.startswith("file:"):
            return self.home / reference
        path = Path(unquote(urlparse(reference).path))
        _, is_artifact, rest = path.as_posix().rpartition(f"/{self.artifacts.name}/")
        moved = self.artifacts / rest
        return moved if is_artifact and moved.exists() and not path.exists() else path

    @property
    def artifacts(self) -> Path:
        """Folder of what the steps leave behind, one sub-folder per batch."""
        return self.home / "artifacts"

    def batch_folder(self, batch_id: str) -> Path:
        """Where the steps of a batch leave their files; run ids may hold characters that file names cannot."""
        return self.artifacts / re.sub(r"[^A-Za-z0-9_.-]", "_", batch_id)

    @property
    def mlflow_artifacts(self) -> Path:
        """Folder of the embedded MLflow store's artifacts."""
        return self.home / "mlflow" / "artifacts"


def user_key_file(database_file: Path | None, environ: Mapping[str, str] | None = None) -> Path:
    """Where the key is that names erased users of a database: beside the file of SQLite, for a server in the home.

    Args:
        database_file: of SQLite; None for a server.
        environ: by default the environment; `RECSYS_USER_KEY_FILE` in it names another file.
    """
    env = os.environ if environ is None else environ
    if given := env.get("RECSYS_USER_KEY_FILE"):
        return Path(given).expanduser().resolve()
    folder = Settings.from_environment(env).home if database_file is None else database_file.absolute().parent
    return folder / "user.key"


def run_source(environ: Mapping[str, str] | None = None, arguments: Sequence[str] | None = None) -> str:
    """What started this process, for people who look at a run later: a DAG of Airflow, a command, or code.

    Args:
        environ: by default the environment, in which Airflow names the DAG to each task and what the task starts.
        arguments: by default those of this process.
    """
    env, given = os.environ if environ is None else environ, sys.argv if arguments is None else arguments
    if dag_id := env.get("AIRFLOW_CTX_DAG_ID"):
        return f"Airflow DAG {dag_id}"
    program = Path(given[0]) if given else Path()
    named = program.parent.name if program.name == "__main__.py" else program.stem
    return f"recsys {given[1]}" if named == "recsys" and len(given) > 1 else "recsys.pipeline, called from Python"
