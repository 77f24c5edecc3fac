"""Ids of runs: each has a folder for itself inside the home, and only sensible ones are accepted."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import InputError
from recsys.run_ids import folder_name, require_run_id
from recsys.settings import Settings

SETTINGS = Settings.under(Path("/home of a deployment"))
HOSTILE = [
    "",
    ".",
    "..",
    "../..",
    "/etc",
    "a/../../b",
    "a\x00b",
    "it's",
    'a"b',
    "%s",
    "é",
    "ü",
    "中文",
    "a" * 300,
    "\ud800",
]
IDS = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(max_size=300),
    # what the old names mapped alike
    st.text(alphabet=":_+/ .é中", max_size=12).map("manual__2013-06-14T00{}00".format),
)


@given(st.lists(IDS, min_size=2, max_size=30, unique=True))
def test_distinct_ids_never_share_a_folder_and_stay_inside_the_home(ids: list[str]) -> None:
    folders = [SETTINGS.batch_folder(run_id) for run_id in ids]
    assert len({str(folder).lower() for folder in folders}) == len(ids), "also where case does not count"
    for folder in folders:
        assert folder.parent == SETTINGS.artifacts
        assert folder.resolve() == folder
        assert len(folder.name) <= 65
        assert set(folder.name) <= set(string.ascii_letters + string.digits + "_-")


def test_a_person_can_read_which_run_a_folder_is_of() -> None:
    name = folder_name("manual__2013-06-14T02:00:00+00:00")
    assert name.startswith("manual__2013-06-14T02_00_00_00_00-")
    assert folder_name("manual__2013-06-14T02:00:00+00:00") == name, "the same tomorrow and on another machine"
    assert name == "manual__2013-06-14T02_00_00_00_00-" + name[-16:]


def test_a_batch_stays_in_the_folder_that_the_database_names() -> None:
    """Homes from before have folders that are named differently; whose they are, only the database knows."""
    old = SETTINGS.artifacts / "manual__2013_06"
    assert SETTINGS.batch_folder("manual__2013:06", ("artifacts/manual__2013_06/training_set", None)) == old
    assert SETTINGS.batch_folder("manual__2013:06", (None, f"{old.as_uri()}/evidence")) == old
    assert SETTINGS.batch_folder("manual__2013_06") not in {old, SETTINGS.batch_folder("manual__2013:06")}
    assert SETTINGS.batch_folder("x", ("../elsewhere/y/training_set",)).parent == SETTINGS.artifacts


@pytest.mark.parametrize(
    "run_id", ["manual__2013-06-14T02:00:00.123456+00:00", "it's", "中文", "a" * 250, 'a "b" \\ %', "."]
)
def test_what_can_be_printed_is_accepted(run_id: str) -> None:
    assert require_run_id(run_id) == run_id


@pytest.mark.parametrize(
    "run_id", ["", " ", " a", "a ", "a\n", "a\nb", "a\tb", "a\x00b", "a\x1b[31mb", "a" * 251, "a\u202eb", "\ud800"]
)
def test_what_cannot_is_refused_and_shown_as_ascii(run_id: str) -> None:
    with pytest.raises(InputError, match=r"Expected a run id of 1 to 250 characters") as refused:
        require_run_id(run_id)
    message = str(refused.value)
    assert message.isascii()
    assert message.isprintable()
    assert len(message) < 400
