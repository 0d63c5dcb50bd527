"""BLAKE3 digests of content whose sha256 has been computed before, because BLAKE3 is five times as fast.

A RECORD names sha256 digests. Content that had one of them on this machine is known by both, wherever a copy
of it turns up: if its BLAKE3 digest is the known one, it has that sha256 digest too.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from reproof.base.files import write_atomic
from reproof.base.locations import cache_directory

_NAME = "equivalent-digests"
_MOST = 100_000  # pairs, of 64 bytes each


class Equivalents:
    """Pairs of digests of the same content; threads may share it."""

    def __init__(self) -> None:
        self._path: Path = cache_directory() / _NAME
        self._known = _read(self._path)
        self._learned: dict[bytes, bytes] = {}

    def find(self, sha256: bytes) -> bytes | None:
        """The BLAKE3 digest of content with this sha256 digest, if it was seen before."""
        return self._known.get(sha256)

    def learn(self, sha256: bytes, blake3: bytes) -> None:
        """Remember two digests that were computed over the same bytes."""
        self._known[sha256] = self._learned[sha256] = blake3

    def save(self) -> None:
        """Write what was learned beside what others have learned meanwhile; a disk that does not take it is no error."""
        if not self._learned:
            return
        known = _read(self._path)
        known = {**(known if len(known) < _MOST else {}), **self._learned}
        try:
            write_atomic(self._path, msgspec.msgpack.encode(known), durable=False)
        except OSError:
            pass  # it costs time, not truth


def _read(path: Path) -> dict[bytes, bytes]:
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=dict[bytes, bytes])
    except (OSError, msgspec.DecodeError):
        return {}
