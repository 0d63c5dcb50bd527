"""Searching for a smallest set: one cause, several, and what does not behave."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reproof.workflow.explain.search import Order, change_points, first_boundary, smallest


class Counted:
    """A test that counts how often it was asked about something new, apart from nothing and everything."""

    def __init__(self, needed: set[int], count: int = 0) -> None:
        self.needed = needed
        self.every = frozenset(range(count))
        self.known: dict[frozenset[int], bool] = {}

    def __call__(self, tries: Sequence[Sequence[int]]) -> list[bool]:
        for each in tries:
            if frozenset(each) not in (frozenset(), self.every):
                self.known[frozenset(each)] = self.needed <= set(each)
        return [self.needed <= set(each) for each in tries]


class Weighed(Counted):
    """Holds where the weights of what is chosen reach a limit."""

    def __init__(self, weights: dict[int, float], count: int) -> None:
        super().__init__(set(), count)
        self.weights = weights

    def __call__(self, tries: Sequence[Sequence[int]]) -> list[bool]:
        for each in tries:
            self.known[frozenset(each)] = True
        return [sum(self.weights.get(item, 0.001) for item in each) >= 1 for each in tries]


@pytest.mark.parametrize("order", ["none", "places"])
@pytest.mark.parametrize(("count", "most"), [(1, 0), (2, 2), (30, 6), (40, 7), (200, 9), (240, 9)])
def test_the_tests_for_one_at_every_place(count: int, most: int, order: Order) -> None:
    tests = [Counted({guilty}, count) for guilty in range(count)]
    found = [smallest(range(count), test, order=order) for test in tests]
    assert found == [(guilty,) for guilty in range(count)]
    assert max(len(test.known) for test in tests) == most


@pytest.mark.parametrize(("count", "most"), [(30, 9), (200, 12)])
def test_the_tests_for_two_neighbours_at_every_place(count: int, most: int) -> None:
    tests = [Counted({first, first + 1}, count) for first in range(count - 1)]
    found = [smallest(range(count), test, order="places") for test in tests]
    assert found == [(first, first + 1) for first in range(count - 1)]
    assert max(len(test.known) for test in tests) <= most


def test_what_lies_across_an_edge() -> None:
    """The first half is enough only with a little of all that comes before it; with the second half it always is."""
    for first in range(1, 199):
        test = Weighed({first: 0.9999, first + 1: 2.0}, 200)
        assert smallest(range(200), test, order="places") == (first + 1,)
        assert len(test.known) <= 12


@pytest.mark.parametrize(("edge", "most"), [(1, 1), (2, 2), (3, 4), (4, 4), (5, 11), (200, 11)])
def test_the_likeliest_come_first(edge: int, most: int) -> None:
    asked: list[int] = []

    def reached(probes: Sequence[int]) -> list[bool]:
        asked.extend(probes)
        return [probe >= edge for probe in probes]

    assert first_boundary(200, reached, order="likelihood") == edge
    assert len(asked) <= most


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
