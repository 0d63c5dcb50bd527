"""Digests of files and bytes: BLAKE3 is the identity, others stand beside it on request."""

from __future__ import annotations

import hashlib
import mmap
import os
import resource
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

_CHUNK = 1 << 20
_SMALL = 1 << 15  # more in one read would be memory that the kernel has to hand out each time
_MMAP_FROM = 1 << 22  # below this, mapping costs more than reading
_BATCH = 64  # files for a worker at a time: fewer cost more in handing over than they gain
_WORKERS = 8
_LONG = 100e-6  # seconds of computing from which an item is worth a thread
_HEAD = 512  # bytes by which DVC 2.x tells text

Item = TypeVar("Item")
Result = TypeVar("Result")


def digest_file(path: Path | str, algorithms: Iterable[str] = ("blake3",)) -> dict[str, str]:
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
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return digest_open_file(handle, algorithms)
    finally:
        os.close(handle)


def digest_open_file(handle: int, algorithms: Iterable[str] = ("blake3",)) -> dict[str, str]:
    """Digest the whole of an open file from its beginning; see :func:`digest_file`.

    A large file is mapped, and its BLAKE3 computed by all cores.
    """
    wanted = algorithms if isinstance(algorithms, tuple) else tuple(algorithms)
    data = os.read(handle, _SMALL)
    if len(data) < _SMALL and not os.read(handle, 1):  # the usual case
        return digest_bytes(data, wanted)
    os.lseek(handle, 0, os.SEEK_SET)
    size = os.fstat(handle).st_size
    if _SMALL <= size < _CHUNK:  # one read, with one byte more to notice growth
        data = os.read(handle, size + 1)
        if len(data) == size:
            return digest_bytes(data, wanted)
        os.lseek(handle, 0, os.SEEK_SET)
    result: dict[str, str] = {}
    if "blake3" in wanted and size >= _MMAP_FROM:
        result["blake3"] = _blake3_of_map(handle)
    if rest := [name for name in wanted if name not in result]:
        result.update(_stream(handle, rest))
    return {name: result[name] for name in wanted}


def digest_files(
    paths: Iterable[str], algorithms: Iterable[str] = ("blake3",)
) -> Iterator[dict[str, str] | OSError]:
    """Digest many files, by a pool of threads where that pays; memory does not grow with their number.

    Args:
        paths: In the order in which they are best read: that of a folder's inodes, so that one
            block of the file system's own tables after the other is needed.
        algorithms: See :func:`digest_file`.

    Yields:
        For each path, in the same order, its digests or the reason why it cannot be read.
    """
    return in_pool(partial(_digest_or_error, algorithms=tuple(algorithms)), paths)


def in_pool(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """`function` of each item, in order, by a few threads that are never far ahead of the reader.

    What it raises is raised here. A few items are not worth a thread; nor are such that take no time and
    never wait for the disk: threads would pass the interpreter's lock to and fro, at half as much again.
    """
    source = iter(items)
    batch = list(islice(source, _BATCH))
    while len(batch) == _BATCH:
        results, slow = _measured(function, batch)
        yield from results
        batch = list(islice(source, _BATCH))
        if slow:
            yield from _by_threads(function, batch, source)
            return
    yield from map(function, batch)


def _measured(function: Callable[[Item], Result], batch: list[Item]) -> tuple[list[Result], bool]:
    """`function` of a batch, and whether threads would be faster: it waited, or had much to compute."""
    waits, begun = _waits(), time.thread_time()
    results = [function(item) for item in batch]
    busy = time.thread_time() - begun
    return results, _waits() - waits > len(batch) // 4 or busy > len(batch) * _LONG


def _waits() -> int:
    """How often this thread has waited for something, the disk above all."""
    if not hasattr(resource, "RUSAGE_THREAD"):
        return 0
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw


def _by_threads(
    function: Callable[[Item], Result], batch: list[Item], source: Iterator[Item]
) -> Iterator[Result]:
    from concurrent.futures import Future, ThreadPoolExecutor

    workers = min(_WORKERS, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)
    pending: deque[Future[list[Result]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        while batch or pending:
            if batch:
                pending.append(pool.submit(_all_of, function, batch))
                batch = list(islice(source, _BATCH))
            if len(pending) > 2 * workers or not batch:
                yield from pending.popleft().result()


def digest_bytes(data: bytes, algorithms: Iterable[str] = ("blake3",)) -> dict[str, str]:
    """Digest bytes in memory; see :func:`digest_file`."""
    if algorithms == ("blake3",):  # the usual case
        return {"blake3": _digester("blake3")(data).hexdigest()}
    result = {}
    for name in algorithms:
        content = _as_dos2unix(data, data[:_HEAD]) if name == "md5-dos2unix" else data
        result[name] = _digester("md5" if name == "md5-dos2unix" else name)(content).hexdigest()
    return result


def new_digester(algorithm: str) -> Any:
    """An object with ``update(bytes)`` and ``hexdigest()``."""
    return _digester(algorithm)()


@cache
def _digester(algorithm: str) -> Callable[..., Any]:
    """What makes digesters; finding it again would cost a tenth of what digesting a small file does."""
    if algorithm == "blake3":
        import blake3

        return blake3.blake3
    if algorithm == "md5":
        return partial(hashlib.md5, usedforsecurity=False)
    return partial(hashlib.new, algorithm, usedforsecurity=False)


def _all_of(function: Callable[[Item], Result], items: list[Item]) -> list[Result]:
    return [function(item) for item in items]


def _digest_or_error(path: str, algorithms: tuple[str, ...]) -> dict[str, str] | OSError:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return digest_open_file(handle, algorithms)
        finally:
            os.close(handle)
    except OSError as error:
        return error


def _blake3_of_map(handle: int) -> str:
    import blake3

    try:
        content = mmap.mmap(handle, 0, prot=mmap.PROT_READ)
    except (OSError, ValueError):  # a file system without maps, or the file was emptied meanwhile
        return _stream(handle, ["blake3"])["blake3"]
    with content:
        return str(blake3.blake3(content, max_threads=blake3.blake3.AUTO).hexdigest())


def _stream(handle: int, algorithms: list[str]) -> dict[str, str]:
    """Digest what follows in the file, in memory that does not depend on its size."""
    digesters = {name: new_digester("md5" if name == "md5-dos2unix" else name) for name in algorithms}
    head: bytes | None = None
    while chunk := os.read(handle, _CHUNK):
        head = chunk[:_HEAD] if head is None else head
        for name, digester in digesters.items():
            digester.update(_as_dos2unix(chunk, head) if name == "md5-dos2unix" else chunk)
    return {name: digester.hexdigest() for name, digester in digesters.items()}


def _as_dos2unix(chunk: bytes, head: bytes) -> bytes:
    """What DVC 2.x digests of a chunk: a file without NUL and mostly text in its head is text."""
    return chunk.replace(b"\r\n", b"\n") if _looks_like_text(head) else chunk


def _looks_like_text(head: bytes) -> bool:
    if not head:
        return True
    if b"\0" in head:
        return False
    text = bytes(range(32, 127)) + b"\n\r\t\f\b"
    return len(head.translate(None, text)) / len(head) <= 0.3
