"""Writes docs/settings.md, the reference of all settings, from the settings themselves."""

from __future__ import annotations

from pathlib import Path

from recsys.config.monitoring import MonitoringConfig
from recsys.config.run import RunConfig
from recsys.config.schema import full_text
from recsys.config.setting import KINDS, NamedSetting, settings_of

PAGE = Path(__file__).resolve().parents[1] / "docs" / "settings.md"
HEAD = """\
# Settings

Written by `.venv/bin/python scripts/settings_reference.py` from `recsys/config`, where each setting stands once: forms, options
and steps are made from it. What is refused is refused everywhere, with what was expected and what came.

Where everything is kept (URLs, folders, keys) is not a setting of a run but of the environment: `recsys/settings.py`.
"""
RUN = """\
## One run

The form of `feedback_retraining`, the options of `recsys run`, and `config` of the steps `check_backlog`, `claim_backlog` and
`dry_run` in JSON (`{"threshold": 5, "families": ["closed_form"]}`). A batch remembers what was set for it.
"""
RULE = """\
### Eligible

What `eligible` may say, in the form and in JSON as one object; an option each on the command line. All conditions that are set
must hold. Genres and tags are compared without letter case.
"""
MONITORING = """\
## Monitoring

The form of `feedback_monitoring`.
"""


def page(config: type[RunConfig] = RunConfig) -> str:
    """The whole page."""
    run = settings_of(config)
    (rule,) = (one.kind for one in run if one.is_object)
    parts = (RUN, _table(run, has_options=True), RULE, _table(settings_of(rule), has_options=True))
    return "\n".join((HEAD, *parts, MONITORING, _table(settings_of(MonitoringConfig), has_options=False)))


def _table(settings: tuple[NamedSetting, ...], *, has_options: bool) -> str:
    head = ["setting", *(["option"] if has_options else []), "value", "default", "meaning"]
    rows = [head, ["---"] * len(head)]
    for one in settings:
        option = [f"`{_option(one)}`"] if has_options else []
        rows.append([f"`{one.name}`", *option, _value(one), _default(one), full_text(one).replace("|", "or")])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _option(setting: NamedSetting) -> str:
    if setting.is_object:
        return "--all-items"
    return setting.setting.option or f"--{setting.name.replace('_', '-')}"


def _value(setting: NamedSetting) -> str:
    if setting.is_object:
        return "an object, see below"
    return " ".join(filter(None, (KINDS[setting.kind][0], setting.setting.range)))


def _default(setting: NamedSetting) -> str:
    if setting.default is None or setting.default == ():
        return "empty"
    if setting.kind in (int, float):
        return f"{setting.default:g}"
    return "on" if setting.default is True else "off" if setting.default is False else str(setting.default)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
