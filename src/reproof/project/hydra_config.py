"""Overrides for a program of hydra, found from its source and its configuration files: nothing of it is run.

Read are the file that ``@hydra.main`` names and the groups of its ``defaults`` list. Configurations that only
code makes (structured ones), search paths and other packages than a group's own are not seen. Forms:
https://hydra.cc/docs/advanced/defaults_list/ and https://hydra.cc/docs/advanced/override_grammar/basic/
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from reproof.errors import ProjectError
from reproof.project.yaml_document import read_yaml

_GLOBAL = re.compile(rb"^#\s*@package\s+_global_\s*$", re.MULTILINE)
_KEY = re.compile(r"[A-Za-z_][\w.-]*")
_PLAIN = re.compile(r"[A-Za-z0-9_./:+%@-]+")
_NUMBER = re.compile(r"[+-]?(\d[\d_]*)?\.?\d*([eE][+-]?\d+)?|[+-]?(inf|nan)|true|false|null", re.IGNORECASE)
_LARGEST = 1 << 20


class HydraMain(msgspec.Struct, frozen=True, kw_only=True):
    """What ``@hydra.main`` says, as far as it is literal.

    Attributes:
        path: ``config_path``, from the script's folder.
        name: ``config_name``; empty where there is none.
    """

    path: str = ""
    name: str = ""


def read_main(source: str) -> HydraMain | None:
    """The decorator of a script that runs under hydra; None where it has none."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return None
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "hydra"
        for alias in node.names
        if alias.name == "main"
    }
    names = {"hydra.main", *imported}
    for node in ast.walk(tree):
        for mark in getattr(node, "decorator_list", ()):
            call = mark.func if isinstance(mark, ast.Call) else mark
            if ast.unparse(call) in names:
                return _said(mark)
    return None


def overrides(
    main: HydraMain, script: Path, top: Path, parameters: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    """The overrides that bring a configuration to the parameters that a run logged.

    Args:
        main: The script's decorator.
        script: The script.
        top: The clone that it is in; nothing outside is read.
        parameters: Of the run: by their dotted name in the configuration, or by its last part where only one
            key has it.

    Returns:
        Words such as ``optimizer.lr=0.1``, choices of groups first; the names of the parameters that are a key
        of the configuration.
    """
    folder = (script.parent / main.path).resolve()
    if not main.name or not folder.is_relative_to(top.resolve()):
        return [], []
    config = _Config(folder, top.resolve())
    choices = {
        name: value for name, value in parameters.items() if config.has(f"{name}/{value}") and "=" not in name
    }
    values = config.compose(main.name, choices)
    words, used = [], []
    for name, value in choices.items():
        if name in config.chosen:
            used.append(name)
            words += [f"{name}={value}"] if config.chosen[name] != value else []
    for key, name in _named(values, parameters).items():
        if name in choices:
            continue
        used.append(name)
        word = _override(key, values[key], parameters[name])
        words += [word] if word is not None else []
    return words, used


def _named(values: Mapping[str, Any], parameters: Mapping[str, str]) -> dict[str, str]:
    """Keys of a configuration, each with the name of the parameter that stands for it."""
    last: dict[str, list[str]] = {}
    for key in values:
        last.setdefault(key.rpartition(".")[2], []).append(key)
    found = {}
    for name in parameters:
        only = last.get(name, ())
        if name in values:
            found[name] = name
        elif len(only) == 1 and only[0] not in parameters:
            found[only[0]] = name
    return found


def _override(key: str, default: object, value: str) -> str | None:
    """``key=value``; None where the configuration says so already, or a value cannot be written as one."""
    if isinstance(default, str) and "${" in default:
        return None  # follows from other keys
    if _same(default, value) or value.startswith("{") or "\n" in value or not _KEY.fullmatch(key):
        return None
    if value == "None":
        return f"{key}=null"
    is_list = value.startswith("[") and value.endswith("]")
    text = isinstance(default, str) and not _NUMBER.fullmatch(default)
    quoted = text and _NUMBER.fullmatch(value) is not None
    if is_list or (_PLAIN.fullmatch(value) and not quoted):
        return f"{key}={value}"
    escaped = value.replace("'", "\\'")
    return f"{key}='{escaped}'"


def _same(default: object, value: str) -> bool:
    """Whether a value is what the configuration says; ``1e-3`` is a number for hydra, and a text in YAML 1.1."""
    if value == str(default):
        return True
    try:
        return float(str(default)) == float(value)
    except ValueError:
        return False


class _Config:
    """The configuration files below a folder."""

    def __init__(self, folder: Path, top: Path) -> None:
        self._folder = folder
        self._top = top
        self.chosen: dict[str, str] = {}

    def has(self, name: str) -> bool:
        """Whether there is a file for it."""
        return self._place(name) is not None

    def compose(self, name: str, choices: Mapping[str, str]) -> dict[str, Any]:
        """The values of a configuration by dotted key, with other choices for its groups."""
        values: dict[str, Any] = {}
        table, _ = self._read(name)
        for group, choice in _defaults(table):
            self.chosen[group] = choice
            inner, everywhere = self._read(f"{group}/{choices.get(group, choice)}")
            package = "" if everywhere else group.replace("/", ".") + "."
            values.update((f"{package}{key}", value) for key, value in _flat(inner))
        values.update(_flat(table))
        return values

    def _read(self, name: str) -> tuple[dict[str, Any], bool]:
        """The table of a file, and whether it belongs to the top, not to its group."""
        path = self._place(name)
        if path is None:
            return {}, False
        try:
            data = path.read_bytes()
            value = read_yaml(data, path.name).value
        except (OSError, ProjectError):
            return {}, False
        return (value if isinstance(value, dict) else {}), _GLOBAL.search(data) is not None

    def _place(self, name: str) -> Path | None:
        """A file in the clone; links that lead out of it are not followed."""
        for ending in ("", ".yaml", ".yml"):
            try:
                path = (self._folder / f"{name}{ending}").resolve()
                small = path.is_file() and path.stat().st_size <= _LARGEST
            except (OSError, ValueError):
                continue
            if small and path.is_relative_to(self._top) and path.suffix in (".yaml", ".yml"):
                return path
        return None


def _defaults(table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for item in table.get("defaults") or ():
        for group, choice in item.items() if isinstance(item, dict) else ():
            plain = str(group).removeprefix("optional ").strip()
            if not plain.startswith("override ") and isinstance(choice, str) and "@" not in plain:
                yield plain, choice


def _flat(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if not isinstance(key, str) or (not above and key in ("defaults", "hydra")):
            continue
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _said(mark: ast.expr) -> HydraMain:
    given = {
        keyword.arg: keyword.value.value
        for keyword in (mark.keywords if isinstance(mark, ast.Call) else ())
        if isinstance(keyword.value, ast.Constant)
    }
    path, name = given.get("config_path"), given.get("config_name")
    return HydraMain(path=path if isinstance(path, str) else "", name=name if isinstance(name, str) else "")
