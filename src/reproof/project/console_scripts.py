"""Which console scripts a project declares, and the module behind each, read from its files: nothing is built.

Understood are ``[project.scripts]`` (PyPA's entry points specification), ``[tool.poetry.scripts]``, and
``console_scripts`` of ``setup.cfg``. A ``setup.py`` is a program, which is not run to be asked.
"""

from __future__ import annotations

import configparser
import tomllib
from pathlib import Path
from typing import Any


def read_console_scripts(folder: Path) -> dict[str, str]:
    """The console scripts that the project in `folder` declares.

    Returns:
        The module of each by its name, as in ``{"pricer": "pricer.cli"}``; empty where none is declared or the
        files cannot be read.
    """
    found = {**_of_setup_cfg(folder / "setup.cfg"), **_of_pyproject(folder / "pyproject.toml")}
    return {name: module for name, module in found.items() if all(map(str.isidentifier, module.split(".")))}


def _of_pyproject(file: Path) -> dict[str, str]:
    try:
        document = tomllib.loads(_text(file))
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}
    poetry = _table(_table(document.get("tool")).get("poetry")).get("scripts")
    scripts = {**_table(poetry), **_table(_table(document.get("project")).get("scripts"))}
    return {name: _module(value) for name, value in scripts.items()}


def _of_setup_cfg(file: Path) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(_text(file))
        lines = parser.get("options.entry_points", "console_scripts", fallback="").splitlines()
    except configparser.Error:
        return {}
    pairs = [line.partition("=") for line in lines if "=" in line]
    return {name.strip(): _module(value) for name, _, value in pairs}


def _text(file: Path) -> str:
    """The text of a file that is there and is no link, which may lead anywhere; else none."""
    return file.read_text("utf-8", "replace") if file.is_file() and not file.is_symlink() else ""


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _module(value: Any) -> str:
    """``pricer.cli`` of ``pricer.cli:main [extra]``, or of poetry's table with a ``reference``."""
    reference = _table(value).get("reference", "") if isinstance(value, dict) else value
    return reference.partition("[")[0].partition(":")[0].strip() if isinstance(reference, str) else ""
