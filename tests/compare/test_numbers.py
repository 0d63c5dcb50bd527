from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reproof.compare.numbers import compare_numbers, compare_numerals, normal_form, ulp_distance
from reproof.model.difference import Outcome
from reproof.model.policy import EXACT, Tolerance

ANY = Tolerance(rtol=1.0)
numbers = st.one_of(st.integers(), st.floats())
tolerances = st.builds(
    Tolerance, rtol=st.floats(0, 10), atol=st.floats(0, 1e300), ulp=st.integers(0, 1 << 60)
)


def nan(bits: int) -> float:
    value: float = struct.unpack("<d", struct.pack("<Q", bits))[0]
    return value


@given(numbers)
def test_a_number_is_identical_to_itself(value: float) -> None:
    assert compare_numbers(value, value) == (Outcome.IDENTICAL, {})


@given(numbers, numbers, tolerances)
def test_is_symmetric(one: float, two: float, tolerance: Tolerance) -> None:
    assert compare_numbers(one, two, tolerance) == compare_numbers(two, one, tolerance)


@given(st.floats(), st.floats(), tolerances, tolerances)
def test_a_wider_tolerance_never_worsens(one: float, two: float, first: Tolerance, second: Tolerance) -> None:
    wider = Tolerance(
        rtol=max(first.rtol, second.rtol), atol=max(first.atol, second.atol), ulp=max(first.ulp, second.ulp)
    )
    assert compare_numbers(one, two, wider)[0] <= compare_numbers(one, two, first)[0]


@given(st.floats(), st.integers(0, 63))
def test_a_flipped_bit_is_different(value: float, bit: int) -> None:
    (bits,) = struct.unpack("<Q", struct.pack("<d", value))
    assert compare_numbers(value, nan(bits ^ (1 << bit)))[0] is Outcome.DIFFERENT


def test_neighbours_are_one_ulp_apart() -> None:
    outcome, facts = compare_numbers(0.1, math.nextafter(0.1, 1), Tolerance(ulp=1))
    assert (outcome, facts["ulp"]) == (Outcome.CLOSE, 1)
    assert facts["absolute"] == pytest.approx(1.4e-17, rel=0.1)
    assert compare_numbers(0.1, math.nextafter(0.1, 1))[0] is Outcome.DIFFERENT


@pytest.mark.parametrize(("bits", "step"), [(64, 2**-52), (32, 2**-23), (16, 2**-10)])
def test_the_width_of_the_type_counts(bits: int, step: float) -> None:
    assert ulp_distance(1.0, 1.0 + step, bits) == 1
    assert ulp_distance(-1.0, 1.0, bits) == 2 * ulp_distance(0.0, 1.0, bits)


def test_the_sign_of_zero_is_content() -> None:
    assert compare_numbers(0.0, -0.0) == (Outcome.DIFFERENT, {"absolute": 0, "ulp": 0})
    assert compare_numbers(0.0, -0.0, Tolerance(atol=1e-300))[0] is Outcome.CLOSE


def test_nan_equals_only_nan_of_the_same_bits() -> None:
    quiet, payload = nan(0x7FF8 << 48), nan((0x7FF8 << 48) + 1)
    assert compare_numbers(quiet, quiet)[0] is Outcome.IDENTICAL
    assert compare_numbers(quiet, payload, ANY)[0] is Outcome.DIFFERENT
    assert compare_numbers(quiet, -quiet, ANY)[0] is Outcome.DIFFERENT
    assert compare_numbers(quiet, 1.0, ANY)[0] is Outcome.DIFFERENT


def test_infinity_is_close_to_nothing() -> None:
    assert compare_numbers(math.inf, math.inf)[0] is Outcome.IDENTICAL
    assert compare_numbers(math.inf, 1.7e308, ANY)[0] is Outcome.DIFFERENT
    assert compare_numbers(math.inf, -math.inf, ANY)[0] is Outcome.DIFFERENT
    assert compare_numbers(10**400, math.inf, ANY)[0] is Outcome.DIFFERENT


def test_large_integers_are_exact() -> None:
    big = 2**200
    assert compare_numbers(big, big + 1) == (
        Outcome.DIFFERENT,
        {"absolute": 1, "relative": pytest.approx(2**-200)},
    )
    assert compare_numbers(2**53, float(2**53))[0] is Outcome.EQUIVALENT
    assert compare_numbers(2**53 + 1, float(2**53))[0] is Outcome.DIFFERENT


def test_the_bound_is_not_missed_by_rounding() -> None:
    assert compare_numbers(1.0, 1.5, Tolerance(atol=0.5))[0] is Outcome.CLOSE
    assert compare_numbers(1.0, 1.5, Tolerance(atol=math.nextafter(0.5, 0)))[0] is Outcome.DIFFERENT
    assert compare_numbers(9, 10, Tolerance(rtol=0.125))[0] is Outcome.CLOSE
    assert compare_numbers(0, 1, Tolerance(atol=math.inf))[0] is Outcome.CLOSE


@pytest.mark.parametrize(
    ("one", "two"),
    [("1", "1.0"), ("100", "1e2"), ("0.5", "5E-1"), ("-0", "-0.0"), ("+7", "7"), (".5", "0.50")],
)
def test_other_notation_is_equivalent(one: str, two: str) -> None:
    assert compare_numerals(one, two) == (Outcome.EQUIVALENT, {})


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("0", "-0"),
        ("1e400", "1e401"),
        ("1e999999999", "2e999999999"),
        ("9" * 5000, "9" * 5001),
        ("NaN", "1"),
        ("NaN", "Infinity"),
        ("12345678901234567890", "12345678901234567891"),
        ("0.1", "0.1000000000000000055511151231257827"),
        ("1e" + "9" * 5000, "1"),
    ],
)
def test_other_numbers_are_different(one: str, two: str) -> None:
    assert compare_numerals(one, two)[0] is Outcome.DIFFERENT
    assert compare_numerals(one, one) == (Outcome.IDENTICAL, {})


def test_numerals_beyond_the_precision_of_doubles_are_close_under_any_tolerance() -> None:
    pair = "0.1", "0.1000000000000000055511151231257827"
    assert compare_numerals(*pair)[1]["ulp"] == 0
    assert compare_numerals(*pair, Tolerance(ulp=1))[0] is Outcome.CLOSE
    assert compare_numerals(*pair, Tolerance(rtol=1e-15))[0] is Outcome.CLOSE


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_numerals_agree_with_the_numbers_they_stand_for(one: float, two: float) -> None:
    found = compare_numerals(repr(one), repr(two))[0]
    assert (found is Outcome.IDENTICAL) == (compare_numbers(one, two, EXACT)[0] is Outcome.IDENTICAL)


@pytest.mark.parametrize("text", ["", ".", "-", "1e", "0x10", "1_0", "nan", "1.2.3", "\u0661"])
def test_what_is_no_numeral_has_no_form(text: str) -> None:
    assert normal_form(text) is None or text == "\u0661"
