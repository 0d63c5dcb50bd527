"""The values that describe an interpreter, a lock, and an environment made from both."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from reproof.model.record import Distribution, PythonBuild

#: Where the exact set of distributions is written down. ``requirements-hashed`` and
#: ``requirements`` are read alike: whether the hashes are complete is found out, not believed.
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

#: What a lock's text is: a requirements file (every line pinned; hashed where the kind of
#: source allows it), or the project's own lock file.
LockFormat = Literal["requirements", "uv.lock", "pylock.toml"]


class Interpreter(msgspec.Struct, frozen=True, kw_only=True):
    """A Python that environments can be made with.

    Attributes:
        path: The real executable, never a shim or a virtual environment's link.
        prefix: The tree of its standard library (``sys.base_prefix``).
        build: Version, build and compiler, as a record holds them.
    """

    path: Path
    prefix: Path
    build: PythonBuild

    @property
    def version(self) -> str:
        """The full version, ``3.11.7``."""
        return self.build.version


class LockSource(msgspec.Struct, frozen=True, kw_only=True):
    """What a project says about the packages that it needs.

    Attributes:
        kind: How it says so.
        folder: The project's folder; relative paths in requirement lines start there.
        file: The file that says so, below `folder`; named in messages and in the record.
        lines: Requirement lines (``-r``, ``-c`` and ``-e`` included) where they do not stand in
            `file`, such as the `dependencies` of python_env.yaml. Empty: `file` is read.
        build_lines: `build_dependencies` of python_env.yaml, installed as well.
        groups: Dependency groups for uv.lock and pyproject; None for uv's defaults.
        extras: Extras of the project itself.
        as_of: Take no package that was published later (ISO 8601), where the project gives no exact ones.
        wheels_only: Build nothing to find out what it needs (building runs the package's code).
        constraints: Versions that packages have where the project leaves them open: ``name==version``.
        tools: Lines for what is installed besides, such as ``pip==24.0``, where it is not named anyway;
            not beside a uv.lock or a pylock.toml.
    """

    kind: LockKind
    folder: Path
    file: str
    lines: tuple[str, ...] = ()
    build_lines: tuple[str, ...] = ()
    groups: tuple[str, ...] | None = None
    extras: tuple[str, ...] = ()
    as_of: str | None = None
    wheels_only: bool = False
    constraints: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()


class LockText(msgspec.Struct, frozen=True, kw_only=True):
    """The exact text that an environment is made from.

    Attributes:
        format: What `text` is.
        text: The lock. No address in it has a user name or password.
        source: The project's file that it comes from, below the project.
        resolved: The project gave no (complete) hashes; this is the resolution of today.
        unhashed: Entries that no hash can lock (folders, Git addresses), each with the reason.
        private_indexes: Index addresses with credentials that stood in the project's files:
            handed to uv for this installation, never to be recorded.
    """

    format: LockFormat
    text: str
    source: str
    resolved: bool = False
    unhashed: tuple[str, ...] = ()
    private_indexes: tuple[str, ...] = ()


class EnvironmentRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides what an environment contains.

    Attributes:
        lock: The lock.
        python: The interpreter.
        folder: The project's folder, for what the lock refers to by path.
        groups: As in :class:`LockSource`.
        extras: As in :class:`LockSource`.
        offline: Take packages from uv's cache alone.
        wheels: A folder of wheels; packages come from there alone.
        wheels_only: Refuse to build anything from source (building runs the package's code).
    """

    lock: LockText
    python: Interpreter
    folder: Path
    groups: tuple[str, ...] | None = None
    extras: tuple[str, ...] = ()
    offline: bool = False
    wheels: Path | None = None
    wheels_only: bool = False


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """An environment that can run Python.

    Attributes:
        kind: ``uv`` (made by us), ``docker`` (within an image, where all paths are its own) or ``local``
            (the user's own).
        folder: Its root (``sys.prefix``).
        python: Its own interpreter.
        site_packages: Where its packages are.
        scripts: Its ``bin`` folder.
        base: The interpreter that it was made with.
        distributions: Everything installed, by name.
        key: Names the request that it answers; empty for the user's own.
        conditions: What could not be locked, and therefore limits what is proven.
        paths: All folders that packages come from, in import order.
        reused: It was there already.
    """

    kind: Literal["uv", "docker", "local"] = "uv"
    folder: Path
    python: Path
    site_packages: Path
    scripts: Path
    base: Interpreter
    distributions: tuple[Distribution, ...] = ()
    key: str = ""
    conditions: tuple[str, ...] = ()
    paths: tuple[Path, ...] = ()
    reused: bool = False
