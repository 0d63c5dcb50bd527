"""Parts of a repository that its commits only point to: submodules, and content of Git LFS."""

from __future__ import annotations

from pathlib import Path

from reproof.base.cloning import Cloned, lfs_pointers
from reproof.errors import MaterialError
from reproof.model.event import Emit, Event
from reproof.model.record import CodeSection


def require_submodules(done: Cloned, code: CodeSection, source: Path) -> None:
    """See that a clone has all submodules of the recorded code.

    Args:
        done: What the clone has and has not.
        code: The recorded code.
        source: The repository that was cloned.

    Raises:
        MaterialError: One is not there, or not at its recorded commit.
    """
    absent = [each for each in code.submodules if each.path in done.absent]
    if absent:
        raise MaterialError(
            f"cannot re-create the code: the submodule `{absent[0].path}` is not there",
            details=[
                (each.path, f"commit {each.commit[:12]} of {each.url or 'no recorded address'}")
                for each in absent
            ],
            hint=f"run `git -C {source} submodule update --init --recursive`",
        )


def warn_of_pointers(top: Path, emit: Emit) -> None:
    """Warn of Git LFS files whose content was never fetched: a run would read their pointers as data."""
    names = lfs_pointers(top)
    if names:
        some = ", ".join(f"`{name}`" for name in names[:3]) + (", ..." if len(names) > 3 else "")
        emit(
            Event(
                kind="warning",
                subject="code",
                message=f"{some} {'is' if len(names) == 1 else 'are'} without content: pointers of Git LFS",
                hint=f"run `git -C {top} lfs pull`",
            )
        )
