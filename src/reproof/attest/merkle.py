"""The tree of RFC 6962 (section 2.1) over the entries of a log: root, growth, proofs.

Pure arithmetic on sha256 digests. A compact range (`Frontier`) lets a log grow without reading it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """The digest of an entry as a leaf."""
    return hashlib.sha256(b"\x00" + entry).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier(msgspec.Struct, frozen=True):
    """The roots of the perfect subtrees that a tree of `size` leaves consists of, largest first."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def grown(self, leaf: bytes) -> Frontier:
        """The frontier with one more leaf (given by its hash)."""
        peaks = [*self.peaks, leaf]
        size = self.size
        while size & 1:  # the two smallest subtrees have the same height
            right, left = peaks.pop(), peaks.pop()
            peaks.append(_node(left, right))
            size >>= 1
        return Frontier(self.size + 1, tuple(peaks))

    @property
    def is_sound(self) -> bool:
        """Whether it has as many peaks as its size calls for."""
        return (
            self.size >= 0
            and len(self.peaks) == self.size.bit_count()
            and all(len(peak) == 32 for peak in self.peaks)
        )

    @property
    def root(self) -> bytes:
        """The root of the whole tree."""
        if not self.peaks:
            return EMPTY_ROOT
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = _node(peak, root)
        return root


def frontier_of(leaves: Sequence[bytes]) -> Frontier:
    """The frontier over the leaf hashes `leaves`."""
    found = Frontier()
    for leaf in leaves:
        found = found.grown(leaf)
    return found


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root over the leaf hashes `leaves`."""
    level = list(leaves)
    if not level:
        return EMPTY_ROOT
    while len(level) > 1:  # an odd one out rises as it is: the same tree as the recursive definition
        paired = [_node(level[index], level[index + 1]) for index in range(0, len(level) - 1, 2)]
        level = paired + level[len(paired) * 2 :]
    return level[0]


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The audit path of leaf `index` in the tree over `leaves`, leaf's neighbour first (2.1.1).

    Raises:
        IndexError: There is no such leaf.
    """
    if not 0 <= index < len(leaves):
        raise IndexError(index)
    level, path = list(leaves), []
    while len(level) > 1:
        neighbour = index ^ 1
        if neighbour < len(level):
            path.append(level[neighbour])
        paired = [_node(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
        level = paired + level[len(paired) * 2 :]
        index >>= 1
    return path


def included(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether `path` proves that `leaf` is entry `index` of the tree of `size` leaves with this root.

    The algorithm is that of RFC 9162 (section 2.1.3.2), on the audit paths of RFC 6962.

    Args:
        leaf: Hash of the leaf, 32 bytes.
        index: Its place, from 0.
        size: Number of leaves.
        path: What :func:`inclusion_proof` gives.
        root: 32 bytes.
    """
    if not 0 <= index < size:
        return False
    last, found = size - 1, leaf
    for neighbour in path:
        if last == 0:
            return False
        if index & 1 or index == last:
            found = _node(neighbour, found)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            found = _node(found, neighbour)
        index, last = index >> 1, last >> 1
    return last == 0 and found == root
