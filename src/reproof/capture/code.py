"""Which code is about to run: commit, changes on top of it, untracked files, submodules."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from reproof.base import git
from reproof.base.naming import escape
from reproof.errors import ProjectError
from reproof.model.record import CodeSection, Omission


class CapturedCode(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a work tree. Content is named here, not kept: that is the caller's part.

    Attributes:
        section: Everything but `patch` and `untracked`.
        patch: From the commit to the work tree; empty when nothing differs.
        loose: Files that only a copy can bring back: untracked ones, and tracked ones whose bytes
            Git converts.
        committed: Names of all tracked files, those of submodules at their recorded commits included.
        omissions: What cannot be captured.
    """

    section: CodeSection
    patch: bytes
    loose: tuple[str, ...]
    committed: frozenset[str]
    omissions: tuple[Omission, ...]


def capture_code(top: Path, *, limit: int) -> CapturedCode:
    """Take down the code in the work tree at `top`, which is not touched.

    Args:
        top: Top of the repository.
        limit: Bytes that the patch and the untracked files may have together.

    Raises:
        ProjectError: The repository has no commit, or its changes are larger than `limit`.
    """
    head = git.head(top)
    patch = git.diff_binary(top)
    altered = git.altered(top)
    loose, omissions = _loose_files(top, [*git.untracked(top), *altered])
    changed_inside = git.dirty_submodules(top)
    omissions += [
        Omission(subject=name, reason="changes within a submodule are not captured")
        for name in changed_inside
    ]
    _check_size(top, patch, loose, limit)
    section = CodeSection(
        commit=head.commit,
        tree=head.tree,
        branch=head.branch,
        remote=git.remote_address(top),
        dirty=bool(patch or loose or changed_inside),
        submodules=git.submodules(top),
        unpushed=not git.is_pushed(top, head.commit),
        checkout=git.checkout_settings(top),
    )
    return CapturedCode(
        section=section,
        patch=patch,
        loose=tuple(loose),
        committed=frozenset(
            escape(name) for name in (*git.ls_files(top), *_inside(top, section, changed_inside))
        ),
        omissions=tuple(omissions),
    )


def _inside(top: Path, section: CodeSection, changed: Sequence[str]) -> Iterator[str]:
    """Files of submodules that have the content of the submodule's commit."""
    for each in section.submodules:
        inner = top / each.path
        altered = git.git_names(inner, "diff", "--name-only", "-z", "HEAD") if each.path in changed else []
        yield from (f"{each.path}/{name}" for name in git.ls_files(inner).difference(altered))


def _loose_files(top: Path, names: list[str]) -> tuple[list[str], list[Omission]]:
    files: list[str] = []
    omissions: list[Omission] = []
    for name in sorted(set(names)):
        path = top / name
        if name.endswith("/"):
            omissions.append(Omission(subject=name, reason="a Git repository of its own, not captured"))
            continue
        try:
            mode = path.lstat().st_mode
        except OSError:
            continue
        if stat.S_ISREG(mode) or stat.S_ISLNK(mode):
            files.append(name)
        else:
            omissions.append(Omission(subject=name, reason="a special file, not captured"))
    return files, omissions


def _check_size(top: Path, patch: bytes, loose: list[str], limit: int) -> None:
    sizes = {name: (top / name).lstat().st_size for name in loose}
    total = len(patch) + sum(sizes.values())
    if total <= limit:
        return
    largest = sorted(sizes, key=lambda name: -sizes[name])[:3]
    raise ProjectError(
        f"cannot record the changes of the work tree: {_mebibytes(total)} are over the limit of {_mebibytes(limit)}",
        details=[
            (_mebibytes(sizes[name]), f"`{os.fsencode(name).decode('utf-8', 'replace')}`") for name in largest
        ],
        hint=f"run `echo '/{largest[0] if largest else 'NAME'}' >> .gitignore`, or `dvc add` it, or commit it",
    )


def _mebibytes(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB"
