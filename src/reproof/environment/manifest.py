"""Whether an environment is still as it was made: by file states, and by content where a state moved."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec

from reproof.base.files import write_atomic
from reproof.environment.installed import Change, max_workers, recorded_files

_NAME = "reproof-manifest"


#: Inode, size, and ctime in nanoseconds, which every write moves and no program can set back.
_State = tuple[int, int, int]
#: States by name within a folder, by folder: ``""`` or ``"lib/python3.11/"``.
_States = dict[str, dict[str, _State]]


class _Manifest(msgspec.Struct, array_like=True, frozen=True):
    """States, and, not decoded before one has moved, sha256 digests by path."""

    states: _States
    digests: msgspec.Raw


def write_manifest(folder: Path, site_packages: Path) -> None:
    """Note the state and digest of every file below `folder`, bytecode left out.

    To be called when the files have just been found to agree with their RECORD, whose digests
    are taken over. Raises OSError as the file system does.
    """
    states = _states(str(folder))
    root = f"{folder}/"
    digests = {
        path.removeprefix(root): entry.digest
        for path, (_, entry) in recorded_files(site_packages).items()
        if entry.algorithm == "sha256"
    }
    digests.update(_digest_all(folder, [name for name in _paths(states) if name not in digests]))
    _write(folder, states, digests)


def changed_since(folder: Path, site_packages: Path) -> list[Change]:
    """Files that were changed, added or removed since the manifest was written.

    Only files whose inode, size or times moved are read. If all of them have their old content
    (a backup, a copy of the attributes), the manifest is renewed.

    Args:
        folder: The environment.
        site_packages: Its packages' folder, to name distributions.
    """
    try:
        manifest = msgspec.msgpack.decode((folder / _NAME).read_bytes(), type=_Manifest)
        states = _states(str(folder))
        if states == manifest.states:
            return []
        digests = msgspec.msgpack.decode(manifest.digests, type=dict[str, bytes])
    except (OSError, msgspec.DecodeError):
        return [Change(distribution="", path=_NAME, how="missing")]
    old, now = _paths(manifest.states), _paths(states)
    moved = [name for name, state in now.items() if state != old.get(name)]
    present = _digest_all(folder, [name for name in moved if name in old])
    hows = dict.fromkeys((name for name in old if name not in now), "missing")
    hows.update((name, "added") for name in moved if name not in old)
    hows.update((name, "changed") for name in present if present[name] != digests.get(name))
    if hows:
        return _named(folder, site_packages, hows)
    _write(folder, states, digests)
    return []


def _write(folder: Path, states: _States, digests: dict[str, bytes]) -> None:
    manifest = _Manifest(states, msgspec.Raw(msgspec.msgpack.encode(digests)))
    write_atomic(folder / _NAME, msgspec.msgpack.encode(manifest), durable=False)


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


def _states(root: str) -> _States:
    """States of all files and symlinks, without bytecode; folders without any are left out.

    Each folder is opened, so that the kernel looks up names and not paths: there are tens of thousands.
    """
    found: _States = {}
    pending = [""]
    while pending:
        below = pending.pop()
        states: dict[str, _State] = {}
        handle = os.open(f"{root}/{below}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with os.scandir(handle) as entries:
                for entry in entries:
                    name = entry.name
                    if entry.is_dir(follow_symlinks=False):
                        if name != "__pycache__":
                            pending.append(f"{below}{name}/")
                    elif not name.endswith(".pyc") and (below or not name.startswith("reproof-")):
                        state = entry.stat(follow_symlinks=False)
                        states[name] = (state.st_ino, state.st_size, state.st_ctime_ns)
        finally:
            os.close(handle)
        if states:
            found[below] = states
    return found


def _paths(states: _States) -> dict[str, _State]:
    return {below + name: state for below, inner in states.items() for name, state in inner.items()}


def _digest_all(folder: Path, names: list[str]) -> dict[str, bytes]:
    from concurrent.futures import ThreadPoolExecutor

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
