"""The notebooks of docs/tutorials, executed as a reader would, in a fresh kernel."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

TUTORIALS = Path(__file__).resolve().parents[2] / "docs" / "tutorials"
PLOTTED = ("split", "fit", "recommend", "contributions", "similarities", "diversity")


class OwnKernel(AsyncKernelManager):
    """A kernel of the interpreter that runs the tests, whatever kernels are installed."""

    @property
    def kernel_spec(self) -> KernelSpec:
        """How it is started."""
        return KernelSpec(argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"])


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """Cell id -> outputs; a cell that raises fails all tests here."""
    notebook = nbformat.read(TUTORIALS / "explainable_model.ipynb", as_version=4)
    folder = tmp_path_factory.mktemp("elsewhere")
    NotebookClient(
        notebook, timeout=240, kernel_manager_class=OwnKernel, resources={"metadata": {"path": str(folder)}}
    ).execute()
    assert not list(folder.iterdir()), "a tutorial leaves nothing behind"
    return {cell.id: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}


def text(outputs: list[Any]) -> str:
    return "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")


def columns(outputs: list[Any]) -> list[list[str]]:
    """Cells of a table that was shown, row by row, with its header."""
    return [re.split(r"\s{2,}", line.strip()) for line in outputs[-1].data["text/plain"].splitlines()]


def test_every_picture_is_there(outputs: dict[str, list[Any]]) -> None:
    for name in PLOTTED:
        figures = [o.data for o in outputs[name] if "application/vnd.plotly.v1+json" in o.get("data", {})]
        assert figures, name
        assert figures[-1]["application/vnd.plotly.v1+json"]["data"], name


def test_held_out_the_model_is_above_popularity(outputs: dict[str, list[Any]]) -> None:
    header, *rows = columns(outputs["held-out"])
    ndcg = {name: float(numbers[header.index("NDCG@10")]) for name, *numbers in rows}
    assert set(ndcg) == {"model", "popularity", "popularity, lately"}
    assert ndcg["model"] > max(ndcg["popularity"], ndcg["popularity, lately"]) > 0


def test_the_contributions_sum_to_the_score(outputs: dict[str, list[Any]]) -> None:
    first, second = (float(word.rstrip(".")) for word in text(outputs["contributions"]).split() if word[-1].isdigit())
    assert first == pytest.approx(second, abs=2e-5)


def test_a_disliked_film_falls(outputs: dict[str, list[Any]]) -> None:
    _, *rows = columns(outputs["dislike"])
    before, after = ([row[column] for row in rows] for column in (1, 2))
    assert after[0] != before[0]
    assert set(before[1:]) <= set(after)
