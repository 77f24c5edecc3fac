from pathlib import Path

import pytest

from recsys.errors import TerminalError
from recsys.store.queries import load_query

FOLDER = Path(__file__).resolve().parents[3] / "sql"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.sql")), ids=lambda path: path.stem)
def test_every_query_says_its_grain_and_parameters(path: Path) -> None:
    header = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("--")]
    assert any(line.startswith("-- Grain: ") for line in header)
    assert any(line.startswith("-- Parameters (") for line in header)
    query = load_query(path.stem)
    assert "--" not in query  # a parameter named in a comment would be bound
    assert ";" not in query


def test_unknown_query() -> None:
    with pytest.raises(TerminalError, match=r"Expected the query nothing\.sql"):
        load_query("nothing")
