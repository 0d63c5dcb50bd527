"""HDF5 read without its library."""

from __future__ import annotations

import random
import struct
from pathlib import Path
from typing import Any

import pytest
from model_samples import FILES

from reproof.compare import compare, new_context
from reproof.compare.hdf5.structure import File
from reproof.compare.hdf5.values import read_shape, read_type
from reproof.compare.protocol import ContentError, Source
from reproof.compare.registry import compare_sources
from reproof.model.difference import Difference, Outcome

WHOLE = (FILES / "keras_a.h5").read_bytes()


def both(one: bytes, two: bytes) -> Difference:
    sides = Source(name="a.h5", data=one), Source(name="a.h5", data=two)
    return compare_sources(*sides, "a.h5", new_context(*sides))


def test_another_seed_names_the_weights() -> None:
    found = compare(FILES / "keras_a.h5", FILES / "keras_c.h5")
    assert found.outcome is Outcome.DIFFERENT
    assert [part.subject for part in found.children] == [
        "model_weights/dense/sequential/dense/bias",
        "model_weights/dense/sequential/dense/kernel",
    ]


def test_bytes_that_no_object_owns_are_not_passed_over() -> None:
    place = WHOLE.rindex(b"\0" * 64) + 20
    found = both(WHOLE, WHOLE[:place] + b"x" + WHOLE[place + 1 :])
    assert (found.outcome, found.children[0].subject) == (Outcome.UNKNOWN, "(structure)")


def test_flipped_bits_are_never_missed() -> None:
    chance = random.Random(1)
    for _ in range(300):
        place, bit = chance.randrange(len(WHOLE)), chance.randrange(8)
        flipped = bytearray(WHOLE)
        flipped[place] ^= 1 << bit
        found = both(WHOLE, bytes(flipped))
        assert found.outcome >= Outcome.UNKNOWN or found.canonicalisations == ("layout of the HDF5 file",)


@pytest.mark.parametrize("cut", [8, 40, 95, 96, 500, 1000, 5000, 12000])
def test_files_that_are_cut_are_unknown(cut: int) -> None:
    assert both(WHOLE, WHOLE[:cut]).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (8, b"\x09"),
        (13, b"\x04"),
        (24, struct.pack("<Q", 512)),
        (64, struct.pack("<Q", 1 << 60)),
        (64, b"\0" * 8),
    ],
)
def test_unusual_superblocks_are_unknown(place: int, value: bytes) -> None:
    assert both(WHOLE, WHOLE[:place] + value + WHOLE[place + len(value) :]).outcome is Outcome.UNKNOWN


def test_types_are_known_by_what_they_say() -> None:
    integer = struct.pack("<B3BIHH", 0x10, 8, 0, 0, 4, 0, 32)
    assert str(read_type(memoryview(integer)).layout) == "int32"
    assert str(read_type(memoryview(integer[:1] + b"\x01" + integer[2:])).layout) == ">u4"
    double = struct.pack("<B3BIHHBBBBI", 0x11, 0x20, 63, 0, 8, 0, 64, 52, 11, 0, 52, 1023)
    assert str(read_type(memoryview(double)).layout) == "float64"
    odd = struct.pack("<B3BIHHBBBBI", 0x11, 0x20, 63, 0, 8, 0, 64, 52, 11, 0, 52, 1000)
    assert read_type(memoryview(odd)).layout is None
    with pytest.raises(ContentError):
        read_type(memoryview(b"\x13\0\0\0"))
    assert read_shape(memoryview(struct.pack("<BBB5x2Q", 1, 2, 0, 3, 4))) == (3, 4)
    assert read_shape(memoryview(b"\x02\x00\x00\x02")) is None
    with pytest.raises(ContentError):
        read_shape(memoryview(struct.pack("<BBB5xQQ", 1, 2, 0, 1 << 40, 1 << 40)))


def test_what_is_no_hdf5_is_refused() -> None:
    for data in (b"", b"\x89HDF\r\n\x1a\n", b"x" * 100):
        with pytest.raises(ContentError):
            File(memoryview(data))


def build(path: Path, libver: Any = None, *, change: float = 0.0, chunks: bool = False) -> Path:
    import h5py
    import numpy as np

    packing: dict[str, Any] = {}
    if chunks:
        packing = {"chunks": (7, 3), "compression": "gzip", "shuffle": True, "fletcher32": True}
    with h5py.File(path, "w", libver=libver) as file:
        file.create_dataset("a/b/grid", data=np.arange(60.0).reshape(20, 3) + change, **packing)
        file.create_dataset("numbers", data=np.arange(10, dtype=">i4"))
        file.create_dataset("text", data="text é")
        file.create_dataset("texts", data=["a", "bcd", ""], dtype=h5py.string_dtype())
        file.create_dataset("bytes", data=np.array([b"ab", b"c"]))
        file.create_dataset("flags", data=np.array([True, False]))
        file.create_dataset("halves", data=np.ones(3, "f2"))
        file.create_dataset("complex", data=np.ones(2, "c8"))
        file.create_dataset("none", data=np.zeros((0, 3)))
        file.attrs["count"] = 3
        file["a"].attrs["names"] = ["u", "v"]
        file["a"].attrs["empty"] = h5py.Empty("f")
        file["soft"] = h5py.SoftLink("/a/b/grid")
        file["hard"] = file["numbers"]
    return path


@pytest.mark.needs("h5py")
def test_files_of_the_library_itself(tmp_path: Path) -> None:
    plain = build(tmp_path / "plain.h5")
    chunked = build(tmp_path / "chunked.h5", chunks=True)
    found = compare(plain, chunked)
    assert (found.outcome, found.canonicalisations) == (Outcome.EQUIVALENT, ("layout of the HDF5 file",))
    other = build(tmp_path / "other.h5", change=1e-9, chunks=True)
    assert [part.subject for part in compare(plain, other).children] == ["a/b/grid"]
    newest = build(tmp_path / "newest.h5", "latest")
    assert compare(plain, newest).outcome in (Outcome.UNKNOWN, Outcome.EQUIVALENT)
