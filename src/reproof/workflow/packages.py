"""An environment that the user names: by a lock, a file with requirements, or the folder of a project."""

from __future__ import annotations

import shlex
from pathlib import Path

import msgspec

from reproof.environment.values import LockKind, LockSource
from reproof.errors import UsageError
from reproof.model.event import Emit
from reproof.project.environment_files import find_environment
from reproof.project.mlproject import MLProject, read_mlproject
from reproof.project.settings import EnvironmentSettings
from reproof.workflow.begin import wanted_by
from reproof.workflow.provision import Wanted

_LOCKED: tuple[LockKind, ...] = ("uv.lock", "pylock.toml", "poetry.lock", "pdm.lock", "Pipfile.lock")


def packages_of(path: Path, emit: Emit) -> Wanted:
    """The environment that ``--env`` names: a lock or requirements file, or the folder of a project.

    Raises:
        UsageError: There is no such file, or it names no packages.
    """
    if not path.exists():
        raise UsageError(
            f"there is no `{path}` to take an environment from", hint="pass `--env requirements.txt`"
        )
    if path.is_dir() or path.name in (*_LOCKED, "pyproject.toml"):
        folder = path if path.is_dir() else path.parent
        mlproject = read_mlproject(folder) if path.is_dir() else None
        wanted = wanted_by(folder, mlproject, EnvironmentSettings(), emit)
        if path.is_file() and wanted.source is not None and wanted.source.file != path.name:
            source = LockSource(kind=_kind(path.name), folder=folder, file=path.name)
            wanted = msgspec.structs.replace(wanted, source=source)
    elif path.suffix in (".yaml", ".yml"):
        conda = "conda" in path.name
        project = MLProject(conda_env=path.name) if conda else MLProject(python_env=path.name)
        wanted = wanted_by(path.parent, project, EnvironmentSettings(), emit)
    else:
        found = find_environment(path.parent, MLProject(python_env={"dependencies": [f"-r {path.name}"]}))
        source = LockSource(kind=found.lock_kind or "requirements", folder=path.parent, file=path.name)
        wanted = Wanted(source=source)
    if wanted.source is None:
        hint = "pass `--env PATH`, PATH being a lock or requirements file"
        if (path / "pyvenv.cfg").is_file():
            name = shlex.quote(str(path))
            hint = f"run `uv pip freeze --python {name} > packages.txt`, then pass `--env packages.txt`"
        raise UsageError(f"`{path}` names no packages", hint=hint)
    return wanted


def _kind(name: str) -> LockKind:
    return next((each for each in _LOCKED if each == name), "pyproject")
