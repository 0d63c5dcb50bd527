"""Objects in DVC's caches and local remotes, examined where they lie: are they there, are they sound."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from reproof.base.digesting import digest_bytes
from reproof.model.data import ObjectFault
from reproof.model.dvc import DvcEntry, DvcMember, HashName, parse_manifest
from reproof.store.manifest import Digesting

_HEX = frozenset("0123456789abcdef")
_NAME = 32  # digits of an MD5
_DIR = ".dir"


class Wanted(NamedTuple):
    """An object that something names.

    Attributes:
        name: The file of the project that it is the content of; empty if nothing here names it.
        id: DVC's id: MD5, with ``.dir`` for a folder's list.
        algorithm: What the id is the digest by.
    """

    name: str
    id: str
    algorithm: HashName = "md5"


def members_of(entry: DvcEntry, caches: Iterable[Path]) -> tuple[DvcMember, ...] | None:
    """The files of a folder, from the first cache that has its list intact; None where none has.

    Raises:
        MaterialError: The list is hostile.
    """
    for cache in caches:
        place = find_object(cache, entry.id)
        try:
            data = place.read_bytes() if place is not None else b""
        except OSError:
            continue
        if place is not None and digest_bytes(data, ("md5",))["md5"] == entry.md5:
            return parse_manifest(data, entry.path)
    return None


def wanted_by(entry: DvcEntry, members: Iterable[DvcMember] | None) -> tuple[Wanted, ...]:
    """The objects that an entry needs: its own, and those of the files of a folder."""
    own = Wanted(entry.path, entry.id, "md5" if entry.is_dir else entry.hash_name)
    inside = (Wanted(f"{entry.path}/{member.path}", member.md5, entry.hash_name) for member in members or ())
    return (own, *inside)


def find_object(root: Path, name: str) -> Path | None:
    """Where an object lies in a cache or local remote, in the layout of DVC 3 or 2; None if nowhere."""
    for place in (f"{root}/files/md5/{name[:2]}/{name[2:]}", f"{root}/{name[:2]}/{name[2:]}"):
        if os.path.isfile(place):  # noqa: PTH113  # called for each of very many files
            return Path(place)
    return None


def examine(wanted: Iterable[Wanted], root: Path, digesting: Digesting) -> Iterator[ObjectFault]:
    """Look for objects in a cache, and hash those that are there.

    Args:
        wanted: What should be there; an id that several files share is read once.
        root: The cache.
        digesting: Where digests come from.

    Yields:
        Each object that is missing (`found` is None) or corrupted.
    """
    unique = {(each.id, each.algorithm): each for each in wanted}
    there: list[tuple[int, str, Wanted]] = []
    for each in unique.values():
        place = find_object(root, each.id)
        if place is None:
            expected = f"{each.algorithm}:{each.id}"
            yield ObjectFault(name=each.name, place=f"{root}", expected=expected)
        else:
            there.append((place.stat().st_ino, str(place), each))
    there.sort()  # by inode, as they lie on the disk: ids are in random order
    for algorithm in ("md5", "md5-dos2unix"):
        group = [item for item in there if item[2].algorithm == algorithm]
        digests = digesting([path for _, path, _ in group], (algorithm,))
        for (_, path, each), found in zip(group, digests, strict=True):
            fault = _fault(each, path, algorithm, found)
            if fault is not None:
                yield fault


def every_object(root: Path) -> Iterator[Wanted]:
    """All objects of a cache in the layout of DVC 3, whoever needs them."""
    base = root / "files" / "md5"
    for folder in sorted(base.iterdir()) if base.is_dir() else ():
        if len(folder.name) == 2 and folder.is_dir():
            for place in folder.iterdir():
                name = folder.name + place.name
                digits = name.removesuffix(_DIR)
                if len(digits) == _NAME and _HEX.issuperset(digits):
                    yield Wanted("", name)


def _fault(wanted: Wanted, place: str, algorithm: str, found: dict[str, str] | OSError) -> ObjectFault | None:
    expected = f"{algorithm}:{wanted.id}"
    if isinstance(found, FileNotFoundError):
        return ObjectFault(name=wanted.name, place=place, expected=expected)
    if isinstance(found, OSError):
        note = f"cannot be read: {found.strerror}"
        return ObjectFault(name=wanted.name, place=place, expected=expected, found="", note=note)
    if found[algorithm] == wanted.id.removesuffix(_DIR):
        return None
    return ObjectFault(
        name=wanted.name, place=place, expected=expected, found=f"{algorithm}:{found[algorithm]}"
    )
