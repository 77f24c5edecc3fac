"""Finds model families by name: ours, those that installed packages bring, and `package.module:Family`.

A package brings a family by an entry point of the group `recsys.families`; its name is the family's:

    [project.entry-points."recsys.families"]
    two_tower = "my_model:TwoTower"

Loads a family when it is asked for, and nothing before.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from recsys.config.run import FAMILIES
from recsys.errors import InputError
from recsys.training.families.base import Family, ItemItemFamily
from recsys.training.recipe.recipe import Candidate, FitConfig

GROUP = "recsys.families"
OURS = {name: f"recsys.training.families.{name}" for name in FAMILIES}  # nobody else's takes their place
ASKED = ("candidates", "fit", "keep", "name", "try_candidate", "version")  # of a family


def installed_families() -> list[str]:
    """Names of all that can be found by name: ours, then those of other packages."""
    return [*FAMILIES, *sorted(entry_points(group=GROUP).names - OURS.keys())]


def find_family(name: str) -> Family:
    """The family of a name, or `package.module:Family`.

    Raises:
        InputError: if there is none such, it cannot be imported, or it lacks what a family needs.
    """
    if name in OURS:
        return _family(import_module(OURS[name]).FAMILY, name)
    known = {one.name: one for one in entry_points(group=GROUP)}
    if name not in known and ":" not in name:
        raise InputError(
            f"Expected a family out of {', '.join(installed_families())}, or package.module:Family, got {name!r}: install "
            f"the package that brings it (entry point {GROUP}), or name its module."
        )
    point = known.get(name, EntryPoint(name, name, GROUP))
    try:
        found = point.load()
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(
            f"Expected {point.value} to be a family, but it cannot be imported ({error}): install the package that holds it, "
            "or start from the folder that does."
        ) from error
    return _family(found, name)


def _family(found: Any, name: str) -> Family:
    missing = [attribute for attribute in ASKED if not hasattr(found, attribute)]
    if not missing and isinstance(found, type):
        try:
            found = found()
        except TypeError as error:
            raise InputError(f"Expected the family {name} to be made without arguments, got {error}.") from error
    if missing:
        raise InputError(
            f"Expected {name} to be a family, but it has no {', no '.join(missing)}: see "
            "recsys.training.families.base.Family."
        )
    family: Family = found
    return family


def additive_family(name: str) -> ItemItemFamily:
    """A family of the additive model.

    Raises:
        InputError: if there is none of this name, or it makes another model.
    """
    family = find_family(name)
    if not isinstance(family, ItemItemFamily):
        raise InputError(f"Expected a family of the additive model, got {name}: fit it with its own `fit`.")
    return family


def candidates_of(config: FitConfig) -> dict[str, Candidate]:
    """The grid of each family by the candidates' names, in the order of preference; each knows how its family is found.

    Raises:
        InputError: if a family is unknown, none is left, or two candidates have one name.
    """
    found: dict[str, Candidate] = {}
    for family in config.families:
        for candidate in find_family(family).candidates(config):
            if candidate.name in found:
                raise InputError(
                    f"Expected each candidate to have its own name, got {candidate.name} of {found[candidate.name].family} "
                    f"and of {family}: name the families that you want, each once."
                )
            found[candidate.name] = candidate.found_by(family)
    if not found:
        raise InputError(
            f"Expected at least one family with a candidate, out of {', '.join(installed_families())} or as "
            f"package.module:Family, got {list(config.families)}."
        )
    return found
