"""Pages of mapped files are given back, whatever is asked for."""

from __future__ import annotations

import mmap
from pathlib import Path

import pytest

from reproof.compare.paging import forget
from reproof.compare.protocol import Source


def test_content_is_the_same_afterwards(tmp_path: Path) -> None:
    data = bytes(range(256)) * 256
    path = tmp_path / "file"
    path.write_bytes(data)
    with Source.of(path).view() as view:
        for start, end in (
            (0, len(data)),
            (1, 5),
            (4096, 8192),
            (5000, 1 << 40),
            (7, 3),
            (len(data), len(data)),
        ):
            forget(view, start, end)
            forget(view[100:50_000], start, end)
        assert bytes(view) == data


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="the kernel does not tell")
def test_resident_memory_goes_down(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * (64 * mmap.PAGESIZE))

    def resident() -> int:
        text = Path("/proc/self/smaps").read_text()
        part = text[text.index(str(path)) :]
        return int(part[part.index("Rss:") + 4 :].split()[0])

    with Source.of(path).view() as view:
        bytes(view)
        before = resident()
        forget(view, 0, len(view))
        assert resident() < before


def test_what_is_not_mapped_is_left_alone() -> None:
    for data in (b"abc", memoryview(b"abc"), bytearray(b"abc"), None):
        forget(data, 0, 3)
