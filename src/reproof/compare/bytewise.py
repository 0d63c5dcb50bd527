"""Bytes: equality as fast as they can be read, and where and how much they differ."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

from reproof.compare.protocol import Context, Source
from reproof.model.difference import Difference, Outcome

_CHUNK = 1 << 18  # two of them stay in the second-level cache
_SHARED_FROM = 1 << 26  # below this, one thread is done before the others have started
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # a fifo in the place of a file must not stop us
_SHOWN = 16  # bytes of evidence


class BytesComparator:
    """Any content: the first differing offset, how many bytes differ, and the sizes."""

    name = "bytes"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Every two files."""
        return not expected.is_folder and not actual.is_folder

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """DIFFERENT with offsets and counts, or IDENTICAL."""
        del context
        return describe_bytes(expected, actual, subject)


def equal_bytes(expected: Source, actual: Source) -> bool:
    """Whether both have the same bytes; raises OSError as reading does."""
    if expected.data is not None and actual.data is not None:
        return expected.data == actual.data
    size = expected.size
    if size != actual.size:
        return False
    if expected.path is None or actual.path is None:
        with expected.open() as left, actual.open() as right:
            return _equal_streams(left, right)
    one, two = os.open(expected.path, _FLAGS), os.open(actual.path, _FLAGS)
    try:
        scan = _Scan((one, two), (expected.start, actual.start), size)
        return scan.run(0, 1) if size < _SHARED_FROM else scan.together()
    finally:
        os.close(one)
        os.close(two)


def describe_bytes(expected: Source, actual: Source, subject: str) -> Difference:
    """Where two files differ.

    Evidence: ``sizes`` [expected, actual] in bytes, ``offset`` of the first differing byte (the
    shorter size when one is the beginning of the other), ``differing`` bytes within the common
    length, ``expected_bytes`` and ``actual_bytes`` there, in hexadecimal.
    """
    import numpy as np

    sizes = [expected.size, actual.size]
    offset: int | None = None
    shown = (b"", b"")
    position = differing = 0
    with expected.open() as left, actual.open() as right:
        while True:
            one, two = left.read(_CHUNK), right.read(_CHUNK)
            common = min(len(one), len(two))
            if one[:common] != two[:common]:
                where = np.frombuffer(one, np.uint8, common) != np.frombuffer(two, np.uint8, common)
                differing += int(np.count_nonzero(where))
                if offset is None:
                    first = int(where.argmax())
                    offset = position + first
                    shown = one[first : first + _SHOWN], two[first : first + _SHOWN]
            position += common
            if common < _CHUNK:
                break
    if offset is None:
        if sizes[0] == sizes[1]:
            return Difference(
                subject=subject, outcome=Outcome.IDENTICAL, summary="identical bytes", kind="bytes"
            )
        offset = position
    evidence = {
        "sizes": sizes,
        "offset": offset,
        "differing": differing,
        "expected_bytes": shown[0].hex(),
        "actual_bytes": shown[1].hex(),
    }
    return Difference(
        subject=subject,
        outcome=Outcome.DIFFERENT,
        summary=_words(sizes, offset, differing),
        kind="bytes",
        evidence=evidence,
    )


def _words(sizes: list[int], offset: int, differing: int) -> str:
    if sizes[0] == sizes[1]:
        noun = "byte differs" if differing == 1 else "bytes differ"
        return f"{differing:,} of {sizes[0]:,} {noun}, first at offset {offset:,}"
    if differing == 0:
        word = "cut off" if sizes[0] > sizes[1] else "continued"
        return f"{word} at offset {offset:,}: {sizes[0]:,} -> {sizes[1]:,} bytes"
    return f"{sizes[0]:,} -> {sizes[1]:,} bytes, first difference at offset {offset:,}"


def _equal_streams(left: BinaryIO, right: BinaryIO) -> bool:
    while True:
        one, two = left.read(_CHUNK), right.read(_CHUNK)
        if one != two:
            return False
        if not one:
            return True


class _Scan:
    """Reads two open files of one size in lock-step, by one thread or several."""

    def __init__(self, handles: tuple[int, int], starts: tuple[int, int], size: int) -> None:
        self._handles = handles
        self._starts = starts
        self._size = size
        self._stop = threading.Event()

    def together(self) -> bool:
        """Every processor takes each nth stretch, so that all read near one place of the disk."""
        count = min(
            4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        )
        with ThreadPoolExecutor(count) as pool:
            return all(pool.map(lambda index: self.run(index, count), range(count)))

    def run(self, index: int, count: int) -> bool:
        """Whether all stretches with number `index` modulo `count` are equal."""
        one, two = bytearray(_CHUNK), bytearray(_CHUNK)
        left, right = self._handles
        for start in range(index * _CHUNK, self._size, count * _CHUNK):
            if self._stop.is_set():
                return False
            length = min(_CHUNK, self._size - start)
            read = (
                _fill(left, one, self._starts[0] + start, length),
                _fill(right, two, self._starts[1] + start, length),
            )
            if read != (length, length) or (one != two if length == _CHUNK else one[:length] != two[:length]):
                self._stop.set()
                return False
        return True


def _fill(handle: int, buffer: bytearray, start: int, length: int) -> int:
    """Read up to `length` bytes at `start` into `buffer`; the kernel may give fewer at a time."""
    view = memoryview(buffer)
    done = 0
    while done < length:
        count = os.preadv(handle, [view[done:length]], start + done)
        if count == 0:
            break
        done += count
    return done
