"""Names of causes: what was varied, and what differed then, tell which fault it is and what cures it."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from reproof.build.conditions import HELD
from reproof.build.members import FAILED, Listing, Trait
from reproof.model.build import Cause

_BINARY = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"!<arch>\n", b"MZ", b"\xca\xfe\xba\xbe")

#: Name of a cause to (what happens, what to do about it); docs/builds.md has the same names.
KNOWN: Mapping[str, tuple[str, str]] = {
    "archive-dates": (
        "members carry the time of the build",
        "set SOURCE_DATE_EPOCH, and use a version of the backend that honours it",
    ),
    "time-stamp": ("the time of the build is written into a file", "write SOURCE_DATE_EPOCH instead of now"),
    "random-value": (
        "a file holds something new each time: a random number or id",
        "derive it from the content, for example by uuid5 of a digest",
    ),
    "changes-each-time": (
        "a file holds something new each time: a time stamp or something random",
        "install faketime to tell the two apart",
    ),
    "memory-address": ("a file holds addresses of objects", "write a name instead of the object's repr"),
    "pyc-time": (
        "byte code carries the modification time of its source, which no installation keeps",
        "leave `.pyc` files out, or compile with `--invalidation-mode unchecked-hash`",
    ),
    "path-in-binary": (
        "a compiled file holds the path of the build",
        "pass no absolute path to the compiler (`__FILE__` and debugging symbols are mapped already)",
    ),
    "path-in-bytecode": ("byte code holds the path of its source", "compile with `-s` and `-p`"),
    "path-in-file": ("a file holds the path of the build", "write paths relative to the project"),
    "hash-order": ("the order of a set gets into a file", "sort what is written"),
    "modes-from-umask": (
        "the permissions of members follow the file mode mask of the build",
        "run builds under `umask 022`, as this one does",
    ),
    "umask": ("a file depends on the file mode mask of the build", "run builds under `umask 022`"),
    "local-time-zone": ("times are written in the local time zone", "run builds with TZ=UTC; write UTC"),
    "locale": (
        "a file depends on the locale",
        "name the encoding when opening files; sort without the locale",
    ),
    "file-times": (
        "modification times of the source get into the result",
        "use a version of the backend that honours SOURCE_DATE_EPOCH",
    ),
    "user-name": ("the name or number of the user gets into a file", "leave it out"),
    "host-name": ("the name of the host gets into a file", "leave it out"),
    "home-folder": ("the home folder, or what is found there, gets into a file", "leave it out"),
    "file-order": ("the order in which the file system lists files gets into a file", "sort listings"),
    "cpu-count": ("the number of processors decides what is written", "set it, or collect results in order"),
    "sdist-differs": (
        "the wheel built from the source archive is another one than that built from the commit",
        "see that the source archive has all that the build reads",
    ),
    "unexplained": (
        "no single variation brings it about",
        "look at the difference; several may act together",
    ),
    "untracked-file-packed": (
        "a file that Git does not track is packed",
        "commit it, ignore it, or exclude it in the settings of the backend",
    ),
    "stale-build-folder": (
        "a build in the work tree packs what an earlier one left in `build/`",
        "remove `build/` and `*.egg-info` before building, or build with `reproof build`",
    ),
    "backend-unpinned": (
        "nothing locks what builds the project: another day gives another backend, and other bytes",
        "run `reproof build --lock` and commit the file",
    ),
    "backend-differs": (
        "another version of the backend, or another backend, made it",
        "lock the build requirements with hashes, and build both with them",
    ),
    "base-not-by-digest": (
        "the base image is named by a tag, which can move to another image",
        "write `FROM name@sha256:...`",
    ),
    "image-history": (
        "only the configuration differs: dates, history, variables",
        "build with `--timestamp`, as this build does; look for `ARG` and `LABEL` with times in them",
    ),
    "layer-dates": ("files of a layer carry the time of the build", "build with `--timestamp`"),
    "uv-cache-json": (
        "uv notes the time of a local package in `uv_cache.json`",
        "set UV_NO_INSTALLER_METADATA=1 in the instruction",
    ),
    "package-manager-state": (
        "logs and caches of the package manager are part of the layer",
        "remove `/var/log`, `/var/cache` and `/var/lib/apt/lists` in the same instruction",
    ),
    "account-date": (
        "an account was made, with the day of the build as that of its password",
        "write `ARG SOURCE_DATE_EPOCH` before the instruction",
    ),
    "compiled-differently": (
        "a compiled file is another one: other path, compiler, flags or headers",
        "compile with `-ffile-prefix-map`, and by the same compiler",
    ),
    "content-differs": ("other content", "build both from the same commit"),
}

#: Factor to the cause's name by what differs: time, mode, content of a binary, byte code or other file; "" else.
_NAMES: Mapping[str, Mapping[str, str]] = {
    "clock": {"time": "archive-dates", "bytecode": "pyc-time", "": "time-stamp"},
    "modification times": {"bytecode": "pyc-time", "": "file-times"},
    "umask": {"mode": "modes-from-umask", "": "umask"},
    "path": {"binary": "path-in-binary", "bytecode": "path-in-bytecode", "": "path-in-file"},
    "time zone": {"": "local-time-zone"},
    "locale": {"": "locale"},
    "hash seed": {"": "hash-order"},
    "user": {"": "user-name"},
    "host name": {"": "host-name"},
    "home": {"": "home-folder"},
    "file order": {"": "file-order"},
    "CPU count": {"": "cpu-count"},
    "way to the wheel": {"": "sdist-differs"},
    "random": {"": "random-value"},
    "addresses": {"": "memory-address"},
    "instability": {"": "changes-each-time"},
    "": {"": "unexplained"},
}


def name_cause(factor: str, traits: Iterable[Trait], archive: str, listing: Listing) -> list[Cause]:
    """What differences that come with one factor are called.

    Args:
        factor: What was varied: a name of :data:`reproof.build.conditions.FACTORS`, ``random``,
            ``addresses``, or nothing for what no single factor brings about.
        traits: What differs then.
        archive: Name of the archive, for the names of files.
        listing: The archive of the controlled build.
    """
    names = _NAMES[factor]
    found: dict[str, list[str]] = {}
    for trait in sorted(traits):
        kind = trait.what if trait.what != "content" else kind_of(trait.member, listing)
        name = names.get(kind, names[""])
        found.setdefault(name, []).append(f"{archive}: {trait.member}")
    return [cause(name, files, factor) for name, files in found.items()]


def cause(name: str, files: Iterable[str] = (), factor: str = "") -> Cause:
    """The cause with a name of :data:`KNOWN`."""
    words, remedy = KNOWN[name]
    files = tuple(dict.fromkeys(files))
    if files and all(file.endswith(FAILED) for file in files):
        words = f"the build fails when the {factor} is another"
    return Cause(
        name=name,
        factor=factor,
        files=files,
        words=words,
        remedy=remedy,
        held=factor in HELD and factor != "",
    )


def findings_of(wheel: Path) -> list[Cause]:
    """Faults that a wheel shows by itself: byte code that no installation of it will use.

    A ``.pyc`` with a time (PEP 552) is used only beside a source of that very time.
    """
    with zipfile.ZipFile(wheel) as archive:
        stale = [
            f"{wheel.name}: {info.filename}"
            for info in archive.infolist()
            if info.filename.endswith(".pyc") and _dated(archive.read(info))
        ]
    return [cause("pyc-time", stale)] if stale else []


def _dated(data: bytes) -> bool:
    """Whether byte code is checked by the time of its source, and not by its hash."""
    if len(data) < 16:
        return False
    return data[4] & 1 == 0


def kind_of(member: str, listing: Listing) -> str:
    """What a member is: ``bytecode``, ``binary`` (compiled) or other ``content``."""
    if member.endswith(".pyc"):
        return "bytecode"
    part = listing.parts.get(member)
    return "binary" if part is not None and part.head.startswith(_BINARY) else "content"
