"""Bringing a record's materials into a room: each by digest, each verified, none linked to its source."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec.structs import replace

from reproof.base.digesting import digest_file, digest_files
from reproof.base.files import copy_private
from reproof.base.naming import Naming
from reproof.base.programs import pasteable
from reproof.capture.credentials import holds_credentials
from reproof.errors import MaterialError, StoreError
from reproof.model.artifact import Artifact
from reproof.model.dvc import DvcEntry
from reproof.model.event import Emit, Event
from reproof.model.record import Record
from reproof.project.dvc import read_config, tracked
from reproof.store.directory import DirectoryStore
from reproof.store.dvc_cache import DvcSources, LostContentError, restore
from reproof.store.dvc_cache import Restored as RestoredEntry
from reproof.workflow.dvc_fetch import fetched, needs_dvc
from reproof.workflow.lending import WORTH, Lent, Loans, amount, choose_loans, lend


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """Where content may come from.

    Attributes:
        store: The record's own.
        top: The recorded repository: its DVC cache and remotes, and files in their original place.
        home: The user's HOME.
        stores: Further DVC caches.
        offline: Ask no remote over the network.
        lend: The re-run gets a sandbox: what is large and in no store may be shown from its original place.
    """

    store: DirectoryStore
    top: Path
    home: Path
    stores: tuple[str, ...] = ()
    offline: bool = False
    lend: bool = False


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What came from where.

    Attributes:
        counts: Number of materials by origin.
        in_place: Absolute paths outside the repository that the re-run reads where they are.
        used_again: Names whose content came from its original place, not from a versioned source.
        corrupted: Objects with other content than their id says, and what was done.
        lent: What is shown in the room from its original place, read-only; a stand-in lies there.
        copied: Files that were copied from their original place, and their bytes; not those that share blocks.
    """

    counts: dict[str, int] = {}
    in_place: tuple[Path, ...] = ()
    used_again: tuple[str, ...] = ()
    corrupted: tuple[str, ...] = ()
    lent: tuple[Lent, ...] = ()
    copied: tuple[int, int] = (0, 0)


def restore_materials(record: Record, sources: Sources, naming: Naming, emit: Emit) -> Restored:
    """Put every material of `record` in its place below the room.

    Args:
        record: Whose materials; code is there already.
        sources: Where content may come from.
        naming: The room's folders.
        emit: Told about progress and about corrupted objects.

    Raises:
        MaterialError: A material is nowhere, or nowhere intact; or what the commit has is not
            what was recorded.
    """
    emit(Event(kind="start", subject="materials", message="restoring materials", total=len(record.materials)))
    corrupted = _restore_tracked(record, sources, naming, emit)
    room = _Room(naming)
    for artifact in record.code.untracked:
        _put(artifact, sources.store, room)
    restored = _restore_external(record, sources, room)
    _check(record, naming, frozenset(each.name for each in restored.lent))
    files, size = restored.copied
    if size >= WORTH:
        message = f"copied {amount(files, size)} from their original place into the room"
        emit(Event(kind="note", subject="materials", message=message))
    emit(Event(kind="finish", subject="materials"))
    counts: dict[str, int] = {}
    for artifact in record.materials:
        if artifact.is_web:
            continue
        counts[artifact.origin] = counts.get(artifact.origin, 0) + 1
    return replace(restored, counts=counts, corrupted=corrupted)


def _restore_tracked(record: Record, sources: Sources, naming: Naming, emit: Emit) -> tuple[str, ...]:
    """Restore what DVC names: every tracked file or folder of which the run read something."""
    wanted = {artifact.name: artifact for artifact in record.materials if artifact.origin == "dvc"}
    if not wanted:
        return ()
    top = Path(naming.top)
    known = {each.digests["md5"]: each.digests["blake3"] for each in wanted.values() if "md5" in each.digests}
    corrupted: list[str] = []
    for entry in tracked(top):
        if not _holds(entry, wanted):
            continue
        _require_inside(top / entry.path, naming)
        config = read_config(sources.top / entry.root)
        places = DvcSources(
            store=sources.store,
            known=known,
            caches=(Path(config.cache), *(Path(store) for store in sources.stores)),
            remotes=config.remotes,
            offline=sources.offline,
        )
        try:
            result = _restore_entry(entry, top, places, sources, emit)
        except LostContentError as error:
            raise _seen_in_work_tree(error, entry, wanted, sources) from error
        corrupted += [
            f"`{copy.place}` is {copy.found.short}, not {copy.expected.short}; `{copy.name}` was restored from "
            + ", ".join(f"`{place}`" for place in result.sources)
            for copy in result.corrupted
        ]
    return tuple(corrupted)


def _restore_entry(
    entry: DvcEntry, top: Path, places: DvcSources, sources: Sources, emit: Emit
) -> RestoredEntry:
    """Restore what DVC names; what only its own remotes have through the project's own `dvc`."""
    try:
        return restore(entry, top, places, emit, identified=False)  # which `_check` does for all
    except LostContentError as lost:
        if sources.offline or not needs_dvc(entry, read_config(sources.top / entry.root)):
            raise
        with fetched(entry, sources.top, top, emit) as cache:
            if cache is None:
                raise
            try:
                wider = replace(places, caches=(*places.caches, cache))
                return restore(entry, top, wider, emit, identified=False)
            except LostContentError as error:
                worse = error if len(error.corrupted) > len(lost.corrupted) else lost
                worse.details = (
                    *worse.details,
                    ("tried", f"`dvc fetch {entry.source}`, by the project's own DVC"),
                )
                raise worse from None


def _seen_in_work_tree(
    error: LostContentError, entry: DvcEntry, wanted: dict[str, Artifact], sources: Sources
) -> MaterialError:
    """The error as it is, or with the way out where the user's own copy is what was recorded."""
    places = {sources.top / name: each for name, each in wanted.items() if _holds(entry, [name])}
    if not entry.source.endswith(".dvc") or not all(map(_is_recorded, places.values(), places)):
        return error
    cache = Path(read_config(sources.top / entry.root).cache)
    unsound = [shlex.quote(place) for place in error.corrupted if Path(place).is_relative_to(cache)]
    command = f"rm -f {' '.join(unsound)} && " if unsound else ""
    command += f"dvc commit -f {shlex.quote(entry.source)}"
    return MaterialError(
        error.message,
        details=[*error.details, ("intact", f"the work tree's own `{entry.path}`")],
        hint=f"run `{pasteable(command, sources.top)}`",
    )


def _is_recorded(artifact: Artifact, place: Path) -> bool:
    return place.is_file() and digest_file(place)["blake3"] == artifact.digests.get("blake3")


def _holds(entry: DvcEntry, wanted: Iterable[str]) -> bool:
    return any(name == entry.path or name.startswith(entry.path + "/") for name in wanted)


def _restore_external(record: Record, sources: Sources, room: _Room) -> Restored:
    """Lend or copy what was found in its original place, if it still has the recorded content."""
    in_place: list[Path] = []
    used_again: list[str] = []
    lent: list[Lent] = []
    copied: list[int] = []
    naming, loans = room.naming, Loans()
    if sources.lend:
        loans = choose_loans(record, sources.top, Path(naming.top), lambda each: _is_kept(each, sources))
    original = Naming(top=str(sources.top), home=str(sources.home))
    for artifact in record.materials:
        if artifact.origin not in ("external", "stage", "mlflow") or not _has_place(artifact):
            continue
        outside = artifact.name.startswith("/")  # the room has no place for it: it is read where it is
        if not outside and _is_kept(artifact, sources):
            _put(artifact, sources.store, room)
            continue
        place = original.find_file(artifact.name)
        _require_unchanged(artifact, place)
        used_again.append(artifact.name)
        if outside:
            in_place.append(place)
        else:
            target = room.place(artifact)
            loan = None
            if loans.holds(artifact.name):
                folder = loans.folder_of(artifact.name)
                loan = lend(artifact, folder, sources.top, Path(naming.top))
            if loan is not None:
                lent.append(loan)
            elif not copy_private(place, target, mode=artifact.mode):
                copied.append(artifact.size)
    return Restored(
        in_place=tuple(in_place),
        used_again=tuple(used_again),
        lent=tuple(lent),
        copied=(len(copied), sum(copied)),
    )


def _is_kept(artifact: Artifact, sources: Sources) -> bool:
    return artifact.digest is not None and artifact.digest in sources.store


def _require_unchanged(artifact: Artifact, place: Path) -> None:
    facts = [
        ("recorded", f"{_shown(artifact)}, {artifact.size:,} bytes, in neither Git nor DVC"),
        ("searched", f"the store of this project, and its original place `{place}`"),
    ]
    advice = f"bring it back to its place; `reproof keep {artifact.name}` then keeps it for good"
    if not place.is_file():
        raise MaterialError(f"cannot restore `{artifact.name}`: it is gone", details=facts, hint=advice)
    found = digest_file(place)
    if any(artifact.digests.get(name) != value for name, value in found.items()):
        raise MaterialError(
            f"cannot restore `{artifact.name}`: its content has changed since the run",
            details=[*facts, ("found", f"blake3:{found['blake3'][:8]}")],
            hint=advice,
        )


def _require_inside(target: Path, naming: Naming) -> None:
    """A link in the recorded tree must not lead a material out of the room."""
    folder = next((each for each in target.parents if each.exists()), target.parent).resolve()
    if not any(folder.is_relative_to(Path(place).resolve()) for place in (naming.top, naming.home)):
        raise MaterialError(
            f"cannot restore `{target.name}`: its place is not in the clean room",
            details=[("leads to", str(folder))],
        )


def _put(artifact: Artifact, store: DirectoryStore, room: _Room) -> None:
    target = room.place(artifact)
    if artifact.kind == "symlink":
        return
    assert artifact.digest is not None
    try:
        store.get(artifact.digest, target, artifact.mode)
    except StoreError as error:
        raise MaterialError(
            f"cannot restore `{artifact.name}`: {error.message}",
            details=[("recorded", _shown(artifact)), *error.details],
            hint=error.hint,
        ) from error


class _Room:
    """Where materials belong. No link leads out of it, which is looked at once for each folder."""

    def __init__(self, naming: Naming) -> None:
        self.naming = naming
        self._sound: set[Path] = set()  # folders that are there, within the room

    def place(self, artifact: Artifact) -> Path:
        """Make room for an artifact, and the symlink that it is or was read through.

        Returns:
            Where its content belongs: nothing is there.
        """
        target = self.naming.find_file(artifact.name)
        self._clear(target)
        if artifact.target is None:
            return target
        target.symlink_to(artifact.target)
        self._sound.clear()  # a folder that was looked at may be another one now
        if artifact.kind == "symlink":
            return target
        content = Path(os.path.normpath(target.parent / artifact.target))
        _require_inside(content, self.naming)
        content.unlink(missing_ok=True)
        return content

    def _clear(self, target: Path) -> None:
        folder = target.parent
        if folder not in self._sound:
            _require_inside(target, self.naming)
            folder.mkdir(parents=True, exist_ok=True)
            self._sound.add(folder)
        target.unlink(missing_ok=True)


def _has_place(artifact: Artifact) -> bool:
    """Whether it is a file for the room; what holds credentials is not, whatever a record says."""
    return artifact.has_place and not holds_credentials(artifact.name)


def _check(record: Record, naming: Naming, lent: frozenset[str]) -> None:
    """Digest every material in its place: what the re-run is about to read is what was recorded.

    Those that are `lent` were digested where they lie.
    """
    materials = [each for each in record.materials if _has_place(each) and each.name not in lent]
    places = [str(naming.find_file(artifact.name)) for artifact in materials]
    for artifact, found in zip(materials, digest_files(places), strict=True):
        if isinstance(found, OSError):
            raise MaterialError(
                f"cannot restore `{artifact.name}`: its recorded content is in no store",
                details=[("recorded", f"{_shown(artifact)}, origin {artifact.origin}")],
            )
        expected = artifact.digests.get("blake3")
        if expected is not None and found["blake3"] != expected:
            raise MaterialError(
                f"`{artifact.name}` in the room is not what was recorded",
                details=[("recorded", _shown(artifact)), ("found", f"blake3:{found['blake3'][:8]}")],
            )


def _shown(artifact: Artifact) -> str:
    return artifact.digest.short if artifact.digest is not None else "no digest"
