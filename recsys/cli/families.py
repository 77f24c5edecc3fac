"""Model families that a command was given by name."""

from __future__ import annotations

from collections.abc import Iterable

from recsys.cli.tensorflow_loading import load_for
from recsys.config.run import FAMILIES


def require_families(names: Iterable[str]) -> None:
    """Loads the families of a run before anything is written.

    Raises:
        InputError: if there is none of a name, or it cannot be imported.
    """
    from recsys.training.families.registry import find_family, installed_families

    for name in names:
        if name not in FAMILIES and (":" in name or name in installed_families()):
            load_for("try_candidate")  # what it imports is its own affair; TensorFlow's greeting is nobody's
        find_family(name)
