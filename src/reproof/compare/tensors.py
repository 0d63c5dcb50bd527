"""Comparing two arrays bit for bit, block by block, and saying how far apart they are."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reproof.compare.elements import FOREIGN, Distance, measure
from reproof.compare.paging import forget
from reproof.compare.protocol import ContentError
from reproof.model.difference import Difference, Outcome
from reproof.model.policy import EXACT, Tolerance

if TYPE_CHECKING:
    import numpy as np

_BLOCK = 8 << 20  # bytes of one side that are looked at together
_MAX_FIELDS = 64  # fields of structured elements that are reported one by one
_MAX_INDEX = 1 << 62
_FAR = 1_000_000  # ulp: beyond it the number of them says nothing to anybody


@dataclass(frozen=True)
class Tensor:
    """An array as it lies in a file or in memory.

    Attributes:
        dtype: Name of the element type without byte order, ``float32``, ``bfloat16``, ``str160``.
        shape: Lengths of the axes; empty for a single element.
        data: The elements without gaps: anything with the buffer protocol, of exactly as many bytes
            as the elements need.
        layout: The NumPy type of one element, with byte order; None for a type that NumPy does not
            know (see :data:`reproof.compare.elements.FOREIGN`) or that is only compared as bytes.
        size: Bytes of one element; taken from `layout` where there is one.
        order: ``C`` (last axis fastest) or ``F`` (first axis fastest).
    """

    dtype: str
    shape: tuple[int, ...]
    data: Any = field(repr=False)
    layout: np.dtype[Any] | None = None
    size: int = 0
    order: str = "C"

    @classmethod
    def of(cls, layout: np.dtype[Any], shape: tuple[int, ...], data: Any, order: str = "C") -> Tensor:
        """The array of NumPy type `layout`.

        Args:
            layout: Type of one element, with its byte order.
            shape: Lengths of the axes; empty for a single element.
            data: The elements without gaps: anything with the buffer protocol.
            order: ``C`` (last axis fastest) or ``F`` (first axis fastest).
        """
        return cls(dtype_name(layout), shape, data, layout, layout.itemsize, order)

    @classmethod
    def foreign(cls, dtype: str, size: int, shape: tuple[int, ...], data: Any) -> Tensor:
        """An array in C order of little-endian elements that have no NumPy type: `size` bytes each."""
        return cls(dtype, shape, data, None, size)

    @property
    def count(self) -> int:
        """How many elements there are."""
        return math.prod(self.shape)

    @property
    def text(self) -> str:
        """``float32[3, 4]``."""
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"

    def checked(self) -> Tensor:
        """This array; raises ContentError when the data do not fit the shape."""
        if any(length < 0 for length in self.shape) or self.count > _MAX_INDEX:
            raise ContentError(f"an array of shape {self.shape} cannot be")
        if memoryview(self.data).nbytes != self.count * self.size:
            have, need = memoryview(self.data).nbytes, self.count * self.size
            raise ContentError(f"an array {self.text} needs {need} bytes of data and has {have}")
        if self.layout is not None and self.layout.hasobject:
            raise ContentError("an array of Python objects has no plain data")
        return self


def dtype_name(layout: np.dtype[Any]) -> str:
    """The name of a NumPy type without its byte order; of a structured one with its fields."""
    if layout.names:
        parts = ", ".join(f"{name}: {dtype_name(layout[name])}" for name in layout.names)
        return f"{{{parts}}}"
    if layout.subdtype:
        base, shape = layout.subdtype
        return f"{dtype_name(base)}[{', '.join(map(str, shape))}]"
    return str(layout.name)


def compare_tensors(
    expected: Tensor, actual: Tensor, subject: str, tolerance: Tolerance = EXACT
) -> Difference:
    """How two arrays relate: bit for bit, so that -0.0 is not 0.0 and NaN equals its own bits only.

    Byte order, memory order and the padding of structured elements are set aside by name.

    Raises:
        ContentError: The data of a side do not fit its shape.
    """
    expected, actual = expected.checked(), actual.checked()
    facts: dict[str, Any] = {"dtype": expected.dtype, "shape": list(expected.shape)}
    told = (("dtype", expected.dtype, actual.dtype), ("shape", expected.shape, actual.shape))
    changed = [(what, first, second) for what, first, second in told if first != second]
    if changed or expected.size != actual.size:
        what, first, second = changed[0] if changed else ("element size", expected.size, actual.size)
        return _difference(
            subject, Outcome.DIFFERENT, f"{what} {_text(first)} -> {_text(second)}", (expected, actual), facts
        )
    padding = _Padding()
    distance = _distance(expected, _pairs(expected, actual), tolerance, padding)
    if distance.differing:
        return _differing(expected, actual, subject, tolerance, distance)
    return _same_values(expected, subject, _set_aside(expected, actual), padding, facts)


def _same_values(
    tensor: Tensor, subject: str, names: tuple[str, ...], padding: _Padding, facts: dict[str, Any]
) -> Difference:
    outcome = Outcome.EQUIVALENT if names else Outcome.IDENTICAL
    summary = f"{tensor.text}, the same values" if names else f"{tensor.text}, the same"
    if padding.found:
        names = (*names, "padding bytes of structured elements")
        outcome, summary = Outcome.EQUIVALENT, f"{tensor.text}, the same values, other padding"
    if padding.found and padding.used[0] is not padding.used[1]:
        # writers either clear padding or leave there what was in memory: this is neither
        reason = "the values are the same, but only one side has anything in the padding of its elements"
        outcome, summary, facts = Outcome.UNKNOWN, reason, {**facts, "reason": reason}
    return Difference(
        subject=subject, outcome=outcome, summary=summary, kind="array", canonicalised=names, evidence=facts
    )


def digest_of(tensor: Tensor) -> str:
    """``blake3:...`` of the data as they lie."""
    import blake3

    digester, data = blake3.blake3(), memoryview(tensor.data).cast("B")
    for start in range(0, len(data), _BLOCK):
        digester.update(data[start : start + _BLOCK])
        forget(tensor.data, start, start + _BLOCK)
    return f"blake3:{digester.hexdigest()}"


def _text(value: Any) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else str(value)


def _set_aside(expected: Tensor, actual: Tensor) -> tuple[str, ...]:
    names: tuple[str, ...] = ()
    if expected.layout is not None and actual.layout is not None and expected.layout != actual.layout:
        same = expected.layout.newbyteorder("<") == actual.layout.newbyteorder("<")
        names += ("byte order of arrays" if same else "layout of structured elements",)
    if expected.order != actual.order:
        names += ("memory order of arrays",)
    return names


def _difference(
    subject: str, outcome: Outcome, summary: str, sides: tuple[Tensor, Tensor], facts: dict[str, Any]
) -> Difference:
    return Difference(
        subject=subject,
        outcome=outcome,
        summary=summary,
        kind="array",
        expected=sides[0].text,
        actual=sides[1].text,
        evidence={**facts, "digests": [digest_of(side) for side in sides]},
    )


def _differing(
    expected: Tensor, actual: Tensor, subject: str, tolerance: Tolerance, distance: Distance
) -> Difference:
    outcome = Outcome.DIFFERENT if distance.outside else Outcome.CLOSE
    facts: dict[str, Any] = {
        "dtype": expected.dtype,
        "shape": list(expected.shape),
        "elements": expected.count,
    }
    facts |= distance.facts()
    facts["first_index"] = _index(distance.first, expected.shape)
    result = _difference(subject, outcome, _summary(expected, distance, facts), (expected, actual), facts)
    if expected.layout is None or not expected.layout.names:
        values = [_element(side, distance.first) for side in (expected, actual)]
        return _replaced(result, expected=values[0], actual=values[1])
    children = tuple(_fields(expected, actual, tolerance))
    outcome = Outcome.worst(child.outcome for child in children) if children else outcome
    return _replaced(result, outcome=outcome, children=children)


def _replaced(difference: Difference, **changes: Any) -> Difference:
    import msgspec

    return msgspec.structs.replace(difference, **changes)


def _summary(tensor: Tensor, distance: Distance, facts: dict[str, Any]) -> str:
    text = f"{distance.differing:,} of {tensor.count:,} elements differ"
    if "max_abs" in facts:
        text += f", by at most {facts['max_abs']:.3g}"
        if facts.get("max_ulp", _FAR) < _FAR:
            text += f" ({facts['max_ulp']:,} ulp)"
    return f"{text}, first at {facts['first_index']}" if tensor.shape else text


def _index(flat: int, shape: tuple[int, ...]) -> list[int]:
    result = []
    for length in reversed(shape):
        flat, rest = divmod(flat, length)
        result.append(rest)
    return result[::-1]


def _element(tensor: Tensor, flat: int) -> str:
    """The element as text: of floats the shortest text that reads back as the same bits."""
    array = _array(tensor)
    value = array[tuple(_index(flat, tensor.shape))] if tensor.shape else array[()]
    if tensor.dtype in FOREIGN:
        return f"0x{int(value):0{2 * tensor.size}x}"
    if tensor.layout is None or tensor.layout.kind in "VS":
        return str(value.tobytes()[:40] if hasattr(value, "tobytes") else value)[:80]
    return str(value)


def _fields(expected: Tensor, actual: Tensor, tolerance: Tolerance) -> Iterator[Difference]:
    """The fields of structured elements that differ, each as an array of its own."""
    import numpy as np

    assert expected.layout is not None
    assert expected.layout.names is not None
    first, second = _array(expected), _array(actual)
    for name in expected.layout.names[:_MAX_FIELDS]:
        sides = [np.ascontiguousarray(side[name]) for side in (first, second)]
        one, two = (Tensor.of(side.dtype, side.shape, side.reshape(-1).view("u1")) for side in sides)
        found = compare_tensors(one, two, name, tolerance)
        if found.outcome is not Outcome.IDENTICAL:
            yield found


def _array(tensor: Tensor) -> np.ndarray:
    """The whole array without copying; foreign elements as unsigned integers, others as bytes."""
    import numpy as np

    layout = tensor.layout
    if layout is None:
        layout = np.dtype(f"<u{tensor.size}" if tensor.dtype in FOREIGN else f"V{tensor.size}")
    order: Any = tensor.order
    return np.ndarray(tensor.shape, layout, memoryview(tensor.data).cast("B"), order=order)


@dataclass
class _Padding:
    """What is known of the bytes of elements that belong to no value.

    Attributes:
        found: The two sides differ in them.
        used: Whether any of them is not zero, on each side, as far as was looked.
    """

    found: bool = False
    used: tuple[bool, bool] = (False, False)

    def look(self, first: np.ndarray, second: np.ndarray) -> None:
        """Look at two blocks that differ somewhere."""
        import numpy as np

        size = first.dtype.itemsize
        spare = ~_significant(first.dtype)
        if not spare.any():
            return
        one, two = (
            np.ascontiguousarray(side).view("u1").reshape(-1, size)[:, spare] for side in (first, second)
        )
        self.found |= bool((one != two).any())
        self.used = self.used[0] or bool(one.any()), self.used[1] or bool(two.any())


_Blocks = Iterator[tuple[int, "np.ndarray", "np.ndarray"]]


def _pairs(expected: Tensor, actual: Tensor) -> _Blocks:
    """Blocks that differ somewhere: flat index of the first element, and both sides' elements."""
    if expected.size == 0 or expected.count == 0:
        return iter(())
    if len(expected.shape) < 2 or expected.order == actual.order == "C":
        return _straight(expected, actual)
    return _turned(expected, actual)


def _straight(expected: Tensor, actual: Tensor) -> _Blocks:
    first, second = (_array(side).reshape(-1) for side in (expected, actual))
    step = max(1, _BLOCK // expected.size)
    for start in range(0, expected.count, step):
        one, two = first[start : start + step], second[start : start + step]
        if expected.layout != actual.layout or not _same_bytes(one, two):
            yield start, one, two
        for side in (expected, actual):
            forget(side.data, start * side.size, (start + len(one)) * side.size)


def _turned(expected: Tensor, actual: Tensor) -> _Blocks:
    """As :func:`_straight` where a side lies in F order: runs over the first axis in C order."""
    import numpy as np

    first, second = _array(expected), _array(actual)
    row = max(1, expected.count // max(1, expected.shape[0]))
    step = max(1, _BLOCK // (expected.size * row))
    for start in range(0, expected.shape[0], step):
        one, two = (np.ascontiguousarray(side[start : start + step]).reshape(-1) for side in (first, second))
        if expected.layout != actual.layout or not _same_bytes(one, two):
            yield start * row, one, two


def _same_bytes(first: np.ndarray, second: np.ndarray) -> bool:
    import numpy as np

    one, two = first.view("u1"), second.view("u1")
    whole = len(one) // 8 * 8
    return bool(
        np.array_equal(one[whole:], two[whole:])
        and np.array_equal(one[:whole].view("u8"), two[:whole].view("u8"))
    )


def _distance(tensor: Tensor, pairs: _Blocks, tolerance: Tolerance, padding: _Padding) -> Distance:
    import numpy as np

    distance = Distance()
    kind = tensor.dtype if tensor.dtype in FOREIGN else (tensor.layout.kind if tensor.layout else "V")
    for start, first, second in pairs:
        wanted = first.dtype.newbyteorder("<")
        one, two = (side if side.dtype == wanted else side.astype(wanted) for side in (first, second))
        mask = _different(one, two)
        where = np.flatnonzero(mask)
        if not len(where):
            padding.look(one, two)
            continue
        if distance.first < 0:
            distance.first = start + int(where[0])
        measure(kind, one[where], two[where], tolerance, distance)
    return distance


def _different(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Which elements differ in a bit that belongs to a value."""
    import numpy as np

    size = first.dtype.itemsize
    significant = _significant(first.dtype)
    if significant.all() and size in (1, 2, 4, 8):
        result: np.ndarray = np.ascontiguousarray(first).view(f"u{size}") != np.ascontiguousarray(
            second
        ).view(f"u{size}")
        return result
    one, two = (np.ascontiguousarray(side).view("u1").reshape(-1, size) for side in (first, second))
    unequal: np.ndarray = ((one != two) & significant).any(axis=1)
    return unequal


def _significant(layout: np.dtype[Any]) -> np.ndarray:
    """For each byte of an element whether it belongs to a value and is not padding."""
    import numpy as np

    if layout.names:
        mask = np.zeros(layout.itemsize, bool)
        for name in layout.names:
            part, offset = layout.fields[name][:2]  # type: ignore[index]
            mask[offset : offset + part.itemsize] |= _significant(part)
        return mask
    if layout.subdtype:
        base, shape = layout.subdtype
        return np.tile(_significant(base), math.prod(shape))
    mask = np.ones(layout.itemsize, bool)
    if layout.kind in "fc" and layout.itemsize > (8 if layout.kind == "f" else 16):
        mask[_unused_bytes_of_long_double(layout)] = False
    return mask


def _unused_bytes_of_long_double(layout: np.dtype[Any]) -> Any:
    import numpy as np

    if np.finfo(np.longdouble).nmant != 63:  # only x87 numbers have ten bytes in a wider place
        return slice(0, 0)
    width = layout.itemsize // (2 if layout.kind == "c" else 1)
    return np.arange(layout.itemsize) % width >= 10
