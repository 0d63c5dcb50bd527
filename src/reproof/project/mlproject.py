"""MLproject files: read as MLflow reads them, but checked.

Format: https://mlflow.org/docs/latest/ml/projects/ and `mlflow.projects._project_spec`, which
validates almost nothing: unknown keys and parameter types pass silently there.
"""

from __future__ import annotations

import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from reproof.errors import ProjectError
from reproof.project.yaml_document import Document, closest, describe, listed, read_yaml

#: The types that MLflow documents.
TYPES = ("string", "float", "int", "path", "uri")

_ENVIRONMENTS = ("python_env", "conda_env", "docker_env")
_KEYS = ("name", *_ENVIRONMENTS, "entry_points")


class Parameter(msgspec.Struct, frozen=True):
    """A declared parameter.

    Attributes:
        name: Its name.
        type: One of :data:`TYPES`.
        default: The default as text, None where a value must be given.
        line: Line of its declaration.
    """

    name: str
    type: str = "string"
    default: str | None = None
    line: int | None = None


class EntryPoint(msgspec.Struct, frozen=True):
    """A command with parameters in braces.

    Attributes:
        name: Its name.
        parameters: The declared parameters by name, in the order of the file.
        command: The command, with ``{name}`` for each parameter.
        line: Line of its declaration; None for a script.
    """

    name: str
    parameters: dict[str, Parameter]
    command: str
    line: int | None = None


class MLProject(msgspec.Struct, frozen=True, kw_only=True):
    """What an MLproject file says.

    Attributes:
        name: Name of the project.
        file: Name of the file in its folder, in the spelling that is used there.
        text: The file's text.
        python_env: The file that describes the Python environment, below the project, or its
            content where it stands in the MLproject file itself.
        conda_env: The Conda environment file, below the project.
        docker_env: Image, volumes and variables.
        entry_points: By name.
        warnings: What MLflow passes over silently, a line each.
    """

    name: str | None = None
    file: str = "MLproject"
    text: str = ""
    python_env: str | dict[str, Any] | None = None
    conda_env: str | None = None
    docker_env: dict[str, Any] | None = None
    entry_points: dict[str, EntryPoint] = {}
    warnings: tuple[str, ...] = ()


def read_mlproject(folder: Path) -> MLProject | None:
    """Read the MLproject file of a folder; its name counts in any case, as in MLflow.

    Returns:
        What it says; None where there is no such file.

    Raises:
        ProjectError: The file cannot be read or is wrong; file, line and key are named.
    """
    try:
        names = sorted(path.name for path in folder.iterdir() if path.name.lower() == "mlproject")
    except OSError as error:
        raise ProjectError(f"cannot read the folder `{folder}`: {error.strerror}") from error
    if not names:
        return None
    if len(names) > 1:
        raise ProjectError(f"`{folder}` has {len(names)} MLproject files: {listed(names)}")
    try:
        data = (folder / names[0]).read_bytes()
    except OSError as error:
        raise ProjectError(f"cannot read `{folder / names[0]}`: {error.strerror}") from error
    return _parse(read_yaml(data, names[0]), data.decode("utf-8-sig"))


def parse_mlproject(text: str, name: str = "MLproject") -> MLProject:
    """What the text of an MLproject file says; see :func:`read_mlproject`.

    Args:
        text: Of the file, as a record holds it.
        name: Of the file, for messages.

    Raises:
        ProjectError: It is wrong; line and key are named.
    """
    return _parse(read_yaml(text.encode(), name), text)


def fields(command: str) -> list[str]:
    """The names in braces of a command, in order, those within format specifications included.

    Raises:
        ValueError: A brace is not closed, or stands alone.
    """
    found: list[str] = []
    for _, name, specification, _ in string.Formatter().parse(command):
        if name is not None:
            found.append(name)
            found.extend(fields(specification or ""))
    return found


def _parse(document: Document, text: str) -> MLProject:
    if not isinstance(document.value, dict):
        raise document.wrong(
            (), f"the file must be a mapping of keys to values, not {describe(document.value)}"
        )
    if "databricks_spark_job" in document.mapping():
        raise document.wrong(("databricks_spark_job",), "runs on Databricks only, not on this machine")
    found = [key for key in _ENVIRONMENTS if document.mapping().get(key) is not None]
    if len(found) > 1:
        raise document.wrong((found[1],), f"is a second environment beside `{found[0]}`; keep one of them")
    name = document.value.get("name")
    if isinstance(name, dict | list):
        raise document.wrong(("name",), f"must be a text, not {describe(name)}")
    entry_points = {key: _entry_point(document, key) for key in document.mapping("entry_points")}
    return MLProject(
        name=None if name is None else str(name),
        file=document.name,
        text=text,
        python_env=_python_env(document),
        conda_env=document.text("conda_env"),
        docker_env=_docker_env(document),
        entry_points=entry_points,
        warnings=tuple(_warnings(document)),
    )


def _entry_point(document: Document, name: str) -> EntryPoint:
    key = ("entry_points", name)
    document.mapping(*key)
    command = document.text(*key, "command")
    if command is None or not command.strip():
        raise document.wrong(key, "has no `command`")
    names = document.mapping(*key, "parameters")
    parameters = {each: _parameter(document, (*key, "parameters", each)) for each in names}
    _check_command(document, (*key, "command"), command, parameters)
    return EntryPoint(name, parameters, command, document.lines.get(key))


def _parameter(document: Document, key: tuple[str, ...]) -> Parameter:
    name = key[-1]
    value = document.mapping(*key[:-1])[name]
    at = key
    if isinstance(value, str):
        kind, default = value, None
    elif isinstance(value, dict):
        document.mapping(*key)
        kind, default, at = value.get("type", "string"), value.get("default"), (*key, "type")
    else:
        raise document.wrong(
            key, f"must be a type or a mapping with `type` and `default`, not {describe(value)}"
        )
    if kind not in TYPES:
        close = closest(kind, TYPES) if isinstance(kind, str) else None
        hint = f"did you mean `{close}`?" if close else None
        raise document.wrong(at, f"must be one of {listed(TYPES)}, not {describe(kind)}", hint)
    return Parameter(name, kind, None if default is None else str(default), document.lines.get(key))


def _check_command(
    document: Document, key: tuple[str, ...], command: str, parameters: dict[str, Parameter]
) -> None:
    literal = "write `{{` and `}}` for braces that are part of the command"
    try:
        names = fields(command)
    except ValueError as error:
        raise document.wrong(key, f"has a brace that stands alone ({error})", literal) from error
    for name in names:
        if name not in parameters or not name.isidentifier():
            close = closest(name, parameters)
            hint = f"did you mean `{{{close}}}`?" if close else literal
            raise document.wrong(key, f"has `{{{name}}}`, which is no parameter", hint)


def _python_env(document: Document) -> str | dict[str, Any] | None:
    value = document.mapping().get("python_env")
    return document.mapping("python_env") if isinstance(value, dict) else document.text("python_env")


def _docker_env(document: Document) -> dict[str, Any] | None:
    if document.mapping().get("docker_env") is None:
        return None
    found = document.mapping("docker_env")
    if not document.text("docker_env", "image"):
        raise document.wrong(("docker_env",), "has no `image`")
    for index, item in enumerate(document.items("docker_env", "volumes")):
        if not isinstance(item, str):
            raise document.wrong(("docker_env", "volumes", index), f"must be a text, not {describe(item)}")
    for index, item in enumerate(document.items("docker_env", "environment")):
        pair = isinstance(item, list) and len(item) == 2 and all(isinstance(part, str) for part in item)
        if not isinstance(item, str) and not pair:
            problem = f"must be the name of a variable or a pair of name and value, not {describe(item)}"
            raise document.wrong(("docker_env", "environment", index), problem)
    return found


def _warnings(document: Document) -> Iterator[str]:
    """What MLflow ignores, and an inline environment, which it does not know."""
    ignored = [*document.unknown_keys(_KEYS)]
    for name in document.mapping("entry_points"):
        ignored += document.unknown_keys(("parameters", "command"), "entry_points", name)
        for parameter, value in document.mapping("entry_points", name, "parameters").items():
            if isinstance(value, dict):
                key = ("entry_points", name, "parameters", parameter)
                ignored += document.unknown_keys(("type", "default"), *key)
    if document.mapping().get("docker_env") is not None:
        ignored += document.unknown_keys(("image", "volumes", "environment"), "docker_env")
    yield from (f"{sentence} (ignored, as MLflow does)" for _, sentence in ignored)
    if isinstance(document.value.get("python_env"), dict):
        yield f"{document.at('python_env')}: MLflow itself takes only the path of a file for `python_env`"
