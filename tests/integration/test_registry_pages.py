"""MLflow's server as `make up` and the containers start it: its page opens for model training, the rest is MLflow's own."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import find_free_port, wait_until_healthy

ROOT = Path(__file__).resolve().parents[2]
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of `mlflow server --app-name=recsys`; the name is declared here, as installing the package does."""
    folder, port = tmp_path_factory.mktemp("pages"), find_free_port()
    named = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"][
        "mlflow.app"
    ]
    metadata = folder / "installed" / "pages-0.dist-info"
    metadata.mkdir(parents=True)
    lines = ["[mlflow.app]", *(f"{name} = {value}" for name, value in named.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: pages\nVersion: 0\n", encoding="utf-8")
    command = [
        sys.executable, "-m", "mlflow", "server", "--app-name=recsys", "--host=127.0.0.1", f"--port={port}", "--workers=1",
        f"--backend-store-uri=sqlite:///{folder / 'mlflow.db'}", f"--artifacts-destination={folder / 'artifacts'}",
    ]  # fmt: skip
    path = os.pathsep.join([str(metadata.parent), str(ROOT), os.environ.get("PYTHONPATH", "")])
    own = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONPATH": path}
    with (folder / "server.log").open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=os.environ | own, stdout=output, stderr=output)
    try:
        wait_until_healthy(process, f"http://127.0.0.1:{port}", str(folder / "server.log"))
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def test_the_page_opens_for_model_training_unless_a_person_chose_otherwise(server: str) -> None:
    with OPENER.open(server, timeout=30) as answer:
        page, headers = answer.read().decode(), answer.headers
    head = page[page.index("<head>") : page.index("main.")]
    assert '"mlflow.workflowType_v1": "\\"machine_learning\\""' in head, "before MLflow's own script looks"
    assert "localStorage.getItem(name) === null" in head
    assert int(headers["Content-Length"]) == len(page.encode())
    assert "ETag" not in headers, "that of the page without it: a browser would keep the old one"
    assert '<div id="root"' in page


def test_everything_else_is_mlflow_s_own(server: str) -> None:
    with OPENER.open(f"{server}/static-files/manifest.json", timeout=30) as answer:
        assert b"localStorage" not in answer.read()
    request = urllib.request.Request(server, headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        OPENER.open(request, timeout=30)
    with refused.value:
        assert refused.value.code == 403
