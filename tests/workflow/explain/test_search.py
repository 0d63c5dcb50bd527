"""Searching for a smallest set: one cause, several, and what does not behave."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reproof.workflow.explain.search import change_points, first_boundary, smallest


class Counted:
    """A test that counts how often it was asked about something new."""

    def __init__(self, needed: set[int]) -> None:
        self.needed = needed
        self.known: dict[frozenset[int], bool] = {}

    def __call__(self, tries: Sequence[Sequence[int]]) -> list[bool]:
        for each in tries:
            self.known[frozenset(each)] = self.needed <= set(each)
        return [self.known[frozenset(each)] for each in tries]


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1))))
def test_one_among_many(numbers: tuple[int, int]) -> None:
    count, guilty = numbers
    test = Counted({guilty})
    assert smallest(range(count), test) == (guilty,)
    assert len(test.known) <= math.ceil(math.log2(max(count, 2))) + 1


@given(
    st.integers(2, 60).flatmap(
        lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1), min_size=1, max_size=4))
    )
)
def test_all_of_several(numbers: tuple[int, set[int]]) -> None:
    count, guilty = numbers
    test = Counted(guilty)
    assert smallest(range(count), test) == tuple(sorted(guilty))
    assert len(test.known) <= len(guilty) * (math.ceil(math.log2(count)) + 2) + 1


@pytest.mark.parametrize("width", [1, 2, 5])
def test_several_at_once_find_the_same(width: int) -> None:
    assert smallest(range(100), Counted({7, 70}), width) == (7, 70)


def test_what_is_not_monotone_is_still_a_set_that_holds() -> None:
    def holds(tries: Sequence[Sequence[int]]) -> list[bool]:
        return [len(each) in (3, 8) and 2 in each for each in tries]

    found = smallest(range(8), holds)
    assert holds([found]) == [True]


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("edge", [1, 2, 17, 30])
def test_boundary(edge: int, width: int) -> None:
    assert first_boundary(30, lambda probes: [probe >= edge for probe in probes], width) == edge


@pytest.mark.parametrize("points", [[1], [30], [4, 5], [3, 20, 29]])
def test_change_points(points: list[int]) -> None:
    asked = set()

    def label(index: int) -> str:
        asked.add(index)
        return str(sum(index >= point for point in points))

    assert change_points(30, label) == points
    assert len(asked) <= 2 + len(points) * 5


def test_no_change() -> None:
    assert change_points(10, lambda _: "A") == []
