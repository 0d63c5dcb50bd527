"""Single numbers, exactly: same bits, same value in another notation, within a tolerance, or not.

Closeness is symmetric: ``|a - b| <= atol + rtol * max(|a|, |b|)``, or at most ``ulp`` representable
values apart. NaN equals only NaN of the same bits; -0.0 and 0.0 differ, by nothing.
"""

from __future__ import annotations

import math
import re
import struct
from fractions import Fraction
from typing import Any

from reproof.model.difference import Outcome
from reproof.model.policy import EXACT, Tolerance

Facts = dict[str, Any]

_NUMERAL = re.compile(r"(?P<sign>[+-]?)(?P<whole>\d*)(?:\.(?P<part>\d*))?(?:[eE](?P<exponent>[+-]?\d+))?")
_FORMATS = {64: ("<d", "<Q"), 32: ("<f", "<I"), 16: ("<e", "<H")}
_SHORT = 400  # characters that are read as a float in no time
_EXACT_DIGITS = 4000  # beyond it, exact fractions cost more than they are worth, and `int` refuses


#: Beyond so many steps between two numbers, their count tells people nothing.
FAR = 1_000_000


def compare_numbers(
    expected: float, actual: float, tolerance: Tolerance = EXACT, *, bits: int = 64
) -> tuple[Outcome, Facts]:
    """Compare two numbers.

    Args:
        expected: The recorded one, int (of any size) or float.
        actual: The other one.
        tolerance: Bounds for CLOSE.
        bits: Width of the floats' own type, 64, 32 or 16, for distances in ulp.

    Returns:
        IDENTICAL (same type and bits), EQUIVALENT (an int and a float of the same value), CLOSE or
        DIFFERENT, and the facts ``absolute``, ``relative`` (to the larger magnitude), ``ulp`` as far
        as they are numbers.
    """
    if isinstance(expected, int) and isinstance(actual, int):
        if expected == actual:
            return Outcome.IDENTICAL, {}
        return _compare_fractions(Fraction(expected), Fraction(actual), tolerance)
    if isinstance(expected, float) and isinstance(actual, float):
        return _compare_floats(expected, actual, tolerance, bits)
    real = expected if isinstance(expected, float) else float(actual)
    if not math.isfinite(real):
        return Outcome.DIFFERENT, {}
    if expected == actual and (real != 0 or math.copysign(1, real) > 0):
        return Outcome.EQUIVALENT, {}
    return _compare_fractions(Fraction(expected), Fraction(actual), tolerance)


def compare_numerals(expected: str, actual: str, tolerance: Tolerance = EXACT) -> tuple[Outcome, Facts]:
    """Compare two decimal numbers as they are written: ``1``, ``-2.50``, ``1e-07``, ``NaN``, ``-Infinity``.

    IDENTICAL: the same text; EQUIVALENT: the same number in another notation (``1``, ``1.0``,
    ``10e-1``), exactly, however many digits. Numbers that only differ beyond the precision of a
    double are DIFFERENT, with a distance of 0 ulp.
    """
    if expected == actual:
        return Outcome.IDENTICAL, {}
    first, second = normal_form(expected), normal_form(actual)
    if first is None or second is None:
        return Outcome.DIFFERENT, {}
    if first == second:
        return Outcome.EQUIVALENT, {}
    if max(abs(first[2]), abs(second[2]), len(first[1]), len(second[1])) > _EXACT_DIGITS:
        return Outcome.DIFFERENT, {}
    outcome, facts = _compare_fractions(_fraction(first), _fraction(second), tolerance)
    if not (first[2] >= 0 and second[2] >= 0):
        distance = ulp_distance(float(expected), float(actual))
        if distance is not None:
            facts["ulp"] = distance
            outcome = Outcome.CLOSE if distance <= tolerance.ulp and tolerance.ulp > 0 else outcome
    return outcome, facts


def outcome_of_numerals(expected: str, actual: str, tolerance: Tolerance = EXACT) -> Outcome:
    """The outcome of :func:`compare_numerals`, much faster where the numbers clearly differ."""
    if tolerance.is_exact and len(expected) < _SHORT and len(actual) < _SHORT:
        try:
            one, two = float(expected), float(actual)
        except ValueError:
            return compare_numerals(expected, actual, tolerance)[0]
        if one != two and math.isfinite(one) and math.isfinite(two):
            return Outcome.DIFFERENT  # rounding never makes two of one number
    return compare_numerals(expected, actual, tolerance)[0]


def normal_form(text: str) -> tuple[bool, str, int] | None:
    """A decimal numeral as (negative, digits without outer zeros, exponent of ten); None for others.

    Two numerals stand for the same number, with the same sign of zero, when their forms are equal.
    """
    match = _NUMERAL.fullmatch(text)
    if match is None or not (match["whole"] or match["part"]):
        return None
    part = match["part"] or ""
    if len(match["exponent"] or "") > _EXACT_DIGITS:
        return None
    exponent = int(match["exponent"] or 0) - len(part)
    digits = (match["whole"] + part).lstrip("0")
    if not digits:
        return match["sign"] == "-", "", 0
    stripped = digits.rstrip("0")
    return match["sign"] == "-", stripped, exponent + len(digits) - len(stripped)


def ulp_distance(expected: float, actual: float, bits: int = 64) -> int | None:
    """How many steps between neighbouring floats of `bits` lead from one to the other.

    IEEE 754 bit patterns are ordered like the numbers; 0.0 and -0.0 are 0 steps apart. None when
    either is not finite (infinities and NaN have no distance).
    """
    if not (math.isfinite(expected) and math.isfinite(actual)):
        return None
    return abs(_rank(expected, bits) - _rank(actual, bits))


def _compare_floats(expected: float, actual: float, tolerance: Tolerance, bits: int) -> tuple[Outcome, Facts]:
    if struct.pack("<d", expected) == struct.pack("<d", actual):
        return Outcome.IDENTICAL, {}
    if not (math.isfinite(expected) and math.isfinite(actual)):
        return Outcome.DIFFERENT, {}
    outcome, facts = _compare_fractions(Fraction(expected), Fraction(actual), tolerance)
    distance = ulp_distance(expected, actual, bits)
    facts["ulp"] = distance
    if distance is not None and distance <= tolerance.ulp and tolerance.ulp > 0:
        outcome = Outcome.CLOSE
    return outcome, facts


def _compare_fractions(expected: Fraction, actual: Fraction, tolerance: Tolerance) -> tuple[Outcome, Facts]:
    """Two numbers that are not the same; exact arithmetic, so that no bound is missed by rounding."""
    distance = abs(expected - actual)
    larger = max(abs(expected), abs(actual))
    facts: Facts = {"absolute": _shown(distance)}
    if larger:
        facts["relative"] = _shown(distance / larger)
    if tolerance.is_exact:
        return Outcome.DIFFERENT, facts
    if math.isinf(tolerance.atol) or math.isinf(tolerance.rtol):
        return Outcome.CLOSE, facts
    bound = Fraction(tolerance.atol) + Fraction(tolerance.rtol) * larger
    return Outcome.CLOSE if distance <= bound else Outcome.DIFFERENT, facts


def _shown(value: Fraction) -> float | int | str:
    """As a JSON number; as text where it is beyond the range of a double."""
    if value.denominator == 1 and value < 1 << 53:
        return int(value)
    try:
        return float(value)
    except OverflowError:
        return f"more than {1.7976931348623157e308!r}"


def _fraction(form: tuple[bool, str, int]) -> Fraction:
    negative, digits, exponent = form
    value: Fraction = Fraction(int(digits or "0")) * Fraction(10) ** exponent
    return -value if negative else value


def _rank(value: float, bits: int) -> int:
    floats, integers = _FORMATS[bits]
    pattern: int = struct.unpack(integers, struct.pack(floats, value))[0]
    sign = 1 << (bits - 1)
    return -(pattern & ~sign) if pattern & sign else pattern
