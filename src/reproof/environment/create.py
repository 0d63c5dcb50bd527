"""Making an environment, and finding one that was made before and is still whole."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from reproof import injected
from reproof.base.files import locked, remove_tree, write_atomic
from reproof.base.locations import cache_directory
from reproof.environment.install import install, make_empty
from reproof.environment.installed import Change, changed_files
from reproof.environment.manifest import changed_since, write_manifest
from reproof.environment.sources import local_sources
from reproof.environment.uv import disk_is_full
from reproof.environment.values import Environment, EnvironmentRequest
from reproof.errors import EnvironmentBuildError
from reproof.model.event import Emit, Event, silent

#: Written last: a folder without it is half built.
_MARKER = "reproof-environment.json"


def create(request: EnvironmentRequest, target: Path | None = None, emit: Emit = silent) -> Environment:
    """Make the environment that `request` describes, or take the one made for it before.

    Every file is checked against the RECORD of its distribution, so that an edited file in the
    package cache does not get in. Reproof's bootstrap is part of the environment.

    Args:
        request: What it contains.
        target: A folder that must not exist yet, for a private environment. None: the one cached
            for this request, made first if it is missing, half built, or was changed since.
        emit: Told about the work and about what was found changed.

    Raises:
        EnvironmentBuildError: It cannot be made, does not equal its lock, or the disk is full.
        OSError: The disk is not writable.
    """
    key = environment_key(request)
    if target is not None:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise EnvironmentBuildError(f"cannot make an environment at `{target}`: something is there")
        with _on_a_disk(target):
            return _build(request, target.absolute(), key, emit)
    folder = _place(key)
    with _on_a_disk(folder), locked(folder.with_name(f"{folder.name}.lock")):
        found = _load(folder, key)
        if found is not None and not _tell(check(found), emit):
            return msgspec.structs.replace(found, reused=True)
        remove_tree(folder)
        return _build(request, folder, key, emit)


def find_cached(request: EnvironmentRequest) -> Environment | None:
    """The environment that was cached for `request`, whole or not; nothing is made or checked."""
    key = environment_key(request)
    found = _load(_place(key), key)
    return None if found is None else msgspec.structs.replace(found, reused=True)


def check(environment: Environment) -> list[Change]:
    """Files of an environment that were changed since it was made, found by their states alone.

    Empty for a whole one. The user's own environment has nothing to be checked against: empty.
    """
    if environment.kind != "uv":
        return []
    return changed_since(environment.folder, environment.site_packages)


def check_contents(environment: Environment) -> list[Change]:
    """Files of an environment that do not have the content that their distribution was packed with: reads everything."""
    return changed_files(environment.site_packages)


def environment_key(request: EnvironmentRequest) -> str:
    """Names everything that decides what an environment contains: a sha256.

    Lock, interpreter, platform, the installing program, reproof's bootstrap, and the state of
    the folders that the lock refers to.
    """
    python = request.python
    facts: list[Any] = [
        "uv",
        request.lock.format,
        request.lock.text,
        request.groups,
        request.extras,
        request.wheels_only,
        str(python.path),
        msgspec.to_builtins(python.build),
        injected.version(),
        [(str(source.path), source.editable, source.state) for source in local_sources(request)],
    ]
    return hashlib.sha256(msgspec.json.encode(facts)).hexdigest()


def _build(request: EnvironmentRequest, folder: Path, key: str, emit: Emit) -> Environment:
    emit(
        Event(
            kind="start",
            subject="environment",
            message=f"making the environment with Python {request.python.version}",
        )
    )
    try:
        python, site_packages = make_empty(request, folder)
        with ThreadPoolExecutor(1) as pool:  # which compiles, while uv mostly writes
            bootstrap = pool.submit(injected.install, site_packages, python=python)
            environment = msgspec.structs.replace(install(request, folder, emit), key=key)
            bootstrap.result()
        write_manifest(folder, environment.site_packages)
        write_atomic(folder / _MARKER, msgspec.json.encode(environment, enc_hook=str), durable=False)
    except BaseException:
        remove_tree(folder)
        raise
    count = len(environment.distributions)
    done = f"made the environment: {count} {'package' if count == 1 else 'packages'}"
    emit(Event(kind="finish", subject="environment", message=done))
    return environment


@contextmanager
def _on_a_disk(folder: Path) -> Iterator[None]:
    """Say of a disk that is full that it is."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        details = [("folder", str(folder)), ("reason", os.strerror(error.errno))]
        raise disk_is_full("make the environment", details) from error


def _place(key: str) -> Path:
    return cache_directory() / "environments" / key[:20]


def _load(folder: Path, key: str) -> Environment | None:
    """The finished environment in `folder`, if it is the one asked for and its interpreter is still there."""
    try:
        found = msgspec.json.decode((folder / _MARKER).read_bytes(), type=Environment, dec_hook=_path)
    except (OSError, msgspec.DecodeError):
        return None
    # os.access, because an interpreter out of reach is as good as none
    return found if found.key == key and os.access(found.python, os.X_OK) else None


def _path(kind: type, value: Any) -> Any:
    return kind(value)


def _tell(changes: list[Change], emit: Emit) -> bool:
    """Tell which packages were changed; False when none was."""
    if not changes:
        return False
    names = sorted({change.distribution for change in changes if change.distribution})
    what = f"package {', '.join(f'`{name}`' for name in names)} was" if names else "files were"
    shown = ", ".join(str(change) for change in changes[:3]) + (", ..." if len(changes) > 3 else "")
    emit(
        Event(
            kind="warning",
            subject="environment",
            message=f"{what} changed in the cached environment since it was made ({shown}); it is made anew",
        )
    )
    return True
