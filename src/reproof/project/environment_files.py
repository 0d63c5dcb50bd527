"""What a project's environment is made from: which of its files says so, and what it says.

Order: what MLproject names (or MLflow's own default files), then ``uv.lock``, ``pylock.toml``, the locks of
Poetry, PDM and Pipenv, ``requirements.txt``, ``pyproject.toml``. A lock file that is passed over is named, so that it can
be compared with what was used.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import msgspec

from reproof.base.digesting import digest_bytes
from reproof.base.version_ranges import single
from reproof.errors import ProjectError
from reproof.model.digest import Digest
from reproof.project.mlproject import MLProject
from reproof.project.uv_workspace import find_root
from reproof.project.yaml_document import Document, closest, describe, read_yaml

Kind = Literal[
    "python_env",
    "conda_env",
    "docker_env",
    "uv.lock",
    "pylock.toml",
    "poetry.lock",
    "pdm.lock",
    "Pipfile.lock",
    "requirements",
    "pyproject",
    "none",
]

#: What the packages are written down in; None where there are none to install.
LockKind = Literal[
    "requirements-hashed",
    "requirements",
    "uv.lock",
    "pylock.toml",
    "poetry.lock",
    "pdm.lock",
    "Pipfile.lock",
    "pyproject",
]

_LOCKS = ("uv.lock", "pylock.toml", "requirements.txt")
#: Programs that make an environment of Conda, each of which is enough.
_CONDAS = ("micromamba", "mamba", "conda", "pixi")
#: Locks of other tools that are read, each with the file that it belongs to.
_TOOLS: tuple[tuple[Literal["poetry.lock", "pdm.lock", "Pipfile.lock"], str], ...] = (
    ("poetry.lock", "pyproject.toml"),
    ("pdm.lock", "pyproject.toml"),
    ("Pipfile.lock", "Pipfile"),
)
_UNLOCKED = (
    "`pyproject.toml` names packages in Poetry's own form, which is read from `poetry.lock` alone: run `poetry lock`",
)
_FOREIGN_LOCKS = ("conda-lock.yml", "pixi.lock")
_NESTED = re.compile(
    r"^\s*(?:-r|--requirement|-c|--constraint)(?:\s*=\s*|\s+|(?<=-[rc]))(?P<file>[^\s#].*?)\s*(?:\s#.*)?$"
)
_CONDA = re.compile(
    r"(?P<name>python|pip|setuptools|wheel)\s*(?P<operator><=|>=|==|!=|=|<|>)?\s*(?P<version>[\w.*]+)?"
)
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")  # as pip expands them
_NO_PACKAGES = "# no packages"


class SourceFile(msgspec.Struct, frozen=True):
    """A file that decides what an environment is; `path` is relative to the project's folder."""

    path: str
    digest: Digest


class EnvironmentSource(msgspec.Struct, frozen=True, kw_only=True):
    """What an environment is to be made from.

    Attributes:
        kind: What was found.
        source: The file that says so, relative to the project's folder.
        lock_kind: How the packages are written down, None where Python alone is asked for.
        lines: Requirement lines that do not stand in a requirements file of their own: the
            `dependencies` of python_env.yaml, with ``-r`` and ``-c`` as they are; relative
            paths start in the project's folder. Empty where `source` itself is the file.
        build_lines: The `build_dependencies` of python_env.yaml.
        python: The version that is asked for, such as ``3.11`` or ``>=3.10,<3.13``.
        python_source: The file that asks for it.
        files: Every file that was read, files named by other files included.
        docker: Image, volumes and variables of a docker_env.
        others: Lock files beside the one that is used: candidates for a disagreement.
        notes: What a user should know, a line each.
    """

    kind: Kind
    source: str | None = None
    lock_kind: LockKind | None = None
    lines: tuple[str, ...] = ()
    build_lines: tuple[str, ...] = ()
    python: str | None = None
    python_source: str | None = None
    files: tuple[SourceFile, ...] = ()
    docker: dict[str, Any] | None = None
    others: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def find_environment(folder: Path, mlproject: MLProject | None = None) -> EnvironmentSource:
    """Find out what the environment of the project in `folder` is made from.

    Args:
        folder: The project's folder.
        mlproject: What its MLproject file says, None where it has none.

    Raises:
        ProjectError: A file that is named does not exist or is wrong (file, line and key are
            named), or what it asks for cannot be had without Conda.
    """
    reader = _Reader(folder)
    project = mlproject or MLProject()
    if project.docker_env is not None:
        found = EnvironmentSource(kind="docker_env", source=project.file, docker=project.docker_env)
        return reader.finish(found)
    if isinstance(project.python_env, dict):
        name = f"{project.file} (python_env)"
        return reader.python_env(Document(name, project.python_env, {}), project.file)
    if project.python_env is not None:
        return reader.python_env(reader.yaml(project.python_env, f"python_env of {project.file}"))
    if project.conda_env is not None:
        return reader.conda_env(reader.yaml(project.conda_env, f"conda_env of {project.file}"))
    if reader.has("python_env.yaml"):  # what MLflow takes where MLproject names nothing
        return reader.python_env(reader.yaml("python_env.yaml", project.file))
    if mlproject is not None and reader.has("conda.yaml") and not any(map(reader.has, _LOCKS)):
        return reader.conda_env(reader.yaml("conda.yaml", project.file))
    return reader.packages()


def _way_to_conda(name: str) -> str:
    """How to come by an environment of Conda: with the program that is here, or one to be installed."""
    program = next(filter(shutil.which, _CONDAS), None)
    first = "" if program else f"install {', '.join(_CONDAS[:-1])} or {_CONDAS[-1]}; with the first, "
    make = f"{program or _CONDAS[0]} create --name NAME --file {name}"
    if program == "pixi":
        make = f"pixi init --import {name} && pixi install"
    return f"{first}run `{make}`, activate it, and pass `--env-manager local`"


class _Reader:
    """Reads files of one project, and remembers each with its digest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, SourceFile] = {}
        self.texts: list[str] = []

    def has(self, name: str) -> bool:
        """Whether the project has the file."""
        return (self.folder / name).is_file()

    def read(self, name: str, named_in: str) -> bytes:
        """The bytes of a file, relative to the project's folder."""
        try:
            data = (self.folder / name).read_bytes()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            close = closest(Path(name).name, [path.name for path in self.folder.iterdir()])
            raise ProjectError(
                f"cannot read `{name}`: {reason}",
                details=[("named in", named_in), ("searched", str(self.folder))],
                hint=f"did you mean `{close}`?" if close and close != name else None,
            ) from error
        self.files[name] = SourceFile(name, Digest("blake3", digest_bytes(data)["blake3"]))
        return data

    def yaml(self, name: str, named_in: str) -> Document:
        """A YAML file of the project."""
        document = read_yaml(self.read(name, named_in), name)
        if document.value is not None and not isinstance(document.value, dict):
            raise document.wrong(
                (), f"the file must be a mapping of keys to values, not {describe(document.value)}"
            )
        return document

    def python_env(self, document: Document, source: str | None = None) -> EnvironmentSource:
        """What a python_env.yaml says; MLflow takes three keys, and fails on any other."""
        for _, sentence in document.unknown_keys(("python", "build_dependencies", "dependencies")):
            raise ProjectError(sentence)
        lines = self.lines_of(document, "dependencies")
        found = EnvironmentSource(
            kind="python_env",
            source=source or document.name,
            lock_kind=self.follow(lines, document.name),
            lines=lines or (_NO_PACKAGES,),
            build_lines=self.lines_of(document, "build_dependencies"),
            python=document.text("python"),
        )
        return self.finish(found)

    def conda_env(self, document: Document) -> EnvironmentSource:
        """A Conda file that asks for nothing but Python and packages of pip."""
        python: str | None = None
        build: list[str] = []
        lines: tuple[str, ...] = ()
        for index, item in enumerate(document.items("dependencies")):
            key = ("dependencies", index)
            if isinstance(item, dict) and set(item) == {"pip"}:
                lines = self.lines_of(document, *key, "pip")
                continue
            match = _CONDA.fullmatch(item.strip()) if isinstance(item, str) else None
            if match is None:
                what = f"`{item}`" if isinstance(item, str) else describe(item)
                raise document.wrong(
                    key, f"asks for {what}, which only Conda can install", _way_to_conda(document.name)
                )
            exact = match["operator"] in ("=", "==")
            if match["name"] == "python":
                python = f"{'' if exact else match['operator'] or ''}{match['version'] or ''}" or None
            else:
                build.append(f"{match['name']}=={match['version']}" if exact else item.strip())
        found = EnvironmentSource(
            kind="conda_env",
            source=document.name,
            lock_kind=self.follow(lines, document.name),
            lines=lines or (_NO_PACKAGES,),
            build_lines=tuple(build),
            python=python,
            notes=(f"`{document.name}` names only Python and packages of pip: made with uv, without Conda",),
        )
        return self.finish(found)

    def packages(self) -> EnvironmentSource:
        """What the files of a Python project say, without MLproject."""
        if self.has("uv.lock"):
            if not self.has("pyproject.toml"):
                raise ProjectError(
                    "`uv.lock` has no pyproject.toml beside it", details=[("in", str(self.folder))]
                )
            self.read("uv.lock", "the project")
            return self.finish(EnvironmentSource(kind="uv.lock", source="uv.lock", lock_kind="uv.lock"))
        if self.has("pylock.toml"):
            self.read("pylock.toml", "the project")
            found = EnvironmentSource(kind="pylock.toml", source="pylock.toml", lock_kind="pylock.toml")
            return self.finish(found)
        for name, owner in _TOOLS:
            if self.has(name) and (self.has(owner) or name == "Pipfile.lock"):
                self.read(name, "the project")
                return self.finish(EnvironmentSource(kind=name, source=name, lock_kind=name))
        if self.has("requirements.txt"):
            kind = self.follow(("-r requirements.txt",), "the project")
            return self.finish(
                EnvironmentSource(kind="requirements", source="requirements.txt", lock_kind=kind)
            )
        document = self.toml("pyproject.toml")
        if "project" in document:
            shared = self.of_workspace("uv.lock")
            if shared is not None:
                self.read(shared, "the workspace of the project")
                note = f"`{shared}` is the lock: the project is a member of its workspace"
                found = EnvironmentSource(kind="uv.lock", source=shared, lock_kind="uv.lock", notes=(note,))
                return self.finish(found)
            found = EnvironmentSource(kind="pyproject", source="pyproject.toml", lock_kind="pyproject")
            return self.finish(found)
        unlocked = "dependencies" in _table(_table(document, "tool"), "poetry")
        return self.finish(EnvironmentSource(kind="none", notes=_UNLOCKED if unlocked else ()))

    def follow(self, lines: Iterable[str], named_in: str) -> LockKind:
        """Read the files that requirement lines name, and those that these name; say if there are hashes."""
        self.texts.extend(lines)
        pending = [(line, "", named_in) for line in lines]
        while pending:
            line, base, origin = pending.pop()
            match = _NESTED.match(line)
            if match is None:
                continue
            value = _VARIABLE.sub(lambda name: os.environ.get(name[1], name[0]), match["file"].strip("\"'"))
            if "://" in value:
                problem = f"`{value}` in `{origin}` is an address, whose content can change"
                raise ProjectError(problem, hint=f"run `curl -O {value}`, and name the file instead")
            name = os.path.normpath(os.path.join(base, value))  # noqa: PTH118 - a name, which may be relative
            if name in self.files:
                continue
            try:
                text = self.read(name, origin).decode("utf-8-sig")
            except UnicodeDecodeError as error:
                raise ProjectError(
                    f"`{name}` is not text in UTF-8", details=[("reason", str(error))]
                ) from error
            self.texts.append(text)
            pending += [(each, os.path.dirname(name), name) for each in text.splitlines()]  # noqa: PTH120
        return "requirements-hashed" if any("--hash=" in text for text in self.texts) else "requirements"

    def lines_of(self, document: Document, *key: str | int) -> tuple[str, ...]:
        """A list of requirement lines."""
        for index, item in enumerate(document.items(*key)):
            if not isinstance(item, str):
                raise document.wrong((*key, index), f"must be a text, not {describe(item)}")
        return tuple(document.items(*key))

    def toml(self, name: str) -> dict[str, Any]:
        """A TOML file of the project; empty where there is none."""
        if not self.has(name):
            return {}
        try:
            return tomllib.loads(self.read(name, "the project").decode())
        except UnicodeDecodeError as error:
            raise ProjectError(f"`{name}` is not text in UTF-8", details=[("reason", str(error))]) from error
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            reason = str(error) or "nested too deeply"
            raise ProjectError(f"`{name}` is not TOML", details=[("reason", reason)]) from error

    def finish(self, found: EnvironmentSource) -> EnvironmentSource:
        """Add the Python version where nothing said one, the files, and the locks that are passed over."""
        python, source = (found.python, found.source) if found.python else self.python_version()
        unread = [name for name in _FOREIGN_LOCKS if self.has(name)]
        passed = [name for name, _ in _TOOLS if self.has(name) and name not in self.files]
        return msgspec.structs.replace(
            found,
            python=python,
            python_source=source,
            files=tuple(self.files[name] for name in sorted(self.files)),
            others=tuple(name for name in _LOCKS if self.has(name) and name not in self.files),
            notes=(
                *found.notes,
                *(f"`{name}` is not read: its format is not supported" for name in unread),
                *(f"`{name}` is passed over: `{found.source}` counts" for name in passed),
            ),
        )

    def of_workspace(self, name: str) -> str | None:
        """A file in the folder of uv's workspace that the project is a member of, relative to the project's own."""
        root = find_root(self.folder)
        if root is None or not (root / name).is_file():
            return None
        return os.path.relpath(root / name, self.folder.resolve())

    def python_version(self) -> tuple[str | None, str | None]:
        """The version that ``.python-version`` or pyproject.toml asks for, and the file."""
        name = ".python-version" if self.has(".python-version") else self.of_workspace(".python-version")
        if name is not None:
            text = self.read(name, "the project").decode("utf-8", "replace")
            for line in text.splitlines():
                if version := line.partition("#")[0].strip():
                    return version, name
        document = self.toml("pyproject.toml")
        project = document.get("project")
        wanted = project.get("requires-python") if isinstance(project, dict) else None
        if wanted is not None and not isinstance(wanted, str):
            raise ProjectError(
                f"`pyproject.toml`: `project.requires-python` must be a text, not {describe(wanted)}"
            )
        if wanted:
            return wanted, "pyproject.toml"
        return self.python_of_tools(document)

    def python_of_tools(self, document: dict[str, Any]) -> tuple[str | None, str | None]:
        """The version that Poetry's part of a pyproject.toml, or a Pipfile.lock, asks for, where it counts."""
        poetry = _table(_table(document, "tool"), "poetry")
        wanted = _table(poetry, "dependencies").get("python")
        if "poetry.lock" in self.files and isinstance(wanted, str) and (found := single(wanted)):
            return found, "pyproject.toml"
        if "Pipfile.lock" in self.files:
            try:
                about = _table(json.loads((self.folder / "Pipfile.lock").read_bytes()), "_meta")
            except ValueError:  # said, with its reason, when the packages are read
                return None, None
            requires = _table(about, "requires")
            version = requires.get("python_full_version") or requires.get("python_version")
            if isinstance(version, str):
                return version, "Pipfile.lock"
        return None, None


def _table(of: object, key: str) -> dict[str, Any]:
    found = of.get(key) if isinstance(of, dict) else None
    return found if isinstance(found, dict) else {}
