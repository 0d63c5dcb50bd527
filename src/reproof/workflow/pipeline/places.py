"""Outputs of stages removed and put back, never outside of the folder that they belong to."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from reproof.base.files import remove_tree
from reproof.errors import MaterialError
from reproof.model.artifact import Artifact
from reproof.model.dvc import path_problem
from reproof.model.pipeline import is_within
from reproof.store.directory import DirectoryStore


def remove_outs(top: Path, places: Iterable[str]) -> None:
    """Remove what a stage is about to make anew, as DVC does.

    Raises:
        MaterialError: A place is not within `top`.
    """
    for place in places:
        remove_tree(_inside(top, place))


def put_outs(top: Path, places: Iterable[str], artifacts: Iterable[Artifact], store: DirectoryStore) -> None:
    """Lay out files as they were recorded, in place of whatever is at `places`.

    Args:
        top: Folder that names start in.
        places: Files and folders that are replaced as a whole.
        artifacts: What may belong there; what does not is left out.
        store: Has the content.

    Raises:
        MaterialError: A place is not within `top`, or content was not kept.
        StoreError: Content is corrupted or cannot be written.
    """
    wanted = tuple(places)
    remove_outs(top, wanted)
    for artifact in artifacts:
        if not any(is_within(artifact.name, place) for place in wanted):
            continue
        target = _inside(top, artifact.name)
        if artifact.kind == "symlink":
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(artifact.target or "")
        elif artifact.digest is None or artifact.digest not in store:
            raise MaterialError(
                f"cannot lay out `{artifact.name}`: its recorded content was not kept",
                details=[("recorded", str(artifact.digest or "no digest"))],
            )
        else:
            store.get(artifact.digest, target, artifact.mode)


def _inside(top: Path, place: str) -> Path:
    target = top / place
    problem = path_problem(place)
    if problem is None and not target.parent.resolve().is_relative_to(top.resolve()):
        problem = "lies behind a symlink that leads out of the project"
    if problem is not None:
        raise MaterialError(f"the output `{place}` {problem}")
    return target
