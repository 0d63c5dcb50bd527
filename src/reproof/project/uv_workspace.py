"""The workspace of uv that a project is a member of: one lock, in the workspace's folder, for all its projects.

https://docs.astral.sh/uv/concepts/projects/workspaces/
"""

from __future__ import annotations

import fnmatch
import tomllib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any


def find_root(folder: Path) -> Path | None:
    """The folder of the workspace that the project in `folder` is a member of; None for none.

    Only within the repository: what lies outside of it is in no commit.
    """
    place = folder.resolve()
    repository = next((each for each in (place, *place.parents) if (each / ".git").exists()), None)
    if repository is None or place == repository or _workspace(place) is not None:
        return None
    for above in place.parents:
        table = _workspace(above)
        if table is not None:
            return above if _is_member(place.relative_to(above), table) else None
        if above == repository:
            break
    return None


def _workspace(folder: Path) -> dict[str, Any] | None:
    """``[tool.uv.workspace]`` of a pyproject.toml; what cannot be read has none."""
    try:
        found: Any = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    for key in ("tool", "uv", "workspace"):
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None


def _is_member(path: Path, table: dict[str, Any]) -> bool:
    def named(key: str) -> bool:
        patterns = table.get(key, ())
        return isinstance(patterns, list) and any(_matches(path.parts, str(each)) for each in patterns)

    return named("members") and not named("exclude")


def _matches(parts: Sequence[str], pattern: str) -> bool:
    """As uv's globs do: ``*`` within one folder's name, ``**`` for any number of folders."""
    return _match(tuple(parts), PurePosixPath(pattern).parts)


def _match(parts: tuple[str, ...], patterns: tuple[str, ...]) -> bool:
    if not patterns:
        return not parts
    if patterns[0] == "**":
        return any(_match(parts[count:], patterns[1:]) for count in range(len(parts) + 1))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], patterns[0]) and _match(parts[1:], patterns[1:])
