"""What lies below an environment's prefix beside Python and its packages: shown in an overlay as well.

Programs look below ``sys.prefix``, which in an overlay is another folder, for data and libraries that Conda or a
wheel put there (``share/proj``, ``lib/libgdal.so``), and for ``conda-meta``, which tells them that they are in Conda.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from reproof.environment.values import Environment

#: Folders that an overlay may have, too, with something else in them.
_SHARED = ("etc", "lib", "share")
#: What is an overlay's own: its programs, its Python, and what is made for Jupyter.
_OWN = {"bin", "lib64", "pyvenv.cfg", "etc/jupyter", "share/jupyter"}


def names(environment: Environment) -> list[str]:
    """What there is, by its path below the prefix; folders as wholes."""
    return sorted(_found(environment.folder))


def show(environment: Environment, target: Path) -> None:
    """Put links to all of it into the overlay in `target`."""
    for name in names(environment):
        place = target / name
        if not os.path.lexists(place):
            place.parent.mkdir(exist_ok=True)
            place.symlink_to(environment.folder / name)


def _found(prefix: Path) -> Iterator[str]:
    for top in _listed(prefix):
        if top in _SHARED:
            yield from (f"{top}/{name}" for name in _listed(prefix / top) if not _is_own(f"{top}/{name}"))
        elif not _is_own(top):
            yield top


def _is_own(name: str) -> bool:
    return name in _OWN or name.startswith("lib/python3")


def _listed(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except OSError:
        return []
