"""Folders that appear whole or not at all. Standard library and what closes files to others."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from recsys.files.private import make_private

SUFFIX = ".building"


@contextlib.contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Gives an empty folder to fill; it becomes `folder` when the block ends, and is removed if the block raises.

    A process that is killed in the block leaves a folder called `<name>.*.building`, which the next call removes; what
    was in `folder` stays until the new content is whole.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left in folder.parent.glob(f"{folder.name}.*{SUFFIX}"):
        shutil.rmtree(left, ignore_errors=True)
    building = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", suffix=SUFFIX, dir=folder.parent))
    try:
        yield building
        make_private(building)
        shutil.rmtree(folder, ignore_errors=True)
        building.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)
