from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reproof.report.numbers import (
    count_text,
    distance_text,
    number_in,
    parse,
    seconds_text,
    shortest,
    size_text,
)


@given(st.floats(allow_nan=False))
def test_hexadecimal_becomes_the_shortest_decimal_of_the_same_bits(number: float) -> None:
    text = shortest(number.hex())
    assert float(text).hex() == number.hex()
    assert text == repr(number)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0x1.8p+1", "3.0"),
        ("-0x0.0p+0", "-0.0"),
        ("nan", "nan"),
        ("nan:7ff8000000000001", "nan (bits 7ff8000000000001)"),
        ("inf", "inf"),
        ("0.1", "0.1"),
        ("forest", "forest"),
        ("0xzz", "0xzz"),
        ("0x1p+99999", "0x1p+99999"),
    ],
)
def test_values_for_people(text: str, expected: str) -> None:
    assert shortest(text) == expected


def test_parsing() -> None:
    assert parse("0x1p-1") == 0.5
    assert parse(" 2.5e3 ") == 2500.0
    assert parse("-inf") == -math.inf
    assert math.isnan(parse("nan:7ff8000000000001") or 0.0)
    assert parse(None) is None
    assert parse("1_000") is None
    assert parse("blake3:ab") is None
    assert parse("") is None


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"relative": 1.5e-4, "ulp": 3, "absolute": 0.1}, "relative 0.00015, 3 ulp"),
        ({"absolute": 0.25, "ulp": 2_000_000}, "absolute 0.25, 2.0e+06 ulp"),
        ({"largest_relative": 2e-9}, "relative 2e-09"),
        ({"relative": math.inf}, ""),
        ({"relative": "much"}, ""),
        ({"ulp": 10**400}, ""),
        ({}, ""),
    ],
)
def test_distances(facts: dict[str, object], expected: str) -> None:
    assert distance_text(facts) == expected


def test_facts_that_are_no_numbers_are_none() -> None:
    assert number_in({"ulp": True}, "ulp") is None
    assert number_in({"ulp": None}, "ulp") is None


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1023 bytes"),
        (1024, "1 KiB"),
        (567_890, "555 KiB"),
        (12_700, "12.4 KiB"),
        (1024 * 1024 - 1, "1 MiB"),
        (5 << 30, "5 GiB"),
        (3 << 50, "3 PiB"),
    ],
)
def test_sizes(size: int, expected: str) -> None:
    assert size_text(size) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.04, "40 ms"),
        (0.9999, "1.0 s"),
        (12.44, "12.4 s"),
        (59.96, "1 min 00 s"),
        (185, "3 min 05 s"),
        (7800, "2 h 10 min"),
    ],
)
def test_times(seconds: float, expected: str) -> None:
    assert seconds_text(seconds) == expected


def test_counts() -> None:
    assert count_text(1, "library", "libraries") == "1 library"
    assert count_text(1204, "package") == "1,204 packages"
