"""What runs in the user's interpreter, shipped as files, and the ways to get it there.

The files below `bootstrap/` and `agent/` need nothing but a standard library of Python 3.9 or later.
They end up side by side in one folder. What they tell is described in `reproof.model.observation`.

Set for the child: REPROOF_OBSERVATIONS (file that lines are appended to; switches it all on), REPROOF_SEED
(decimal; absent for none), REPROOF_PROJECT (top of the project, for the names of places), REPROOF_MLFLOW=1
(watch MLflow too). REPROOF_DISABLE=1 switches all off; REPROOF_ROLE is set by the bootstrap for its children.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path

_HERE = Path(__file__).parent
_PACKAGE = "_reproof_injected"
_ENTRY = "reproof_bootstrap.py"

# One line, as the format asks. It costs nothing outside of a run, unless the environment looks scrubbed:
# then the bootstrap asks the processes above whether they are of a run. It must not fail.
_PTH = (
    'import os; ("REPROOF_OBSERVATIONS" in os.environ or len(os.environ) < 8 or "HOME" not in os.environ) '
    f'and exec("try:\\n import {_PACKAGE}\\nexcept Exception:\\n pass")\n'
)
_START = f"{_PACKAGE}:start\n"


def files() -> tuple[Path, ...]:
    """All files that are shipped into the child, by name."""
    found = [path for folder in ("bootstrap", "agent") for path in (_HERE / folder).glob("*.py")]
    return tuple(sorted((path for path in found if _is_shipped(path)), key=lambda path: path.name))


@lru_cache(maxsize=1)
def version() -> str:
    """Digest of the shipped files and of the way they are installed, as 64 hexadecimal digits.

    Two environments are alike only if what was installed into them has the same version.
    """
    digester = hashlib.sha256((_PTH + _START).encode())
    for path in files():
        data = path.read_bytes()
        digester.update(f"{path.name}:{len(data)}\n".encode() + data)
    return digester.hexdigest()


def install(site_packages: Path, *, python: Path | None = None) -> None:
    """Put the bootstrap into an environment, so that each of its interpreters loads it at its start.

    Writes the folder ``_reproof_injected``, ``reproof.pth`` and, for Python 3.15 and later,
    ``reproof.start`` (PEP 829) into `site_packages`, replacing what an earlier version left there.
    Outside of a run they do nothing.

    Args:
        site_packages: Folder of the environment that `site` searches.
        python: Interpreter of the environment. When given, the files are compiled for it once and
            for all, which saves some milliseconds of each start where byte code cannot be written.

    Raises:
        OSError: The folder cannot be written.
    """
    folder = site_packages / _PACKAGE
    _copy(folder, [path for path in files() if path.name != "sitecustomize.py"])
    # The package is the way in itself: each file less is a quarter of a millisecond less at every start.
    (folder / _ENTRY).rename(folder / "__init__.py")
    if python is not None:
        _compile(python, folder)
    (site_packages / "reproof.start").write_text(_START, encoding="utf-8")
    (site_packages / "reproof.pth").write_text(_PTH, encoding="utf-8")


def sitecustomize_folder(target: Path) -> Path:
    """Write a folder that brings the bootstrap along when it stands first on PYTHONPATH; returns it.

    For interpreters whose environment may not be touched. It gives way to the user's own
    ``sitecustomize``. Interpreters started with ``-I``, ``-E`` or another PYTHONPATH are not reached.

    Raises:
        OSError: The folder cannot be written.
    """
    _copy(target, files())
    return target


def _is_shipped(path: Path) -> bool:
    """Programs of their own, such as the finishing agent, are not: they are started by their path."""
    return path.name.startswith("_reproof_") or path.parent.name == "bootstrap"


def _copy(folder: Path, paths: tuple[Path, ...] | list[Path]) -> None:
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    for path in paths:
        shutil.copyfile(path, folder / path.name)


def _compile(python: Path, folder: Path) -> None:
    """Byte code that is valid whatever the files' times are: environments are copied about.

    A failure is no error: the interpreter then compiles by itself.
    """
    command = [
        str(python),
        "-I",
        "-S",
        "-m",
        "compileall",
        "-q",
        "--invalidation-mode",
        "unchecked-hash",
        str(folder),
    ]
    subprocess.run(command, check=False, capture_output=True, stdin=subprocess.DEVNULL)
