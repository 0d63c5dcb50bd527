"""Finding an interpreter: among uv's, pyenv's and the system's; nothing is downloaded."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from reproof.base.access import describe, obstacles, this_user
from reproof.base.files import write_atomic
from reproof.base.locations import cache_directory
from reproof.base.programs import call
from reproof.environment.uv import run_uv
from reproof.environment.values import Interpreter
from reproof.errors import EnvironmentBuildError, ExecutionError
from reproof.model.record import PythonBuild

#: Asked of each candidate, which may be any Python 3.
_QUESTION = """
import json, platform, sys, sysconfig
print(json.dumps({
    "prefix": sys.base_prefix, "base": getattr(sys, "_base_executable", None) or sys.executable,
    "version": platform.python_version(), "implementation": sys.implementation.name,
    "build": " ".join(platform.python_build()), "compiler": platform.python_compiler(),
    "platform": sysconfig.get_platform(),
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
}))
"""

_NAME = re.compile(r"python(3(\.\d+)?t?)?")
_PLAIN = re.compile(r"\d+(\.\d+)*([a-z]+\d+)?(\.\*)?")


class _Answer(msgspec.Struct):
    """What an interpreter says of itself."""

    prefix: str
    base: str
    version: str
    implementation: str
    build: str
    compiler: str
    platform: str
    free_threaded: bool


class _Known(msgspec.Struct, array_like=True):
    """An answer, and the state of the file that gave it."""

    size: int
    mtime_ns: int
    answer: _Answer | None


def find_python(request: str | None = None, *, like: PythonBuild | None = None) -> Interpreter:
    """The newest CPython on this machine that answers `request`.

    Args:
        request: ``3.11`` or ``3.11.*`` (any 3.11), ``3.11.7`` (exactly that), or a specifier such
            as ``>=3.10,<3.13``. None: the one that runs reproof.
        like: Where several have the version, the one with this build wins.

    Raises:
        EnvironmentBuildError: There is none; those that are there are listed.
    """
    if request is None:
        return interpreter_at(Path(getattr(sys, "_base_executable", sys.executable)))
    accepts = _reader_of(request)
    known = all_pythons()
    fitting = [python for python in known if accepts(python.version)]
    if not fitting:
        raise _missing(request, known)
    build = like.build if like else None
    return max(
        enumerate(fitting), key=lambda item: (_order(item[1]), item[1].build.build == build, -item[0])
    )[1]


def allows(request: str, version: str) -> bool:
    """Whether `version` is one that `request` asks for; forms of requests as in :func:`find_python`.

    Raises:
        EnvironmentBuildError: `request` is none.
    """
    return _reader_of(request)(version)


def interpreter_at(path: Path) -> Interpreter:
    """The interpreter behind `path`, which may be a link, or belong to a virtual environment.

    Raises:
        EnvironmentBuildError: It is no Python 3, does not start, or cannot be reached by this user.
    """
    require_reachable(path)
    answers = _ask([path.resolve()])
    answer = answers.get(path.resolve())
    if answer is None:
        raise EnvironmentBuildError(f"`{path}` is not a working Python 3")
    return _interpreter(path.resolve(), answer)


def require_reachable(python: Path) -> None:
    """See that nothing on the way to an interpreter is closed to this user; one that is missing passes.

    Raises:
        EnvironmentBuildError: A folder is, or the interpreter itself.
    """
    if blocked := obstacles(python):
        raise EnvironmentBuildError(
            f"the interpreter `{python}` cannot be reached by this user",
            details=[("user", this_user()), *(("closed", describe(path)) for path in blocked)],
            hint="let its owner open it, or give this user a Python of its own",
        )


def all_pythons() -> list[Interpreter]:
    """Every CPython 3 found: those of uv first, then pyenv's, then the ones on PATH and in system folders."""
    paths = list(dict.fromkeys(_candidates()))
    answers = _ask(paths)
    found = [(path, answers[path]) for path in paths if answers.get(path) is not None]
    pythons = [
        _interpreter(path, answer)
        for path, answer in found
        if answer is not None and answer.implementation == "cpython" and not answer.free_threaded
    ]
    return list({python.path: python for python in reversed(pythons)}.values())[::-1]


def _interpreter(path: Path, answer: _Answer) -> Interpreter:
    path = Path(answer.base).resolve() if answer.base else path  # a virtual environment made of copies
    build = PythonBuild(
        version=answer.version,
        implementation=answer.implementation,
        build=answer.build,
        compiler=answer.compiler,
        platform=answer.platform,
        executable=str(path),
    )
    return Interpreter(path=path, prefix=Path(answer.prefix), build=build)


def _candidates() -> Iterator[Path]:
    for root, pattern in _managed():
        for path in _newest_first(root, pattern):
            yield from _real(path)
    for folder in _folders():
        try:
            names = sorted(name for name in os.listdir(folder) if _NAME.fullmatch(name))  # noqa: PTH208 - names are all we need
        except OSError:
            continue
        for name in names:
            yield from _real(Path(folder, name))


def _newest_first(root: Path, pattern: str) -> list[Path]:
    try:
        return sorted(root.glob(pattern), reverse=True)
    except PermissionError:
        return []


def _folders() -> list[Path]:
    """Folders of programs, in the order of PATH; an empty word there is the current folder."""
    words = [*os.environ.get("PATH", "").split(os.pathsep), "/usr/local/bin", "/usr/bin"]
    return list(dict.fromkeys(Path(word or ".") for word in words))


def _places() -> list[Path]:
    """Every folder that is looked into."""
    return [*(root for root, _ in _managed()), *_folders()]


def _managed() -> list[tuple[Path, str]]:
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or data / "uv/python")
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    return [(uv, "cpython-3*/bin/python3"), (pyenv, "versions/3.*/bin/python")]


def _real(path: Path) -> Iterator[Path]:
    """The executable behind a path; nothing for a script such as a shim, whose answer depends on the folder."""
    try:
        real = path.resolve(strict=True)
        with real.open("rb") as file:
            if file.read(2) != b"#!" and os.access(real, os.X_OK):
                yield real
    except OSError:
        return


def _ask(paths: Iterable[Path]) -> dict[Path, _Answer | None]:
    """What each interpreter says; answers are remembered as long as its file stays the same."""
    memory = cache_directory() / "interpreters.json"
    known = _remembered(memory)
    wanted = {path: path.stat() for path in paths if path.exists()}
    new = [
        path
        for path, state in wanted.items()
        if (old := known.get(str(path))) is None
        or (old.size, old.mtime_ns) != (state.st_size, state.st_mtime_ns)
    ]
    if new:
        with ThreadPoolExecutor(min(4, len(new))) as pool:
            for path, answer in zip(new, pool.map(_answer_of, new), strict=True):
                known[str(path)] = _Known(wanted[path].st_size, wanted[path].st_mtime_ns, answer)
        _remember(memory, known)
    return {path: known[str(path)].answer for path in wanted}


def _answer_of(path: Path) -> _Answer | None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    try:
        done = call([path, "-I", "-c", _QUESTION], cwd=Path("/"), env=env, timeout=30)
        return msgspec.json.decode(done.stdout, type=_Answer) if done.ok else None
    except (ExecutionError, msgspec.DecodeError):
        return None


def _remembered(memory: Path) -> dict[str, _Known]:
    try:
        return msgspec.json.decode(memory.read_bytes(), type=dict[str, _Known])
    except (OSError, msgspec.DecodeError):
        return {}


def _remember(memory: Path, known: dict[str, _Known]) -> None:
    try:
        write_atomic(memory, msgspec.json.encode(known), durable=False)
    except OSError:
        pass  # a cache that cannot be written costs time, not truth


class _Accepts:
    """A predicate on versions."""

    def __init__(self, specifier: str) -> None:
        from packaging.specifiers import SpecifierSet

        self._set = SpecifierSet(specifier, prereleases=True)

    def __call__(self, version: str) -> bool:
        return self._set.contains(version.removesuffix("+"))


def _reader_of(request: str) -> _Accepts:
    """The predicate that a request stands for; a plain version with fewer than three parts is a prefix."""
    from packaging.specifiers import InvalidSpecifier

    text = request.strip()
    if _PLAIN.fullmatch(text):
        bare = text.removesuffix(".*")
        text = f"=={bare}" if bare.count(".") >= 2 and bare == text else f"=={bare}.*"
    try:
        return _Accepts(text)
    except InvalidSpecifier as error:
        raise EnvironmentBuildError(
            f"`{request}` is not a Python version", hint="write it as `3.11` or `3.11.7`"
        ) from error


def _order(python: Interpreter) -> tuple[int, ...]:
    """Versions in order, released ones above previews."""
    from packaging.version import Version

    version = Version(python.version.removesuffix("+"))
    return (0 if version.is_prerelease else 1, *version.release)


def _missing(request: str, known: list[Interpreter]) -> EnvironmentBuildError:
    there = sorted(
        {(python.build.version, str(python.path)) for python in known}, key=lambda item: _number(item[0])
    )
    details = [
        ("found" if index == 0 else "", f"{version} at {path}") for index, (version, path) in enumerate(there)
    ]
    closed = dict.fromkeys(path for folder in _places() for path in obstacles(folder))
    return EnvironmentBuildError(
        f"Python `{request}` is not on this machine",
        details=[
            *(details or [("found", "no other Python either")]),
            *(("closed", f"{describe(path)}: not looked into") for path in closed),
        ],
        hint=f"run `uv python install {shlex.quote(request)}`" if _can_be_had(request) else None,
    )


def _can_be_had(request: str) -> bool:
    """Whether uv knows a CPython to download for the request; asks no server."""
    try:
        done = run_uv("python", "list", "--only-downloads", "--offline", request, cwd=Path("/"))
    except (EnvironmentBuildError, ExecutionError):
        return False
    return done.ok and any(line.startswith("cpython-") for line in done.text.splitlines())


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))
