"""The environment in which Airflow runs here: one place for `make up`, `make demo` and the tests."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from pathlib import Path

from recsys.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
LOCAL = "127.0.0.1"
AIRFLOW_FOLDER = "airflow"  # of Airflow's own files, in the home folder
SERVICE_USER = "feedback-service"  # notifies Airflow that the backlog is ready


def airflow_environment(settings: Settings, *, port: int = 8080) -> dict[str, str]:
    """Variables to set before Airflow is imported or started.

    Args:
        settings: of the deployment.
        port: where the API server listens, or would listen.

    Returns:
        Only what differs from the current environment's; merge it into `os.environ` or a child's environment.
    """
    home = settings.home / AIRFLOW_FOLDER
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    return {
        **settings.as_environment(),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
        # The DAGs have no start date, so being unpaused starts nothing before its time.
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "false",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",  # also the number of worker processes
        # The service may post asset events and nothing else: see plugins/service_role.py.
        "AIRFLOW__CORE__AUTH_MANAGER": "service_role.ServiceRoleAuthManager",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"admin:admin,{SERVICE_USER}:asset_events",
        # Of ids that a person types into a form. Airflow's own pattern bounds no length; its logs have a folder of that name.
        "AIRFLOW__SCHEDULER__ALLOWED_RUN_ID_PATTERN": r"^[A-Za-z0-9_.~:+-]{1,200}\Z",
        "AIRFLOW__API__HOST": LOCAL,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        # The port alone is not enough: with the other two at their defaults every task fails.
        "AIRFLOW__API__BASE_URL": f"http://{LOCAL}:{port}",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://{LOCAL}:{port}/execution/",
        "AIRFLOW__API__SECRET_KEY": stored_secret(home / "api_secret"),
        "AIRFLOW__API_AUTH__JWT_SECRET": stored_secret(home / "jwt_secret"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        # Airflow sets these itself, whatever the umask: its defaults let the group write.
        "AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FOLDER_PERMISSIONS": "0o700",
        "AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FILE_PERMISSIONS": "0o600",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_LOG_UV_FILES": "false",
        "MLFLOW_UV_AUTO_DETECT": "false",
        # Services on this machine are never behind a proxy.
        "NO_PROXY": _with_local(os.environ.get("NO_PROXY", "")),
        "no_proxy": _with_local(os.environ.get("no_proxy", "")),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "PYTHONPATH": _with_root(os.environ.get("PYTHONPATH", "")),
    }


def stored_secret(path: Path, num_bytes: int = 64) -> str:
    """A secret of random bytes, as hexadecimal digits, made once and readable by this user only."""
    if not path.is_file():
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
            file.write(secrets.token_hex(num_bytes))
        # Whoever links first wins; a reader never sees half a secret.
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return path.read_text(encoding="ascii")


def _with_local(hosts: str) -> str:
    return ",".join(dict.fromkeys([*filter(None, hosts.split(",")), LOCAL, "localhost"]))


def _with_root(folders: str) -> str:
    return os.pathsep.join(dict.fromkeys([str(ROOT), *filter(None, folders.split(os.pathsep))]))
