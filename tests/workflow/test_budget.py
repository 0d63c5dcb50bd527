"""Budgets: a number of re-runs, or a time."""

from __future__ import annotations

import time

import pytest

from reproof.errors import UsageError
from reproof.workflow.budget import Budget, SpentError


def test_a_number_of_runs() -> None:
    budget = Budget.parse("3")
    budget.require(2)
    with pytest.raises(SpentError):
        budget.require(3)
    assert budget.share(2).runs == 2
    assert Budget.parse("20").share(4).runs == 5


def test_a_time_from_now() -> None:
    now = time.time()
    assert now + 599 < (Budget.parse("10m").until or 0) < now + 660
    assert now + 3599 < (Budget.parse(" 1h ").until or 0) < now + 3660
    Budget.parse("1.5m").require(99)
    with pytest.raises(SpentError):
        Budget(until=now - 1).require(0)
    assert Budget.parse("10m").share(4).until is not None


def test_a_part_of_the_time_may_be_kept_for_what_comes_after() -> None:
    budget = Budget.parse("10m")
    budget.require(0, 60.0)
    with pytest.raises(SpentError):
        budget.require(0, 601.0)
    Budget.parse("3").require(2, 601.0)


def test_none_allows_everything() -> None:
    Budget.parse(None).require(10**9)


@pytest.mark.parametrize("text", ["", "1", "0m", "ten", "10 m", "10d", "-3", "²"])
def test_what_is_no_budget(text: str) -> None:
    with pytest.raises(UsageError, match="no budget"):
        Budget.parse(text)
