"""Arrays bit for bit: what differs, how far, where; and what is set aside by name."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reproof.compare.numbers import compare_numbers
from reproof.compare.protocol import ContentError
from reproof.compare.tensors import Tensor, compare_tensors, dtype_name
from reproof.model.difference import Difference, Outcome
from reproof.model.policy import EXACT, Tolerance


def tensor(array: Any, order: str = "C") -> Tensor:
    array = np.asanyarray(array)
    return Tensor.of(array.dtype, array.shape, array.tobytes(order=order), order)


def compared(one: Any, two: Any, tolerance: Tolerance = EXACT) -> Difference:
    return compare_tensors(tensor(one), tensor(two), "x", tolerance)


GRID = np.arange(12.0).reshape(3, 4)


def test_one_step_away_is_found_and_measured() -> None:
    other = GRID.copy()
    other[1, 2] = np.nextafter(other[1, 2], 9)
    found = compared(GRID, other)
    assert found.outcome is Outcome.DIFFERENT
    assert found.summary == "1 of 12 elements differ, by at most 8.88e-16 (1 ulp), first at [1, 2]"
    assert (found.expected, found.actual) == ("6.0", "6.000000000000001")
    facts = found.evidence
    assert (facts["differing"], facts["elements"], facts["max_ulp"], facts["first_index"]) == (
        1,
        12,
        1,
        [1, 2],
    )
    assert facts["max_abs"] == np.nextafter(6.0, 9) - 6.0
    assert len(set(facts["digests"])) == 2


@pytest.mark.parametrize(
    "code", ["f2", "f4", "f8", "i1", "u1", "i8", "u8", "c8", "c16", "?", "M8[s]", "S3", "U3", "g"]
)
def test_every_type_finds_one_other_element(code: str) -> None:
    one = np.zeros((2, 3), code)
    two = one.copy()
    two[1, 1] = "abc"[: one.dtype.itemsize] if code in ("S3", "U3") else 1
    assert compared(one, one.copy()).outcome is Outcome.IDENTICAL
    found = compared(one, two)
    assert (found.outcome, found.evidence["first_index"]) == (Outcome.DIFFERENT, [1, 1])
    assert compared(two, one).outcome is Outcome.DIFFERENT


def test_zeros_of_two_signs_differ_by_nothing() -> None:
    found = compared(np.zeros(2), np.array([0.0, -0.0]))
    assert (found.outcome, found.evidence["max_ulp"], found.evidence["max_abs"]) == (Outcome.DIFFERENT, 0, 0)
    assert compared(np.zeros(2), np.array([0.0, -0.0]), Tolerance(ulp=1)).outcome is Outcome.CLOSE


def test_not_a_number_equals_its_own_bits_only() -> None:
    one = np.array([1.0, np.nan])
    two = one.copy()
    two.view("u8")[1] ^= 1
    assert compared(one, one.copy()).outcome is Outcome.IDENTICAL
    found = compared(one, two)
    assert (found.outcome, found.evidence["without_number"]) == (Outcome.DIFFERENT, 1)
    loose = Tolerance(rtol=float("inf"), atol=float("inf"), ulp=1 << 62)
    assert compared(one, two, loose).outcome is Outcome.DIFFERENT
    assert compared(one, np.array([1.0, np.inf]), loose).outcome is Outcome.DIFFERENT


@pytest.mark.parametrize(
    ("tolerance", "outcome"),
    [
        (EXACT, Outcome.DIFFERENT),
        (Tolerance(rtol=1e-9), Outcome.DIFFERENT),
        (Tolerance(rtol=1e-6), Outcome.CLOSE),
        (Tolerance(atol=1e-3), Outcome.CLOSE),
        (Tolerance(ulp=1 << 33), Outcome.CLOSE),
        (Tolerance(ulp=10), Outcome.DIFFERENT),
    ],
)
def test_tolerance_holds_for_all_elements(tolerance: Tolerance, outcome: Outcome) -> None:
    assert compared([1000.0, 1.0], [1000.0005, 1.0], tolerance).outcome is outcome
    assert compared([1000.0, 1.0], [1000.0005, 2.0], tolerance).outcome is Outcome.DIFFERENT


def test_byte_order_and_memory_order_are_set_aside_by_name() -> None:
    found = compared(GRID, GRID.astype(">f8"))
    assert (found.outcome, found.canonicalised) == (Outcome.EQUIVALENT, ("byte order of arrays",))
    turned = compare_tensors(tensor(GRID), tensor(GRID, "F"), "x")
    assert (turned.outcome, turned.canonicalised) == (Outcome.EQUIVALENT, ("memory order of arrays",))
    other = GRID.copy()
    other[2, 1] = -1
    for side in (other.astype(">f8"), other):
        found = compare_tensors(tensor(GRID), tensor(side, "F"), "x")
        assert (found.outcome, found.evidence["first_index"]) == (Outcome.DIFFERENT, [2, 1])


def test_type_and_shape_are_content() -> None:
    assert compared(GRID, GRID.astype("f4")).summary == "dtype float64 -> float32"
    assert compared(GRID, GRID.reshape(4, 3)).summary == "shape [3, 4] -> [4, 3]"


def test_fields_of_structured_elements_are_named() -> None:
    layout = np.dtype([("id", "<i4"), ("deep", [("value", "<f8")])])
    one = np.zeros(4, layout)
    two = one.copy()
    two["deep"]["value"][2] = 0.5
    found = compared(one, two)
    assert dtype_name(layout) == "{id: int32, deep: {value: float64}}"
    assert [child.subject for child in found.children] == ["deep"]
    assert [child.subject for child in found.children[0].children] == ["value"]
    assert compared(one, two, Tolerance(atol=1.0)).outcome is Outcome.CLOSE


def test_padding_is_no_value_but_is_not_passed_over() -> None:
    layout = np.dtype([("a", "u1"), ("b", "<f8")], align=True)
    clear, first, second = (np.zeros(3, layout) for _ in range(3))
    first.view("u1")[3], second.view("u1")[4] = 7, 9
    assert compared(first, second).canonicalised == ("padding bytes of structured elements",)
    found = compared(clear, first)
    assert (found.outcome, compared(first, clear).outcome) == (Outcome.UNKNOWN, Outcome.UNKNOWN)
    assert "padding" in found.summary


@pytest.mark.parametrize(
    ("name", "size", "one", "two", "ulp", "distance"),
    [
        ("bfloat16", 2, 0x3F80, 0x3F81, 1, 2**-7),
        ("float8_e4m3fn", 1, 0x38, 0x39, 1, 0.125),
        ("float8_e5m2", 1, 0x3C, 0x3D, 1, 0.25),
        ("float8_e4m3fn", 1, 0x00, 0x80, 0, 0.0),
    ],
)
def test_types_that_numpy_does_not_know(
    name: str, size: int, one: int, two: int, ulp: int, distance: float
) -> None:
    sides = [Tensor.foreign(name, size, (2,), value.to_bytes(size, "little") * 2) for value in (one, two)]
    found = compare_tensors(*sides, "x")
    assert (found.outcome, found.evidence["max_ulp"], found.evidence["max_abs"]) == (
        Outcome.DIFFERENT,
        ulp,
        distance,
    )
    assert compare_tensors(*sides, "x", Tolerance(atol=distance, ulp=1)).outcome is Outcome.CLOSE


def test_the_8_bit_floats_are_those_of_the_standard() -> None:
    from reproof.compare.elements import _table

    values = _table("float8_e4m3fn")
    assert [values[code] for code in (0x01, 0x08, 0x7E, 0x38, 0xFE)] == [2**-9, 2**-6, 448, 1, -448]
    assert np.isnan(values[[0x7F, 0xFF]]).all()
    assert [_table("float8_e5m2")[code] for code in (0x01, 0x3C, 0x7B)] == [2**-16, 1, 57344]


@pytest.mark.parametrize(
    "side",
    [
        Tensor.of(np.dtype("f8"), (3,), b"\0" * 23),
        Tensor.of(np.dtype("f8"), (-1,), b""),
        Tensor.of(np.dtype("O"), (1,), b"\0" * 8),
        Tensor.of(np.dtype("f8"), (1 << 40, 1 << 40), b""),
    ],
)
def test_data_that_do_not_fit_are_refused(side: Tensor) -> None:
    good = tensor(GRID)
    for sides in ((good, side), (side, good)):
        with pytest.raises(ContentError):
            compare_tensors(*sides, "x")


def test_blocks_do_not_lose_the_index() -> None:
    one = np.zeros(3 << 20)
    two = one.copy()
    two[[(1 << 20) + 5, (2 << 20) + 7]] = 1
    found = compared(one, two)
    assert (found.evidence["differing"], found.evidence["first_index"]) == (2, [(1 << 20) + 5])


@settings(max_examples=300, deadline=None)
@given(
    st.floats(width=64),
    st.floats(width=64),
    st.sampled_from([EXACT, Tolerance(rtol=1e-3, ulp=3), Tolerance(atol=1)]),
)
def test_elements_and_single_numbers_agree(one: float, two: float, tolerance: Tolerance) -> None:
    found = compared([one], [two], tolerance)
    outcome, facts = compare_numbers(one, two, tolerance)
    assert found.outcome is outcome
    if "ulp" in facts and facts["ulp"] is not None:
        assert found.evidence["max_ulp"] == facts["ulp"]


@settings(max_examples=100, deadline=None)
@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_integers_are_measured_exactly(one: int, two: int) -> None:
    found = compared(np.array([one]), np.array([two]))
    assert (found.outcome is Outcome.IDENTICAL) is (one == two)
    if one != two:
        assert found.evidence["max_abs"] == abs(one - two)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**64 - 1), st.integers(0, 63))
def test_no_flipped_bit_is_missed(bits: int, flipped: int) -> None:
    for layout in ("<f8", "<i8", "<c8", "V8"):
        sides = [
            Tensor.of(np.dtype(layout), (1,), struct.pack("<Q", value))
            for value in (bits, bits ^ 1 << flipped)
        ]
        assert compare_tensors(*sides, "x").outcome is Outcome.DIFFERENT
