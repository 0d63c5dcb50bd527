"""What is to be built: a commit, cloned afresh, and what the work tree has beyond it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from reproof.base import git
from reproof.base.cloning import Checkout, apply_patch, clone_at
from reproof.base.digesting import digest_file
from reproof.base.files import copy_private
from reproof.errors import ProjectError
from reproof.model.build import BuildSource, DirtyTree

_SHOWN = 8


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A clone that builds are copied from.

    Attributes:
        top: Top of the user's repository.
        folder: The user's folder of the project.
        pristine: Top of the clone.
        facts: What was cloned, for the document.
        epoch: Time of the commit, seconds since 1970.
        untracked: Names of files in the work tree that Git neither tracks nor ignores.
        conditions: What the clone lacks.
    """

    top: Path
    folder: Path
    pristine: Path
    facts: BuildSource
    epoch: int
    untracked: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()

    @property
    def project(self) -> Path:
        """The folder of the project in the clone."""
        return self.pristine / self.facts.subdirectory


class SourceRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for.

    Attributes:
        folder: Folder of the project.
        revision: Commit, branch or tag; None for what is checked out.
        dirty: Take what is not committed, too.
        outputs: Folder that outputs go to: what lies there is no part of the work tree.
    """

    folder: Path
    revision: str | None = None
    dirty: bool = False
    outputs: Path


def clone_source(request: SourceRequest, pristine: Path) -> Source:
    """Clone what is to be built to the folder `pristine`.

    Raises:
        ProjectError: No repository, no such commit, or uncommitted changes that were not asked for.
        MaterialError: The repository is damaged.
    """
    folder = request.folder.resolve()
    if not folder.is_dir():
        raise ProjectError(f"there is no folder `{request.folder}`")
    top = git.require_top(folder).resolve()
    commit = _commit(top, request.revision)
    changed, others = ((), ()) if request.revision else _uncommitted(top, request.outputs)
    if (changed or others) and not request.dirty:
        raise _dirty(changed, others)
    modules = () if request.revision else git.submodules(top)
    cloned = clone_at(top, pristine, commit, Checkout(submodules=modules))
    dirty = _take_along(top, pristine, changed, others) if changed or others else None
    conditions = [
        f"Git LFS content of `{name}` is not here: its pointer was built" for name in cloned.pointers
    ]
    conditions += [f"submodule `{name}` is not here" for name in cloned.absent]
    if dirty is not None:
        conditions.append("files were built that no commit has")
    facts = BuildSource(
        commit=commit,
        tree=git.git_text(top, "rev-parse", f"{commit}^{{tree}}"),
        address=git.remote_address(top),
        subdirectory="" if folder == top else folder.relative_to(top).as_posix(),
        dirty=dirty,
    )
    return Source(
        top=top,
        folder=folder,
        pristine=pristine,
        facts=facts,
        epoch=int(git.git_text(top, "show", "-s", "--format=%ct", commit)),
        untracked=others,
        conditions=tuple(conditions),
    )


def _commit(top: Path, revision: str | None) -> str:
    if revision is None:
        return git.head(top).commit
    done = git.git(top, "rev-parse", "--quiet", "--verify", "--end-of-options", f"{revision}^{{commit}}")
    if not done.ok:
        raise ProjectError(f"the repository has no branch, tag or commit `{revision}`")
    return done.text.strip()


def _uncommitted(top: Path, outputs: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of changed files, and of untracked ones (nested repositories left out)."""
    place = outputs.resolve()
    changed = tuple(sorted(git.git_names(top, "diff", "--name-only", "-z", "HEAD")))
    others = tuple(
        name
        for name in git.untracked(top)
        if not name.endswith("/") and not (top / name).resolve().is_relative_to(place)
    )
    return changed, others


def _dirty(changed: tuple[str, ...], others: tuple[str, ...]) -> ProjectError:
    details = []
    for label, names in (("changed", changed), ("untracked", others)):
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            details.append((label, ", ".join(names[:_SHOWN]) + more))
    words = " and ".join(
        word
        for word, names in (("uncommitted changes", changed), ("files that Git does not track", others))
        if names
    )
    return ProjectError(
        f"the work tree has {words}: nobody else could build that",
        details=[*details, ("because", "a backend packs what lies in the folder, committed or not")],
        hint="commit or ignore them, or pass `--dirty` to build them and have that recorded",
    )


def _take_along(top: Path, pristine: Path, changed: tuple[str, ...], others: tuple[str, ...]) -> DirtyTree:
    patch = git.diff_binary(top)
    apply_patch(pristine, patch)
    digests = {}
    for name in others:
        source = top / name
        target = pristine / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            target.symlink_to(source.readlink())
        else:
            copy_private(source, target)
            digests[name] = digest_file(source, ("sha256",))["sha256"]
    return DirtyTree(patch=hashlib.sha256(patch).hexdigest(), changed=changed, untracked=digests)
