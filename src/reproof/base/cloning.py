"""Copies of a Git repository at another place, exact to the byte and sharing nothing with it."""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import msgspec

from reproof.base.digesting import digest_file
from reproof.base.files import copy_private
from reproof.base.git import (
    git,
    git_bytes,
    git_environment,
    git_names,
    git_text,
    has_commit,
    remote_address,
    without_secrets,
)
from reproof.errors import MaterialError, ProjectError
from reproof.model.record import Submodule

#: No hook, template, filter or attribute of the user's takes part in what a clone looks like.
_QUIET = (
    *("-c", "core.hooksPath=/dev/null", "-c", "init.templateDir=", "-c", "advice.detachedHead=false"),
    *("-c", "core.attributesFile=/dev/null", "-c", "apply.whitespace=nowarn"),
)
_NEUTRAL = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_CONFIG_COUNT": "0",
    "GIT_CONFIG_PARAMETERS": "",
}
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-.*\n)*oid sha256:([0-9a-f]{64})\nsize \d+\n"
)
_CHUNK = 1 << 20
_SUBMODULES = ("submodule", "update", "--quiet", "--init", "--recursive")


class Checkout(msgspec.Struct, frozen=True, kw_only=True):
    """How the work tree of a clone shall look.

    Attributes:
        settings: What :func:`reproof.base.git.checkout_settings` said where the code ran.
        submodules: Submodules that were checked out, and at which commits.
        branch: Branch that was checked out, None for a detached HEAD.
    """

    settings: dict[str, str] = {}
    submodules: tuple[Submodule, ...] = ()
    branch: str | None = None


class Cloned(msgspec.Struct, frozen=True, kw_only=True):
    """What a clone has and has not.

    Attributes:
        commit: Full id of the commit that is checked out.
        pointers: Git LFS files whose content was not to be had; the clone has their pointers.
        absent: Submodules that could not be cloned because the source does not have them.
    """

    commit: str
    pointers: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


def clone(address: str, target: Path, revision: str | None = None, *, submodules: bool = True) -> str:
    """Clone a repository by its address, as a user would for a first run, but with no hook run.

    Args:
        address: Anything that git clones from; credentials come from the user's own settings.
        target: A folder that does not exist yet, or is empty.
        revision: Branch, tag or commit (a prefix too); the remote's default branch when None.
        submodules: Clone them too, each of which must be there.

    Returns:
        The full id of the commit that is checked out.

    Raises:
        ProjectError: The repository or the revision cannot be had.
    """
    _transfer(address, target)
    name = revision or "HEAD"
    commit = _resolve(target, name)
    branch = _branch(target, name)
    _check_out(target, commit, branch)
    if submodules:
        git_bytes(target, *_QUIET, *_SUBMODULES)
    return commit


def fetch_submodules(top: Path) -> None:
    """Clone the submodules of a clone of our own, as far as they can be had."""
    git(top, *_QUIET, *_SUBMODULES)


def clone_at(source: Path, target: Path, commit: str, checkout: Checkout | None = None) -> Cloned:
    """Clone a local repository (or bundle) with one commit checked out.

    Every object of that commit is hashed again on the way. The clone shares no file with the
    source, knows nothing of where it came from, and runs no hook or filter. Content of Git LFS
    files is taken from the source's own LFS store, verified, where it is there.

    Args:
        source: The repository's folder, or a bundle file.
        target: A folder that does not exist yet, or is empty.
        commit: Full id.
        checkout: How the work tree shall look.

    Raises:
        ProjectError: Git cannot clone, or does not have the commit.
        MaterialError: An object does not have the content that its id says.
    """
    wanted = checkout or Checkout()
    _transfer(str(source.absolute()), target, wanted.settings)
    if not has_commit(target, commit):
        _fetch_commit(source, target, commit)
    _verify(target, commit)
    _check_out(target, commit, wanted.branch, _NEUTRAL)
    _disconnect(source, target)
    pointers = tuple(_fill_pointers(source, target))
    inner = [_clone_submodule(source, target, each) for each in wanted.submodules]
    return Cloned(
        commit=commit,
        pointers=pointers + tuple(name for part in inner if part for name in part),
        absent=tuple(each.path for each, part in zip(wanted.submodules, inner, strict=True) if part is None),
    )


def apply_patch(top: Path, patch: bytes) -> None:
    """Apply what :func:`reproof.base.git.diff_binary` made to the work tree of a clone.

    Raises:
        ProjectError: The patch does not fit.
    """
    if patch:
        git_bytes(top, *_QUIET, "apply", "--whitespace=nowarn", "-p1", "-", stdin=patch, env=_NEUTRAL)


def bundle(top: Path, commits: list[str], target: Path, *, whole: bool = False) -> bool:
    """Write a bundle of `commits` and their history without what a remote already has, unless the `whole` is wanted.

    The bundle names them ``refs/reproof/COMMIT``. Works through a repository of its own beside
    the user's objects, so that no ref is made in theirs.

    Returns:
        False, with nothing written, where remote-tracking branches already contain everything.
    """
    known = (
        git_text(top, "for-each-ref", "--format=%(objectname)", "refs/remotes").split() if not whole else []
    )
    objects = (top / git_text(top, "rev-parse", "--git-path", "objects")).absolute()
    with tempfile.TemporaryDirectory(prefix="reproof-bundle-") as folder:
        aside = Path(folder)
        git_bytes(aside, *_QUIET, "init", "--quiet", "--bare", ".")
        (aside / "objects/info/alternates").write_bytes(os.fsencode(objects) + b"\n")
        for commit in commits:
            git_bytes(aside, "update-ref", f"refs/reproof/{commit}", commit)
        refs = [f"refs/reproof/{commit}" for commit in commits]
        excluded = [f"^{commit}" for commit in dict.fromkeys(known)]
        if not git_bytes(aside, "rev-list", "--max-count=1", *refs, *excluded).strip():
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        git_bytes(aside, "bundle", "create", "--quiet", str(target.absolute()), *refs, *excluded)
    return True


def add_bundle(top: Path, source: Path) -> None:
    """Add the commits of a bundle to a clone (never to the user's repository).

    Raises:
        ProjectError: The bundle is damaged, or builds on commits that the clone does not have.
    """
    git_bytes(top, *_QUIET, "fetch", "--quiet", str(source.absolute()), "refs/reproof/*:refs/reproof/*")


def _transfer(address: str, target: Path, settings: Mapping[str, str] | None = None) -> None:
    """Copy the objects: with the user's own settings, which may be needed to reach the address."""
    target.parent.mkdir(parents=True, exist_ok=True)
    config = [word for name, value in (settings or {}).items() for word in ("-c", f"{name}={value}")]
    options = ["--quiet", "--no-hardlinks", "--dissociate", "--no-checkout", "--template="]
    done = git(target.parent, *_QUIET, "clone", *options, *config, "--", address, str(target.absolute()))
    if not done.ok:
        raise ProjectError(
            f"cannot clone `{without_secrets(address)}`",
            details=[("git", without_secrets(done.complaint) or "no message")],
        )


def _fetch_commit(source: Path, target: Path, commit: str) -> None:
    """Take one commit that no branch of the source holds (a shallow or rewritten repository)."""
    what = commit if source.is_dir() else "refs/reproof/*:refs/reproof/*"
    if git(target, *_QUIET, "fetch", "--quiet", str(source.absolute()), what).ok and has_commit(
        target, commit
    ):
        return
    raise ProjectError(
        f"commit `{commit}` is not in `{source}`",
        hint=_fetch(source) if source.is_dir() and remote_address(source) else None,
    )


def _fetch(source: Path) -> str:
    return f"run `git -C {shlex.quote(str(source))} fetch --all`"


def _check_out(target: Path, commit: str, branch: str | None, env: Mapping[str, str] | None = None) -> None:
    place = ["-B", branch] if branch else ["--detach"]
    git_bytes(target, *_QUIET, "checkout", "--quiet", "--force", *place, commit, "--", env=env)


def _disconnect(source: Path, target: Path) -> None:
    """Let the clone not know its source: a `git push` within a clean room must reach nobody's files."""
    address = remote_address(source) if source.is_dir() else None
    git(target, "remote", "remove", "origin")
    if address is not None:
        git(target, "remote", "add", "origin", address)


def _resolve(target: Path, revision: str) -> str:
    """The commit that a branch, tag or (short) id names in a fresh clone."""
    for form in (f"refs/tags/{revision}", f"refs/remotes/origin/{revision}", revision):
        done = git(target, "rev-parse", "--quiet", "--verify", "--end-of-options", f"{form}^{{commit}}")
        if done.ok:
            return done.text.strip()
    if git(target, *_QUIET, "fetch", "--quiet", "origin", "--", revision).ok:
        return git_text(target, "rev-parse", "FETCH_HEAD^{commit}")
    tags = git_text(target, "for-each-ref", "--format=%(refname:lstrip=2)", "refs/tags").split("\n")
    form = "--format=%(refname:lstrip=3)"
    branches = git_text(target, "for-each-ref", form, "refs/remotes").split("\n")
    names = sorted({name for name in (*tags, *branches) if name and name != "HEAD"})
    if revision == "HEAD":
        what, close = "the repository has no commit on its default branch", names[:1]
    else:
        what = f"the repository has no branch, tag or commit `{revision}`"
        close = difflib.get_close_matches(revision, names, 1)
    raise ProjectError(
        what,
        details=[("has", ", ".join(names) or "nothing")],
        hint=f"pass `--revision {close[0]}`" if close else None,
    )


def _branch(target: Path, revision: str) -> str | None:
    if revision == "HEAD":
        done = git(target, "symbolic-ref", "--quiet", "--short", "HEAD")
        return os.fsdecode(done.stdout).strip() if done.ok else None
    tagged = git(target, "rev-parse", "--quiet", "--verify", f"refs/tags/{revision}").ok
    return (
        revision
        if not tagged
        and git(target, "rev-parse", "--quiet", "--verify", f"refs/remotes/origin/{revision}").ok
        else None
    )


def _clone_submodule(source: Path, target: Path, wanted: Submodule) -> tuple[str, ...] | None:
    """Clone one submodule from its checkout in the source; names of its LFS pointers, None if absent."""
    place = source / wanted.path
    if not (place / ".git").exists():
        return None
    done = clone_at(place, target / wanted.path, wanted.commit)
    return tuple(f"{wanted.path}/{name}" for name in done.pointers)


def lfs_pointers(top: Path) -> list[str]:
    """Names of Git LFS files in a work tree that are pointers, their content never fetched."""
    names = git_names(top, "ls-files", "-z", ":(top,attr:filter=lfs)")
    return [name for name in names if _pointer_at(top / name) is not None]


def _pointer_at(place: Path) -> re.Match[bytes] | None:
    """The pointer of Git LFS that a file is; None for any other file, link or nothing."""
    if place.is_symlink() or not place.is_file():
        return None
    with place.open("rb") as file:
        return _POINTER.match(file.read(1024))


def _fill_pointers(source: Path, target: Path) -> Iterator[str]:
    """Give Git LFS files their content from the source's LFS store; yield those without any."""
    names = git_names(target, "ls-files", "-z", ":(top,attr:filter=lfs)")
    if not names or not source.is_dir():
        yield from names
        return
    common = source / git_text(source, "rev-parse", "--git-common-dir")
    for name in names:
        place = target / name
        match = _pointer_at(place)
        if match is None:
            continue
        oid = match[1].decode()
        content = common / "lfs" / "objects" / oid[:2] / oid[2:4] / oid
        if not content.is_file() or digest_file(content, ("sha256",))["sha256"] != oid:
            yield name
            continue
        mode = place.stat().st_mode & 0o777
        place.unlink()
        copy_private(content, place, mode=mode)


def _verify(repository: Path, commit: str) -> None:
    """Hash the commit, its trees and its files again: Git trusts what it reads from its store."""
    listing = git_names(repository, "ls-tree", "-r", "-t", "-z", "--full-tree", commit)
    entries = [entry.partition("\t") for entry in listing]
    names = {facts.split()[2]: name for facts, _, name in entries if facts.split()[1] != "commit"}
    tree = git_text(repository, "rev-parse", f"{commit}^{{tree}}")
    wanted = {commit: "commit", tree: "top folder", **names}
    with tempfile.TemporaryFile() as request:
        request.write("".join(f"{oid}\n" for oid in wanted).encode())
        request.seek(0)
        command = ["git", "cat-file", "--batch", "--buffer"]
        env = git_environment()
        with subprocess.Popen(
            command, cwd=repository, env=env, stdin=request, stdout=subprocess.PIPE
        ) as reader:
            assert reader.stdout is not None
            for oid, name in wanted.items():
                if _hash_next(reader.stdout, oid) != oid:
                    reader.kill()
                    raise MaterialError(
                        f"`{name}` in the Git repository does not have its recorded content",
                        details=[("object", oid), ("commit", commit)],
                        hint="run `git fsck` in the repository, then `git fetch` it anew",
                    )


def _hash_next(stream: IO[bytes], oid: str) -> str | None:
    """The id of the next object that ``git cat-file --batch`` prints, from its content."""
    words = stream.readline().split()
    if len(words) != 3 or not words[2].isdigit():
        return None
    left = int(words[2])
    digester: Any = hashlib.sha256() if len(oid) == 64 else hashlib.sha1(usedforsecurity=False)
    digester.update(b"%s %d\0" % (words[1], left))
    while left > 0:
        chunk = stream.read(min(left, _CHUNK))
        if not chunk:
            return None
        digester.update(chunk)
        left -= len(chunk)
    stream.read(1)
    return str(digester.hexdigest())
