"""Documents as plain trees, and walking two of them side by side without recursion.

A tree is made of dict (keys: str, or (type, text) for keys that are no strings), list, str, bool,
None, :class:`Numeral` and :class:`Tagged`. The readers are in `documents`.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from reproof.compare.collecting import Collector
from reproof.compare.numbers import FAR, compare_numerals, outcome_of_numerals
from reproof.compare.protocol import Context, LimitError
from reproof.model.difference import Difference, Outcome

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_WIDTH = 120
_CHECK_EVERY = 8192

Path = tuple[Any, ...] | None  # (path of the parent, key or index)
Pair = tuple[Path, Any, Any]


@contextmanager
def uncollected() -> Iterator[None]:
    """Without the garbage collector, which looks through a tree that is being read again and again for nothing."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class Numeral(str):
    """A number as it is written; ``1`` and ``1.0`` are the same number in another notation."""

    __slots__ = ()


class Integer(Numeral):
    """A number of a format where integers are a type of their own."""

    __slots__ = ()


class Real(Numeral):
    """A floating point number of a format where integers are a type of their own."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Tagged:
    """A value whose meaning only its tag's owner knows; both are compared, nothing is made of them."""

    tag: str
    value: Any


class Walk:
    """What walking pairs of trees has found, and how they are walked.

    Attributes:
        parts: One difference for each value that is not identical, named by path.
        names: What was set aside: ``key order``, ``number notation``.
        root: Name of the tops; may be changed between two walks.
        shared: Nodes may occur several times in a tree (YAML aliases): each pair of nodes is
            compared once, so that trees that unfold without end cost no more than they hold.
    """

    def __init__(self, context: Context, *, root: str = "$", shared: bool = False) -> None:
        """Nothing found yet; the limits are those of `context`."""
        self.parts = Collector(context)
        self.names: set[str] = set()
        self.root = root
        self.shared = shared


def compare_trees(expected: Any, actual: Any, context: Context, into: Walk | None = None) -> Walk:
    """Compare two trees value by value.

    Order of keys is set aside; order of lists is content. Lists are compared index by index.

    Args:
        expected: The recorded tree.
        actual: The other tree.
        context: Tolerance and limits.
        into: Names the root, and gathers the result with those of earlier walks.

    Raises:
        LimitError: There are more values, or it takes longer, than the limits allow.
    """
    walk = into or Walk(context)
    root = walk.root
    stack: list[Iterator[Pair]] = [iter([(None, expected, actual)])]
    met: set[tuple[int, int]] = set()
    seen, check_at = 0, _CHECK_EVERY
    while stack:
        item = next(stack[-1], None)
        if item is None:
            stack.pop()
            continue
        path, one, two = item
        seen += 1
        if seen >= check_at:
            check_at = seen + _CHECK_EVERY
            _check(seen, context)
        if type(one) is not type(two) or (isinstance(one, Tagged) and one.tag != two.tag):
            walk.parts.add(_changed(_named(path, root), one, two))
        elif isinstance(one, Tagged):
            stack.append(iter([(path, one.value, two.value)]))
        elif isinstance(one, dict | list):
            if walk.shared and (id(one), id(two)) in met:
                continue
            if walk.shared:
                met.add((id(one), id(two)))
            seen += len(one)
            members: Callable[..., Iterator[Pair]] = _in_mapping if isinstance(one, dict) else _in_list
            stack.append(members(path, one, two, walk))
        elif one != two:
            _compare_leaves(path, one, two, context, walk)
    return walk


def show(value: Any) -> str:
    """A value for people, cut to one line."""
    if isinstance(value, Numeral):
        text = str(value)
    elif isinstance(value, str):
        text = (
            '"' + value.encode("unicode_escape").decode() + '"' if not value.isprintable() else f'"{value}"'
        )
    elif isinstance(value, dict):
        text = f"mapping of {len(value):,}"
    elif isinstance(value, list):
        text = f"list of {len(value):,}"
    elif isinstance(value, Tagged):
        text = f"{value.tag} {show(value.value)}"
    else:
        text = {None: "null", True: "true", False: "false"}.get(value, repr(value))
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"


def _check(seen: int, context: Context) -> None:
    if seen > context.limits.max_values:
        raise LimitError(f"there are more than {context.limits.max_values:,} values")
    context.spending.check_time()


def _in_mapping(path: Path, one: dict[Any, Any], two: dict[Any, Any], walk: Walk) -> Iterator[Pair]:
    """Report keys of only one side; yield the values of the others that may differ."""
    if one.keys() == two.keys() and list(one) != list(two):
        walk.names.add("key order")
    for key, value in one.items():
        if key not in two:
            _report_one_sided((path, key), value, walk, gone=True)
        elif _may_differ(value, two[key]):
            yield (path, key), value, two[key]
    for key, value in two.items():
        if key not in one:
            _report_one_sided((path, key), value, walk, gone=False)


def _in_list(path: Path, one: list[Any], two: list[Any], walk: Walk) -> Iterator[Pair]:
    """Yield the items that may differ; report those of only one side."""
    for index, (left, right) in enumerate(zip(one, two, strict=False)):
        if _may_differ(left, right):
            yield (path, index), left, right
    longer, gone = (one, True) if len(one) > len(two) else (two, False)
    for index in range(min(len(one), len(two)), len(longer)):
        _report_one_sided((path, index), longer[index], walk, gone=gone)


def _may_differ(left: Any, right: Any) -> bool:
    """Cheap: equal values that hold no others are settled here."""
    kind = type(left)
    return kind is not type(right) or kind is dict or kind is list or kind is Tagged or left != right


def _compare_leaves(path: Path, one: Any, two: Any, context: Context, walk: Walk) -> None:
    """Where nobody will see the part any more, only its outcome is worked out."""
    is_number = isinstance(one, Numeral)
    outcome = outcome_of_numerals(one, two, context.tolerance) if is_number else Outcome.DIFFERENT
    if outcome is Outcome.EQUIVALENT:
        walk.names.add("number notation")
    if not walk.parts.has_room(outcome):
        walk.parts.count(outcome)
    elif is_number:
        walk.parts.add(_number(_named(path, walk.root), one, two, context))
    else:
        walk.parts.add(_changed(_named(path, walk.root), one, two))


def _number(subject: str, one: Numeral, two: Numeral, context: Context) -> Difference:
    outcome, facts = compare_numerals(one, two, context.tolerance)
    distance = f" ({', '.join(_distances(facts))})" if facts else ""
    return Difference(
        subject=subject,
        outcome=outcome,
        summary=f"{show(one)} -> {show(two)}{distance}",
        kind="number",
        expected=show(one),
        actual=show(two),
        canonicalised=("number notation",) if outcome is Outcome.EQUIVALENT else (),
        evidence=facts,
    )


def _distances(facts: dict[str, Any]) -> list[str]:
    words = []
    if facts.get("ulp", FAR) < FAR:
        words.append(f"{facts['ulp']:,} ulp")
    numbers = {name: facts.get(name) for name in ("relative", "absolute")}
    return words + [f"{name} {fact:.3g}" for name, fact in numbers.items() if isinstance(fact, int | float)]


def _changed(subject: str, one: Any, two: Any) -> Difference:
    was, now = show(one), show(two)
    if was == now:
        was, now = f"{was} ({type(one).__name__})", f"{now} ({type(two).__name__})"
    return Difference(
        subject=subject,
        outcome=Outcome.DIFFERENT,
        summary=f"{was} -> {now}",
        kind="value",
        expected=was,
        actual=now,
    )


def _report_one_sided(path: Path, value: Any, walk: Walk, *, gone: bool) -> None:
    if not walk.parts.has_room(Outcome.DIFFERENT):
        walk.parts.count(Outcome.DIFFERENT)
        return
    text = show(value)
    part = Difference(
        subject=_named(path, walk.root),
        outcome=Outcome.DIFFERENT,
        summary=f"is gone; it was {text}" if gone else f"is new: {text}",
        kind="value",
        expected=text if gone else None,
        actual=None if gone else text,
    )
    walk.parts.add(part)


def _named(path: Path, root: str) -> str:
    steps = []
    while path is not None:
        path, step = path
        if isinstance(step, int):
            steps.append(f"[{step}]")
        elif isinstance(step, str) and _PLAIN_KEY.fullmatch(step):
            steps.append(f".{step}")
        else:
            text = step[1] if isinstance(step, tuple) else repr(step)
            steps.append(f"[{text if len(text) <= _WIDTH else text[:_WIDTH] + '…'}]")
        if len(steps) > _WIDTH and path is not None:
            return f"{root}…{''.join(reversed(steps[:8]))} (at least {len(steps)} levels deep)"
    return root + "".join(reversed(steps))
