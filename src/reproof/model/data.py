"""What is said of versioned data: is it in its place, is it what its name says, and where are its copies."""

from __future__ import annotations

from typing import Literal

import msgspec


class ObjectFault(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A copy of content that is not what its name says, or not there.

    Attributes:
        name: The file of the project that needs it; empty for an object that nothing here names.
        place: Path of the copy, or where it was looked for.
        expected: The digest that names it, ``algorithm:value``.
        found: The digest of what is there; None where nothing is.
        note: Why it could not be read.
    """

    name: str
    place: str
    expected: str
    found: str | None = None
    note: str | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A file in its place that is not what DVC names there.

    Attributes:
        name: Below the top of the repository.
        kind: ``changed``, ``missing``, or ``new`` in a folder.
    """

    name: str
    kind: Literal["changed", "missing", "new"]


class TrackedData(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file or folder that DVC tracks.

    Attributes:
        path: Below the top of the repository.
        id: DVC's id, ``md5:...``; empty where DVC has none.
        source: The file that names it.
        size: Bytes, where known.
        files: Number of files of a folder, where known.
        blake3: Of the content that was found in its place, a folder's manifest for a folder; only
            where it is what DVC names.
        changes: What in its place is not what DVC names.
        missing: Objects that are not in the cache.
        corrupted: Objects of the cache with other content than their names say.
        remote: Name of the remote that it belongs in.
        unpushed: Number of its objects that the remote lacks; None where it was not asked.
        note: What is worth knowing: why the remote was not asked, or nothing can be checked.
    """

    path: str
    id: str
    source: str
    size: int | None = None
    files: int | None = None
    blake3: str | None = None
    changes: tuple[Change, ...] = ()
    missing: tuple[ObjectFault, ...] = ()
    corrupted: tuple[ObjectFault, ...] = ()
    remote: str | None = None
    unpushed: int | None = None
    note: str | None = None

    @property
    def state(self) -> str:
        """One word: ``unchanged``, ``changed`` or ``missing``."""
        if any(change.name == self.path and change.kind == "missing" for change in self.changes):
            return "missing"
        return "changed" if self.changes else "unchanged"

    @property
    def is_sound(self) -> bool:
        """In its place as named, and every object of it in the cache and intact."""
        return not (self.changes or self.missing or self.corrupted)


class DataReport(msgspec.Struct, frozen=True, kw_only=True):
    """All data of a repository.

    Attributes:
        items: What DVC tracks, by path.
        others: Objects of the cache that nothing here names, and that are corrupted.
        objects: Number of objects of the cache that were examined.
        reread: Everything was read, nothing believed.
    """

    items: tuple[TrackedData, ...] = ()
    others: tuple[ObjectFault, ...] = ()
    objects: int = 0
    reread: bool = False

    @property
    def is_sound(self) -> bool:
        """Nothing is changed, missing or corrupted."""
        return not self.others and all(item.is_sound for item in self.items)


class StoreReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was found, or done, in the store of a project's records.

    Attributes:
        objects: Number of objects.
        size: Their bytes in all.
        checked: Every object was read.
        faults: Objects that are corrupted, or that a record says to be kept and that are not there.
        damaged: Records that cannot be read: what they name is not known.
        removed: Number of objects that were, or would be, removed; None where that was not asked.
        freed: Their bytes.
        dry_run: Nothing was removed.
        notes: What is worth knowing.
    """

    objects: int = 0
    size: int = 0
    checked: bool = False
    faults: tuple[ObjectFault, ...] = ()
    damaged: tuple[str, ...] = ()
    removed: int | None = None
    freed: int = 0
    dry_run: bool = False
    notes: tuple[str, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Nothing that was looked at is corrupted, missing or damaged."""
        return not (self.faults or self.damaged)
