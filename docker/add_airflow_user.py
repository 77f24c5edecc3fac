"""Gives the feedback service its password in Airflow, before Airflow starts: run by compose's `migrate` and by `make up`.

Airflow's simple auth manager keeps passwords in a file and makes up those that are missing: the service could not know
its own. Reads AIRFLOW_HOME, RECSYS_AIRFLOW_USERNAME and RECSYS_AIRFLOW_PASSWORD; running it again changes nothing.
"""

import json
import os
from pathlib import Path

path = Path(os.environ["AIRFLOW_HOME"]) / "simple_auth_manager_passwords.json.generated"
text = path.read_text(encoding="utf-8") if path.is_file() else ""
passwords = json.loads(text) if text.strip() else {}
wanted = passwords | {os.environ["RECSYS_AIRFLOW_USERNAME"]: os.environ["RECSYS_AIRFLOW_PASSWORD"]}
if wanted != passwords:
    partial = path.with_suffix(".partial")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(json.dumps(wanted) + "\n")
    partial.rename(path)
