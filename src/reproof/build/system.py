"""Which backend builds a project, and what it asks for: the table ``[build-system]`` (PEP 517, 518)."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec

from reproof.errors import ProjectError

#: Backends that are built in the tests under every variation; others work as far as the controlled build carries.
TESTED = {
    "uv_build": "uv_build",
    "hatchling.build": "hatchling",
    "setuptools.build_meta": "setuptools",
    "flit_core.buildapi": "flit_core",
    "poetry.core.masonry.api": "poetry-core",
    "pdm.backend": "pdm-backend",
}
_LEGACY = "setuptools.build_meta:__legacy__"


class BuildSystem(msgspec.Struct, frozen=True, kw_only=True):
    """What pyproject.toml says about building.

    Attributes:
        backend: Object with the hooks, ``module:object``.
        requires: Requirements of the build.
        backend_path: Folders of the source that an in-tree backend is imported from.
        name: Name of the project, where it says so.
        requires_python: Versions of Python that the project allows, where it says so.
    """

    backend: str
    requires: tuple[str, ...]
    backend_path: tuple[str, ...] = ()
    name: str | None = None
    requires_python: str | None = None

    @property
    def tested(self) -> bool:
        """Whether the backend is among those that are tested."""
        return self.backend in TESTED


def read_build_system(folder: Path) -> BuildSystem:
    """Read the build system of the project in `folder`; setuptools where the file names none (PEP 517).

    Raises:
        ProjectError: There is no pyproject.toml, or it is wrong.
    """
    document = _read(folder / "pyproject.toml")
    table = document.get("build-system", {})
    if not isinstance(table, dict):
        raise ProjectError("`build-system` in pyproject.toml must be a table")
    requires, paths = (_texts(table, name) for name in ("requires", "backend-path"))
    if table and "requires" not in table:
        raise ProjectError("`build-system` in pyproject.toml has no `requires`")
    backend = table.get("build-backend", _LEGACY)
    if not isinstance(backend, str) or not backend:
        raise ProjectError("`build-system.build-backend` in pyproject.toml must be a text")
    top = folder.resolve()
    for path in paths:
        if not (top / path).resolve().is_relative_to(top):
            raise ProjectError(
                f"`build-system.backend-path` leads out of the project: `{path}`",
                hint="PEP 517 allows folders of the source only",
            )
    raw = document.get("project")
    project: dict[str, Any] = raw if isinstance(raw, dict) else {}
    name, python = project.get("name"), project.get("requires-python")
    return BuildSystem(
        backend=backend,
        requires=requires if table else ("setuptools>=40.8.0",),
        backend_path=paths,
        name=name if isinstance(name, str) else None,
        requires_python=python if isinstance(python, str) else None,
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode())
    except FileNotFoundError:
        raise ProjectError(
            f"`{path.parent.name}` has no pyproject.toml: nothing says how it is built",
            details=[("needed", "a table [build-system] with `requires` and `build-backend`")],
            hint="run `uv init --bare --build-backend uv` in the folder of the project, and commit the file",
        ) from None
    except OSError as error:
        raise ProjectError(f"cannot read `{path.name}`: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ProjectError("`pyproject.toml` is not TOML", details=[("reason", str(error))]) from error


def _texts(table: dict[str, Any], name: str) -> tuple[str, ...]:
    value = table.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ProjectError(f"`build-system.{name}` in pyproject.toml must be a list of texts")
    return tuple(value)
