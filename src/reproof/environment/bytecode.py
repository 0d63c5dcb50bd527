"""Compiling, ahead and in parallel, the modules that a run is going to import."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from reproof.base.programs import call
from reproof.environment.installed import max_workers
from reproof.environment.values import Environment

_FEWEST = 50  # files that are worth an interpreter of their own


def imported_sources(environment: Environment) -> tuple[str, ...]:
    """Source files, relative to the packages' folder, whose bytecode is there: what earlier runs imported.

    Names only: bytecode itself is never taken from one environment into another.
    """
    root = str(environment.site_packages)
    found: list[str] = []
    pending = [""]
    while pending:
        below = pending.pop()
        with os.scandir(f"{root}/{below}") as entries:
            folders = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        for name in folders:
            if name == "__pycache__":
                found.extend(f"{below}{item}" for item in _sources_in(f"{root}/{below}__pycache__"))
            else:
                pending.append(f"{below}{name}/")
    return tuple(sorted(found))


def compile_sources(environment: Environment, sources: Iterable[str]) -> None:
    """Compile source files of an environment, so that its first run is as fast as a later one.

    Files that are missing or do not compile are passed over: the interpreter would say so itself.

    Args:
        environment: The environment.
        sources: Paths relative to its packages' folder, as :func:`imported_sources` gives them.
    """
    wanted = [
        str(environment.site_packages / name)
        for name in sources
        if (environment.site_packages / name).is_file()
    ]
    # compileall's own `-j` is for folders: a list of files it compiles one after the other.
    count = min(max_workers(), -(-len(wanted) // _FEWEST))
    if count:
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(partial(_compile, environment), [wanted[start::count] for start in range(count)]))


def _compile(environment: Environment, paths: list[str]) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "REPROOF_"))}
    command = [str(environment.python), "-I", "-S", "-m", "compileall", "-q", "-i", "-"]
    call(command, cwd=Path("/"), env=env, stdin="\n".join(paths).encode())


def _sources_in(cache: str) -> list[str]:
    """``name.py`` for each ``name.cpython-311.pyc``, without variants for other optimisation levels."""
    with os.scandir(cache) as entries:
        names = [entry.name for entry in entries if entry.name.endswith(".pyc") and ".opt-" not in entry.name]
    return [f"{name.rsplit('.', 2)[0]}.py" for name in names if name.count(".") >= 2]
