"""Options of a command that are made from settings: a setting has the same name, range and words here as everywhere."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, get_type_hints

import typer

from recsys.cli.tensorflow_loading import load_for
from recsys.config.eligibility import EligibilityRule
from recsys.config.run import FAMILIES, RunConfig
from recsys.config.setting import NamedSetting, settings_of
from recsys.errors import InputError

Command = Callable[..., None]
AllItems = Annotated[
    bool,
    typer.Option("--all-items", help="Recommend any item again. Without any of these options: what the champion may."),
]


def takes_settings(
    *names: str, config: type[RunConfig] = RunConfig, choices: Mapping[str, Sequence[str]] | None = None
) -> Callable[[Command], Command]:
    """Gives a command options for settings, in the place of its parameter `config`.

    Args:
        names: of the settings; none: all of them.
        config: the dataclass of settings.
        choices: setting -> names that its help lists.
    """
    chosen = [one for one in settings_of(config) if not names or one.name in names]

    def made_from_settings(command: Command) -> Command:
        @functools.wraps(command)
        def run(**given: Any) -> None:
            command(config=config_from_options(config, chosen, given), **given)

        parameters = list(_parameters(command, chosen, choices or {}))
        del run.__wrapped__  # Typer would look there for types
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined] # what Typer reads
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        return run

    return made_from_settings


def _parameters(
    command: Command, chosen: Sequence[NamedSetting], choices: Mapping[str, Sequence[str]]
) -> Iterator[inspect.Parameter]:
    hints = get_type_hints(command, include_extras=True)
    for name, own in inspect.signature(command).parameters.items():
        if name == "config":
            for one in chosen:
                yield from _options(one, choices.get(one.name, ()))
        else:
            yield own.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints.get(name, own.annotation))


def config_from_options(config: type[RunConfig], chosen: Sequence[NamedSetting], given: dict[str, Any]) -> RunConfig:
    """Takes what options made from settings hold out of `given`.

    Raises:
        InputError: if a value is out of its range, or options contradict each other.
    """
    values: dict[str, Any] = {}
    for one in chosen:
        if one.is_object:
            parts = {part.name: given.pop(part.name) for part in settings_of(one.kind)}
            values[one.name] = _rule(given.pop("all_items"), parts)
        else:
            value = given.pop(one.name)
            values[one.name] = (value or ()) if one.kind is tuple else value
    made = config.from_dict(values)
    _require_families(made.families)
    return made


def _rule(all_items: bool, parts: dict[str, Any]) -> EligibilityRule | None:
    """What the options say may be recommended; None where they say nothing."""
    rule = EligibilityRule.from_dict(parts)
    if all_items and not rule.is_open:
        raise InputError(f"Expected --all-items alone, got it with a rule ({rule}): leave one of them out.")
    return None if rule.is_open and not all_items else rule


def _options(setting: NamedSetting, choices: Sequence[str]) -> Iterator[inspect.Parameter]:
    if setting.is_object:
        for part in settings_of(setting.kind):
            yield _option(part, ())
        yield inspect.Parameter("all_items", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=AllItems)
    else:
        yield _option(setting, choices)


def _option(setting: NamedSetting, choices: Sequence[str]) -> inspect.Parameter:
    own, is_list = setting.setting, setting.kind is tuple
    kind: Any = list[str] | None if is_list else setting.kind | None if setting.is_optional else setting.kind
    names = () if own.option is None else (own.option,)
    option = typer.Option(*names, help=option_help(setting, choices), min=own.minimum, max=own.maximum)
    return inspect.Parameter(
        setting.name, inspect.Parameter.KEYWORD_ONLY, default=None if is_list else setting.default,
        annotation=Annotated[kind, option],
    )  # fmt: skip


def option_help(setting: NamedSetting, choices: Sequence[str]) -> str:
    """The description's first sentence, and what an option that is left out stands for."""
    own = setting.setting
    if own.option_help is not None:
        return own.option_help.replace("{choices}", ", ".join(choices))
    first = own.description.partition(". ")[0].removesuffix(".") + "."
    return first if own.unset is None else f"{first} Default: {own.unset}."


def _require_families(names: Iterable[str]) -> None:
    """Loads the families of a run before anything is written.

    Raises:
        InputError: if there is none of a name, or it cannot be imported.
    """
    from recsys.training.families.registry import find_family, installed_families

    for name in names:
        if name not in FAMILIES and (":" in name or name in installed_families()):
            load_for("try_candidate")  # what it imports is its own affair; TensorFlow's greeting is nobody's
        find_family(name)
