"""Folders of this machine that packages are taken from, and what they offer today.

What an index offers is its own affair; a folder, though, is content of the project or of the machine, and two
folders of one relative name offer different files.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from reproof.environment.requirements import Line

#: Variables of uv that name places, and what stands between two of them (None: white space).
#: https://docs.astral.sh/uv/reference/environment/
_VARIABLES = {
    "UV_FIND_LINKS": ",",
    "UV_INDEX": None,
    "UV_EXTRA_INDEX_URL": None,
    "UV_DEFAULT_INDEX": None,
    "UV_INDEX_URL": None,
}
#: What uv takes from a folder: archives, and pages that link to them.
_FILES = (".whl", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip", ".html")
_OPTIONS = ("--find-links", "--index-url", "--extra-index-url")


def local_offers(options: Iterable[Line], folder: Path, env: Mapping[str, str]) -> list[str]:
    """A line for each file that a local folder offers: path, size and the times of its last changes.

    Args:
        options: Option lines of the project's requirements.
        folder: The project's folder, where relative places start; its settings for uv are read.
        env: Variables as uv sees them.
    """
    places = [place for line in options if line.option in _OPTIONS for place in _words(line.text)]
    places += [
        place for name, separator in _VARIABLES.items() for place in env.get(name, "").split(separator)
    ]
    places += _of_settings(folder)
    found = {path for place in places if (path := _local(place, folder)) is not None}
    return [line for path in sorted(found) for line in _offered(path)]


def _words(text: str) -> list[str]:
    return text.split(maxsplit=1)[1:]


def _of_settings(folder: Path) -> Iterator[str]:
    """Places that ``[tool.uv]`` of pyproject.toml and uv.toml name."""
    for name, path in (("pyproject.toml", ("tool", "uv")), ("uv.toml", ())):
        try:
            table: Any = tomllib.loads((folder / name).read_text("utf-8"))
        except (OSError, ValueError):
            continue
        for key in path:
            table = table.get(key) if isinstance(table, dict) else None
        for settings in (table, table.get("pip") if isinstance(table, dict) else None):
            if isinstance(settings, dict):
                yield from _of_table(settings)


def _of_table(settings: Mapping[str, Any]) -> Iterator[str]:
    for key in ("find-links", "extra-index-url", "index-url", "index"):
        value = settings.get(key) or []
        for item in value if isinstance(value, list) else [value]:
            place = item.get("url") if isinstance(item, dict) else item
            if isinstance(place, str):
                yield place


def _local(place: str, folder: Path) -> Path | None:
    """The path of a place on this machine: ``wheels``, ``name=wheels``, ``file:///wheels``; None for an address."""
    text = place.strip()
    if text.startswith("file:"):
        text = unquote(text.removeprefix("file:").removeprefix("//"))
    elif "://" in text:
        return None
    path = folder / text
    if "=" in text and not path.exists():
        path = folder / text.partition("=")[2]
    return path.resolve() if text else None


def _offered(place: Path) -> Iterator[str]:
    """The files directly in a folder, and those in its folders (an index has one for each package)."""
    for path in sorted((place, *place.glob("*"), *place.glob("*/*"))):
        if not path.name.endswith(_FILES):
            continue
        try:
            state = path.stat()
        except OSError:
            continue
        # both times: a file that was put in another's place may have the same date
        yield f"{os.fspath(path)} {state.st_size} {state.st_mtime_ns} {state.st_ctime_ns}"
