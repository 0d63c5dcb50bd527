"""Walking two pickle trees side by side, without recursion, and naming what differs."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from reproof.compare.collecting import Collector
from reproof.compare.numbers import compare_numbers
from reproof.compare.pickles import pairing
from reproof.compare.pickles.canonical import Values
from reproof.compare.pickles.folded import Array, Arrow, Dtype, Frame, Thing
from reproof.compare.pickles.folding import Folder
from reproof.compare.pickles.nodes import (
    Extension,
    Global,
    Mapping,
    Node,
    OutOfBand,
    Persistent,
    Raw,
    Sequence,
)
from reproof.compare.pickles.rules import Rule
from reproof.compare.pickles.showing import Place, place_name, show
from reproof.compare.protocol import Context, LimitError, Source
from reproof.compare.tensors import compare_tensors
from reproof.model.difference import Difference, Outcome

_OFTEN = 8192
_FAR = 1_000_000  # ulp: beyond it the number of them says nothing to anybody
_NESTED = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04", b"{L", b"tree\n", b"CBM1")

Pair = tuple[Place, Any, Any, Rule | None]


@dataclass
class Sides:
    """What belongs to each side, and what has been found.

    Attributes:
        context: Tolerance and limits.
        folders: Fold the nodes of each side.
        parts: One difference for each place that is not identical.
        names: What was set aside.
        root: Name of the root of the trees.
        plain_keys: Keys that are names are shown like attributes.
        values: Digests of nodes, for sets and keys.
    """

    context: Context
    folders: tuple[Folder, Folder]
    root: str = "(root)"
    names: set[str] = field(default_factory=set)
    plain_keys: bool = False

    def __post_init__(self) -> None:
        self.parts = Collector(self.context)
        self.values = (Values(self.folders[0]), Values(self.folders[1]))
        self._partners: tuple[dict[int, Any], dict[int, Any]] = ({}, {})
        self._met: set[int] = set()
        self.shared: tuple[set[int] | None, set[int] | None] = (None, None)
        self._seen = 0
        self._told: dict[Outcome, int] = {}

    def compare(self, expected: Any, actual: Any, place: Place = None) -> None:
        """Compare two trees; the result is in `parts` and `names`.

        Raises:
            LimitError: It costs more than the limits allow.
            ContentError: The data of an array do not fit its shape.
        """
        # each entry is a pair that is next, and the pairs after it: what is done is off the stack
        # before its members are on it, so that long chains need no long stack
        stack: list[tuple[Pair, Iterator[Pair]]] = [((place, expected, actual, None), iter(()))]
        while stack:
            pair, rest = stack.pop()
            following = next(rest, None)
            if following is not None:
                stack.append((following, rest))
            self._seen += 1
            if self._seen % _OFTEN == 0:
                self._check()
            members = self._compare_pair(*pair)
            first = next(members, None) if members is not None else None
            if first is not None and members is not None:
                stack.append((first, members))

    def finish(self) -> None:
        """Name what the folds of the two sides have set aside differently."""
        one, two = (folder.aside for folder in self.folders)
        self.names |= {name for name in {*one, *two} if one.get(name) != two.get(name)}

    def add(self, place: Place, outcome: Outcome, summary: str, **more: Any) -> None:
        """Note a difference at `place`."""
        for name in ("expected", "actual"):
            if name in more:
                more[name] = _printable(more[name])
        subject, words = self.subject(place), _printable(summary) or ""
        self.parts.add(Difference(subject=subject, outcome=outcome, summary=words, **more))

    def subject(self, place: Place) -> str:
        """The name of `place` for people."""
        return _printable(place_name(place, self.root, plain_keys=self.plain_keys)) or self.root

    def _is_enough(self, outcome: Outcome) -> bool:
        """Whether so many places of this outcome are known that one more is only counted."""
        if self._told.get(outcome, 0) > self.context.limits.max_children:
            self.parts.count(outcome)
            return True
        self._told[outcome] = self._told.get(outcome, 0) + 1
        return False

    def changed(self, place: Place, one: Any, two: Any) -> None:
        """Note that the values at `place` differ."""
        if self._is_enough(Outcome.DIFFERENT):
            return
        was, now = show(one), show(two)
        if was == now:
            was, now = f"{was} ({_kind(one)})", f"{now} ({_kind(two)})"
        self.add(place, Outcome.DIFFERENT, f"{was} -> {now}", kind="value", expected=was, actual=now)

    def one_sided(self, place: Place, value: Any, *, gone: bool) -> None:
        """Note that only one side has the value at `place`."""
        if self._is_enough(Outcome.DIFFERENT):
            return
        text = show(self.folders[0 if gone else 1].fold(value))
        summary = f"is gone; it was {text}" if gone else f"is new: {text}"
        expected, actual = (text, None) if gone else (None, text)
        self.add(place, Outcome.DIFFERENT, summary, kind="value", expected=expected, actual=actual)

    def _check(self) -> None:
        self.context.spending.check_time()
        if self._seen > self.context.limits.max_values:
            raise LimitError(f"there are more than {self.context.limits.max_values:,} values")

    def _compare_pair(self, place: Place, one: Any, two: Any, rule: Rule | None) -> Iterator[Pair] | None:
        left, right = self.shared
        is_shared = left is None or right is None or id(one) in left or id(two) in right
        one, two = self.folders[0].fold(one), self.folders[1].fold(two)
        if rule is not None and rule.name and rule.form(one, two) and self._differ(one, two):
            self.names.add(rule.name)
            return None
        if type(one) is not type(two):
            self._unlike(place, one, two)
            return None
        if not isinstance(one, Node):
            self._plain(place, one, two)
            return None
        if (is_shared or type(one) is Array) and not self._is_new(place, one, two, rule):
            return None
        return _COMPARE[type(one)](self, place, one, two, rule)

    def _differ(self, one: Any, two: Any) -> bool:
        """Whether two values that a rule speaks of differ in content at all."""
        return self.values[0].key(one) != self.values[1].key(two)

    def _unlike(self, place: Place, one: Any, two: Any) -> None:
        if isinstance(one, Raw) and one.kind == "text" and type(two) is str:
            one = bytes(one.data).decode("utf-8", "surrogatepass")
        elif isinstance(two, Raw) and two.kind == "text" and type(one) is str:
            two = bytes(two.data).decode("utf-8", "surrogatepass")
        if type(one) is str and one == two:
            return
        if type(one) in (int, float) and type(two) in (int, float):
            outcome, facts = compare_numbers(one, two, self.context.tolerance)
            if outcome is Outcome.CLOSE or (
                outcome is Outcome.EQUIVALENT and not self.context.tolerance.is_exact
            ):
                self.add(place, Outcome.CLOSE, f"{show(one)} -> {show(two)}", kind="number", evidence=facts)
                return
        self.changed(place, one, two)

    def _plain(self, place: Place, one: Any, two: Any) -> None:
        if type(one) in (int, float):
            if (
                self.context.tolerance.is_exact
                and not _same_number(one, two)
                and self._is_enough(Outcome.DIFFERENT)
            ):
                return
            outcome, facts = compare_numbers(one, two, self.context.tolerance)
            if outcome is not Outcome.IDENTICAL:
                distance = f" ({facts['ulp']:,} ulp)" if facts.get("ulp", _FAR) < _FAR else ""
                summary = f"{show(one)} -> {show(two)}{distance}"
                self.add(place, outcome, summary, kind="number", expected=show(one), actual=show(two),
                         evidence=facts)  # fmt: skip
        elif one != two:
            nested = type(one) is str and self._nested(place, one.encode("utf-8", "replace"),
                                                       two.encode("utf-8", "replace"))  # fmt: skip
            if not nested:
                self.changed(place, one, two)

    def _nested(self, place: Place, one: Any, two: Any) -> bool:
        """Compare content that is of a kind of its own (a booster in a wrapper); False for others."""
        data = [memoryview(side).cast("B") for side in (one, two)]
        if any(side.nbytes > self.context.limits.max_bytes_in_memory for side in data):
            return False
        if not all(bytes(side[:4]).startswith(_NESTED) or bytes(side[:5]) == b"tree\n" for side in data):
            return False
        name = self.subject(place)
        sources = [Source(name=name, data=bytes(side)) for side in data]
        found = self.context.compare(sources[0], sources[1], name)
        self.names.update(found.canonicalisations)
        self.parts.add(found)
        return True

    def _is_new(self, place: Place, one: Any, two: Any, rule: Rule | None) -> bool:
        """Whether this pair has not been compared; notes where one side shares what the other copies."""
        key = id(one) << 64 | id(two) | (id(rule) << 128 if rule else 0)
        if key in self._met:
            return False
        self._met.add(key)
        mutable = isinstance(one, Mapping) or (isinstance(one, Sequence) and one.kind in ("list", "set"))
        if mutable or (isinstance(one, Thing) and one.is_mutable) or _anchor(one) is not None:
            ours, theirs = _anchor(one) or one, _anchor(two) or two
            known = (
                self._partners[0].setdefault(id(ours), theirs),
                self._partners[1].setdefault(id(theirs), ours),
            )
            if known[0] is not theirs or known[1] is not ours:
                words = "shared with another place on one side, and a copy of its own on the other"
                self.add(place, Outcome.DIFFERENT, f"{show(one)} is {words}", kind="sharing")
        return True

    def array(self, place: Place, one: Array, two: Array, _rule: Rule | None) -> Iterator[Pair] | None:
        """Arrays: class, shape, elements."""
        if one.owner != two.owner or (one.tensor is None) != (two.tensor is None):
            self.changed(place, one, two)
            return None
        if one.encoding != two.encoding:
            self.names.add("encoding of arrays")
        extra = pairing.names(self, place, one.extra, two.extra) if one.extra or two.extra else None
        if one.tensor is None or two.tensor is None:
            if one.shape != two.shape:
                self.add(place, Outcome.DIFFERENT, f"shape {one.shape} -> {two.shape}", kind="array")
                return None
            return pairing.items(place, one.items or [], two.items or [])
        found = compare_tensors(one.tensor, two.tensor, "", self.context.tolerance)
        self.names.update(found.canonicalisations)
        if found.outcome > Outcome.EQUIVALENT:
            summary = f"{found.expected} -> {found.actual}" if one.tensor.count == 1 else found.summary
            self.parts.add(replace(found, subject=self.subject(place), summary=summary))
        return extra

    def arrow(self, place: Place, one: Arrow, two: Arrow, _rule: Rule | None) -> Iterator[Pair] | None:
        """Arrow arrays: type, nulls, values."""
        if one.encoding != two.encoding:
            self.names.add("layout of Arrow arrays")
        if one.length != two.length:
            self.add(
                place, Outcome.DIFFERENT, f"{one.length:,} values -> {two.length:,} values", kind="array"
            )
        else:
            summary = pairing.arrow_values(one, two)
            if summary:
                self.add(place, Outcome.DIFFERENT, summary, kind="array")
        return iter([((place, "text", ".type"), one.type, two.type, None)])

    def frame(self, place: Place, one: Frame, two: Frame, _rule: Rule | None) -> Iterator[Pair]:
        """Tables: indexes, then columns."""
        if one.layout != two.layout:
            self.names.add("blocks of pandas columns")
        return pairing.frames(self, place, one, two)

    def raw(self, place: Place, one: Raw, two: Raw, _rule: Rule | None) -> None:
        """Bytes."""
        if one.kind == two.kind and memoryview(one.data) == memoryview(two.data):
            return
        if one.kind != two.kind or not self._nested(place, one.data, two.data):
            summary, facts = pairing.bytes_apart(one, two)
            self.add(place, Outcome.DIFFERENT, summary, kind="bytes", evidence=facts)

    def named(self, place: Place, one: Global, two: Global, _rule: Rule | None) -> None:
        """Classes and functions, by their full names."""
        if one.path != two.path:
            self.changed(place, one.path, two.path)

    def sequence(
        self, place: Place, one: Sequence, two: Sequence, _rule: Rule | None
    ) -> Iterator[Pair] | None:
        """Lists and tuples by position, sets by value."""
        if one.kind != two.kind:
            self.changed(place, one, two)
            return None
        if one.kind in ("set", "frozenset"):
            pairing.sets(self, place, one.items, two.items)
            return None
        return pairing.sequences(self, place, one.items, two.items)

    def mapping(self, place: Place, one: Mapping, two: Mapping, rule: Rule | None) -> Iterator[Pair]:
        """Dicts by key."""
        return pairing.mappings(self, place, one.pairs, two.pairs, rule)

    def thing(self, place: Place, one: Thing, two: Thing, _rule: Rule | None) -> Iterator[Pair]:
        """Objects: class, arguments, attributes, items."""
        return pairing.things(self, place, one, two)

    def dtype(self, place: Place, one: Dtype, two: Dtype, _rule: Rule | None) -> None:
        """NumPy types."""
        if one.layout != two.layout or str(one.layout) != str(two.layout):
            self.changed(place, one, two)

    def persistent(
        self, place: Place, one: Persistent, two: Persistent, _rule: Rule | None
    ) -> Iterator[Pair]:
        """Things outside of the pickle, by their keys."""
        return iter([((place, "text", "(persistent id)"), one.key, two.key, None)])

    def out_of_band(self, place: Place, one: OutOfBand, two: OutOfBand, _rule: Rule | None) -> None:
        """Buffers that are not in the file: nobody can tell."""
        reason = "its content is in a buffer outside of the pickle"
        if (one.number, one.read_only) != (two.number, two.read_only):
            self.changed(place, one, two)
        else:
            self.add(place, Outcome.UNKNOWN, reason, kind="buffer", evidence={"reason": reason})

    def extension(self, place: Place, one: Extension, two: Extension, _rule: Rule | None) -> None:
        """Classes by number."""
        if one.code != two.code:
            self.changed(place, one, two)


def _same_number(one: float, two: float) -> bool:
    """Whether two ints or two floats are the same to the bit."""
    return one == two if type(one) is int else struct.pack("<d", one) == struct.pack("<d", two)


def _printable(text: str | None) -> str | None:
    """Text that can be written as UTF-8: pickles may hold half of a surrogate pair."""
    return None if text is None else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _anchor(node: Any) -> Any:
    return node.anchor if isinstance(node, Array) else None


def _kind(value: Any) -> str:
    if isinstance(value, Raw | Sequence):
        return value.kind
    return {"NoneType": "None"}.get(type(value).__name__, type(value).__name__.lower())


_COMPARE: dict[type, Callable[[Sides, Place, Any, Any, Rule | None], Iterator[Pair] | None]] = {
    Array: Sides.array,
    Arrow: Sides.arrow,
    Frame: Sides.frame,
    Raw: Sides.raw,
    Global: Sides.named,
    Sequence: Sides.sequence,
    Mapping: Sides.mapping,
    Thing: Sides.thing,
    Dtype: Sides.dtype,
    Persistent: Sides.persistent,
    OutOfBand: Sides.out_of_band,
    Extension: Sides.extension,
}
