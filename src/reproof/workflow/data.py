"""`data status` and `data check`: is versioned data what it is said to be, in its place and in the cache."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import msgspec

from reproof.base import git
from reproof.base.digesting import digest_files
from reproof.base.locations import own_folder
from reproof.errors import MaterialError
from reproof.model.data import Change, DataReport, ObjectFault, TrackedData
from reproof.model.dvc import DvcConfig, DvcEntry, DvcMember, DvcRemote
from reproof.model.event import Emit, Event, silent
from reproof.project.dvc import read_config, tracked
from reproof.store.digest_cache import DigestCache, FolderFacts
from reproof.store.dvc_objects import every_object, examine, find_object, members_of, wanted_by
from reproof.store.file_state import state_of_files, state_of_folder
from reproof.store.manifest import Digesting, describe_folder, dvc_id, identity


def data_status(directory: Path, emit: Emit = silent) -> DataReport:
    """Look at everything that DVC tracks in the repository at `directory`.

    What the file system shows to be unchanged since it was last read is not read again.

    Raises:
        ProjectError: There is no repository, or a file of DVC's is malformed.
    """
    top = git.require_top(directory)
    with DigestCache(own_folder(top)) as cache:
        items = tuple(_examine_all(top, _Look(top, cache), emit))
    return DataReport(items=items, objects=sum(item.files or 1 for item in items))


def data_check(directory: Path, emit: Emit = silent, *, every: bool = False) -> DataReport:
    """Read and hash everything that DVC tracks, in its place and in the cache; nothing is believed.

    Args:
        directory: Anywhere in the repository.
        emit: Told about the progress.
        every: Also objects that nothing here names, in a cache that lies outside the repository.

    Raises:
        ProjectError: There is no repository, or a file of DVC's is malformed.
    """
    top = git.require_top(directory)
    look = _Look(top, None)
    items = tuple(_examine_all(top, look, emit))
    others: list[ObjectFault] = []
    count = len(look.named)
    for cache in sorted({Path(config.cache) for config in look.configs.values()}):
        if not (every or cache.resolve().is_relative_to(top.resolve())):
            continue
        emit(Event(kind="start", subject="cache", message=f"reading the rest of `{cache}`"))
        rest = [each for each in every_object(cache) if each.id not in look.named]
        count += len(rest)
        others += examine(rest, cache, digest_files)
        emit(Event(kind="finish", subject="cache"))
    return DataReport(items=items, others=tuple(others), objects=count, reread=True)


class _Look:
    """How data is looked at, and what was met on the way."""

    def __init__(self, top: Path, cache: DigestCache | None) -> None:
        self.top = top
        self.cache = cache
        self.digesting: Digesting = digest_files if cache is None else cache.digest_files
        self.configs: dict[str, DvcConfig] = {}
        self.named: set[str] = set()
        self._members: tuple[DvcEntry | None, tuple[DvcMember, ...] | None] = (None, None)

    def config(self, root: str) -> DvcConfig:
        """The configuration of a DVC repository, read once."""
        if root not in self.configs:
            self.configs[root] = read_config(self.top / root)
        return self.configs[root]

    def describe(self, folder: Path) -> FolderFacts:
        """What is in a folder."""
        if self.cache is not None:
            return self.cache.describe(folder)
        found = describe_folder(folder, md5=True)
        return FolderFacts(
            blake3=identity(found).value, dvc_id=dvc_id(found) or "", size=found.size, files=found.files
        )

    def members(self, entry: DvcEntry, root: Path) -> tuple[DvcMember, ...] | None:
        """The files of a folder, as DVC's list of them says; None for a file, or without that list."""
        if self._members[0] is not entry:
            self._members = (entry, members_of(entry, [root]) if entry.is_dir else None)
        return self._members[1]

    def ids(self, entry: DvcEntry, root: Path) -> _Ids | None:
        """The ids of all objects of an entry, its own first; None where they are not known.

        Raises:
            MaterialError: The list of a folder's files is hostile.
        """
        if not entry.is_dir:
            return _Ids(entry.id)
        if self.cache is None:
            members = self.members(entry, root)
            return None if members is None else _Ids(entry.id, _pack(members))

        def compute() -> bytes:
            members = self.members(entry, root)
            if members is None:
                raise LookupError
            return _pack(members).encode()

        try:
            # The list has the digest that names it: what follows from its content needs no other state.
            packed = self.cache.recall(f"members {entry.id}", lambda: b"", compute).decode()
        except LookupError:
            return None
        return _Ids(entry.id, packed)

    def recall(
        self, entry: DvcEntry, root: Path, ids: _Ids | None, compute: Callable[[], TrackedData]
    ) -> TrackedData:
        """What `compute` said of an entry, as long as the file system shows no change of it."""
        if self.cache is None or ids is None:
            return compute()
        place = self.top / entry.path
        rules = [str(rules) for rules in _rules_above(place) if rules.is_file()]

        def state() -> bytes | None:
            there = state_of_files(chain(rules, ids.paths(f"{root}/files/md5")))
            here = there and (state_of_folder(place) if entry.is_dir else state_of_files([str(place)]))
            return there + here if there and here else None

        subject = f"entry {place} {root} {entry.hash_name} {entry.id}"
        found = self.cache.recall(subject, state, lambda: msgspec.msgpack.encode(compute()))
        return msgspec.msgpack.decode(found, type=TrackedData)


class _Ids(NamedTuple):
    """The ids of an entry's objects: its own, and those of the files of a folder, one after the other."""

    own: str
    packed: str = ""

    def each(self) -> Iterator[str]:
        """All of them."""
        yield self.own
        packed = self.packed
        for start in range(0, len(packed), 32):
            yield packed[start : start + 32]

    def paths(self, root: str) -> Iterator[str]:
        """Where the objects lie below a folder."""
        yield f"{root}/{self.own[:2]}/{self.own[2:]}"
        packed = self.packed
        for start in range(0, len(packed), 32):
            yield f"{root}/{packed[start : start + 2]}/{packed[start + 2 : start + 32]}"


def _pack(members: tuple[DvcMember, ...]) -> str:
    return "".join(sorted({member.md5 for member in members}))


def _examine_all(top: Path, look: _Look, emit: Emit) -> Iterator[TrackedData]:
    entries = [entry for entry in tracked(top) if entry.cached]
    emit(Event(kind="start", subject="data", message="examining data", total=len(entries)))
    for done, entry in enumerate(entries, 1):
        yield _examine(entry, look)
        emit(Event(kind="advance", subject="data", done=done, total=len(entries)))
    emit(Event(kind="finish", subject="data"))


def _examine(entry: DvcEntry, look: _Look) -> TrackedData:
    """One entry: its place, its objects, its remote."""
    config = look.config(entry.root)
    if not entry.md5:
        return TrackedData(path=entry.path, id="", source=entry.source, note=entry.problem)
    root = Path(config.cache)
    try:
        ids = look.ids(entry, root)
        item = look.recall(entry, root, ids, lambda: _read(entry, root, look))
    except MaterialError as error:
        item = TrackedData(path=entry.path, id=f"{entry.hash_name}:{entry.id}", source=entry.source)
        change = Change(name=entry.path, kind="changed")
        return msgspec.structs.replace(item, changes=(change,), note=error.message)
    remote, unpushed, note = _pushed(entry, config, ids or _Ids(entry.id))
    return msgspec.structs.replace(item, remote=remote, unpushed=unpushed, note=item.note or note)


def _read(entry: DvcEntry, root: Path, look: _Look) -> TrackedData:
    """One entry as it is in its place and in the cache."""
    item = TrackedData(path=entry.path, id=f"{entry.hash_name}:{entry.id}", source=entry.source)
    members = look.members(entry, root)
    item = _in_place(item, entry, members, look)
    wanted = wanted_by(entry, members)
    look.named.update(each.id for each in wanted)
    faults = list(examine(wanted, root, look.digesting))
    return msgspec.structs.replace(
        item,
        missing=tuple(fault for fault in faults if fault.found is None),
        corrupted=tuple(fault for fault in faults if fault.found is not None),
    )


def _in_place(
    item: TrackedData, entry: DvcEntry, members: tuple[DvcMember, ...] | None, look: _Look
) -> TrackedData:
    """The item with what is found in its place."""
    place = look.top / entry.path
    if not os.path.lexists(place):
        return msgspec.structs.replace(item, changes=(Change(name=entry.path, kind="missing"),))
    if place.is_dir() != entry.is_dir:
        return msgspec.structs.replace(item, changes=(Change(name=entry.path, kind="changed"),))
    if not entry.is_dir:
        return _file_in_place(item, entry, look)
    facts = look.describe(place)
    if entry.hash_name == "md5" and facts.dvc_id == entry.id:
        return msgspec.structs.replace(item, size=facts.size, files=facts.files, blake3=facts.blake3)
    if members is None:
        change = Change(name=entry.path, kind="changed")
        note = "which of its files changed is not known: DVC's list of them is not in the cache"
        return msgspec.structs.replace(item, changes=(change,), note=note)
    changes = tuple(_changes(entry, members, look))
    blake3 = None if changes else facts.blake3
    return msgspec.structs.replace(item, size=facts.size, files=facts.files, changes=changes, blake3=blake3)


def _file_in_place(item: TrackedData, entry: DvcEntry, look: _Look) -> TrackedData:
    place = look.top / entry.path
    (digests,) = look.digesting([str(place)], (entry.hash_name, "blake3"))
    if isinstance(digests, OSError):
        kind = "missing" if isinstance(digests, FileNotFoundError) else "changed"
        change = Change(name=entry.path, kind=kind)  # type: ignore[arg-type]  # one of the two words
        return msgspec.structs.replace(item, changes=(change,), note=f"cannot be read: {digests.strerror}")
    if digests[entry.hash_name] != entry.md5:
        return msgspec.structs.replace(item, changes=(Change(name=entry.path, kind="changed"),))
    return msgspec.structs.replace(item, size=place.stat().st_size, blake3=digests["blake3"])


def _changes(entry: DvcEntry, members: Iterable[DvcMember], look: _Look) -> Iterator[Change]:
    """The files of a folder that are not what its list names, by name."""
    place = look.top / entry.path
    expected = {member.path: member.md5 for member in members}
    there = sorted(_files_below(place))
    digests = look.digesting([f"{place}/{path}" for path in there], (entry.hash_name,))
    found = dict(zip(there, digests, strict=True))
    # What a .dvcignore leaves out is not to be told from what is new: neither is then named.
    ignores = any(rules.is_file() and _has_rules(rules) for rules in _rules_above(place))
    for path in sorted(expected.keys() | found.keys()):
        name = f"{entry.path}/{path}"
        if path not in found:
            yield Change(name=name, kind="missing")
        elif path not in expected:
            if not ignores:
                yield Change(name=name, kind="new")
        else:
            digest = found[path]
            if isinstance(digest, OSError) or digest[entry.hash_name] != expected[path]:
                yield Change(name=name, kind="changed")


def _rules_above(place: Path) -> list[Path]:
    return [folder / ".dvcignore" for folder in (place, *place.parents)]


def _has_rules(rules: Path) -> bool:
    lines = rules.read_text("utf-8", "replace").splitlines()
    return any(line.strip() and not line.startswith("#") for line in lines)


def _files_below(folder: Path) -> Iterator[str]:
    for place, folders, names in os.walk(folder, followlinks=True):
        here = os.path.realpath(place)
        folders[:] = [name for name in folders if not _leads_back(f"{place}/{name}", here)]
        inside = os.path.relpath(place, folder)
        yield from (name if inside == "." else f"{inside}/{name}" for name in names)


def _leads_back(path: str, here: str) -> bool:
    """Whether a symlink leads to a folder that it lies in."""
    target = os.path.realpath(path) if Path(path).is_symlink() else ""
    return bool(target) and f"{here}/".startswith(f"{target}/")


def _pushed(entry: DvcEntry, config: DvcConfig, ids: _Ids) -> tuple[str | None, int | None, str | None]:
    """The remote that an entry belongs in, how many of its objects are not there, and a note."""
    if entry.imported_from is not None:
        return None, None, f"imported from `{entry.imported_from}`: DVC does not push it"
    name = entry.remote or config.default
    remote = next((each for each in config.remotes if name is None or each.name == name.lower()), None)
    if remote is None:
        return name, None, f"the remote `{name}` is not configured" if name else None
    if (reason := _not_asked(remote)) is not None:
        return remote.name, None, reason
    root = Path(remote.address)
    return remote.name, sum(find_object(root, each) is None for each in ids.each()), None


def _not_asked(remote: DvcRemote) -> str | None:
    """Why a remote is not looked into; ``dvc status --cloud`` asks those over the network."""
    if remote.unusable is not None:
        return f"the remote `{remote.name}` was not asked: {remote.unusable}"
    if remote.kind != "local":
        return f"the remote `{remote.name}` was not asked: it is on the network, `dvc status --cloud` asks it"
    return None
