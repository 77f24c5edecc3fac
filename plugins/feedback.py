"""Feedback in Airflow's UI: a status page behind Airflow's own login, and its entry in the navigation.

Shows what `recsys.pipeline.loop_status()` and `feedback_report()` say and decides nothing. Who may read the DAG
`feedback_retraining` may read it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from airflow.api_fastapi.core_api.security import requires_access_dag
from airflow.plugins_manager import AirflowPlugin
from fastapi import Depends, FastAPI
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from recsys.errors import RecsysError

PAGES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined
)
app = FastAPI(title="Feedback", docs_url=None, redoc_url=None, openapi_url=None)
# A mounted app has no login of its own accord.
may_read = requires_access_dag("GET", param_dag_id="feedback_retraining")


@app.get("/", dependencies=[Depends(may_read)])
def show_status() -> HTMLResponse:
    """The status page; without a usable store it says what to do instead."""
    from recsys import pipeline

    try:
        status, report, problem = pipeline.status(), pipeline.feedback_report(datetime.now(UTC)), None
    except RecsysError as error:
        status, report, problem = None, None, str(error)
    return HTMLResponse(PAGES.get_template("feedback.html").render(status=status, report=report, problem=problem))


class FeedbackPlugin(AirflowPlugin):
    """Mounts the page and links it."""

    name = "feedback"
    fastapi_apps = [{"app": app, "url_prefix": "/feedback", "name": "feedback"}]  # noqa: RUF012 - Airflow's own attribute
    external_views = [  # noqa: RUF012 - Airflow's own attribute
        {
            "name": "Feedback",
            "href": "/feedback/",
            "destination": "nav",
            "url_route": "feedback",
            "nav_top_level": True,
        }
    ]
