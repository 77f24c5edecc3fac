"""Settings as names and values: what forms and JSON hold, and what a batch remembers.

The settings of a dataclass inside of another one stand beside the others: a setting has one name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from recsys.config.setting import NamedSetting, own_settings, settings_of
from recsys.errors import InputError

Config = TypeVar("Config")


def as_mapping(config: Any) -> dict[str, Any]:
    """Setting -> value, JSON-able: what `from_mapping` reads."""
    values: dict[str, Any] = {}
    for name, found in own_settings(type(config)).items():
        value = getattr(config, name)
        if not isinstance(found, NamedSetting):
            values |= as_mapping(value)
        else:
            values[name] = _json_able(found, value)
    return values


def _json_able(setting: NamedSetting, value: Any) -> Any:
    if setting.is_object and value is not None:
        return value.as_dict()
    return list(value) if isinstance(value, tuple) else value


def from_mapping(config: type[Config], values: Any, what: str) -> Config:
    """From names and values as a form, JSON or a person gives them; what is not named has its default.

    Args:
        config: a dataclass of settings.
        values: setting -> value, those of dataclasses inside of it beside the others.
        what: they are, for the error.

    Raises:
        InputError: for anything but names and values, an unknown name, or a value that its setting refuses.
    """
    known = [one.name for one in settings_of(config)]
    if not isinstance(values, Mapping):
        raise InputError(f"Expected {what} with their values, such as {{}}, got {values!r}.")
    if unknown := sorted(str(name) for name in set(values) - set(known)):
        raise InputError(f"Expected {what} out of {', '.join(known)}, got {', '.join(unknown)}.")
    arguments = {
        name: values[name] if isinstance(found, NamedSetting) else from_mapping(found, _part(found, values), what)
        for name, found in own_settings(config).items()
        if not isinstance(found, NamedSetting) or name in values
    }
    return config(**arguments)


def _part(config: type, values: Mapping[str, Any]) -> dict[str, Any]:
    return {one.name: values[one.name] for one in settings_of(config) if one.name in values}


def restored(config: type[Config], values: Mapping[str, Any]) -> Config:
    """From what was written down once.

    Settings that are unknown today are left out, those that were not there yet have their default, and a value that is out
    of today's range stands as it is.
    """
    made = object.__new__(config)
    for name, found in own_settings(config).items():
        if not isinstance(found, NamedSetting):
            value: Any = restored(found, values)
        else:
            value = _restored(found, values.get(name, found.default))
        object.__setattr__(made, name, value)
    return made


def _restored(setting: NamedSetting, value: Any) -> Any:
    if value is None and not setting.is_optional:
        return setting.default
    if setting.is_object and isinstance(value, Mapping):
        return restored(setting.kind, value)
    return tuple(value) if isinstance(value, list) else value
