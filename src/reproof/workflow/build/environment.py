"""What builds a project: its build requirements, locked by hashes, in an environment of their own."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

import msgspec

from reproof.build.system import BuildSystem
from reproof.environment import (
    Environment,
    EnvironmentRequest,
    Interpreter,
    LockSource,
    LockText,
    compile_sources,
    create,
    find_python,
    make_lock,
)
from reproof.environment.requirements import Line, normalise, read_lines
from reproof.errors import EnvironmentBuildError, ProjectError
from reproof.model.event import Emit

#: Files that are looked for, in this order, where none is named.
NAMES = ("constraints.txt", "build-constraints.txt", "requirements/build.txt", "requirements-build.txt")
_PYPROJECT = "pyproject.toml"


class BuildLock(msgspec.Struct, frozen=True, kw_only=True):
    """Exactly what builds.

    Attributes:
        text: Requirements file, each line with hashes.
        names: Normalised names of what it holds.
        source: The file that locks it; None for the resolution of today.
        incomplete: What files of the project lack that lock something, by their names.
    """

    text: LockText
    names: tuple[str, ...]
    source: str | None = None
    incomplete: tuple[tuple[str, str], ...] = ()


class Tools(msgspec.Struct, frozen=True, kw_only=True):
    """The environment, and the lock that it was made from."""

    lock: BuildLock
    environment: Environment


class ToolsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for.

    Attributes:
        system: What the project says.
        folder: Folder of the project in the clone.
        constraints: A file that must lock everything; None to look for one in the project.
        python: Version of Python; None for the one that runs reproof, or what the project allows.
        offline: Take packages from uv's cache alone.
        unlocked: Take the resolution of today, whatever files of the project say.
    """

    system: BuildSystem
    folder: Path
    constraints: Path | None = None
    python: str | None = None
    offline: bool = False
    unlocked: bool = False


def make_tools(request: ToolsRequest, dynamic: Iterable[str], emit: Emit) -> Tools:
    """Lock what building needs, and install exactly that.

    Args:
        request: What is asked for.
        dynamic: Requirements that the backend itself has asked for.
        emit: Told about the work.

    Raises:
        EnvironmentBuildError: A lock is incomplete, a hash does not match, a wheel is missing.
    """
    python = choose_python(request.system, request.python)
    lock = lock_tools(request, dynamic, python, emit)
    return install_tools(lock, python, request, emit)


def install_tools(lock: BuildLock, python: Interpreter, request: ToolsRequest, emit: Emit) -> Tools:
    """The environment of a lock: made once, every file checked, byte code compiled."""
    wanted = EnvironmentRequest(
        lock=lock.text, python=python, folder=request.folder, offline=request.offline, wheels_only=True
    )
    environment = create(wanted, emit=emit)
    if not environment.reused:
        site = environment.site_packages
        compile_sources(environment, [str(path.relative_to(site)) for path in site.rglob("*.py")])
    return Tools(lock=lock, environment=environment)


def choose_python(system: BuildSystem, wanted: str | None) -> Interpreter:
    """The interpreter to build with: the version asked for, else ours where the project allows it.

    Raises:
        ProjectError: ``requires-python`` is no specifier.
        EnvironmentBuildError: No interpreter of this machine fits.
    """
    if wanted is not None:
        return find_python(wanted)
    ours = find_python()
    if system.requires_python is None:
        return ours
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        fits = SpecifierSet(system.requires_python).contains(ours.version, prereleases=True)
    except InvalidSpecifier as error:
        raise ProjectError(
            f"`requires-python` in pyproject.toml is no specifier: `{system.requires_python}`"
        ) from error
    return ours if fits else find_python(system.requires_python)


def lock_tools(request: ToolsRequest, dynamic: Iterable[str], python: Interpreter, emit: Emit) -> BuildLock:
    """What a build needs, pinned and hashed by a file of the project, or else by today's resolution.

    Args:
        request: The build system, and which file locks it where one was named.
        dynamic: What the backend asks for beyond pyproject.toml (``get_requires_for_build_wheel``, PEP 517).
        python: What it is locked for.
        emit: Told of a resolution.

    Raises:
        ProjectError: The file that was named is absent.
        EnvironmentBuildError: It does not lock everything, or nothing satisfies what is required.
    """
    requires = list(dict.fromkeys([*request.system.requires, *dynamic]))
    if not requires:
        empty = LockText(format="requirements", text="", source=_PYPROJECT)
        return BuildLock(text=empty, names=(), source=_PYPROJECT)
    incomplete = []
    for path in () if request.unlocked else _candidates(request):
        found, lacking = _locked_by(path, requires, request, python, emit)
        if found is not None:
            return found
        if request.constraints is not None:
            raise _incomplete(path, lacking, requires)
        incomplete.append((path.name, ", ".join(lacking)))
    lock = _resolve(requires, request, python, emit)
    lines = read_lines(lock.text.splitlines(), request.folder, _PYPROJECT)
    return BuildLock(text=lock, names=_names(lines), incomplete=tuple(incomplete))


def _candidates(request: ToolsRequest) -> list[Path]:
    if request.constraints is not None:
        if not request.constraints.is_file():
            raise ProjectError(
                f"there is no file `{request.constraints}`",
                hint="run `reproof build --lock` to write one",
            )
        return [request.constraints.resolve()]
    return [request.folder / name for name in NAMES if (request.folder / name).is_file()]


def _resolve(
    requires: list[str], request: ToolsRequest, python: Interpreter, emit: Emit, *more: str
) -> LockText:
    source = LockSource(kind="requirements", folder=request.folder, file=_PYPROJECT, lines=(*requires, *more))
    return make_lock(source, python, offline=request.offline, emit=emit)


def _locked_by(
    path: Path, requires: list[str], request: ToolsRequest, python: Interpreter, emit: Emit
) -> tuple[BuildLock | None, list[str]]:
    """The lock with the hashes of a file; or nothing, and the names that the file does not lock."""
    pins: dict[tuple[str | None, str | None], Line] = {
        (line.name, line.version): line
        for line in read_lines(path.read_text("utf-8").splitlines(), path.parent, path.name)
        if line.name and line.hashed
    }
    lock = _resolve(requires, request, python, emit, f"-c {path}")
    lines = [
        line for line in read_lines(lock.text.splitlines(), request.folder, _PYPROJECT) if line.requirement
    ]
    lacking = [str(line.name) for line in lines if (line.name, line.version) not in pins]
    if lacking:
        return None, lacking
    text = "".join(f"{_with_hashes(line, pins[line.name, line.version])}\n" for line in lines)
    shown = path.relative_to(request.folder).as_posix() if path.is_relative_to(request.folder) else path.name
    found = LockText(format="requirements", text=text, source=shown)
    return BuildLock(text=found, names=_names(lines), source=shown), []


def _with_hashes(line: Line, pin: Line) -> str:
    return msgspec.structs.replace(line, hashes=pin.hashes).render()


def _names(lines: Iterable[Line]) -> tuple[str, ...]:
    return tuple(sorted(normalise(line.name) for line in lines if line.name))


def _incomplete(path: Path, lacking: list[str], requires: list[str]) -> EnvironmentBuildError:
    backend = [name for name in lacking if name in {normalise(_bare(each)) for each in requires}]
    command = f"uv pip compile pyproject.toml - --generate-hashes --output-file={shlex.quote(path.name)}"
    what = "the build backend" if backend else "all that the build backend needs"
    return EnvironmentBuildError(
        f"`{path.name}` does not lock {what}",
        details=[
            ("lacks", ", ".join(lacking)),
            ("needed", "each version with its hashes, of the backend and of everything that it needs"),
        ],
        hint=f"run `printf '%s\\n' {' '.join(shlex.quote(each) for each in requires)} | {command}`",
    )


def _bare(requirement: str) -> str:
    lines = read_lines([requirement], Path(), _PYPROJECT)
    return (lines[0].name or "") if lines else ""
