"""Products that are files: what the run created or changed below the project."""

from __future__ import annotations

import stat
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from reproof.base.digesting import digest_file
from reproof.base.naming import escape
from reproof.capture.tree import Tree, changes
from reproof.errors import StoreError
from reproof.model.artifact import Artifact, Origin
from reproof.model.record import Omission
from reproof.store.directory import DirectoryStore


class Products(msgspec.Struct, frozen=True, kw_only=True):
    """What came out as files, and what could not be captured of it."""

    artifacts: tuple[Artifact, ...] = ()
    overwritten: frozenset[str] = frozenset()
    omissions: tuple[Omission, ...] = ()


class Keeping(msgspec.Struct, frozen=True, kw_only=True):
    """How products are kept.

    Attributes:
        store: Receives the content.
        limit: Bytes in all that may be kept; beyond it only digests are recorded.
        declared: Patterns of files that are products even when they did not change.
        leave_out: Names (files or folders) that belong to the tracking store, not to the result.
    """

    store: DirectoryStore
    limit: int
    declared: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()


def gather_products(top: Path, before: Tree, after: Tree, keeping: Keeping) -> Products:
    """Compare the tree before and after, digest what is new or changed, and keep its content.

    Args:
        top: The folder that both trees are of.
        before: Before the run.
        after: When it has ended.
        keeping: What is kept, and where.

    Returns:
        Artifacts by name; what could not be read or kept is an omission.
    """
    created, modified, deleted = changes(before, after)
    changed = {*created, *modified}
    declared = {
        name for name in after.entries if any(fnmatchcase(name, pattern) for pattern in keeping.declared)
    }
    names = sorted(name for name in changed | declared if not _is_below(name, keeping.leave_out))
    artifacts: list[Artifact] = []
    omissions = [
        Omission(subject=escape(name), reason="the run removed it")
        for name in sorted(deleted)
        if not _is_below(name, keeping.leave_out)
    ]
    room = keeping.limit
    for name in names:
        try:
            artifact = _product(top, name, keeping, room, declared=name in declared)
        except (OSError, StoreError) as error:
            reason = f"could not be read or kept: {error}"
            omissions.append(Omission(subject=escape(name), reason=reason, hides_results=True))
            continue
        if artifact is None:
            continue
        if artifact.kept:
            room -= artifact.size
        artifacts.append(artifact)
    return Products(artifacts=tuple(artifacts), overwritten=frozenset(modified), omissions=tuple(omissions))


def _product(top: Path, name: str, keeping: Keeping, room: int, *, declared: bool) -> Artifact | None:
    path = top / name
    name = escape(name)
    status = path.lstat()
    origin: Origin = "declared" if declared else "tree"
    if stat.S_ISLNK(status.st_mode):
        return Artifact(name=name, kind="symlink", origin=origin, target=str(path.readlink()))
    if not stat.S_ISREG(status.st_mode):
        return None
    mode = stat.S_IMODE(status.st_mode)
    if status.st_size > room:
        digests = digest_file(path)
        note = "content not kept: over the limit of max-kept-bytes"
        return Artifact(name=name, digests=digests, size=status.st_size, origin=origin, mode=mode, note=note)
    digest = keeping.store.put(path)
    return Artifact(
        name=name, digests={"blake3": digest.value}, size=status.st_size, origin=origin, mode=mode, kept=True
    )


def _is_below(name: str, folders: tuple[str, ...]) -> bool:
    return any(name == folder or name.startswith(folder + "/") for folder in folders)
