"""Which members of two containers belong together: by position, by key, by value."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from reproof.compare.pickles import rules
from reproof.compare.pickles.folded import Arrow, Frame, Thing
from reproof.compare.pickles.nodes import (
    Call,
    Global,
    Mapping,
    Node,
    Raw,
    arguments_of,
    is_global,
)
from reproof.compare.pickles.rules import Rule
from reproof.compare.pickles.showing import Place
from reproof.compare.protocol import ContentError
from reproof.model.difference import Outcome

if TYPE_CHECKING:
    from reproof.compare.pickles.comparing import Pair, Sides

_NAME = re.compile(r"[^\W\d]\w*")
_ORDER = "dict order"


def _may_differ(one: Any, two: Any) -> bool:
    """False only for plain values that are the same to the bit."""
    kind = type(one)
    if kind is not type(two) or isinstance(one, Node):
        return True
    return kind is float or one != two


def items(place: Place, one: list[Any], two: list[Any]) -> Iterator[Pair]:
    """Members of equal number, by position."""
    for index, (left, right) in enumerate(zip(one, two, strict=True)):
        if _may_differ(left, right):
            yield (place, "index", index), left, right, None


def sequences(sides: Sides, place: Place, one: list[Any], two: list[Any]) -> Iterator[Pair]:
    """Lists and tuples: the common length by position, then what only one side has."""
    if len(one) != len(two):
        words = f"{len(one):,} items -> {len(two):,} items"
        sides.add(place, Outcome.DIFFERENT, words, kind="length", evidence={"lengths": [len(one), len(two)]})
    label = _label(sides, one, two)
    for index, (left, right) in enumerate(zip(one, two, strict=False)):
        if _may_differ(left, right):
            if label is not None and index == 1:
                yield (place, "attribute", label), left, right, None
            else:
                yield (place, "index", index), left, right, None
    if len(one) == len(two):
        return
    shorter = min(len(one), len(two))
    for gone, longer in ((True, one), (False, two)):
        for index in range(shorter, len(longer)):
            sides.one_sided((place, "index", index), longer[index], gone=gone)


def _label(sides: Sides, one: list[Any], two: list[Any]) -> str | None:
    """The name in (name, object) and (name, object, columns), as scikit-learn keeps its steps."""
    if not 2 <= len(one) == len(two) <= 3:
        return None
    name, other = sides.folders[0].fold(one[0]), sides.folders[1].fold(two[0])
    if type(name) is not str or name != other or not _NAME.fullmatch(name):
        return None
    return name if isinstance(sides.folders[0].fold(one[1]), Node) else None


def sets(sides: Sides, place: Place, one: list[Any], two: list[Any]) -> None:
    """Members that only one side has; the order of a set is no content."""
    try:
        left = Counter(sides.values[0].key(member) for member in one)
        right = Counter(sides.values[1].key(member) for member in two)
    except ContentError as error:
        reason = f"a set that cannot be compared: {error}"
        sides.add(place, Outcome.UNKNOWN, reason, kind="set", evidence={"reason": reason})
        return
    if left == right:
        if list(left) != list(right):
            sides.names.add("set order")
        return
    for gone, members, other, side in ((True, one, right, 0), (False, two, left, 1)):
        for member in members:
            if sides.values[side].key(member) not in other:
                sides.one_sided((place, "text", "{member}"), member, gone=gone)


def mappings(
    sides: Sides, place: Place, one: list[tuple[Any, Any]], two: list[tuple[Any, Any]], rule: Rule | None
) -> Iterator[Pair]:
    """Dicts by key, whatever their order; see `ordered` for those whose order is content."""
    try:
        left, right = _keyed(sides, 0, one), _keyed(sides, 1, two)
    except ContentError as error:
        reason = f"keys that cannot be compared: {error}"
        sides.add(place, Outcome.UNKNOWN, reason, kind="dict", evidence={"reason": reason})
        return
    if list(left) != list(right) and left.keys() == right.keys():
        sides.names.add(_ORDER)
    for key, (name, value) in left.items():
        inner = (place, "key", name)
        if key not in right:
            sides.one_sided(inner, value, gone=True)
        elif _may_differ(value, right[key][1]):
            yield inner, value, right[key][1], rule.keys.get(name) if rule and type(name) is str else None
    for key, (name, value) in right.items():
        if key not in left:
            sides.one_sided((place, "key", name), value, gone=False)


def _keyed(sides: Sides, side: int, pairs: list[tuple[Any, Any]]) -> dict[Any, tuple[Any, Any]]:
    fold, values = sides.folders[side].fold, sides.values[side]
    return {values.key(key): (fold(key), value) for key, value in pairs}


def names(
    sides: Sides, place: Place, one: dict[str, Any], two: dict[str, Any], module: str = ""
) -> Iterator[Pair]:
    """Attributes by name."""
    if list(one) != list(two) and one.keys() == two.keys():
        sides.names.add(_ORDER)
    for name, value in one.items():
        inner = (place, "attribute", name)
        if name in two:
            if _may_differ(value, two[name]):
                yield inner, value, two[name], rules.attribute_rule(module, name)
        elif rules.is_cache(module, name):
            sides.names.add(rules.CACHE)
        else:
            sides.one_sided(inner, value, gone=True)
    for name, value in two.items():
        if name not in one and rules.is_cache(module, name):
            sides.names.add(rules.CACHE)
        elif name not in one:
            sides.one_sided((place, "attribute", name), value, gone=False)


def things(sides: Sides, place: Place, one: Thing, two: Thing) -> Iterator[Pair]:
    """Objects: class first, and nothing else where it differs; then all that was given and set."""
    owner = one.owner
    if isinstance(owner, Global) and isinstance(two.owner, Global):
        if owner.path != two.owner.path or one.kind != two.kind:
            words = f"{one.kind} {owner.path} -> {two.kind} {two.owner.path}"
            if one.kind == two.kind:
                words = f"{owner.path} -> {two.owner.path}"
            sides.add(
                place, Outcome.DIFFERENT, words, kind="class", expected=owner.path, actual=two.owner.path
            )
            return
    elif one.kind != two.kind:
        sides.changed(place, one, two)
        return
    else:
        yield (place, "text", "(class)"), owner, two.owner, None
    yield from _arguments(sides, place, one, two)
    yield from _optional(sides, (place, "text", "(keywords)"), one.keywords, two.keywords)
    yield from _attributes(sides, place, one, two)
    for step, left, right in (("(state)", one.states, two.states), ("(effect)", one.effects, two.effects)):
        yield from sequences(sides, (place, "text", step), left or [], right or [])
    yield from sequences(sides, place, one.items or [], two.items or [])
    if is_global(owner, "collections.OrderedDict"):
        _ordered(sides, place, one.pairs or [], two.pairs or [])
    yield from mappings(sides, place, one.pairs or [], two.pairs or [], None)


def _arguments(sides: Sides, place: Place, one: Thing, two: Thing) -> Iterator[Pair]:
    left, right = one.arguments, two.arguments
    owner = _path(one.owner)
    if len(left) != len(right):
        yield from sequences(sides, (place, "text", "(arguments)"), left, right)
        return
    for number, (value, other) in enumerate(zip(left, right, strict=True)):
        if _may_differ(value, other):
            name = rules.argument_name(owner, number, len(left))
            yield (place, "text", name), value, other, rules.argument_rule(owner, number, len(left))


def _path(owner: Any) -> str:
    """The name of a class; cloudpickle names some built-in types by a call."""
    if isinstance(owner, Global):
        return owner.path
    if isinstance(owner, Call) and isinstance(owner.callee, Global) and owner.callee.name == "_builtin_type":
        given = arguments_of(owner)
        return f"types.{given[0]}" if len(given) == 1 and type(given[0]) is str else ""
    return ""


def _attributes(sides: Sides, place: Place, one: Thing, two: Thing) -> Iterator[Pair]:
    module = one.owner.module if isinstance(one.owner, Global) else ""
    for left, right in ((one.attributes, two.attributes), (one.slots, two.slots)):
        if (left is None) != (right is None) and (left or right):
            sides.add(place, Outcome.DIFFERENT, "has attributes on one side only", kind="value")
        yield from names(sides, place, left or {}, right or {}, module)


def _optional(sides: Sides, place: Place, one: Any, two: Any) -> Iterator[Pair]:
    """Keyword arguments, where none is the same as an empty dict."""
    pairs = [side.pairs if isinstance(side, Mapping) else [] for side in (one, two)]
    odd = [side for side in (one, two) if side is not None and not isinstance(side, Mapping)]
    if odd:
        yield place, one, two, None
    else:
        yield from mappings(sides, place, pairs[0], pairs[1], None)


def _ordered(sides: Sides, place: Place, one: list[tuple[Any, Any]], two: list[tuple[Any, Any]]) -> None:
    try:
        left, right = (
            [sides.values[side].key(key) for key, _ in pairs] for side, pairs in ((0, one), (1, two))
        )
    except ContentError:
        return  # `mappings` says so
    if left != right and sorted(map(repr, left)) == sorted(map(repr, right)):
        sides.add(place, Outcome.DIFFERENT, "same keys, other order", kind="order")


def frames(sides: Sides, place: Place, one: Frame, two: Frame) -> Iterator[Pair]:
    """The axes of tables in their order, and columns by place."""
    yield from sequences(sides, (place, "text", ".axes"), one.axes, two.axes)
    labels = one.labels if one.labels == two.labels else None
    for at in sorted({*one.columns, *two.columns}):
        inner = (place, "key", labels[at] if labels and 0 <= at < len(labels) else at)
        if at in one.columns and at in two.columns:
            yield inner, one.columns[at], two.columns[at], None
        else:
            gone = at in one.columns
            sides.one_sided(inner, (one if gone else two).columns[at], gone=gone)


def arrow_values(one: Arrow, two: Arrow) -> str | None:
    """What differs between two Arrow arrays of one length; None for nothing."""
    import numpy as np

    valid = [side.valid if side.valid is not None else np.ones(one.length, "u1") for side in (one, two)]
    if not np.array_equal(valid[0], valid[1]):
        where = np.flatnonzero(valid[0] != valid[1])
        return f"{len(where):,} of {one.length:,} values are null on one side only, first at [{where[0]}]"
    if (one.offsets is None) != (two.offsets is None) or one.width != two.width:
        return "other type"
    if one.offsets is None:
        values = [np.frombuffer(side.values, f"V{one.width}") for side in (one, two)]
        where = np.flatnonzero(values[0] != values[1])
    elif np.array_equal(one.offsets, two.offsets) and bytes(one.values) == bytes(two.values):
        return None
    else:
        where = np.array([at for at in range(one.length) if _text_at(one, at) != _text_at(two, at)])
    if not len(where):
        return None
    first = int(where[0])
    shown = ""
    if one.offsets is not None:
        shown = f": {_text_at(one, first)[:40]!r} -> {_text_at(two, first)[:40]!r}"
    return f"{len(where):,} of {one.length:,} values differ, first at [{first}]{shown}"


def _text_at(side: Arrow, index: int) -> bytes:
    return bytes(side.values[int(side.offsets[index]) : int(side.offsets[index + 1])])


def bytes_apart(one: Raw, two: Raw) -> tuple[str, dict[str, Any]]:
    """Where two stretches of bytes differ, in words and as facts."""
    import numpy as np

    sides = [np.frombuffer(memoryview(side.data).cast("B"), "u1") for side in (one, two)]
    if one.kind != two.kind:
        return f"{one.kind} -> {two.kind}", {}
    common = min(map(len, sides))
    where = np.flatnonzero(sides[0][:common] != sides[1][:common])
    first = int(where[0]) if len(where) else common
    facts = {"sizes": [len(side) for side in sides], "offset": first, "differing": len(where)}
    if len(sides[0]) != len(sides[1]):
        return f"{len(sides[0]):,} -> {len(sides[1]):,} bytes, first difference at offset {first:,}", facts
    words = f"{len(where):,} of {common:,} bytes differ, first at offset {first:,}"
    if common <= 24:
        words = f"{bytes(memoryview(one.data))!r} -> {bytes(memoryview(two.data))!r}"
    return words, facts
