"""Paths of a container, as they are on this machine."""

from __future__ import annotations

from collections.abc import Iterable

#: Folders of a container and where they are on this machine. None: the run sees this machine's own files.
Mapped = tuple[tuple[str, str], ...] | None


def here(mapped: Mapped, paths: Iterable[str]) -> frozenset[str]:
    """Absolute paths that a child reported, as they are on this machine; those of its image are left out."""
    if mapped is None:
        return frozenset(paths)
    found = set()
    inner_first = sorted(mapped, key=lambda pair: -len(pair[0]))
    for path in paths:
        for inside, outside in inner_first:
            if path == inside or path.startswith(f"{inside}/"):
                found.add(outside + path[len(inside) :])
                break
    return frozenset(found)
