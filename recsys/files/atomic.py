"""Files and folders that appear whole or not at all. Standard library and what closes files to others."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from recsys.files.private import make_private

SUFFIX = ".building"


def write_file(path: Path, text: str, mode: int = 0o600) -> None:
    """Writes a file that others see with all of its text or not at all; a killed process leaves `<name>.partial`.

    Args:
        path: what it replaces, if it is there.
        text: written as UTF-8.
        mode: who may read it; by default nobody else.
    """
    partial = path.with_name(f"{path.name}.partial")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as file:
        file.write(text)
    partial.rename(path)


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
