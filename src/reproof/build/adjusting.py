"""Source archives: what is refused in them, and times that no backend was asked for set to the epoch."""

from __future__ import annotations

import gzip
import posixpath
import struct
import tarfile
from pathlib import Path
from typing import Any

from reproof.errors import ProjectError

_CLAMPED = "times after SOURCE_DATE_EPOCH set to it, owners removed"


def check_sdist(path: Path) -> None:
    """See that unpacking a source archive writes into one folder only.

    Raises:
        ProjectError: A member leads out of it, is a device, or the archive cannot be read.
    """
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if reason := _escapes(member):
                    raise ProjectError(
                        f"the source archive `{path.name}` leads out of its folder: it is not unpacked",
                        details=[("member", member.name), ("reason", reason)],
                        hint="the backend, or a plugin of it, packs a file from outside of the project",
                    )
    except (tarfile.TarError, EOFError, OSError, UnicodeDecodeError) as error:
        raise ProjectError(
            f"the source archive `{path.name}` cannot be read",
            details=[("reason", str(error).partition("\n")[0].rstrip(":") or "cut off")],
        ) from error


def _escapes(member: tarfile.TarInfo) -> str:
    """Why a member may not be unpacked; empty where it may."""
    top = member.name.split("/")[0]
    if member.ischr() or member.isblk() or member.isfifo():
        return "a device or pipe"
    places = [("its name", member.name)]
    if member.issym():
        places.append(("it points to", posixpath.join(posixpath.dirname(member.name), member.linkname)))
    elif member.islnk():
        places.append(("it points to", member.linkname))
    for what, place in places:
        parts = posixpath.normpath(place).split("/")
        if place.startswith("/") or parts[0] != top or top in ("", ".", ".."):
            return f"{what} {member.linkname or member.name}"
    return ""


def adjust_sdist(path: Path, epoch: int) -> tuple[str, ...]:
    """Rewrite a source archive whose backend wrote the time of the build into it.

    An archive with no time later than `epoch` stays as it is. In any other, later times become
    `epoch`, as ``tar --clamp-mtime`` does, and owners are removed; contents, modes and order stay.

    Args:
        path: A ``.tar.gz``; replaced.
        epoch: Seconds since 1970.

    Returns:
        What was done, in words; empty for nothing.
    """
    data = path.read_bytes()
    stamp = struct.unpack_from("<I", data, 4)[0] if data[:2] == b"\x1f\x8b" else 0
    with tarfile.open(path) as archive:
        late = stamp > epoch or any(member.mtime > epoch for member in archive)
    if not late:
        return ()
    fresh = path.with_name(f".{path.name}.adjusted")
    with (
        tarfile.open(path) as old,
        fresh.open("wb") as raw,
        gzip.GzipFile("", "wb", 9, raw, mtime=epoch) as packed,
        tarfile.open(fileobj=packed, mode="w", format=_format(old)) as new,
    ):
        for member in old:
            new.addfile(_clamped(member, epoch), old.extractfile(member) if member.isreg() else None)
    fresh.replace(path)
    return (_CLAMPED,)


def _clamped(member: tarfile.TarInfo, epoch: int) -> tarfile.TarInfo:
    member.mtime = min(int(member.mtime), epoch)
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    times = ("mtime", "atime", "ctime", "uid", "gid", "uname", "gname")
    member.pax_headers = {key: value for key, value in member.pax_headers.items() if key not in times}
    return member


def _format(archive: Any) -> int:
    """GNU archives stay so; all others are written with extended headers where they need some."""
    members = archive.getmembers()
    gnu = any(member.type in (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK) for member in members)
    return tarfile.GNU_FORMAT if gnu else tarfile.PAX_FORMAT
