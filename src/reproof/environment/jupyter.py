"""What Jupyter looks for below the prefix of its interpreter, for an overlay: templates, settings, kernels.

A kernel is a folder with ``kernel.json``, whose `argv` names the interpreter that it was installed with
(jupyter_client's documentation, "Kernel specs"). Started as it stands, it would run past the overlay.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from reproof.environment.values import Environment

_DATA = ("share/jupyter", "etc/jupyter")
_KERNELS = "share/jupyter/kernels"
_OWN = Path(".local/share/jupyter/kernels")


def facts(environment: Environment) -> list[tuple[str, int]]:
    """What an overlay depends on: names and times of change, in nanoseconds."""
    paths = [path for name in _DATA for path in _listed(environment.folder / name)]
    paths += [path for _, path in _kernels(environment)]
    return [(str(path), path.stat().st_mtime_ns) for path in paths if path.exists()]


def show(environment: Environment, target: Path, python: Path) -> None:
    """Put all that is there into an overlay: links, but for kernels copies that start `python`.

    Args:
        environment: The user's own.
        target: The overlay's folder.
        python: The overlay's interpreter, started in place of the environment's own.
    """
    for name in _DATA:
        for path in _listed(environment.folder / name):
            place = target / name / path.name
            if path.name != "kernels" and not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(path)
    for kernel, file in _kernels(environment):
        place = target / _KERNELS / kernel
        spec = _started_by(file, environment, python)
        if spec is not None and not place.exists():
            place.mkdir(parents=True)
            (place / "kernel.json").write_bytes(spec)


def _kernels(environment: Environment) -> Iterator[tuple[str, Path]]:
    """Kernels of the environment, then those of the user, by name."""
    for folder in (environment.folder / _KERNELS, Path.home() / _OWN):
        for path in _listed(folder):
            yield path.name, path / "kernel.json"


def _started_by(file: Path, environment: Environment, python: Path) -> bytes | None:
    """The description with another interpreter; None where it starts none of this environment."""
    try:
        spec = msgspec.json.decode(file.read_bytes())
        program = Path(spec["argv"][0])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, KeyError, IndexError, TypeError):
        return None
    own = program.parent in (environment.scripts, environment.python.parent) or program.parent == Path()
    if not own or not program.name.startswith("python"):
        return None
    spec["argv"][0] = str(python)
    return msgspec.json.encode(spec)


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []
