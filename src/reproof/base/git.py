"""Git, through the git program: reading a repository, and cloning it elsewhere; never writing to it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from reproof.base.programs import Completed, call
from reproof.errors import ProjectError

#: Kept away from git: they would point it at another repository or index than the one we name.
_REDIRECTING = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX")

_USERINFO = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^/@]+@", re.IGNORECASE)


def git(directory: Path, *arguments: str, stdin: bytes | None = None) -> Completed:
    """Run git in `directory` without prompts, pagers, optional locks or the user's hooks and filters for paths."""
    env = {name: value for name, value in os.environ.items() if name not in _REDIRECTING}
    env.update(GIT_OPTIONAL_LOCKS="0", GIT_TERMINAL_PROMPT="0", LC_ALL="C", GIT_PAGER="cat")
    return call(["git", "-c", "core.quotePath=false", *arguments], cwd=directory, env=env, stdin=stdin)


def git_bytes(directory: Path, *arguments: str) -> bytes:
    """Standard output of a git command that must succeed.

    Raises:
        ProjectError: Git said no; its words are in the details.
    """
    done = git(directory, *arguments)
    if not done.ok:
        raise ProjectError(
            f"`git {arguments[0]}` failed in `{directory}`", details=[("git", done.complaint or "no message")]
        )
    return done.stdout


def git_text(directory: Path, *arguments: str) -> str:
    """Standard output as text without the final newline; see :func:`git_bytes`."""
    return git_bytes(directory, *arguments).decode("utf-8", "surrogateescape").rstrip("\n")


def find_top(directory: Path) -> Path | None:
    """The top folder of the work tree that holds `directory`, or None outside any."""
    done = git(directory, "rev-parse", "--show-toplevel")
    return Path(done.text.rstrip("\n")) if done.ok and done.text.strip() else None


def without_secrets(address: str) -> str:
    """A Git address without user name, password or token."""
    return _USERINFO.sub(r"\g<scheme>", address)
