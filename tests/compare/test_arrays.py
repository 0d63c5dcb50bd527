"""Arrays bit for bit: npy, npz, safetensors."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from array_samples import GRID, NUMPY_OF, TENSORS, npy, npz, safetensors

from reproof.compare import compare, new_context
from reproof.compare.npy_header import read_literal
from reproof.compare.protocol import ContentError, Limits, Source
from reproof.compare.registry import compare_sources
from reproof.model.difference import Difference, Outcome
from reproof.model.policy import EXACT, Tolerance

Pair = Callable[..., Difference]


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    def run(name: str, one: bytes, two: bytes, tolerance: Tolerance = EXACT) -> Difference:
        paths = [tmp_path / side / name for side in "ab"]
        for path, data in zip(paths, (one, two), strict=True):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        there = compare(*paths, tolerance=tolerance)
        assert compare(paths[1], paths[0], tolerance=tolerance).outcome is there.outcome
        return there

    return run


def test_npy_names_the_first_element_and_the_distance(pair: Pair) -> None:
    other = GRID.copy()
    other[2, 3] = np.nextafter(other[2, 3], 9)
    other[4, 0] += 0.25
    found = pair("a.npy", npy(GRID), npy(other))
    assert found.outcome is Outcome.DIFFERENT
    assert found.evidence["differing"] == 2
    assert found.evidence["first_index"] == [2, 3]
    assert found.evidence["max_abs"] == 0.25
    assert found.evidence["max_ulp"] > 1
    assert pair("a.npy", npy(GRID), npy(other), Tolerance(atol=0.25)).outcome is Outcome.CLOSE
    assert pair("a.npy", npy(GRID), npy(other), Tolerance(atol=0.2)).outcome is Outcome.DIFFERENT


@pytest.mark.parametrize(
    ("other", "name"),
    [
        (npy(np.asfortranarray(GRID)), "memory order of arrays"),
        (npy(GRID.astype(">f8")), "byte order of arrays"),
        (npy(GRID, (2, 0)), "npy header layout"),
        (
            npy(GRID).replace(
                b"'descr': '<f8', 'fortran_order': False, ", b"'fortran_order': False, 'descr': '<f8', "
            ),
            "npy header layout",
        ),
    ],
)
def test_npy_sets_aside_by_name(pair: Pair, other: bytes, name: str) -> None:
    found = pair("a.npy", npy(GRID), other)
    assert found.outcome is Outcome.EQUIVALENT
    assert found.canonicalisations == (name,)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (npy(GRID), npy(np.asfortranarray(GRID.T))),
        (npy(GRID), npy(GRID).replace(b"False", b"True ")),
        (npy(GRID), npy(GRID).replace(b"<f8", b">f8")),
        (npy(GRID), npy(GRID).replace(b"<f8", b"<i8")),
        (npy(np.array([0.0])), npy(np.array([-0.0]))),
        (
            npy(np.array([0x7FF8000000000000], "<u8").view("<f8")),
            npy(np.array([0x7FF8000000000001], "<u8").view("<f8")),
        ),
        (npy(np.array(["ab"])), npy(np.array(["abc"]))),
        (npy(GRID) + npy(GRID), npy(GRID) + npy(GRID + 1)),
        (npy(GRID), npy(GRID) + npy(GRID)),
        (npy(GRID.astype("<f4")), npy(GRID)),
        (npy(np.array([{"a": 1}], object)), npy(np.array([{"a": 2}], object))),
        (npy(np.array([1, 2], object)), npy(np.array([[1], [2]], object))),
        (npy(np.array([b"a"], "S1")), npy(np.array([b"a"], "V1"))),
    ],
)
def test_npy_differs(pair: Pair, one: bytes, two: bytes) -> None:
    assert pair("a.npy", one, two).outcome is Outcome.DIFFERENT


def test_npy_of_objects_is_compared_as_a_pickle_and_never_loaded(pair: Pair, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "executed",))

    traps = npy(np.array([Trap(), 1], object)), npy(np.array([Trap(), 2], object))
    assert pair("a.npy", *traps).outcome is Outcome.DIFFERENT
    assert not (tmp_path / "executed").exists()
    garbage = npy(np.array([None], object))
    garbage = garbage[: garbage.index(b"\n") + 1]
    found = pair("a.npy", garbage + b"\xff\xfe\xfd one", garbage + b"\xff\xfe\xfd two")
    assert found.outcome >= Outcome.UNKNOWN


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (9223372036854775807, 9223372036854775807), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (" + "1, " * 5000 + "), }",
        "{'descr': '<f8', 'fortran_order': 0, 'shape': (3,), }",
        "{'descr': '=f8', 'fortran_order': False, 'shape': (3,), }",
        "{'descr': '<V99999999999', 'fortran_order': False, 'shape': (3,), }",
        "{'descr': [], 'fortran_order': False, 'shape': (3,), }",
        "{'descr': " + "[" * 20000 + ", 'fortran_order': False, 'shape': (3,), }",
        "{'descr': [('a', " * 40 + "'<f8'",
        "{'descr': ('<f8', (9999999999, 9999999999)), 'fortran_order': False, 'shape': (3,), }",
        "{'fortran_order': False, 'shape': (3,), }",
        "__import__('os').system('true')",
        "",
    ],
)
def test_npy_with_a_hostile_header_is_unknown(pair: Pair, header: str) -> None:
    text = (header + "\n").encode()
    hostile = b"\x93NUMPY\x02\x00" + struct.pack("<I", len(text)) + text + bytes(24)
    assert pair("a.npy", npy(np.zeros(3)), hostile).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("cut", [7, 9, 11, 40, 130, -1])
def test_npy_cut_off_is_unknown(pair: Pair, cut: int) -> None:
    assert pair("a.npy", npy(GRID), npy(GRID)[:cut]).outcome is Outcome.UNKNOWN


def test_literals() -> None:
    text = r"{'a': [(1, -2,), (3), ('x\'\x41\u00e9',)], 'b': {}, 'c': True, 'd': (), 'e': 5L}"
    assert read_literal(text) == {"a": [(1, -2), 3, ("x'Aé",)], "b": {}, "c": True, "d": (), "e": 5}
    for broken in (
        "{'a' 1}",
        "[1 2]",
        "(1",
        "{'a': 1, 'a': 2}",
        "1e5",
        "'\\n'",
        "f(1)",
        "{1: 2}",
        "1 1",
        "9" * 30,
    ):
        with pytest.raises(ContentError):
            read_literal(broken)


def test_npz_by_name(pair: Pair) -> None:
    one = npz(grid=GRID, other=np.arange(3))
    turned = npz(compressed=True, other=np.arange(3), grid=GRID)
    found = pair("a.npz", one, turned)
    assert found.outcome is Outcome.EQUIVALENT
    assert {"zip compression", "zip member order"} <= set(found.canonicalisations)
    found = pair("a.npz", one, npz(grid=GRID + 1, other=np.arange(3)))
    assert found.outcome is Outcome.DIFFERENT
    assert [child.subject for child in found.children] == ["grid"]
    assert pair("a.npz", one, npz(grid=GRID)).outcome is Outcome.DIFFERENT
    assert pair("a.npz", one, npz(grid=GRID, another=np.arange(3))).outcome is Outcome.DIFFERENT
    assert pair("weights", one, npz(grid=GRID + 1, other=np.arange(3))).kind == "npz"


def test_npz_bomb_is_unknown() -> None:
    bomb = npz(compressed=True, a=np.zeros(4 << 20))
    sides = Source(name="a.npz", data=npz(a=GRID)), Source(name="a.npz", data=bomb)
    context = new_context(*sides, limits=Limits(max_expanded_bytes=1 << 20))
    assert compare_sources(*sides, "it", context).outcome is Outcome.UNKNOWN


def test_safetensors_names_the_tensor(pair: Pair) -> None:
    changed = TENSORS["layer.weight"][1].copy()
    changed[1, 2] = np.nextafter(changed[1, 2], np.float32(9))
    other = safetensors({**TENSORS, "layer.weight": ("F32", changed)}, {"format": "pt"})
    found = pair("a.safetensors", safetensors(TENSORS, {"format": "pt"}), other)
    assert found.outcome is Outcome.DIFFERENT
    (child,) = found.children
    assert child.subject == "layer.weight"
    assert (child.evidence["differing"], child.evidence["max_ulp"]) == (1, 1)
    assert child.evidence["first_index"] == [1, 2]
    close = pair("a.safetensors", safetensors(TENSORS, {"format": "pt"}), other, Tolerance(ulp=1))
    assert close.outcome is Outcome.CLOSE


@pytest.mark.parametrize(
    ("other", "name"),
    [
        (safetensors(dict(reversed(TENSORS.items())), {"format": "pt"}), "tensor order"),
        (safetensors(TENSORS, {"format": "pt"}, pad=7), "safetensors header layout"),
        (safetensors(TENSORS, {"format": "pt"}, indent=2), "safetensors header layout"),
    ],
)
def test_safetensors_sets_aside_by_name(pair: Pair, other: bytes, name: str) -> None:
    found = pair("a.safetensors", safetensors(TENSORS, {"format": "pt"}), other)
    assert found.outcome is Outcome.EQUIVALENT
    assert found.canonicalisations == (name,)


def test_safetensors_metadata_are_content(pair: Pair) -> None:
    found = pair(
        "a.safetensors",
        safetensors(TENSORS, {"format": "pt"}),
        safetensors(TENSORS, {"format": "tf", "x": ""}),
    )
    assert found.outcome is Outcome.DIFFERENT
    assert [child.subject for child in found.children] == ["__metadata__"]
    assert [part.subject for part in found.children[0].children] == ["format", "x"]


@pytest.mark.parametrize("dtype", sorted(NUMPY_OF))
def test_safetensors_tell_types_shapes_and_presence(pair: Pair, dtype: str) -> None:
    array = np.array([[0, 1], [1, 0]]).astype(NUMPY_OF[dtype])
    one = safetensors({"a": (dtype, array)})
    assert (
        pair("a.safetensors", one, safetensors({"a": (dtype, 1 - array)})).outcome is Outcome.DIFFERENT
        if dtype != "BOOL"
        else True
    )
    assert (
        pair("a.safetensors", one, safetensors({"a": (dtype, array.reshape(4))})).outcome is Outcome.DIFFERENT
    )
    assert pair("a.safetensors", one, safetensors({"b": (dtype, array)})).outcome is Outcome.DIFFERENT
    other = "U16" if array.itemsize != 2 else "I16"
    assert (
        pair("a.safetensors", one, safetensors({"a": (other, array.astype("u2"))})).outcome
        is Outcome.DIFFERENT
    )


@pytest.mark.parametrize(
    ("dtype", "count"), [("F4", 8), ("F6_E2M3", 4), ("F8_E8M0", 3), ("F8_E4M3", 3), ("F8_E5M2", 3), ("Q9", 3)]
)
def test_safetensors_narrow_and_unknown_types(pair: Pair, dtype: str, count: int) -> None:
    def one(data: bytes) -> bytes:
        text = json.dumps({"a": {"dtype": dtype, "shape": [count], "data_offsets": [0, len(data)]}}).encode()
        return struct.pack("<Q", len(text)) + text + data

    size = {"F4": 4}.get(dtype, 3)
    first, second = bytes(range(size)), bytes(range(1, size + 1))
    assert pair("a.safetensors", one(first), one(second)).outcome is Outcome.DIFFERENT


def _raw(header: object, data: bytes = bytes(16), length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def _entry(start: int, end: int, shape: object = (2,), dtype: object = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


@pytest.mark.parametrize(
    "hostile",
    [
        _raw({"a": _entry(0, 8), "b": _entry(4, 16, (3,))}),
        _raw({"a": _entry(0, 8), "b": _entry(0, 8)}, bytes(8)),
        _raw({"a": _entry(0, 4, (1,)), "b": _entry(8, 16)}),
        _raw({"a": _entry(0, 16)}),
        _raw({"a": _entry(0, 8)}),
        _raw({"a": _entry(0, 1 << 62, ((1 << 60),))}),
        _raw({"a": _entry(0, 16, [-4])}),
        _raw({"a": _entry(0, 16, [2.0, 2])}),
        _raw({"a": _entry(0, 16, "4")}),
        _raw({"a": _entry(0, 16, [4], 7)}),
        _raw({"a": [0, 16]}),
        _raw({"a": _entry(0, 16, [1] * 500 + [4])}),
        _raw(b'{"a": 1, "a": 2}'),
        _raw(b'{"a": ' + b"[" * 200_000),
        _raw(b'{"a": ' + b"1" * 5000 + b"}"),
        _raw(b"{}", b"", length=1 << 62),
        _raw(b"{}", b"", length=(1 << 64) - 1),
        _raw({"__metadata__": {"a": 1}}, b""),
        _raw({"__metadata__": "text"}, b""),
        b"\x02\0\0",
        b"",
    ],
)
def test_hostile_safetensors_are_unknown(pair: Pair, hostile: bytes) -> None:
    assert pair("a.safetensors", safetensors(TENSORS), hostile).outcome is Outcome.UNKNOWN


def test_safetensors_names_that_are_no_text(pair: Pair) -> None:
    one = _raw(b'{"a\\ud800": ' + json.dumps(_entry(0, 16, [4])).encode() + b"}")
    found = pair("a.safetensors", one, one[:-1] + b"\1")
    assert found.outcome is Outcome.DIFFERENT
    found.children[0].subject.encode()


def test_safetensors_are_recognised_without_their_name(pair: Pair) -> None:
    one = safetensors(TENSORS, {"format": "pt"})
    assert pair("weights", one, one[:-1] + b"\1").kind == "safetensors"
