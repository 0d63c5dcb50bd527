"""The tree of RFC 6962, against its recursive definition."""

from __future__ import annotations

import hashlib

import pytest

from reproof.attest.merkle import (
    EMPTY_ROOT,
    Frontier,
    frontier_of,
    included,
    inclusion_proof,
    leaf_hash,
    root_of,
)

#: From the test vectors of Certificate Transparency: entries, and the roots of the first n of them.
ENTRIES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def defined(leaves: list[bytes]) -> bytes:
    """The Merkle tree hash as section 2.1 defines it."""
    if len(leaves) <= 1:
        return leaves[0] if leaves else EMPTY_ROOT
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + defined(leaves[:half]) + defined(leaves[half:])).digest()


def test_published_roots() -> None:
    leaves = [leaf_hash(entry) for entry in ENTRIES]
    assert [root_of(leaves[: n + 1]).hex() for n in range(8)] == ROOTS
    assert root_of([]) == EMPTY_ROOT


@pytest.mark.parametrize("size", range(65))
def test_roots_and_proofs(size: int) -> None:
    leaves = [leaf_hash(bytes([number])) for number in range(size)]
    root = defined(leaves)
    frontier = frontier_of(leaves)
    assert root_of(leaves) == frontier.root == root
    assert frontier.is_sound
    for index in range(size):
        path = inclusion_proof(leaves, index)
        assert included(leaves[index], index, size, path, root)
        assert not included(leaf_hash(b"another"), index, size, path, root)
        assert not included(leaves[index], index, size, [*path, b"\0" * 32], root)
        assert not included(leaves[index], size, size, path, root)
        if path:
            assert not included(leaves[index], index, size, path[:-1], root)
            flipped = [bytes([path[0][0] ^ 1]) + path[0][1:], *path[1:]]
            assert not included(leaves[index], index, size, flipped, root)
    with pytest.raises(IndexError):
        inclusion_proof(leaves, size)


def test_an_unsound_frontier_is_seen() -> None:
    assert not Frontier(3, (b"\0" * 32,)).is_sound
    assert not Frontier(1, (b"\0",)).is_sound
