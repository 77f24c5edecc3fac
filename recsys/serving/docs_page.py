"""The page `/docs`: Swagger UI from files of an installed package, so that it needs no other server."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

PATH = "/docs"
ASSETS = f"{PATH}/assets"


def install(app: FastAPI) -> None:
    """Adds the page and its script, style and icon. The application itself must have `docs_url=None`.

    Addresses in the page are relative, since a proxy may put a prefix in front of them.
    """
    folder = Path(str(resources.files("fastapi_swagger.resources")))
    app.mount(ASSETS, StaticFiles(directory=folder), name="docs_assets")

    @app.get(PATH, include_in_schema=False)
    async def docs() -> HTMLResponse:
        assets = ASSETS.removeprefix("/")
        return get_swagger_ui_html(
            openapi_url=str(app.openapi_url).removeprefix("/"),
            title=app.title,
            swagger_js_url=f"{assets}/swagger-ui-bundle.js",
            swagger_css_url=f"{assets}/swagger-ui.css",
            swagger_favicon_url=f"{assets}/favicon-32x32.png",
            swagger_ui_parameters={"validatorUrl": None},  # else it asks validator.swagger.io about the description
        )
