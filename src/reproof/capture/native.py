"""The shared libraries that a run really loaded: identity of each, cheaply.

A GNU build id names the bits of a library as its linker made them, and costs one small read where
a digest of a GPU library costs seconds. Files within the environment are covered by the digests of
their packages; those outside get a digest of their own, remembered while their `stat` stays.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from reproof.base.digesting import digest_file
from reproof.base.files import write_atomic
from reproof.base.locations import cache_directory
from reproof.capture.elf import build_id
from reproof.capture.packages import owners_of
from reproof.model.observation import Pooled
from reproof.model.record import NativeLibrary

_MAX_FILE = 64 << 20  # bytes; a larger file outside the environment is named by its build id alone
_LONGEST = 200  # characters of what a library says of itself
_MAX_DIGESTED = 256 << 20  # bytes that are digested in all

_Stamp = tuple[int, int, int, int]  # size, mtime, ctime (nanoseconds), inode


class _Known(msgspec.Struct, array_like=True):
    """What is remembered of a file outside the environment."""

    stamp: _Stamp
    build_id: str | None
    digest: str | None


def describe(paths: Iterable[str], env_prefix: Path) -> tuple[NativeLibrary, ...]:
    """Describe loaded libraries.

    Args:
        paths: Absolute paths as the kernel maps them.
        env_prefix: Folder of the environment; what is in it is named ``${ENV}/...``, what is in
            the user's home ``${HOME}/...``.

    Returns:
        One library for each distinct path, sorted by name. A file that is gone has no size and
        no build id.
    """
    prefixes = tuple({os.fspath(env_prefix), os.path.realpath(env_prefix)})
    found = sorted({path.removesuffix(" (deleted)") for path in paths if path.startswith("/")})
    outside = [path for path in found if not _is_below(path, prefixes)]
    owners = owners_of(outside)
    known = _identify(outside)
    result = []
    for path in found:
        name = _name(path, prefixes)
        try:
            if path in known:
                size, identity, digest = known[path].stamp[0], known[path].build_id, known[path].digest
            else:
                size, identity, digest = os.stat(path).st_size, build_id(Path(path)), None  # noqa: PTH116  # hundreds
        except OSError:
            result.append(NativeLibrary(path=name, package=owners.get(path)))
            continue
        library = NativeLibrary(
            path=name, size=size, build_id=identity, digest=digest, package=owners.get(path)
        )
        result.append(library)
    return tuple(sorted(result, key=lambda library: library.path))


def with_pools(
    libraries: Iterable[NativeLibrary], pools: Mapping[str, Pooled], env_prefix: Path
) -> tuple[NativeLibrary, ...]:
    """The libraries, those for linear algebra and threads with what they said of themselves.

    Args:
        libraries: As :func:`describe` names them, or by their paths.
        pools: Path, as the kernel maps it, to what was said.
        env_prefix: As for :func:`describe`.
    """
    prefixes = tuple({os.fspath(env_prefix), os.path.realpath(env_prefix)})
    said = {name: each for path, each in pools.items() for name in (path, _name(path, prefixes))}
    return tuple(_with_pool(library, said.get(library.path)) for library in libraries)


def _with_pool(library: NativeLibrary, said: Pooled | None) -> NativeLibrary:
    if said is None:
        return library
    return msgspec.structs.replace(
        library,
        kind=said.kind[:_LONGEST],
        version=said.version[:_LONGEST] or None,
        layer=said.layer[:_LONGEST] or None,
        architecture=said.architecture[:_LONGEST] or None,
        threads=said.threads or None,
    )


def _identify(paths: Sequence[str]) -> dict[str, _Known]:
    """Build id and digest of files outside the environment; only those that are new are read."""
    place = cache_directory() / "libraries.json"
    remembered = _remembered(place)
    left = _MAX_DIGESTED
    found: dict[str, _Known] = {}
    for path in paths:
        try:
            status = os.stat(path)  # noqa: PTH116  # hundreds of times
            stamp = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
            known = remembered.get(path)
            if known is None or known.stamp != stamp:
                digest = None
                if status.st_size <= min(left, _MAX_FILE):
                    digest = digest_file(Path(path), ("sha256",))["sha256"]
                    left -= status.st_size
                known = _Known(stamp, build_id(Path(path)), digest)
        except OSError:
            continue
        found[path] = known
    if any(remembered.get(path) != known for path, known in found.items()):
        _remember(place, {**remembered, **found})
    return found


def _remembered(place: Path) -> dict[str, _Known]:
    try:
        return msgspec.json.decode(place.read_bytes(), type=dict[str, _Known])
    except (OSError, msgspec.DecodeError):
        return {}


def _remember(place: Path, known: dict[str, _Known]) -> None:
    there = {path: each for path, each in known.items() if Path(path).exists()}
    try:
        write_atomic(place, msgspec.json.encode(there))
    except (OSError, UnicodeEncodeError):
        pass  # only slower next time


def _is_below(path: str, prefixes: Sequence[str]) -> bool:
    return any(path.startswith(prefix.rstrip("/") + "/") for prefix in prefixes)


def _name(path: str, prefixes: Sequence[str]) -> str:
    home = os.path.expanduser("~")  # noqa: PTH111  # no error where there is none
    for token, folder in (*(("${ENV}", prefix) for prefix in prefixes), ("${HOME}", home)):
        base = folder.rstrip("/") + "/"
        if len(base) > 1 and path.startswith(base):
            return f"{token}/{path[len(base) :]}"
    return path
