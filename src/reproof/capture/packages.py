"""Which system package owns a file: the database of Debian or of RPM, asked once and remembered."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from reproof.base.files import write_atomic
from reproof.base.locations import cache_directory
from reproof.base.programs import call, find
from reproof.errors import ReproofError

_DPKG_STATUS = Path("/var/lib/dpkg/status")
#: Where RPM keeps its database, by distribution and age: https://rpm.org/docs/
_RPM_FOLDERS = (Path("/usr/lib/sysimage/rpm"), Path("/var/lib/rpm"))
_RPM_FILES = ("rpmdb.sqlite", "Packages.db", "Packages")
_PATIENCE = 30  # seconds that an answer may take

_Owned = dict[str, str | None]


class _Owners(msgspec.Struct):
    """What is remembered of the package database: its state, and ``name version`` by path."""

    stamp: tuple[int, int] = (0, 0)
    owners: dict[str, str | None] = {}


def owners_of(paths: Sequence[str]) -> dict[str, str | None]:
    """The Debian or RPM package and version that owns each path; remembered while the database is unchanged.

    Asking costs tenths of a second, so it happens once for each new library.
    """
    rpm = (folder / name for folder in _RPM_FOLDERS for name in _RPM_FILES)
    for database, name, ask in (
        (_DPKG_STATUS, "dpkg.json", _ask_dpkg),
        *((path, "rpm.json", _ask_rpm) for path in rpm),
    ):
        try:
            status = database.stat()
        except OSError:  # another kind of system
            continue
        return _known_owners(paths, cache_directory() / name, (status.st_mtime_ns, status.st_size), ask)
    return {}


def _known_owners(
    paths: Sequence[str], place: Path, stamp: tuple[int, int], ask: Callable[[Sequence[str]], _Owned | None]
) -> _Owned:
    """What is remembered at `place` while the database has this `stamp`, and what has to be asked for."""
    known = _remembered(place, stamp)
    new = [path for path in paths if path not in known.owners]
    if new:
        answer = ask(new)
        if answer is None:
            return known.owners
        known.owners.update(answer)
        try:
            write_atomic(place, msgspec.json.encode(known))
        except (OSError, UnicodeEncodeError):
            pass  # only slower next time
    return known.owners


def _remembered(place: Path, stamp: tuple[int, int]) -> _Owners:
    try:
        known = msgspec.json.decode(place.read_bytes(), type=_Owners)
    except (OSError, msgspec.DecodeError):
        return _Owners(stamp)
    return known if known.stamp == stamp else _Owners(stamp)


def _ask_dpkg(paths: Sequence[str]) -> _Owned | None:
    """Owner and version by path, None for what no package owns; None when dpkg cannot be asked."""
    program = find("dpkg-query")
    if program is None:
        return None
    forms = sorted({form for path in paths for form in _forms(path)})
    env = {**os.environ, "LC_ALL": "C"}  # its words are read below
    try:
        found = call([program, "--search", *map(_as_pattern, forms)], env=env, timeout=_PATIENCE).text
        packages = _parse_owners(found)
        names = sorted(set(packages.values()))
        if not names:
            return dict.fromkeys(paths)
        words = [str(program), "--show", "--showformat", "${binary:Package} ${Version}\n", *names]
        shown = call(words, env=env, timeout=_PATIENCE).text
    except ReproofError:
        return None
    versions = dict(_parse_versions(shown))
    owners = {
        path: next((packages[form] for form in _forms(path) if form in packages), None) for path in paths
    }
    return {path: name and f"{name} {versions.get(name, '')}".rstrip() for path, name in owners.items()}


def _ask_rpm(paths: Sequence[str]) -> _Owned | None:
    """Owner and version by path, None for what no package owns; None when rpm cannot be asked."""
    program = find("rpm")
    if program is None:
        return None
    forms = sorted({form for path in paths for form in _forms(path)})
    env = {**os.environ, "LC_ALL": "C"}
    try:
        # an owner has a tab before it: what no package owns, and what is not there, has words for it
        found = call(
            [program, "--query", "--queryformat", "\t%{NAME}\n", "--file", *forms], env=env, timeout=_PATIENCE
        )
        names = sorted({line[1:] for line in found.text.splitlines() if line.startswith("\t")})
        if not names:
            return dict.fromkeys(paths)
        each = "[%{FILENAMES}\t%{=NAME} %{=EVR}\n]"
        listed = call([program, "--query", "--queryformat", each, *names], env=env, timeout=_PATIENCE)
    except ReproofError:
        return None
    rows = (line.partition("\t") for line in listed.text.splitlines())
    wanted = set(forms)
    packages = {path: owner for path, _, owner in rows if path in wanted}
    return {path: next((packages[form] for form in _forms(path) if form in packages), None) for path in paths}


def _parse_owners(text: str) -> dict[str, str]:
    """Package by path, from lines like ``libc6:amd64, libc6:i386: /lib/libc.so.6``."""
    owners = {}
    for line in text.splitlines():
        names, _, path = line.partition(": ")
        if not line.startswith("diversion by "):
            owners[path] = names.split(", ")[0].partition(":")[0]
    return owners


def _parse_versions(text: str) -> Iterator[tuple[str, str]]:
    """(package, version) from lines like ``libc6:amd64 2.36-9``."""
    for line in text.splitlines():
        name, _, version = line.partition(" ")
        yield name.partition(":")[0], version


def _forms(path: str) -> tuple[str, ...]:
    """The paths under which the database may know a file: with and without the merged ``/usr``."""
    for folder in ("/lib/", "/lib64/", "/lib32/", "/bin/", "/sbin/"):
        if path.startswith("/usr" + folder):
            return (path, path.removeprefix("/usr"))
        if path.startswith(folder):
            return (path, "/usr" + path)
    return (path,)


def _as_pattern(path: str) -> str:
    return "".join(f"[{character}]" if character in "*?[" else character for character in path).replace(
        "\\", "\\\\"
    )
