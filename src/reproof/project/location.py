"""Where a project is: a folder here, or a Git repository at an address."""

from __future__ import annotations

import os
import re
import urllib.parse
from pathlib import Path, PurePosixPath
from typing import Literal

import msgspec

from reproof.base.git import require_top, without_secrets
from reproof.errors import ProjectError
from reproof.project.yaml_document import closest

_SCHEMES = ("https", "http", "ssh", "git", "file")
_SCP = re.compile(r"(?P<user>[\w.-]+@)?(?P<host>[\w.-]+|\[[0-9a-fA-F:]+\]):(?!//)(?P<path>.+)")


class Location(msgspec.Struct, frozen=True, kw_only=True):
    """Where a project is.

    Attributes:
        kind: ``folder`` runs in place; ``git`` is cloned first.
        folder: The project's folder, absolute; None for a Git address.
        address: What Git clones from, with whatever credentials it was given; None for a folder.
        subdirectory: The project's folder below the top of the repository, where one was named.
        revision: Branch, tag or commit, None for what is there or the default branch.
    """

    kind: Literal["folder", "git"]
    folder: Path | None = None
    address: str | None = None
    subdirectory: str = ""
    revision: str | None = None

    @property
    def shown(self) -> str:
        """The place for people and records: no secrets."""
        place = str(self.folder) if self.address is None else without_secrets(self.address)
        return f"{place}#{self.subdirectory}" if self.subdirectory else place


def locate(uri: str, revision: str | None = None, cwd: Path | None = None) -> Location:
    """Understand what `reproof run` was pointed at; nothing is fetched.

    Args:
        uri: A folder; a Git address (``https``, ``ssh``, ``git``, ``file``, ``git@host:path``), a
            bare repository or bundle file; each with ``#subdirectory`` where the project is not
            at its top.
        revision: Branch, tag or commit. A local repository is then cloned, never checked out in
            place.
        cwd: Where relative paths start; the current folder by default.

    Raises:
        ProjectError: There is nothing there, or the address makes no sense.
    """
    base = (cwd or Path.cwd()).absolute()
    text = uri.strip("'\"")
    if not text or text.startswith("-") or "\0" in text:
        raise ProjectError(f"`{text}` is neither a folder nor the address of a Git repository")
    if revision is not None and (not revision or revision.startswith("-")):
        raise ProjectError(f"`{revision}` is no branch, tag or commit")
    is_name = "://" not in text and (base / text).exists()  # a folder may have a `#` in its name
    place, subdirectory = (text, "") if is_name else _split(text)
    path = _local(place, base)
    if path is None:
        return Location(
            kind="git", address=place.removeprefix("git+"), subdirectory=subdirectory, revision=revision
        )
    return _at_path(path, place, subdirectory, revision)


def _at_path(path: Path, place: str, subdirectory: str, revision: str | None) -> Location:
    if not path.exists():
        close = (
            closest(path.name, [each.name for each in path.parent.iterdir()])
            if path.parent.is_dir()
            else None
        )
        raise ProjectError(
            f"`{place}` does not exist",
            details=[("searched", str(path.parent))],
            hint=f"did you mean `{Path(place).parent / close}`?" if close else None,
        )
    is_bundle = path.is_file() and path.suffix == ".bundle"
    if path.is_file() and not is_bundle:
        script = f"run `reproof run -e {path.name} {path.parent}`"
        hint = script if path.suffix in (".py", ".sh", ".R") else None
        raise ProjectError(f"`{place}` is a file, not the folder of a project", hint=hint)
    if is_bundle or _is_bare(path):
        return Location(kind="git", address=str(path), subdirectory=subdirectory, revision=revision)
    if revision is not None:
        top = require_top(path)
        inner = PurePosixPath(path.resolve().relative_to(top.resolve()), subdirectory)
        name = "" if inner == PurePosixPath() else str(inner)
        return Location(kind="git", address=str(top), subdirectory=name, revision=revision)
    folder = (path / subdirectory).resolve()  # as Git names the top of a repository
    if not folder.is_dir():
        close = closest(subdirectory, [each.name for each in path.iterdir() if each.is_dir()])
        raise ProjectError(
            f"`{place}` has no folder `{subdirectory}`",
            hint=f"did you mean `{place}#{close}`?" if close else None,
        )
    return Location(kind="folder", folder=folder, subdirectory=subdirectory)


def _split(text: str) -> tuple[str, str]:
    """Address and subdirectory; MLflow refuses any dot in the latter, here only a way out is refused."""
    place, _, subdirectory = text.partition("#")
    parts = PurePosixPath(subdirectory).parts
    if subdirectory.startswith("/") or ".." in parts:
        raise ProjectError(f"the subdirectory `{subdirectory}` leads out of the repository")
    return place, str(PurePosixPath(*parts)) if parts else ""


def _local(text: str, base: Path) -> Path | None:
    """The absolute path that `text` names; None where it is an address.

    Raises:
        ProjectError: The address is of a kind that is refused.
    """
    scheme, separator, _ = text.partition("://")
    if separator and scheme == "file":
        return Path(urllib.parse.unquote(urllib.parse.urlsplit(text).path))
    if separator:
        if scheme.removeprefix("git+") not in _SCHEMES:
            shown = without_secrets(text)
            raise ProjectError(f"`{shown}` has the scheme `{scheme}`, which Git addresses do not have")
        return None
    if "::" in text:
        raise ProjectError(f"`{text}` names a transport of its own, which could run any program")
    path = base / text
    is_address = not path.exists() and _SCP.fullmatch(text) is not None and "/" not in text.partition(":")[0]
    return None if is_address else Path(os.path.normpath(path))


def _is_bare(path: Path) -> bool:
    return all((path / name).exists() for name in ("HEAD", "objects", "refs"))
