"""MLflow's server with pages that open for model training: `mlflow server --app-name recsys`.

MLflow 3.17 opens in its mode for language models, which has no model registry and shows our experiment as "Traces 0", and
lays a chat panel over the first page. No tag of an experiment and no option of the server changes that: both choices are
kept in the browser. So the first page that a browser gets makes them, unless they were made before; a person can still
change them.
"""

from __future__ import annotations

import json
from typing import Any

CHOICES = {
    "mlflow.workflowType_v1": "machine_learning",
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": True,
}
SCRIPT = (
    "<script>for (const [name, value] of Object.entries("
    + json.dumps({name: json.dumps(value) for name, value in CHOICES.items()})
    + ")) if (localStorage.getItem(name) === null) localStorage.setItem(name, value);</script>"
)


def create_app() -> Any:
    """MLflow's own application, as `mlflow server` would run it, with the script in its page."""
    from mlflow.server import app as pages
    from mlflow.server.fastapi_app import app

    pages.after_request(_with_choices)
    return app


def _with_choices(response: Any) -> Any:
    """Puts the script before all others of the page; other answers pass as they are."""
    from flask import request

    if request.endpoint == "serve" and response.status_code == 200:  # the one page; what it shows it asks for by itself
        response.direct_passthrough = False  # else a file is sent as it lies there
        response.set_data(response.get_data(as_text=True).replace("<head>", f"<head>{SCRIPT}", 1))
        for header in ("ETag", "Last-Modified"):  # they are those of the file without the script
            response.headers.pop(header, None)
    return response
