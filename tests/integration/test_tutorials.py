"""The notebooks of docs/tutorials, executed as a reader would, in a fresh kernel."""

from __future__ import annotations

import base64
import io
import re
import sys
from pathlib import Path
from typing import Any

import matplotlib.image as mpimg
import nbformat
import numpy as np
import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "docs" / "tutorials" / "explainable_model.ipynb"
PLOTTED = ("weights", "fit", "recommend", "similarities", "contributions", "diversity")
PLOTLY = "application/vnd.plotly.v1+json"
Outputs = dict[str, list[Any]]  # by cell id


class OwnKernel(AsyncKernelManager):
    """A kernel of the interpreter that runs the tests, whatever kernels are installed."""

    @property
    def kernel_spec(self) -> KernelSpec:
        """How it is started."""
        return KernelSpec(argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"])


def read() -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


def outputs_of(notebook: nbformat.NotebookNode) -> Outputs:
    return {cell.id: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Outputs:
    """What the cells show when they are run; one that raises fails all tests here."""
    notebook = read()
    folder = tmp_path_factory.mktemp("elsewhere")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))  # this checkout, whichever one is installed
        for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
            patch.setenv(name, str(tmp_path_factory.mktemp("jupyter")))
        NotebookClient(
            notebook, timeout=240, kernel_manager_class=OwnKernel, resources={"metadata": {"path": str(folder)}}
        ).execute()
    assert not list(folder.iterdir()), "a tutorial leaves nothing behind"
    return outputs_of(notebook)


@pytest.fixture(scope="module", params=["stored", "run"])
def shown(request: pytest.FixtureRequest) -> Outputs:
    """What a reader sees in the file, and what a run gives: both have to tell the same story."""
    return outputs_of(read()) if request.param == "stored" else request.getfixturevalue("outputs")


def numbers(outputs: list[Any]) -> list[float]:
    """Those at the ends of the printed lines."""
    text = "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")
    return [float(line.rpartition(" ")[2]) for line in text.splitlines()]


def columns(outputs: list[Any]) -> list[list[str]]:
    """Cells of a table that was shown, row by row, with its header."""
    return [re.split(r"\s{2,}", line.strip()) for line in outputs[-1].data["text/plain"].splitlines()]


def test_every_picture_is_there(shown: Outputs) -> None:
    for name in PLOTTED:
        figures = [output.data[PLOTLY] for output in shown[name] if PLOTLY in output.get("data", {})]
        assert len(figures) == 1, name
        assert figures[0]["data"], name
        (still,) = [output.data["image/png"] for output in shown[name] if PLOTLY in output.get("data", {})]
        picture = mpimg.imread(io.BytesIO(base64.b64decode(still)), format="png")  # what a page shows that runs nothing
        assert min(picture.shape[:2]) > 200, name
        assert len(np.unique(picture.reshape(-1, picture.shape[2]), axis=0)) > 20, f"{name} is blank"


def test_held_out_the_model_is_above_popularity(shown: Outputs) -> None:
    header, *rows = columns(shown["held-out"])
    assert header == ["NDCG@10", "Recall@10", "Accuracy@10", "dislike exposure@10"]
    found = {name: dict(zip(header, map(float, values), strict=True)) for name, *values in rows}
    assert set(found) == {"popularity", "popularity, lately", "model", "model, with dislikes", "true taste"}
    for metric in header[:3]:
        best_baseline = max(found["popularity"][metric], found["popularity, lately"][metric])
        assert min(found["model"][metric], found["model, with dislikes"][metric]) > 1.5 * best_baseline > 0, metric
    exposure = {name: values["dislike exposure@10"] for name, values in found.items()}
    assert exposure["model, with dislikes"] < exposure["model"] < exposure["popularity, lately"]


def test_likes_have_a_higher_affinity_than_dislikes(shown: Outputs) -> None:
    affinity = {row[0]: float(row[-1]) for row in columns(shown["generate"])[2:]}
    assert affinity["like"] > affinity["neutral"] > affinity["dislike"]


def test_the_contributions_sum_to_the_score(shown: Outputs) -> None:
    total, score = numbers(shown["contributions"])
    assert total == pytest.approx(score, abs=2e-4)


def test_after_a_dislike_the_list_is_less_like_the_film(shown: Outputs) -> None:
    before, after = numbers(shown["dislike"])
    assert after < before
    _, *rows = columns(shown["dislike"])
    assert len(rows) == 10
    disliked = rows[0][1]
    assert disliked not in [row[2] for row in rows]


def test_the_file_is_small_and_holds_no_error() -> None:
    assert NOTEBOOK.stat().st_size < 300_000
    assert all(output.output_type != "error" for outputs in outputs_of(read()).values() for output in outputs)
