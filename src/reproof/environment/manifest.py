"""Whether an environment is still as it was made: by file states, and by content where a state moved."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from reproof.base.files import write_atomic
from reproof.environment.installed import Change, max_workers, recorded_files

_NAME = "reproof-manifest"


class _File(msgspec.Struct, array_like=True, frozen=True):
    """State and content of a file; a symlink's content is where it points to."""

    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    digest: bytes


def write_manifest(folder: Path, site_packages: Path) -> None:
    """Note the state and digest of every file below `folder`, bytecode left out.

    To be called when the files have just been found to agree with their RECORD, whose digests
    are taken over. Raises OSError as the file system does.
    """
    states = dict(_states(str(folder)))
    root = f"{folder}/"
    digests = {
        path.removeprefix(root): entry.digest
        for path, (_, entry) in recorded_files(site_packages).items()
        if entry.algorithm == "sha256"
    }
    digests.update(
        _digest_all(folder, {name: state for name, state in states.items() if name not in digests})
    )
    files = {path: _File(*state, digests[path]) for path, state in states.items()}
    write_atomic(folder / _NAME, msgspec.msgpack.encode(files), durable=False)


def changed_since(folder: Path, site_packages: Path) -> list[Change]:
    """Files that were changed, added or removed since the manifest was written.

    Only files whose inode, size or times moved are read. If all of them have their old content
    (a backup, a copy of the attributes), the manifest is renewed.

    Args:
        folder: The environment.
        site_packages: Its packages' folder, to name distributions.
    """
    path = folder / _NAME
    try:
        old = msgspec.msgpack.decode(path.read_bytes(), type=dict[str, _File])
    except (OSError, msgspec.DecodeError):
        return [Change(distribution="", path=_NAME, how="missing")]
    now = dict(_states(str(folder)))
    moved = {
        name
        for name, state in now.items()
        if name not in old or state != msgspec.structs.astuple(old[name])[:4]
    }
    missing = [name for name in old if name not in now]
    if not moved and not missing:
        return []
    digests = _digest_all(folder, {name: now[name] for name in moved if name in old})
    hows = dict.fromkeys(missing, "missing")
    hows.update(
        {
            name: "changed" if name in old else "added"
            for name in moved
            if digests.get(name) != _digest(old, name)
        }
    )
    if hows:
        return _named(folder, site_packages, hows)
    write_atomic(
        path,
        msgspec.msgpack.encode({name: _File(*now[name], old[name].digest) for name in now}),
        durable=False,
    )
    return []


def _digest(files: dict[str, _File], name: str) -> bytes | None:
    return files[name].digest if name in files else b"\0"


def _named(folder: Path, site_packages: Path, hows: dict[str, str]) -> list[Change]:
    owners = recorded_files(site_packages)
    changes = []
    for name, how in sorted(hows.items()):
        path = os.path.normpath(folder / name)
        changes.append(
            Change(
                distribution=owners[path][0] if path in owners else "",
                path=os.path.relpath(path, site_packages),
                how=how,
            )
        )
    return changes


def _states(root: str) -> Iterator[tuple[str, tuple[int, int, int, int]]]:
    """Relative path and (inode, size, mtime, ctime) of each file and symlink, without bytecode."""
    pending = [""]
    while pending:
        below = pending.pop()
        with os.scandir(f"{root}/{below}") as entries:
            for entry in entries:
                name = below + entry.name
                if entry.is_dir(follow_symlinks=False):
                    if entry.name != "__pycache__":
                        pending.append(f"{name}/")
                elif not entry.name.endswith(".pyc") and not name.startswith("reproof-"):
                    state = entry.stat(follow_symlinks=False)
                    yield name, (state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


def _digest_all(folder: Path, states: dict[str, tuple[int, int, int, int]]) -> dict[str, bytes]:
    from concurrent.futures import ThreadPoolExecutor

    names = sorted(states)
    batches = [names[start : start + 256] for start in range(0, len(names), 256)]
    with ThreadPoolExecutor(max_workers()) as pool:
        results = pool.map(lambda batch: [(name, _digest_one(f"{folder}/{name}")) for name in batch], batches)
        return dict(pair for result in results for pair in result)


def _digest_one(path: str) -> bytes:
    if os.path.islink(path):  # noqa: PTH114 - hot loop over strings
        return hashlib.sha256(os.readlink(path).encode("utf-8", "surrogateescape")).digest()  # noqa: PTH115 - the same
    digester = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - the same
        while chunk := file.read(1 << 20):
            digester.update(chunk)
    return digester.digest()
