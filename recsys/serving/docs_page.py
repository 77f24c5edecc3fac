"""The page `/docs`: Swagger UI from files of an installed package, so that it needs no other server.

Nothing runs that stands in the page itself: its policy allows scripts of this service only.
"""

from __future__ import annotations

from html import escape
from importlib import resources
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response
from fastapi.staticfiles import StaticFiles

PATH = "/docs"
ASSETS = f"{PATH}/assets"
START = f"{PATH}/start.js"
PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="{assets}/swagger-ui.css">
<link rel="icon" href="{assets}/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui" data-openapi="{openapi}"></div>
<script src="{assets}/swagger-ui-bundle.js"></script>
<script src="{start}"></script>
</body>
</html>
"""
# Without `validatorUrl` it would ask validator.swagger.io about the description.
SCRIPT = """\
SwaggerUIBundle({
  url: document.getElementById("swagger-ui").dataset.openapi,
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIBundle.SwaggerUIStandalonePreset],
});
"""


def install(app: FastAPI) -> None:
    """Adds the page and its script, style and icon. The application itself must have `docs_url=None`.

    Addresses in the page are relative, since a proxy may put a prefix in front of them.
    """
    folder = Path(str(resources.files("fastapi_swagger.resources")))
    app.mount(ASSETS, StaticFiles(directory=folder), name="docs_assets")

    @app.get(START, include_in_schema=False)
    async def start() -> Response:
        return Response(SCRIPT, media_type="text/javascript")

    @app.get(PATH, include_in_schema=False)
    async def docs() -> HTMLResponse:
        page = PAGE.format(
            title=escape(app.title), assets=ASSETS.removeprefix("/"), start=START.removeprefix("/"),
            openapi=escape(str(app.openapi_url).removeprefix("/")),
        )  # fmt: skip
        return HTMLResponse(page)
