"""Arrow arrays, value by value: which rows differ, how far, a digest, and a hash for each row.

Everything is bit-strict and independent of how the values lie: NaN equals its own bits only, what is
in the place of a null does not count, and chunks, offsets and dictionaries leave no trace.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from reproof.compare.arrow_layout import Flat, bare, bits_of, flatten, is_text, pa_array
from reproof.compare.elements import Distance, measure
from reproof.model.policy import Tolerance

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_PRIME = 0x9E3779B97F4A7C15
_NULL_HASH = 0x2545F4914F6CDD1D


def unequal_rows(one: pa.Array, two: pa.Array, tolerance: Tolerance, into: Distance) -> np.ndarray:
    """For each row whether it differs in any bit of its value.

    Args:
        one: Some rows of a column.
        two: As many rows of the other side, of the same plain type.
        tolerance: Bounds for numbers, also for those within lists and structs.
        into: Where distances are gathered; a row counts once in ``differing``, whatever is in it.

    Raises:
        ContentError: Values of this type cannot be compared.
    """
    import numpy as np

    before = into.differing
    mask = _Comparing(tolerance, into).rows(bare(one), bare(two), 0)
    into.differing = before + int(np.count_nonzero(mask))
    return mask


def row_hashes(array: pa.Array) -> np.ndarray:
    """A 64-bit hash of each row's value; equal for equal values, and for nothing else but by accident.

    Returns:
        uint64, as long as the array; those of other chunks, offsets or dictionaries of one value are equal.

    Raises:
        ContentError: The type is not known here, or nested too deeply.
    """
    return _hashes(bare(array), 0)


def mixed(hashes: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014), on each number of an array of uint64 of any shape."""
    import numpy as np

    found: np.ndarray = hashes + np.uint64(_PRIME)
    found = (found ^ (found >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    found = (found ^ (found >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    last: np.ndarray = found ^ (found >> np.uint64(31))
    return last


@dataclass
class _Level:
    """What came so far of one level of nesting; a stream that nothing came of has no hasher."""

    nulls: Any = None
    lengths: Any = None
    bits: Any = None
    count: int = 0


@dataclass
class ColumnDigest:
    """A digest of a column's values, whatever the chunks in which they come.

    BLAKE3 over the plain type and, for each level of nesting, the positions of nulls, the lengths,
    and the bits of the values (zeros in the place of nulls, little-endian).
    """

    type_name: str
    _levels: dict[tuple[int, ...], _Level] = field(default_factory=dict)

    def update(self, array: pa.Array) -> None:
        """Add the next rows."""
        self._add(bare(array), ())

    def value(self) -> str:
        """``blake3:...``."""
        import blake3

        whole = blake3.blake3(self.type_name.encode())
        nothing = blake3.blake3().digest()
        for path in sorted(self._levels):
            level = self._levels[path]
            whole.update(repr((path, level.count)).encode())
            for stream in (level.nulls, level.lengths, level.bits):
                whole.update(nothing if stream is None else stream.digest())
        return f"blake3:{whole.hexdigest()}"

    def _add(self, array: pa.Array, path: tuple[int, ...]) -> None:
        level = self._level(path)
        flat = flatten(array, len(path))
        if flat.absent is not None:
            level.nulls = _hashed(level.nulls, flat.absent + level.count, "<i8")
        if flat.lengths is not None:
            level.lengths = _hashed(level.lengths, flat.lengths, "<i8")
        if flat.bits is not None:
            level.bits = _hashed(level.bits, flat.bits)
        level.count += len(array)
        for number, child in enumerate(flat.children):
            if is_text(array.type):
                self._add_bytes(child, (*path, number))
            else:
                self._add(child, (*path, number))

    def _add_bytes(self, data: np.ndarray, path: tuple[int, ...]) -> None:
        level = self._level(path)
        level.bits = _hashed(level.bits, data)
        level.count += len(data)

    def _level(self, path: tuple[int, ...]) -> _Level:
        level = self._levels.get(path)
        if level is None:
            level = self._levels[path] = _Level()
        return level


def _hashed(stream: Any, values: np.ndarray, dtype: str | None = None) -> Any:
    """The hasher of a stream, a new one if it has none yet, after these values."""
    import blake3
    import numpy as np

    data: Any = np.ascontiguousarray(values, dtype).reshape(-1).view(np.uint8)
    return blake3.blake3(data) if stream is None else stream.update(data)


@dataclass(frozen=True)
class _Comparing:
    """Two arrays of one plain type, level by level."""

    tolerance: Tolerance
    into: Distance

    def rows(self, one: pa.Array, two: pa.Array, depth: int) -> np.ndarray:
        """For each row whether it differs."""
        import numpy as np

        first, second = flatten(one, depth), flatten(two, depth)
        mask = np.zeros(len(one), bool)
        for side in (first, second):
            if side.absent is not None:  # twice is not at all
                mask[side.absent] ^= True
        if first.lengths is not None and second.lengths is not None:
            mask |= first.lengths != second.lengths
        self._without_number(int(np.count_nonzero(mask)))
        if first.bits is not None and second.bits is not None:
            mask |= self._numbers(one, two, (first.bits, second.bits), mask)
        elif first.lengths is not None:
            keep = None
            if mask.any():
                keep = pa_array(~mask)
                first, second = flatten(one.filter(keep), depth), flatten(two.filter(keep), depth)
            mask[~mask] = self._items(is_text(one.type), first, second, depth)
        else:
            for left, right in zip(first.children, second.children, strict=True):
                mask |= self.rows(left, right, depth + 1)
        return mask

    def _without_number(self, count: int) -> None:
        self.into.without_number += count
        self.into.outside += count

    def _numbers(
        self, one: pa.Array, two: pa.Array, bits: tuple[np.ndarray, np.ndarray], known: np.ndarray
    ) -> np.ndarray:
        """Values of fixed width that differ, where it is not `known` yet that the rows do."""
        import numpy as np

        mask: np.ndarray = np.asarray(bits[0] != bits[1])
        if mask.ndim > 1:
            mask = np.asarray(mask.any(axis=1))
        mask &= ~known
        where = np.flatnonzero(mask)
        if len(where):
            self._measure(one.take(pa_array(where)), two.take(pa_array(where)))
        return mask

    def _items(self, is_textual: bool, first: Flat, second: Flat, depth: int) -> np.ndarray:
        """Texts and lists, each as long as its counterpart, whose items differ."""
        import numpy as np

        assert first.lengths is not None
        one, two = first.children[0], second.children[0]
        if not is_textual:
            return _any_of_row(self.rows(one, two, depth + 1), first.lengths)
        rows = _any_of_row(np.asarray(one != two), first.lengths)
        self._without_number(int(np.count_nonzero(rows)))
        return rows

    def _measure(self, one: pa.Array, two: pa.Array) -> None:
        """Say how far values are apart that are not the same."""
        import numpy as np
        import pyarrow as pa

        kind, into = one.type, self.into
        if pa.types.is_floating(kind) or pa.types.is_integer(kind):
            letter = "f" if pa.types.is_floating(kind) else "u" if pa.types.is_unsigned_integer(kind) else "i"
            dtype = np.dtype(f"{letter}{kind.bit_width // 8}")
            measure(
                letter, bits_of(one, None).view(dtype), bits_of(two, None).view(dtype), self.tolerance, into
            )
        elif pa.types.is_decimal(kind):
            # measured as doubles; decimals have no units in the last place of their own
            sides = [np.asarray(side.cast(pa.float64())) for side in (one, two)]
            ulp = into.max_ulp
            measure("f", sides[0], sides[1], replace(self.tolerance, ulp=0), into)
            into.max_ulp = ulp
        else:
            into.differing += len(one)
            self._without_number(len(one))


def _any_of_row(items: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    import numpy as np

    if not items.any():
        return np.zeros(len(lengths), bool)
    counted = np.concatenate([[0], np.cumsum(items)])
    ends = np.cumsum(lengths)
    found: np.ndarray = counted[ends] > counted[ends - lengths]
    return found


def _hashes(array: pa.Array, depth: int) -> np.ndarray:
    import numpy as np

    flat = flatten(array, depth)
    if flat.bits is not None:
        found = _hashed_bits(flat.bits)
    elif flat.lengths is not None:
        child = flat.children[0]
        items = child.astype(np.uint64) if is_text(array.type) else _hashes(child, depth + 1)
        found = mixed(_folded(items, flat.lengths) + flat.lengths.astype(np.uint64))
    else:
        found = np.full(len(array), len(flat.children), np.uint64)
        for child in flat.children:
            found = mixed(found) + _hashes(child, depth + 1)
    if flat.absent is not None:
        found[flat.absent] = np.uint64(_NULL_HASH)
    return found


def _hashed_bits(bits: np.ndarray) -> np.ndarray:
    import numpy as np

    if bits.ndim == 1:
        return mixed(bits.astype(np.uint64))
    found = np.full(len(bits), bits.shape[1], np.uint64)
    padded = np.zeros((len(bits), -(-bits.shape[1] // 8) * 8), np.uint8)
    padded[:, : bits.shape[1]] = bits
    for column in padded.view("<u8").T:
        found = mixed(found) + mixed(column.astype(np.uint64))
    return found


def _folded(items: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """For each row a polynomial of its items, by the place in the row."""
    import numpy as np

    found = np.zeros(len(lengths), np.uint64)
    if not len(items):
        return found
    starts = np.cumsum(lengths) - lengths
    places = np.arange(len(items)) - np.repeat(starts, lengths)
    weighted = mixed(items + np.uint64(_PRIME) * (places.astype(np.uint64) + np.uint64(1)))
    filled = lengths > 0
    found[filled] = np.add.reduceat(weighted, starts[filled])
    return found
