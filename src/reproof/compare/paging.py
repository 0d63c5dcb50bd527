"""Giving pages of mapped files back as soon as they were looked at.

The kernel counts what a process has touched of a mapping as its memory. Files are compared from the
beginning to the end and larger ones than the memory should be no trouble, so what lies behind is let go;
it stays in the page cache and comes back when it is touched again.
"""

from __future__ import annotations

import mmap
from typing import Any

_PAGE = mmap.PAGESIZE


def forget(view: Any, start: int, end: int) -> None:
    """Let go of the bytes `start` to `end` of `view`, where it is part of a mapped file.

    Anything else, and systems without such advice, are left alone.
    """
    whole = view.obj if isinstance(view, memoryview) else None
    if not isinstance(whole, mmap.mmap) or not hasattr(mmap, "MADV_DONTNEED") or end <= start:
        return
    import numpy as np

    base = np.frombuffer(whole, np.uint8).ctypes.data
    place = np.frombuffer(view, np.uint8).ctypes.data - base
    first = -(-(place + start) // _PAGE) * _PAGE
    last = (place + min(end, view.nbytes)) // _PAGE * _PAGE
    if last > first:
        whole.madvise(mmap.MADV_DONTNEED, first, last - first)
