"""Digests of files and bytes: BLAKE3 is the identity, others stand beside it on request."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_CHUNK = 1 << 20
_MMAP_FROM = 1 << 22  # below this, mapping costs more than reading


def digest_file(path: Path, algorithms: Iterable[str] = ("blake3",)) -> dict[str, str]:
    """Digest a regular file once, by one or more algorithms.

    Args:
        path: The file; symlinks are followed.
        algorithms: Names among ``blake3``, ``md5``, ``sha256``, ``sha1`` and ``md5-dos2unix``
            (DVC 2: CRLF read as LF in files judged to be text).

    Returns:
        Algorithm to lower-case hexadecimal digest.

    Raises:
        OSError: The file cannot be read.
    """
    wanted = tuple(algorithms)
    size = path.stat().st_size
    result: dict[str, str] = {}
    if "blake3" in wanted and size >= _MMAP_FROM:
        result["blake3"] = _blake3_of_map(path)
    if "md5-dos2unix" in wanted:
        result["md5-dos2unix"] = _md5_dos2unix(path)
    rest = [name for name in wanted if name not in result]
    if rest:
        result.update(_stream(path, rest))
    return {name: result[name] for name in wanted}


def digest_bytes(data: bytes, algorithms: Iterable[str] = ("blake3",)) -> dict[str, str]:
    """Digest bytes in memory; see :func:`digest_file`."""
    result = {}
    for name in algorithms:
        digester = new_digester(name)
        digester.update(data)
        result[name] = digester.hexdigest()
    return result


def new_digester(algorithm: str) -> Any:
    """An object with ``update(bytes)`` and ``hexdigest()``."""
    if algorithm == "blake3":
        import blake3

        return blake3.blake3()
    return hashlib.new(algorithm, usedforsecurity=False)


def _blake3_of_map(path: Path) -> str:
    import blake3

    return str(blake3.blake3(max_threads=blake3.blake3.AUTO).update_mmap(str(path)).hexdigest())


def _stream(path: Path, algorithms: list[str]) -> dict[str, str]:
    digesters = {name: new_digester(name) for name in algorithms}
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            for digester in digesters.values():
                digester.update(chunk)
    return {name: digester.hexdigest() for name, digester in digesters.items()}


def _md5_dos2unix(path: Path) -> str:
    """MD5 as DVC 2.x: a file without NUL and mostly text in its first 512 bytes is text."""
    digester = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        head = file.read(512)
        file.seek(0)
        is_text = _looks_like_text(head)
        while chunk := file.read(_CHUNK):
            digester.update(chunk.replace(b"\r\n", b"\n") if is_text else chunk)
    return digester.hexdigest()


def _looks_like_text(head: bytes) -> bool:
    if not head:
        return True
    if b"\0" in head:
        return False
    text = bytes(range(32, 127)) + b"\n\r\t\f\b"
    return len(head.translate(None, text)) / len(head) <= 0.3
