"""Files of a project, read as text and as TOML."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from reproof.errors import ProjectError


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        ProjectError: It cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise ProjectError(
            f"cannot read `{path.name}`: {error.strerror or error}", details=[("path", str(path))]
        ) from error
    except UnicodeDecodeError as error:
        raise ProjectError(f"`{path.name}` is not UTF-8 text", details=[("path", str(path))]) from error


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as a table.

    Raises:
        ProjectError: It cannot be read, or is not TOML.
    """
    return parse_toml(read_text(path), path.name)


def parse_toml(text: str, name: str) -> dict[str, Any]:
    """A TOML text as a table; `name` is the file's, for the message.

    Raises:
        ProjectError: It is not TOML.
    """
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ProjectError(f"`{name}` is not TOML: {error}") from error
