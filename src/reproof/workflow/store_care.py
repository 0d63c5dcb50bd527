"""`keep`, `store check` and `store gc`: what the store of a project's records holds, and why."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from reproof.base import git
from reproof.base.digesting import digest_files
from reproof.base.files import remove_tree, write_atomic
from reproof.base.locations import own_folder
from reproof.base.naming import Naming
from reproof.capture.credentials import holds_credentials
from reproof.errors import MaterialError, StoreError, UsageError
from reproof.model.data import ObjectFault, StoreReport
from reproof.model.digest import Digest
from reproof.model.event import Emit, Event, silent
from reproof.model.manifest import read_manifest
from reproof.project.settings import read_settings
from reproof.store.directory import DirectoryStore
from reproof.store.manifest import keep_folder

_DIGEST = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_GRACE = 3600.0  # seconds in which a run that ends now may still name what it has put
_LIVE = 7 * 86400.0  # seconds for which an unfinished record may be that of a run that goes on
_STALE = 86400.0  # seconds after which a temporary file belongs to nobody
_CACHE_LIMIT = 256 << 20  # bytes of the cache of digests


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """Content that was put into the store by hand.

    Attributes:
        name: Below the top of the repository, or ``${HOME}/...``.
        kind: ``file`` or ``directory``.
        blake3: Of the file, or of the folder's manifest.
        size: Bytes.
        files: Number of files.
    """

    name: str
    kind: str
    blake3: str
    size: int
    files: int = 1


def keep(path: Path, emit: Emit = silent) -> Kept:
    """Put a file or folder into the store, so that a run that reads it can be re-created without it.

    Raises:
        UsageError: It is not there, lies neither below the repository nor below HOME, or may hold credentials.
        MaterialError: It cannot be read.
        StoreError: It cannot be kept.
    """
    top = git.require_top(Path.cwd())
    place = Path(os.path.abspath(path))  # noqa: PTH100  # symlinks in the way belong to the name
    name = Naming(top=str(top), home=str(Path.home())).name_file(str(place))
    if not place.exists():
        raise UsageError(f"there is no `{path}`")
    if name.startswith("/") and place != top:
        raise UsageError(
            f"cannot keep `{path}`: it lies neither below the repository nor below HOME",
            details=[("why", "a re-run reads such a file where it is; it cannot be put elsewhere")],
        )
    if place == top or own_folder(top) in (place, *place.parents):
        raise UsageError(f"cannot keep `{path}`: it is what everything is kept in")
    _require_no_credentials(path, place, name)
    store = DirectoryStore(own_folder(top))
    emit(Event(kind="start", subject="keep", message=f"keeping `{path}`"))
    if place.is_dir():
        digest, manifest = keep_folder(place, store)
        kept = Kept(
            name=name, kind="directory", blake3=digest.value, size=manifest.size, files=manifest.files
        )
    else:
        digest = store.put(place)
        kept = Kept(name=name, kind="file", blake3=digest.value, size=store.path(digest).stat().st_size)
    try:
        write_atomic(_kept_folder(store) / f"{digest.value}.json", msgspec.json.encode(kept) + b"\n")
    except OSError as error:
        raise StoreError(f"cannot keep `{path}`: {error.strerror}") from error
    emit(Event(kind="finish", subject="keep"))
    return kept


def _require_no_credentials(path: Path, place: Path, name: str) -> None:
    """Refuse what would carry a token of the user's into the store, and so to whoever gets a record."""
    inner = (
        f"{name}/{os.path.relpath(os.path.join(folder, each), place)}"  # noqa: PTH118
        for folder, _, files in os.walk(place)
        for each in files
    )
    found = next((each for each in (name, *inner) if holds_credentials(each)), None)
    if found is not None:
        raise UsageError(
            f"cannot keep `{path}`: it may hold credentials",
            details=[("found", f"`{found}`")],
            hint="keep the folders that hold the models or data alone",
        )


def check_store(directory: Path, emit: Emit = silent) -> StoreReport:
    """Read every object, and look for those that records say are kept.

    Raises:
        ProjectError: There is no repository.
    """
    store = DirectoryStore(own_folder(git.require_top(directory)))
    store.recover()
    listed = _objects(store)
    emit(Event(kind="start", subject="store", message="reading the store", total=len(listed)))
    faults = []
    digests = digest_files(str(store.path(each)) for each, _ in listed)
    for done, ((expected, _), found) in enumerate(zip(listed, digests, strict=True), 1):
        if (fault := _fault(store, expected, found)) is not None:
            faults.append(fault)
        emit(Event(kind="advance", subject="store", done=done, total=len(listed)))
    emit(Event(kind="finish", subject="store"))
    missing, damaged = _missing(store)
    return StoreReport(
        objects=len(listed),
        size=sum(size for _, size in listed),
        checked=True,
        faults=(*faults, *missing),
        damaged=damaged,
    )


def collect_garbage(directory: Path, emit: Emit = silent, *, dry_run: bool = False) -> StoreReport:
    """Remove every object that no record names and nobody kept by hand.

    What a record names is found by its digits, wherever they stand in it: nothing that a record of
    any version speaks of is removed. What was put within the last hour, or since a run began that may
    still go on, stays.

    Raises:
        ProjectError: There is no repository.
        StoreError: A record cannot be read, so that nothing may be removed; or the store not written.
    """
    top = git.require_top(directory)
    store = DirectoryStore(own_folder(top))
    store.recover()
    named = _named(store)
    before, notes = _oldest_need(store)
    removed = freed = objects = kept_size = 0
    emit(Event(kind="start", subject="store", message="looking for what no record names"))
    for digest, size in _objects(store):
        unused = digest.value not in named and store.path(digest).stat().st_mtime < before
        if unused and (dry_run or store.remove_unused(digest, before)):
            removed, freed = removed + 1, freed + size
        else:
            objects, kept_size = objects + 1, kept_size + size
    if not dry_run:
        _sweep(store, named)
    emit(Event(kind="finish", subject="store"))
    limit = read_settings(top).max_store_bytes
    if limit and kept_size > limit:
        notes.append(
            f"the store holds more than `max-store-bytes` = {limit:,}, and records name all of it: "
            f"remove records that are no longer needed from `{store.root / 'records'}`, then run this again"
        )
    return StoreReport(
        objects=objects, size=kept_size, removed=removed, freed=freed, dry_run=dry_run, notes=tuple(notes)
    )


def _kept_folder(store: DirectoryStore) -> Path:
    return store.root / "kept"


def _objects(store: DirectoryStore) -> list[tuple[Digest, int]]:
    """All objects with their sizes, as they lie on the disk."""
    found = []
    for digest in store:
        try:
            status = store.path(digest).stat()
        except FileNotFoundError:
            continue
        found.append((status.st_ino, digest, status.st_size))
    return [(digest, size) for _, digest, size in sorted(found)]


def _documents(store: DirectoryStore) -> Iterator[Path]:
    """Everything that may name an object."""
    for folder in ("records", "unfinished", "pending", "kept"):
        yield from sorted((store.root / folder).glob("*.json"))


def _named(store: DirectoryStore) -> set[str]:
    """All that looks like a digest in any record or sidecar, and what kept folders consist of."""
    named: set[str] = set()
    for place in _documents(store):
        try:
            data = place.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise StoreError(
                f"cannot remove anything: `{place}` cannot be read, and what it names is not known",
                details=[("reason", error.strerror or str(error))],
            ) from error
        named.update(found.decode() for found in _DIGEST.findall(data))
    for place in sorted(_kept_folder(store).glob("*.json")):
        named |= _members(store, place.stem)
    return named


def _members(store: DirectoryStore, value: str) -> set[str]:
    """The files of a kept folder; none for a kept file."""
    digest = Digest("blake3", value)
    try:
        kept = msgspec.json.decode((_kept_folder(store) / f"{value}.json").read_bytes(), type=Kept)
        if kept.kind != "directory":
            return set()
        manifest = read_manifest(store.get_bytes(digest), kept.name)
    except (OSError, msgspec.DecodeError, MaterialError, StoreError) as error:
        raise StoreError(
            f"cannot remove anything: what `{value[:8]}` consists of is not known",
            details=[("reason", str(error))],
            hint="run `reproof store check`",
        ) from error
    return {row.blake3 for row in manifest.rows if row.blake3}


def _oldest_need(store: DirectoryStore) -> tuple[float, list[str]]:
    """The time from which on objects may belong to a run that has not ended; and a note about it."""
    now = time.time()
    before = now - _GRACE
    notes = []
    for place in (store.root / "unfinished").glob("*.json"):
        began = place.stat().st_mtime
        if began > now - _LIVE:
            before = min(before, began - _GRACE)
            notes.append(f"what was put since `{place.name}` began stays: that run may still go on")
    return before, notes[:3]


def _sweep(store: DirectoryStore, named: set[str]) -> None:
    """Remove what killed processes left behind, facts of unnamed tables, and a cache that has grown too large."""
    now = time.time()
    for place in (store.root / "tables").glob("*.json"):
        if place.name[:64] not in named and place.stat().st_mtime < now - _GRACE:
            place.unlink(missing_ok=True)
    incoming = store.root / "incoming"
    for place in incoming.iterdir() if incoming.is_dir() else ():
        if place.lstat().st_mtime < now - _STALE:
            remove_tree(place)
    cache = store.root / "digests.sqlite"
    if cache.exists() and cache.stat().st_size > _CACHE_LIMIT:
        for ending in ("", "-wal", "-shm"):
            Path(f"{cache}{ending}").unlink(missing_ok=True)


def _fault(store: DirectoryStore, expected: Digest, found: dict[str, str] | OSError) -> ObjectFault | None:
    place = str(store.path(expected))
    if isinstance(found, FileNotFoundError):
        return None  # removed by another process since it was listed
    if isinstance(found, OSError):
        note = f"cannot be read: {found.strerror}"
        return ObjectFault(name="", place=place, expected=str(expected), found="", note=note)
    if found["blake3"] == expected.value:
        return None
    return ObjectFault(name="", place=place, expected=str(expected), found=f"blake3:{found['blake3']}")


def _missing(store: DirectoryStore) -> tuple[list[ObjectFault], tuple[str, ...]]:
    """What records say is kept and is not there; and the names of records that cannot be read."""
    missing: dict[str, ObjectFault] = {}
    damaged = []
    for place in _documents(store):
        try:
            document = msgspec.json.decode(place.read_bytes())
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            damaged.append(place.name)
            continue
        wanted = dict(_kept_artifacts(document))
        if place.parent.name == "kept" and isinstance(document, dict):
            wanted[place.stem] = str(document.get("name"))
        for value, name in wanted.items():
            digest = Digest("blake3", value)
            if len(value) == 64 and digest not in store:
                where = f"{store.path(digest)} (named by {place.name[:12]})"
                missing.setdefault(value, ObjectFault(name=name, place=where, expected=str(digest)))
    return list(missing.values()), tuple(damaged)


def _kept_artifacts(value: Any) -> Iterator[tuple[str, str]]:
    """Digest and name of every artifact in a document that says of itself that it is kept."""
    if isinstance(value, dict):
        digests = value.get("digests")
        if value.get("kept") is True and isinstance(digests, dict) and "blake3" in digests:
            yield str(digests["blake3"]), str(value.get("name"))
        for item in value.values():
            yield from _kept_artifacts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _kept_artifacts(item)
