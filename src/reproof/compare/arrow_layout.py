"""Arrow arrays as plain values: without offsets, views, dictionaries, runs and what nulls hide."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from reproof.compare.protocol import ContentError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

MAX_DEPTH = 32


@dataclass(frozen=True)
class Flat:
    """The top level of an array.

    Attributes:
        rows: How many there are.
        absent: The rows without a value, ascending; None when all have one.
        lengths: Items of each row of lists, bytes of each text (0 for nulls); None for others.
        bits: The values of fixed width as unsigned integers, or as rows of bytes (0 where null).
        children: Arrays of the items of lists or of the fields of structs; of texts their bytes, in NumPy's array.
    """

    rows: int
    absent: np.ndarray | None
    lengths: np.ndarray | None = None
    bits: np.ndarray | None = None
    children: tuple[Any, ...] = ()


def plain_type(kind: pa.DataType, depth: int = 0) -> pa.DataType:
    """The type without what only says how values lie: widths of offsets and indexes, views, item names.

    Raises:
        ContentError: It is nested too deeply.
    """
    import pyarrow as pa

    types = pa.types
    if depth > MAX_DEPTH:
        raise ContentError("a type is nested too deeply")
    if types.is_string(kind) or types.is_large_string(kind) or _is(kind, "is_string_view"):
        return pa.large_string()
    if types.is_binary(kind) or types.is_large_binary(kind) or _is(kind, "is_binary_view"):
        return pa.large_binary()
    if types.is_map(kind):
        key = plain_type(kind.key_type, depth + 1)
        return pa.map_(key, plain_type(kind.item_type, depth + 1), keys_sorted=kind.keys_sorted)
    if (
        types.is_list(kind)
        or types.is_large_list(kind)
        or _is(kind, "is_list_view")
        or _is(kind, "is_large_list_view")
    ):
        return pa.large_list(_plain_item(kind.value_field, depth))
    if types.is_fixed_size_list(kind):
        return pa.list_(_plain_item(kind.value_field, depth), kind.list_size)
    if types.is_struct(kind):
        fields = [kind.field(number) for number in range(kind.num_fields)]
        return pa.struct([each.with_type(plain_type(each.type, depth + 1)) for each in fields])
    if types.is_dictionary(kind):
        return pa.dictionary(pa.int64(), plain_type(kind.value_type, depth + 1), ordered=kind.ordered)
    if _is(kind, "is_run_end_encoded"):
        return plain_type(kind.value_type, depth + 1)
    return kind


def flatten(array: pa.Array, depth: int = 0) -> Flat:
    """Take the top level off an array.

    Raises:
        ContentError: The type is not known here, or nested too deeply.
    """
    import numpy as np
    import pyarrow as pa

    if depth > MAX_DEPTH:
        raise ContentError("values are nested too deeply")
    kind, rows = array.type, len(array)
    absent = _absent(array) if array.null_count else None
    if pa.types.is_null(kind):
        return Flat(rows, np.arange(rows))
    if is_text(kind):
        lengths, data = _text_parts(array, absent)
        return Flat(rows, absent, lengths, children=(data,))
    if pa.types.is_struct(kind):
        return Flat(rows, absent, children=tuple(bare(child) for child in _fields(array, absent)))
    if pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        lengths = _list_lengths(array, absent)
        return Flat(rows, absent, lengths, children=(bare(array.flatten()),))
    return Flat(rows, absent, bits=bits_of(array, absent))


def check_entries(array: pa.DictionaryArray) -> None:
    """Refuse rows that name an entry which the dictionary does not have: Arrow would read past its end.

    Raises:
        ContentError: There is one.
    """
    codes, known = array.indices, len(array.dictionary)
    bits = bits_of(codes, None)  # below zero is as good as above all
    if len(bits) and bits.max() >= known and codes.null_count < len(codes):
        absent = _absent(codes) if codes.null_count else None
        if bits_of(codes, absent).max() >= known:
            raise ContentError("a row names an entry that its dictionary does not have")


def longest_text(array: pa.Array) -> int:
    """Bytes of the longest of some texts; 0 for values of other types."""
    if not is_text(array.type) or not len(array):
        return 0
    lengths, _ = _text_parts(array, None)
    return int(lengths.max())


def is_text(kind: pa.DataType) -> bool:
    """Whether rows are texts or bytes of any length, one after the other between offsets."""
    import pyarrow as pa

    return kind.id in (pa.lib.Type_STRING, pa.lib.Type_BINARY) or _has_wide_offsets(kind)


def _has_wide_offsets(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return kind.id in (pa.lib.Type_LARGE_STRING, pa.lib.Type_LARGE_BINARY)


def pa_array(values: np.ndarray) -> pa.Array:
    """An Arrow array of what is in a NumPy array of numbers or truths.

    Not by `pyarrow.array`: it imports pandas, to ask whether the array is a series of it, and for a small table
    that takes longer than all else.
    """
    import numpy as np
    import pyarrow as pa

    kind = pa.from_numpy_dtype(values.dtype)
    packed = (
        np.packbits(values, bitorder="little") if values.dtype == np.bool_ else np.ascontiguousarray(values)
    )
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(packed)])


def _is(kind: pa.DataType, name: str) -> bool:
    """Types that not every supported version of pyarrow knows."""
    import pyarrow as pa

    test = getattr(pa.types, name, None)
    return test is not None and bool(test(kind))


def _plain_item(item: pa.Field, depth: int) -> pa.Field:
    return item.with_name("item").with_type(plain_type(item.type, depth + 1)).remove_metadata()


def bare(array: pa.Array) -> pa.Array:
    """The values without extension types, dictionaries, runs and views; lists with offsets of 64 bits."""
    if array.type.id in _bare_types():
        return array
    import pyarrow as pa

    for _ in range(MAX_DEPTH):
        kind = array.type
        if isinstance(kind, pa.BaseExtensionType):
            array = array.storage
        elif pa.types.is_dictionary(kind):
            array = array.dictionary_decode()
        elif _is(kind, "is_run_end_encoded"):
            import pyarrow.compute as pc

            array = pc.run_end_decode(array)
        elif pa.types.is_map(kind):
            array = _entries(array)
        else:
            break
    wanted = _shallow(array.type)
    return array if wanted == array.type else array.cast(wanted)


@cache
def _bare_types() -> frozenset[int]:
    """Numbers of the most frequent types that are bare: a column is asked for each of its blocks."""
    import pyarrow as pa

    kinds = [
        pa.bool_(),
        pa.string(),
        pa.large_string(),
        pa.binary(),
        pa.large_binary(),
        pa.date32(),
        pa.date64(),
    ]
    kinds += [
        pa.int8(),
        pa.int16(),
        pa.int32(),
        pa.int64(),
        pa.uint8(),
        pa.uint16(),
        pa.uint32(),
        pa.uint64(),
    ]
    kinds += [pa.float16(), pa.float32(), pa.float64(), pa.timestamp("ns"), pa.duration("ns")]
    return frozenset(kind.id for kind in kinds)


def _entries(array: pa.MapArray) -> pa.ListArray:
    """Maps as lists of keys and values; nothing is copied."""
    import pyarrow as pa

    entries = pa.StructArray.from_arrays([array.keys, array.items], ["key", "value"])
    kind = pa.list_(entries.type)
    parts = array.buffers()[:2]
    return pa.ListArray.from_buffers(kind, len(array), parts, array.null_count, array.offset, [entries])


def _shallow(kind: pa.DataType) -> pa.DataType:
    """The type with its values in one place, and of lists with offsets of 64 bits, at its top level."""
    import pyarrow as pa

    if _is(kind, "is_string_view"):
        return pa.large_string()
    if _is(kind, "is_binary_view"):
        return pa.large_binary()
    if pa.types.is_list(kind) or _is(kind, "is_list_view") or _is(kind, "is_large_list_view"):
        return pa.large_list(kind.value_field)
    return kind


def _fields(array: pa.Array, absent: np.ndarray | None) -> list[pa.Array]:
    """The fields of structs, null where the struct is."""
    import pyarrow as pa
    import pyarrow.compute as pc

    fields = [array.field(number) for number in range(array.type.num_fields)]
    if absent is None:
        return fields
    valid = pa_array(_all_but(absent, len(array)))
    return [
        each if pa.types.is_null(each.type) else pc.if_else(valid, each, pa.scalar(None, each.type))
        for each in map(bare, fields)
    ]


def _text_parts(array: pa.Array, absent: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Lengths and bytes of texts; those that stand in the place of nulls are left out."""
    import numpy as np

    if not len(array):
        return np.zeros(0, np.int64), np.zeros(0, np.uint8)
    _, offsets, data = array.buffers()
    width = np.dtype(np.int64 if _has_wide_offsets(array.type) else np.int32)
    ends = np.frombuffer(offsets, width, len(array) + 1, width.itemsize * array.offset)
    # in the width they have, and then widened: quicker than one after the other
    lengths = np.subtract(ends[1:], ends[:-1]).astype(np.int64, copy=False)
    raw = np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(0, np.uint8)
    if ends.min() < 0 or lengths.min() < 0 or ends[-1] > len(raw):
        raise ContentError("the places of texts are damaged")
    part = raw[ends[0] : ends[-1]]
    if absent is not None and lengths[absent].any():
        part = part[np.repeat(_all_but(absent, len(array)), lengths)]
        lengths[absent] = 0
    return lengths, part


def _list_lengths(array: pa.Array, absent: np.ndarray | None) -> np.ndarray:
    import numpy as np
    import pyarrow as pa

    if pa.types.is_fixed_size_list(array.type):
        lengths = np.full(len(array), array.type.list_size, np.int64)
    else:
        lengths = np.diff(np.asarray(array.offsets)).astype(np.int64)
    if absent is not None:
        lengths[absent] = 0
    return lengths


def bits_of(array: pa.Array, absent: np.ndarray | None) -> np.ndarray:
    """The bits of values of fixed width: unsigned integers, or rows of bytes for other widths.

    In the rows `absent` they are 0.

    Raises:
        ContentError: Values of this type have no fixed width.
    """
    import numpy as np
    import pyarrow as pa

    kind = array.type
    if pa.types.is_boolean(kind):
        return _cleared(_unpacked(array, array.buffers()[1]), absent)
    try:
        width = kind.bit_width
    except ValueError:
        raise ContentError(f"values of the type {kind} cannot be compared") from None
    if width % 8 or kind.num_fields or len(array.buffers()) != 2:
        raise ContentError(f"values of the type {kind} cannot be compared")
    size = width // 8
    buffer = array.buffers()[1]
    if not len(array) or not size:
        return np.zeros((len(array), size), np.uint8)
    raw = np.frombuffer(buffer, np.uint8, len(array) * size, array.offset * size)
    return _cleared(raw.view(f"<u{size}") if size in {1, 2, 4, 8} else raw.reshape(-1, size), absent)


def _cleared(values: np.ndarray, absent: np.ndarray | None) -> np.ndarray:
    """The values with zeros in the place of nulls; no copy where they are there already."""
    if absent is None or not values[absent].any():
        return values
    cleared = values.copy()
    cleared[absent] = 0
    return cleared


def _all_but(rows: np.ndarray, count: int) -> np.ndarray:
    import numpy as np

    found = np.ones(count, bool)
    found[rows] = False
    return found


def _absent(array: pa.Array) -> np.ndarray:
    """The rows without a value.

    Where they are few they are searched for among bytes of the bitmap first: of many rows that have nearly
    all a value NumPy finds the others slowly.
    """
    import numpy as np

    bitmap = array.buffers()[0]
    if bitmap is None or array.type.num_fields:
        return np.flatnonzero(~np.asarray(array.is_valid()))
    if array.null_count > len(array) // 32:
        return np.flatnonzero(_unpacked(array, bitmap) == 0)
    missing = ~_packed(array, bitmap)
    where = np.flatnonzero(missing != 0)
    among = np.flatnonzero(np.unpackbits(missing[where], bitorder="little").view(bool))
    places = (where[among >> 3] << 3) + (among & 7) - array.offset % 8
    first, end = np.searchsorted(places, (0, len(array)))
    found: np.ndarray = places[first:end]
    return found


def _unpacked(array: pa.Array, bitmap: pa.Buffer) -> np.ndarray:
    """The bits of a bitmap of an array, each as a byte."""
    import numpy as np

    skipped = array.offset % 8
    bits = np.unpackbits(_packed(array, bitmap), bitorder="little")
    return bits[skipped : skipped + len(array)]


def _packed(array: pa.Array, bitmap: pa.Buffer) -> np.ndarray:
    """The bytes of a bitmap in which the bits of an array lie."""
    import numpy as np

    if not len(array):
        return np.zeros(0, np.uint8)
    first, skipped = divmod(array.offset, 8)
    return np.frombuffer(bitmap, np.uint8, (skipped + len(array) + 7) // 8, first)
