"""The files that DVC names in a work tree, as artifacts by name."""

from __future__ import annotations

from pathlib import Path

from reproof.errors import MaterialError
from reproof.model.artifact import Artifact
from reproof.model.dvc import DvcEntry, parse_manifest
from reproof.project.dvc import read_config, tracked


def tracked_artifacts(top: Path) -> dict[str, Artifact]:
    """Every file that ``.dvc`` files or ``dvc.lock`` name, members of folders included.

    A folder whose list of files is not in the cache is left out: its members are then known by
    their own digests alone.

    Raises:
        ProjectError: A DVC file is malformed.
    """
    found: dict[str, Artifact] = {}
    for entry in tracked(top):
        if not entry.cached or not entry.md5:
            continue
        if not entry.is_dir:
            found[entry.path] = _artifact(entry, entry.path, entry.md5)
            continue
        for path, md5 in _members(top, entry):
            found[f"{entry.path}/{path}"] = _artifact(entry, f"{entry.path}/{path}", md5)
    return found


def _artifact(entry: DvcEntry, name: str, md5: str) -> Artifact:
    return Artifact(name=name, digests={entry.hash_name: md5}, origin="dvc", source=entry.source)


def _members(top: Path, entry: DvcEntry) -> list[tuple[str, str]]:
    cache = Path(read_config(top / entry.root).cache)
    for layout in ("files/md5", ""):
        path = cache / layout / entry.id[:2] / entry.id[2:]
        try:
            return [(member.path, member.md5) for member in parse_manifest(path.read_bytes(), entry.path)]
        except (OSError, MaterialError):
            continue
    return []
