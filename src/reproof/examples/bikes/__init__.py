"""The demonstration project: hourly demand of a bike-sharing system, as the field writes such projects.

``project/`` holds its files as they are written, except that a leading dot is spelled ``dot-``: so
neither Git nor the packaging of reproof takes them for its own settings.
"""

from __future__ import annotations

import platform
from pathlib import Path, PurePosixPath

from reproof.base.digesting import digest_file
from reproof.base.files import copy_private
from reproof.base.git import git, git_bytes, git_text
from reproof.errors import ProjectError

_TEMPLATE = Path(__file__).with_name("project")
_DATA = PurePosixPath("data/Bikeshare.csv")
#: These name a Python version; the project gets that of the interpreter that writes it.
_VERSIONED = ("python_env.yaml", "Dockerfile")
_TEMPLATE_PYTHON = "3.11.9"
#: Where DVC 3 keeps content, below the project: its cache, and the remote named in ``.dvc/config``.
_DVC_STORES = (".dvc/cache", ".dvc-remote")
#: A fixed author and date: the same project has the same commit everywhere.
_SIGNATURE = "reproof demo <demo@localhost> 1767225600 +0000"
#: What in the user's configuration of Git would change the files, or what is added.
_PLAIN_GIT = [
    option
    for setting in ("autocrlf=false", "safecrlf=false", "excludesFile=/dev/null", "attributesFile=/dev/null")
    for option in ("-c", f"core.{setting}")
]


def write_project(target: Path) -> None:
    """Write the demonstration project as a Git repository with one commit and DVC-tracked data.

    Nothing is fetched. The user's Git identity, hooks, templates, filters and signing stay out of it.

    Args:
        target: A folder that is absent or empty; the caller checks that.

    Raises:
        OSError: A file cannot be written.
        ProjectError: Git refused.
        ExecutionError: Git is not installed.
    """
    for source in sorted(_TEMPLATE.rglob("*")):
        # Caches of tools that ran over the installed package are no part of the project.
        if source.is_file() and not any(part.startswith((".", "__pycache__")) for part in _parts(source)):
            _write_file(source, target)
    data = target / _DATA
    digest = digest_file(data, ("md5",))["md5"]
    for store in _DVC_STORES:
        copy_private(data, target / store / "files/md5" / digest[:2] / digest[2:], mode=0o444)
    _commit_all(target)


def _parts(source: Path) -> tuple[str, ...]:
    return source.relative_to(_TEMPLATE).parts


def _write_file(source: Path, target: Path) -> None:
    names = ("." + part[4:] if part.startswith("dot-") else part for part in _parts(source))
    place = target.joinpath(*names)
    place.parent.mkdir(parents=True, exist_ok=True)
    content = source.read_bytes()
    if source.name in _VERSIONED:
        content = content.replace(_TEMPLATE_PYTHON.encode(), platform.python_version().encode())
    place.write_bytes(content)


def _commit_all(target: Path) -> None:
    """Commit by the plumbing commands, which run no hooks and ask for no identity or signature."""
    git_bytes(target, "init", "--quiet", "--template=", "--initial-branch=main")
    git_bytes(target, *_PLAIN_GIT, "add", "--all")
    tree = git_text(target, *_PLAIN_GIT, "write-tree")
    commit = f"tree {tree}\nauthor {_SIGNATURE}\ncommitter {_SIGNATURE}\n\nPredict hourly bike rentals\n"
    done = git(target, "hash-object", "-t", "commit", "-w", "--stdin", stdin=commit.encode())
    if not done.ok:
        raise ProjectError(f"`git hash-object` failed in `{target}`", details=[("git", done.complaint)])
    git_bytes(target, "update-ref", "refs/heads/main", done.text.strip())
