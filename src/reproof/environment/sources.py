"""Distributions that a lock takes from folders: which ones, and what their state is."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from reproof.base.digesting import digest_file, new_digester
from reproof.base.files import remove_tree
from reproof.environment.requirements import normalise, read_lines
from reproof.environment.values import EnvironmentRequest

_BUILD_FILES = ("pyproject.toml", "setup.py", "setup.cfg")
_NOT_SOURCE = {
    ".git",
    "__pycache__",
    ".venv",
    ".reproof",
    "build",
    "dist",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
}


class LocalSource(msgspec.Struct, frozen=True, kw_only=True):
    """A folder, or file, that a distribution is installed from.

    Attributes:
        path: Absolute path.
        editable: Installed as a link: later edits show.
        name: Normalised name, where known without building.
    """

    path: Path
    editable: bool
    name: str | None = None

    @property
    def state(self) -> str:
        """Digest of all that the installation depends on."""
        if self.path.is_file():
            return digest_file(self.path)["blake3"]
        return tree_digest(self.path, only=_BUILD_FILES if self.editable else None)


def local_sources(request: EnvironmentRequest) -> list[LocalSource]:
    """The folders and files that the lock of `request` refers to by path."""
    lock = request.lock
    if lock.format == "requirements":
        lines = read_lines(lock.text.splitlines(), request.folder, lock.source)
        places = [(line.path, line.option == "-e", line.name) for line in lines if line.path]
    else:
        base = (request.folder / lock.source).parent
        places = [
            (base / place, editable, name) for place, editable, name in _of_toml(lock.format, lock.text)
        ]
    return [
        LocalSource(path=path.resolve(), editable=editable, name=name or _name_of(path))
        for path, editable, name in places
    ]


def name_from(project: Path, path: str) -> str | None:
    """A folder of the project's repository as a record names it: ``${PROJECT}/lib``, ``${PROJECT}/../lib``.

    Args:
        project: The project's folder.
        path: An absolute path; None is returned for one outside of the repository.
    """
    place = os.path.relpath(path, project)
    if place.split("/")[0] == "..":
        around = next((each for each in project.parents if (each / ".git").exists()), None)
        if (project / ".git").exists() or around is None or not Path(path).is_relative_to(around):
            return None
    return "${PROJECT}" if place == "." else f"${{PROJECT}}/{place}"


def tree_digest(folder: Path, only: Iterable[str] | None = None) -> str:
    """BLAKE3 over the names and contents of a source tree, what tools leave behind not counted.

    Args:
        folder: The tree.
        only: Names at its top to look at; everything when None.
    """
    digester = new_digester("blake3")
    for path in sorted(_files(folder) if only is None else (folder / name for name in only)):
        if path.is_file():
            digester.update(
                f"{path.relative_to(folder)}\0{digest_file(path)['blake3']}\n".encode(
                    "utf-8", "surrogateescape"
                )
            )
    return str(digester.hexdigest())


@contextmanager
def without_traces(sources: Iterable[LocalSource]) -> Iterator[None]:
    """Remove what building within leaves in the source folders: `*.egg-info` and `build` that were not there before."""
    folders = [source.path for source in sources if source.path.is_dir()]
    before = set(_traces(folders))
    try:
        yield
    finally:
        for path in set(_traces(folders)) - before:
            remove_tree(path)


def _traces(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from folder.glob("*.egg-info")
        yield from folder.glob("src/*.egg-info")
        if (folder / "build").exists():
            yield folder / "build"


def _of_toml(kind: str, text: str) -> Iterator[tuple[str, bool, str | None]]:
    document = tomllib.loads(text)
    for package in document.get("package" if kind == "uv.lock" else "packages", []):
        source = package.get("source", {}) if kind == "uv.lock" else package
        name = normalise(str(package.get("name")))
        directory = source.get("directory")
        if isinstance(directory, dict):
            yield str(directory.get("path", ".")), bool(directory.get("editable")), name
        elif directory is not None:
            yield str(directory), False, name
        elif "editable" in source:
            yield str(source["editable"]), True, name
        elif kind == "uv.lock" and "path" in source:
            yield str(source["path"]), False, name


def _name_of(path: Path) -> str | None:
    try:
        name = tomllib.loads((path / "pyproject.toml").read_text("utf-8"))["project"]["name"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return normalise(str(name))


def _files(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in _NOT_SOURCE and not name.endswith(".egg-info")]
        for name in names:
            if not name.endswith(".pyc"):
                yield Path(root, name)
