"""What a setting is: a field of a frozen dataclass that says its range, and what it means to a person.

    @dataclass(frozen=True)
    class Example:
        days: Annotated[float, Setting("Days", "Number of newest days to compare.", above=0, maximum=365)] = 7.0

        def __post_init__(self) -> None:
            validate(self)

`settings_of(Example)` gives what forms, options and documents are made from. The metadata is in the annotation, so the
default stays an ordinary default.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, cast, get_args, get_origin, get_type_hints

from recsys.errors import InputError

THOUSANDS_FROM = 10_000  # a year is written without a comma

# What a value is called in an error, and in JSON Schema.
KINDS: dict[type, tuple[str, str]] = {
    bool: ("true or false", "boolean"),
    int: ("a whole number", "integer"),
    float: ("a number", "number"),
    str: ("a text", "string"),
    tuple: ("a list of names", "array"),
}


@dataclass(frozen=True)
class Setting:
    """What a field says of itself, beside its name, its type and its default.

    Attributes:
        title: the field's name in words.
        description: full sentences; the command line shows the first one.
        section: of the form that shows it; None: the part that is always open.
        minimum: of a number, itself allowed.
        maximum: of a number, itself allowed.
        above: a number is greater than this.
        below: a number is less than this.
        min_length: of a text.
        max_length: of a text.
        unset: what an empty value (None, or an empty list) stands for.
        option: name on the command line, where it is not the field's.
        option_help: the same as `description`, where the command line takes one value at a time.
    """

    title: str
    description: str
    section: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    unset: str | None = None
    option: str | None = None
    option_help: str | None = None

    def admits(self, value: float) -> bool:
        """Whether a number is in the range; nan never is."""
        return (
            (self.minimum is None or value >= self.minimum)
            and (self.maximum is None or value <= self.maximum)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
            and value == value
        )

    @property
    def range(self) -> str:
        """The range in words, such as "between 0 and 1"; empty where there is none."""
        if self.max_length is not None:
            return f"of {self.min_length or 0} to {self.max_length} characters"
        if self.min_length is not None:
            return f"of at least {self.min_length} characters"
        if self.minimum is not None and self.maximum is not None:
            return f"between {_number(self.minimum)} and {_number(self.maximum)}"
        bounds = (
            ("of at least", self.minimum), ("above", self.above), ("up to", self.maximum), ("below", self.below),
        )  # fmt: skip
        return " and ".join(f"{words} {_number(bound)}" for words, bound in bounds if bound is not None)


@dataclass(frozen=True)
class NamedSetting:
    """A setting where it stands.

    Attributes:
        name: of the field; the same on every surface.
        kind: bool, int, float, str, tuple (of texts), or a dataclass of settings.
        is_optional: whether it may be None.
        default: if nobody sets it.
        setting: what the field says of itself.
    """

    name: str
    kind: type
    is_optional: bool
    default: Any
    setting: Setting

    @property
    def is_object(self) -> bool:
        """Whether the value is a dataclass of settings of its own, in JSON an object."""
        return is_dataclass(self.kind)

    def checked(self, value: Any) -> Any:
        """The value in the field's type: a whole number for a number, a list for a tuple, an object for a dataclass.

        Raises:
            InputError: for another type, or a value out of the range.
        """
        if value is None and self.is_optional:
            return None
        if self.is_object:
            return self._rule(value)
        if self.kind is tuple:
            return self._names(value)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        fits = is_number if self.kind is float else isinstance(value, self.kind) and (is_number or self.kind is not int)
        if not fits:
            raise self._error(value)
        if self.kind is str:
            value = value.strip()
            if not (self.setting.min_length or 0) <= len(value) <= (self.setting.max_length or len(value)):
                raise self._error(value)
        elif is_number and not self.setting.admits(value):
            raise InputError(f"Expected {self.name} {self.setting.range}, got {value}.")
        return float(value) if self.kind is float else value

    def _rule(self, value: Any) -> Any:
        if isinstance(value, self.kind):
            return value
        if not isinstance(value, Mapping):
            raise self._error(value)
        return self.kind.from_dict(value)  # type: ignore[attr-defined] # a dataclass of settings

    def _names(self, value: Any) -> tuple[str, ...]:
        if not (isinstance(value, list | tuple) and all(isinstance(one, str) and one.strip() for one in value)):
            raise self._error(value)
        return tuple(dict.fromkeys(one.strip() for one in value))

    def _error(self, value: Any) -> InputError:
        kind = "an object, such as {}" if self.is_object else KINDS[self.kind][0]
        what = " ".join(filter(None, (kind, self.setting.range)))
        return InputError(f"Expected {self.name} to be {what}{' or empty' * self.is_optional}, got {value!r}.")


def _number(value: float) -> str:
    return f"{value:,}" if value >= THOUSANDS_FROM else f"{value:g}"


def settings_of(config: type) -> tuple[NamedSetting, ...]:
    """The settings of a dataclass, those of dataclasses inside of it in their place, in the order of the fields.

    Raises:
        TypeError: if a field is neither a setting nor a dataclass of settings.
    """
    return tuple(_found(config))


def _found(config: type) -> Iterator[NamedSetting]:
    for found in own_settings(config).values():
        if isinstance(found, NamedSetting):
            yield found
        else:
            yield from _found(found)


def own_settings(config: type) -> dict[str, NamedSetting | type]:
    """Field -> the setting that it is, or the dataclass of settings that it holds."""
    return _read(cast(Hashable, config))


@cache
def _read(config: Any) -> dict[str, NamedSetting | type]:
    hints = get_type_hints(config, include_extras=True)
    return {field.name: _own(field, hints[field.name]) for field in fields(config)}


def _own(field: Any, hint: Any) -> NamedSetting | type:
    if get_origin(hint) is not Annotated:
        if isinstance(hint, type) and is_dataclass(hint):
            return hint
        raise TypeError(f"Expected {field.name} to be Annotated[type, Setting(...)], got {hint}.")
    kind, setting = get_args(hint)
    kinds = [one for one in get_args(kind) if one is not NoneType] if get_origin(kind) in (Union, UnionType) else [kind]
    default = field.default if field.default_factory is MISSING else field.default_factory()
    return NamedSetting(field.name, get_origin(kinds[0]) or kinds[0], kinds != [kind], default, setting)


def validate(config: Any) -> None:
    """Checks each setting of a new instance, and gives it the field's type. For `__post_init__`.

    Raises:
        InputError: naming the first setting that is wrong, what was expected and what came.
    """
    for name, found in own_settings(type(config)).items():
        if isinstance(found, NamedSetting):
            object.__setattr__(config, name, found.checked(getattr(config, name)))
