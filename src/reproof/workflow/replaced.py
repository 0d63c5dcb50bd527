"""A record with one thing of it replaced, to learn whether that thing alters the result."""

from __future__ import annotations

from pathlib import Path

import msgspec

from reproof.base import git
from reproof.errors import UsageError
from reproof.model.record import CodeSection, Record


def with_other_code(record: Record, top: Path, revision: str) -> tuple[Record, str]:
    """The recorded run with the code of another commit; parameters, data, environment and seed stay.

    Files that Git tracks are code here, data among them. Data of DVC stays as recorded.

    Args:
        record: The recorded run.
        top: Its repository.
        revision: Commit, branch or tag there; uncommitted changes take no part.

    Returns:
        The record to be re-created, and what was replaced, for people.

    Raises:
        UsageError: The repository has no such commit.
    """
    done = git.git(top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if not done.ok:
        raise UsageError(
            f"cannot take the code of `{revision}`: the repository has no such commit",
            details=[("repository", str(top))],
            hint=f"run `git -C {top} log --oneline`",
        )
    commit = done.text.strip()
    code = CodeSection(
        commit=commit,
        tree=git.git_text(top, "rev-parse", f"{commit}^{{tree}}"),
        remote=record.code.remote,
        checkout=record.code.checkout,
        submodules=record.code.submodules,
    )
    captured = {artifact.name for artifact in record.code.untracked}
    kept = tuple(
        artifact
        for artifact in record.materials
        if artifact.origin != "git" and artifact.name not in captured
    )
    before = record.code.commit[:12] + (" with changes" if record.code.dirty else "")
    replaced = msgspec.structs.replace(record, code=code, materials=kept)
    return replaced, f"code {before} -> {commit[:12]} ({revision})"
