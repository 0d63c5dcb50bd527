"""What an archive consists of, taken apart far enough to say which member differs in what."""

from __future__ import annotations

import hashlib
import tarfile
import zipfile
from pathlib import Path

import msgspec

#: Names for what cannot be told by members.
FAILED = "(the build)"
ORDER = "(order of members)"
WHOLE = "(the archive itself)"


class Part(msgspec.Struct, frozen=True):
    """One member: digest of its content, permissions, time, owner, and the first bytes."""

    content: str
    mode: int
    when: str
    owner: str = ""
    head: bytes = b""


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """An archive, or the failure to make one.

    Attributes:
        digest: sha256 of the whole file; empty for a failure.
        parts: Members by name.
        order: Their names in order.
        failure: What stopped the build.
    """

    digest: str = ""
    parts: dict[str, Part] = {}
    order: tuple[str, ...] = ()
    failure: str = ""


class Trait(msgspec.Struct, frozen=True, order=True):
    """A member and one thing about it that differs: ``content``, ``mode``, ``time``, ``owner``, ``presence`` ..."""

    member: str
    what: str


def list_members(path: Path) -> Listing:
    """Take a wheel or a source archive apart.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no such archive.
    """
    data = path.read_bytes()
    try:
        parts = _of_zip(path) if path.suffix == ".whl" else _of_tar(path)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, RuntimeError, NotImplementedError) as error:
        raise ValueError(str(error)) from error
    return Listing(
        digest=hashlib.sha256(data).hexdigest(), parts=dict(parts), order=tuple(name for name, _ in parts)
    )


def differing(one: Listing, two: Listing) -> frozenset[Trait]:
    """In what two archives differ; empty for the same bytes only."""
    if one.failure or two.failure:
        same = bool(one.failure) == bool(two.failure)
        return frozenset() if same else frozenset({Trait(FAILED, "failure")})
    if one.digest == two.digest:
        return frozenset()
    found = set()
    for name in {*one.parts, *two.parts}:
        was, now = one.parts.get(name), two.parts.get(name)
        if was is None or now is None:
            found.add(Trait(name, "presence"))
            continue
        for what in ("content", "mode", "when", "owner"):
            if getattr(was, what) != getattr(now, what):
                found.add(Trait(name, "time" if what == "when" else what))
    if not found:
        return frozenset({Trait(ORDER if one.order != two.order else WHOLE, "order")})
    others = {trait for trait in found if not trait.member.endswith(".dist-info/RECORD")}
    return frozenset(others or found)  # RECORD repeats what differs elsewhere


def _of_zip(path: Path) -> list[tuple[str, Part]]:
    found = []
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            data = archive.read(info)
            when = "%04d-%02d-%02d %02d:%02d:%02d" % info.date_time  # noqa: UP031 - a tuple
            found.append(
                (
                    info.filename,
                    Part(hashlib.sha256(data).hexdigest(), info.external_attr >> 16, when, "", data[:16]),
                )
            )
    return found


def _of_tar(path: Path) -> list[tuple[str, Part]]:
    found = []
    with tarfile.open(path) as archive:
        for info in archive:
            file = archive.extractfile(info) if info.isreg() else None
            data = file.read() if file else f"{info.type!r} {info.linkname}".encode()
            owner = f"{info.uid}:{info.gid}:{info.uname}:{info.gname}"
            when = str(info.mtime)
            found.append(
                (info.name, Part(hashlib.sha256(data).hexdigest(), info.mode, when, owner, data[:16]))
            )
    return found
