"""The files that DVC names in a work tree, as artifacts by name."""

from __future__ import annotations

import posixpath
from pathlib import Path, PurePosixPath

from reproof.errors import MaterialError, ProjectError
from reproof.model.artifact import Artifact
from reproof.model.dvc import DvcEntry, parse_manifest
from reproof.project.dvc import read_config, tracked
from reproof.project.dvc_stages import find_pipeline_files, read_stages


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


def stage_inputs(top: Path) -> frozenset[str]:
    """Files that stages of dvc.yaml depend on and none of them makes, by name below the repository.

    A file that is not understood names nothing here: DVC itself, or the verb that carries stages out,
    says what is wrong with it.
    """
    depended: set[str] = set()
    made: set[str] = set()
    for name in find_pipeline_files(top):
        try:
            stages = read_stages(top, name)
        except ProjectError:
            continue
        depended.update(dep.place for stage in stages for dep in stage.deps)
        made.update(out.place for stage in stages for out in stage.outs)
    found: set[str] = set()
    for place in depended:
        path = top / place
        if not posixpath.isabs(place) and not _is_within(place, made):
            inside = path.rglob("*") if path.is_dir() else [path]
            found.update(each.relative_to(top).as_posix() for each in inside if each.is_file())
    return frozenset(found)


def _is_within(place: str, folders: set[str]) -> bool:
    return place in folders or any(str(parent) in folders for parent in PurePosixPath(place).parents)


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
