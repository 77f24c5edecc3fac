"""A setting as JSON Schema: what the forms of Airflow are made of."""

from __future__ import annotations

from typing import Any

from recsys.config.setting import KINDS, NamedSetting, settings_of

OBJECT = "object"


def json_schema(setting: NamedSetting) -> dict[str, Any]:
    """Type, range, title and description, and the section of the form where there is one."""
    schema = {**_type(setting), **_range(setting), "title": setting.setting.title, "description": full_text(setting)}
    return schema if setting.setting.section is None else {**schema, "section": setting.setting.section}


def full_text(setting: NamedSetting) -> str:
    """The description, and what an empty value stands for."""
    unset = setting.setting.unset
    return setting.setting.description + ("" if unset is None else f" Empty: {unset}.")


def _type(setting: NamedSetting) -> dict[str, Any]:
    name = OBJECT if setting.is_object else KINDS[setting.kind][1]
    found: dict[str, Any] = {"type": ["null", name] if setting.is_optional else name}
    if setting.is_object:
        parts = settings_of(setting.kind)
        found |= {"properties": {one.name: _value(one) for one in parts}, "additionalProperties": False}
    if setting.kind is tuple:
        found |= {"items": {"type": "string", "minLength": 1}, "uniqueItems": True}
    return found


def _value(setting: NamedSetting) -> dict[str, Any]:
    """The schema of a part of an object: left out where it is not set, and so never null."""
    schema = {**_type(setting), **_range(setting)}
    return {**schema, "type": KINDS[setting.kind][1]}


def _range(setting: NamedSetting) -> dict[str, Any]:
    own = setting.setting
    bounds = {
        "minimum": own.minimum, "maximum": own.maximum, "exclusiveMinimum": own.above, "exclusiveMaximum": own.below,
        "minLength": own.min_length, "maxLength": own.max_length,
    }  # fmt: skip
    return {name: bound for name, bound in bounds.items() if bound is not None}
