"""`recsys step`: one step of the loop in a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from recsys.cli.options import Json
from recsys.cli.output import print_json_lines, say
from recsys.errors import InputError, RecsysError


def step(
    name: Annotated[str, typer.Argument(help="A step; see `recsys.pipeline`.")],
    arguments: Annotated[str, typer.Option(help="Its arguments as a JSON object.")] = "{}",
    result: Annotated[Path | None, typer.Option(help="Write the outcome here as JSON instead of printing it.")] = None,
    as_json: Json = False,
) -> None:
    """One step in this process: what Airflow's tasks start, and what a container would run."""
    from recsys import pipeline
    from recsys.cli.tensorflow_loading import load_for
    from recsys.pipeline import step_process

    try:
        given = step_arguments(name, arguments)
        load_for(name)
        value = pipeline.STEPS[name](**given)
    except RecsysError as error:
        if result is not None:
            step_process.write_result(result, error=error)
        raise
    if result is not None:
        step_process.write_result(result, value=value)
    elif as_json:
        print_json_lines([value])
    else:
        for key, part in value.items():
            say(f"{key:<24}  {'none' if part is None else part}")


def step_arguments(name: str, text: str) -> dict[str, Any]:
    """Arguments of a step from JSON, checked against its signature.

    Raises:
        InputError: if there is no such step, the text is no JSON object, or a name or a type does not fit.
    """
    import inspect
    import json
    from typing import get_type_hints

    from pydantic import TypeAdapter, ValidationError

    from recsys import pipeline

    if name not in pipeline.STEPS:
        raise InputError(f"Expected one of the steps {', '.join(sorted(pipeline.STEPS))}, got {name!r}.")
    try:
        given = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"Expected --arguments to be a JSON object, got {text!r} ({error}).") from error
    if not isinstance(given, dict):
        raise InputError(f"Expected --arguments to be a JSON object, such as {{}}, got {text!r}.")
    signature, hints = inspect.signature(pipeline.STEPS[name]), get_type_hints(pipeline.STEPS[name])
    expected = ", ".join(str(parameter).replace("'", "") for parameter in signature.parameters.values())
    try:
        signature.bind(**given)
    except TypeError as error:
        raise InputError(f"Expected the --arguments {expected} of {name}, but: {error}.") from error
    for key, value in given.items():
        try:
            TypeAdapter(hints[key]).validate_json(json.dumps(value), strict=True)
        except ValidationError as error:
            raise InputError(f"Expected the --arguments {expected} of {name}, got {value!r} as {key}.") from error
    return given
