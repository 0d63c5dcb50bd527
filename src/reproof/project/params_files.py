"""Files of parameters: YAML, JSON, TOML and Python, read as DVC reads them."""

from __future__ import annotations

import ast
import json
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from reproof.errors import ProjectError
from reproof.project.yaml_core import read_core_yaml
from reproof.project.yaml_document import describe


def read_params_file(path: Path, name: str) -> dict[str, Any]:
    """The values of a file; its ending says what it is, YAML if it has none of the known ones.

    Args:
        path: The file.
        name: What messages call it.

    Raises:
        ProjectError: It is missing, malformed, or no mapping.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ProjectError(f"the parameters file `{name}` does not exist") from None
    except OSError as error:
        raise ProjectError(f"cannot read `{name}`: {error.strerror}") from error
    try:
        found = _parse(data, path.suffix.lower(), name)
    except (ValueError, SyntaxError, RecursionError) as error:
        raise ProjectError(f"`{name}` cannot be read", details=[("reason", str(error))]) from error
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ProjectError(f"`{name}` must be a mapping of keys to values, not {describe(found)}")
    return found


def select_values(values: dict[str, Any], keys: Iterable[str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The values of dotted names, and the names that have none; all top-level values for no names."""
    wanted = tuple(dict.fromkeys(keys))
    if not wanted:
        return dict(values), ()
    found: dict[str, Any] = {}
    missing = []
    for key in wanted:
        try:
            found[key] = _descend(values, key)
        except (LookupError, TypeError, ValueError):
            missing.append(key)
    return found, tuple(missing)


def _descend(values: Any, key: str) -> Any:
    for part in key.split("."):
        values = values[int(part)] if isinstance(values, list) else values[part]
    return values


def _parse(data: bytes, suffix: str, name: str) -> Any:
    if suffix == ".json":
        return json.loads(data)
    if suffix == ".toml":
        return tomllib.loads(data.decode("utf-8"))
    if suffix == ".py":
        return _constants(ast.parse(data.decode("utf-8")).body)
    return read_core_yaml(data, name).value


def _constants(body: list[ast.stmt]) -> dict[str, Any]:
    """Names that are set to literals, at the top and within classes; ``self.x`` within ``__init__``."""
    found: dict[str, Any] = {}
    for node in body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                name = _target(target)
                if name is not None:
                    _set(found, name, node.value)
        elif isinstance(node, ast.ClassDef):
            found[node.name] = _constants(node.body)
        elif isinstance(node, ast.FunctionDef) and node.name == "__init__":
            found.update(_constants(node.body))
    return found


def _target(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    is_own = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
    return node.attr if is_own and isinstance(node, ast.Attribute) else None


def _set(found: dict[str, Any], name: str, value: ast.expr) -> None:
    try:
        found[name] = ast.literal_eval(value)
    except ValueError:
        return
