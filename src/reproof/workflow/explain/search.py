"""Searching for the smallest set of changes that turns one result into another.

The set is found as QuickXplain does it (Junker, AAAI 2004): a boundary by halving, the change there kept,
the rest searched again. It takes about log2(n) tests for one cause among n, k log2(n) for k causes. Where what
is found does not hold, delta debugging takes over (ddmin; Zeller and Hildebrandt, IEEE TSE 28(2), 2002).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

T = TypeVar("T")

#: Whether a number of sets of changes each give the wanted result; they may be tried at once.
Holds = Callable[[Sequence[Sequence[T]]], list[bool]]

#: What the order of items says: nothing; that neighbours belong together, as rows of a file do; or that the first
#: few are by far the likeliest.
Order = Literal["none", "places", "likelihood"]

_FIRST = (1, 2, 4)  # how many of the likeliest are tried before halving begins


def smallest(items: Sequence[T], holds: Holds[T], width: int = 1, order: Order = "none") -> tuple[T, ...]:
    """A smallest set of `items`, in their order, for which `holds` is true, knowing that it is for all of them.

    "Smallest" as in delta debugging: no single element can be left out.

    Where one of n items is the cause, whichever it is, it takes at most ceil(log2(n)) + 1 tests (6 for 30, 7 for 40,
    9 for 200, none for 1): the halvings, and the item alone. Where two neighbours are it, and neither is without the
    other, it takes at most ceil(log2(n)) + 4 in the order of ``places``.

    Args:
        items: The changes; the empty set of them is known not to hold.
        holds: The test; it may be asked the same more than once.
        width: Tests that may go on at the same time.
        order: What the order of the items says.
    """
    if len(items) == 1:
        return tuple(items)
    found = _by_boundaries(items, holds, width, order)
    if found is None:
        found = _ddmin(list(items), holds)
    return _reduced(found, holds, width)


def first_boundary(
    count: int, reached: Callable[[Sequence[int]], list[bool]], width: int = 1, order: Order = "none"
) -> int:
    """The least `i` of 1..count with ``reached(i)``, which is known of `count` and known to be false of 0.

    It takes at most ceil(log2(count)) tests; in the order of ``likelihood`` 1 for the first, 2 for the second, 4 for the
    next two, and at most three more for others.
    """
    low, high = 0, count
    for probe in _FIRST if order == "likelihood" else ():
        if probe >= high:
            break
        if reached([probe])[0]:
            high = probe
            break
        low = probe
    while high - low > 1:
        parts = min(width, high - low - 1)
        probes = sorted({low + (high - low) * (n + 1) // (parts + 1) for n in range(parts)} - {low, high})
        for probe, answer in zip(probes, reached(probes), strict=True):
            if answer:
                high = min(high, probe)
                break
            low = max(low, probe)
    return high


def _by_boundaries(items: Sequence[T], holds: Holds[T], width: int, order: Order) -> list[T] | None:
    """What is needed, found from the end: each boundary at which the result turns gives one more. None: never enough."""
    needed: list[T] = []
    rest = list(items)
    while rest:

        def reached(sizes: Sequence[int], rest: list[T] = rest) -> list[bool]:
            return holds([_ordered(items, needed, rest[:size]) for size in sizes])

        bound = first_boundary(len(rest), reached, width, order)
        needed.append(rest[bound - 1])
        if holds([_ordered(items, needed)])[0]:
            return _ordered(items, needed)
        if order == "places" and len(needed) == 1:
            # What lies across the edge of two blocks may be enough only with both of them.
            pairs = [items[start : start + 2] for start in (bound - 1, bound - 2) if start >= 0]
            pair = next((each for each in pairs if len(each) == 2 and holds([each])[0]), None)
            if pair is not None:
                return list(pair)
        rest = rest[: bound - 1]
    return None


def _ordered(items: Sequence[T], *groups: Sequence[T]) -> list[T]:
    wanted = {each for group in groups for each in group}
    return [each for each in items if each in wanted]


def _ddmin(items: list[T], holds: Holds[T]) -> list[T]:
    """Delta debugging: halves, then their complements, then finer parts."""
    parts = 2
    while len(items) >= 2:
        size = -(-len(items) // parts)
        chunks = [items[start : start + size] for start in range(0, len(items), size)]
        smaller = next((chunk for chunk in chunks if holds([chunk])[0]), None)
        if smaller is not None:
            items, parts = smaller, 2
            continue
        rests = [[each for each in items if each not in chunk] for chunk in chunks] if parts > 2 else []
        smaller = next((rest for rest in rests if holds([rest])[0]), None)
        if smaller is not None:
            items, parts = smaller, max(parts - 1, 2)
            continue
        if parts >= len(items):
            break
        parts = min(len(items), 2 * parts)
    return items


def _reduced(found: Sequence[T], holds: Holds[T], width: int) -> tuple[T, ...]:
    """Leave out what can be left out."""
    kept = list(found)
    if len(kept) > 1 and width > 1:
        holds([[each for each in kept if each != left] for left in kept])  # all at once, to be remembered
    for left in list(kept):
        rest = [each for each in kept if each != left]
        if rest and holds([rest])[0]:
            kept = rest
    return tuple(kept)


def change_points(count: int, label: Callable[[int], str]) -> list[int]:
    """Where the label changes along 0..count, by halving; between equal labels nothing is looked for.

    Returns:
        Each `i` with ``label(i - 1) != label(i)`` that was found, in order.
    """
    found: list[int] = []
    pending = [(0, count)]
    while pending:
        low, high = pending.pop()
        if label(low) == label(high):
            continue
        if high - low == 1:
            found.append(high)
            continue
        middle = (low + high) // 2
        pending += [(middle, high), (low, middle)]
    return sorted(found)
