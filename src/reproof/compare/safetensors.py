"""Safetensors: tensors by name; their order, and the layout of the header, are set aside by name.

Format: the README of huggingface/safetensors. A header of JSON, whose length stands in the first
eight bytes, names type, shape and place of each tensor; the tensors fill the rest without gaps.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from typing import Any

from reproof.compare.bytewise import equal_bytes
from reproof.compare.collecting import Collector
from reproof.compare.npy_header import MAX_AXES
from reproof.compare.protocol import ContentError, Context, LimitError, Source
from reproof.compare.special import shown
from reproof.compare.tensors import Tensor, compare_tensors
from reproof.model.difference import Difference, Outcome, combine

_METADATA = "__metadata__"
_NUMPY = {
    "BOOL": "|b1",
    "U8": "|u1",
    "I8": "|i1",
    "U16": "<u2",
    "I16": "<i2",
    "U32": "<u4",
    "I32": "<i4",
    "U64": "<u8",
    "I64": "<i8",
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
    "C64": "<c8",
}
_FOREIGN = {"BF16": ("bfloat16", 2), "F8_E4M3": ("float8_e4m3fn", 1), "F8_E5M2": ("float8_e5m2", 1)}
_BITS = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8}


@dataclass(frozen=True)
class Place:
    """Where one tensor lies: type as the file names it, shape, first byte and end within the data."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True)
class Header:
    """The header of a file.

    Attributes:
        tensors: By name, in the order of their data.
        metadata: Text by key; empty without any.
        data: Where the data begin in the file.
        text: The header as it is written.
    """

    tensors: dict[str, Place]
    metadata: dict[str, str]
    data: int
    text: bytes


class SafetensorsComparator:
    """Tensors by name, bit for bit, and the metadata."""

    name = "safetensors"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Both begin with a length and a JSON object, and one names a type or is called so."""
        return all(_may_be(side) for side in (expected, actual))

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """Children are the tensors that are not identical, and ``__metadata__``.

        Raises:
            ContentError: A header is damaged, or tensors overlap, leave gaps or do not fit the file.
        """
        before, after = read_header(expected, context), read_header(actual, context)
        parts = Collector(context)
        for name, place in before.tensors.items():
            context.spending.check_time()
            other = after.tensors.get(name)
            if other is None:
                parts.add(_one_sided(name, place, gone=True))
                continue
            stretches = tuple(
                side.part("", header.data + each.start, each.end - each.start)
                for side, header, each in ((expected, before, place), (actual, after, other))
            )
            if _has_same_bytes(place, other, stretches):
                parts.count(Outcome.IDENTICAL)
                continue
            with stretches[0].view() as left, stretches[1].view() as right:
                pair = _tensor(place, left), _tensor(other, right)
                parts.add(_compare_pair(shown(name), (place, other), pair, context))
                del pair
        parts.extend(
            _one_sided(name, place, gone=False)
            for name, place in after.tensors.items()
            if name not in before.tensors
        )
        if before.metadata != after.metadata:
            parts.add(_compare_metadata(before.metadata, after.metadata))
        names = _set_aside(before, after)
        evidence = {"tensors": [len(before.tensors), len(after.tensors)]}
        return parts.difference(
            subject,
            kind=self.name,
            summary=f"tensors: {parts.words()}" + (f"; other {', '.join(names)}" if names else ""),
            canonicalised=names,
            evidence=evidence,
        )


def read_header(source: Source, context: Context) -> Header:
    """The header of `source`, checked against the size of the file.

    Raises:
        ContentError: Damaged, or tensors overlap, leave gaps or do not fit the file.
        LimitError: It is larger or names more tensors than the limits allow.
    """
    head = source.head(8)
    if len(head) < 8:
        raise ContentError("cut off within the length of its header")
    (length,) = struct.unpack("<Q", head)
    if length > source.size - 8:
        raise ContentError(f"its header of {length:,} bytes reaches beyond the end of the file")
    if length > context.limits.max_bytes_in_memory // 4:
        raise LimitError(f"its header of {length:,} bytes is too large")
    with source.part("header", 8, length).open_buffered() as file:
        text = file.read(length)
    tree = _parsed(text)
    metadata = tree.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ContentError("its metadata are no texts")
    context.spending.visit(len(tree))
    tensors = {name: _place(name, entry) for name, entry in tree.items()}
    ordered = dict(sorted(tensors.items(), key=lambda item: (item[1].start, item[1].end)))
    _check_places(ordered, source.size - 8 - length)
    return Header(ordered, metadata, 8 + length, text)


def _parsed(text: bytes) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ContentError("its header names something twice")
        return found

    if not text.startswith(b"{"):
        raise ContentError("its header is no JSON object")
    try:
        tree: dict[str, Any] = json.loads(text.decode(), object_pairs_hook=unique)
    except RecursionError:
        raise ContentError("its header is nested too deeply") from None
    except ValueError as error:
        raise ContentError(f"its header is no JSON: {error}") from None
    return tree


def _place(name: str, entry: Any) -> Place:
    if isinstance(entry, dict) and sorted(entry) == ["data_offsets", "dtype", "shape"]:
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        numbers = isinstance(shape, list) and isinstance(offsets, list) and len(offsets) == 2
        numbers = numbers and len(shape) <= MAX_AXES
        if (
            isinstance(dtype, str)
            and numbers
            and all(type(each) is int and each >= 0 for each in shape + offsets)
        ):
            return Place(dtype, tuple(shape), offsets[0], offsets[1])
    raise ContentError(f"the header's entry for `{shown(name)[:80]}` cannot be")


def _check_places(tensors: dict[str, Place], size: int) -> None:
    position = 0
    for name, place in tensors.items():
        if place.start != position or place.end < place.start:
            raise ContentError(f"`{shown(name)[:80]}` does not begin where the tensor before it ends")
        position = place.end
        bits = _bits(place.dtype)
        if bits is not None and math.prod(place.shape) * bits != 8 * (place.end - place.start):
            raise ContentError(f"`{shown(name)[:80]}` has not as many bytes as its shape needs")
    if position != size:
        raise ContentError(f"the tensors have {position:,} bytes and the file {size:,}")


def _bits(dtype: str) -> int | None:
    if dtype in _NUMPY:
        return 8 * int(_NUMPY[dtype][2:])
    return 8 * _FOREIGN[dtype][1] if dtype in _FOREIGN else _BITS.get(dtype)


def _has_same_bytes(one: Place, two: Place, stretches: tuple[Source, ...]) -> bool:
    """Reading is faster than mapping, and holds no memory, where nothing differs."""
    return (one.dtype, one.shape) == (two.dtype, two.shape) and equal_bytes(stretches[0], stretches[1])


def _tensor(place: Place, data: memoryview) -> Tensor:
    import numpy as np

    if place.dtype in _NUMPY:
        return Tensor.of(np.dtype(_NUMPY[place.dtype]), place.shape, data)
    if place.dtype in _FOREIGN:
        return Tensor.foreign(*_FOREIGN[place.dtype], place.shape, data)
    # types of less than a byte, and those that came after this was written, are compared as bytes
    return Tensor.foreign(shown(place.dtype)[:40], 1, (len(data),), data)


def _compare_pair(
    name: str, places: tuple[Place, Place], tensors: tuple[Tensor, Tensor], context: Context
) -> Difference:
    if places[0].dtype == places[1].dtype and places[0].shape != places[1].shape:
        before, after = (list(place.shape) for place in places)
        return Difference(
            subject=name,
            outcome=Outcome.DIFFERENT,
            summary=f"shape {before} -> {after}",
            kind="array",
            evidence={"dtype": shown(places[0].dtype)[:40], "shapes": [before, after]},
        )
    return compare_tensors(tensors[0], tensors[1], name, context.tolerance)


def _one_sided(name: str, place: Place, *, gone: bool) -> Difference:
    text = f"{shown(place.dtype)[:40]}{list(place.shape)}"
    return Difference(
        subject=shown(name),
        outcome=Outcome.DIFFERENT,
        summary=f"is gone; it was {text}" if gone else f"is new: {text}",
        kind="array",
    )


def _compare_metadata(before: dict[str, str], after: dict[str, str]) -> Difference:
    children = []
    for key in sorted({*before, *after}):
        one, two = before.get(key), after.get(key)
        if one != two:
            words = "is gone" if two is None else "is new" if one is None else "another text"
            children.append(
                Difference(
                    subject=shown(key),
                    outcome=Outcome.DIFFERENT,
                    summary=words,
                    kind="safetensors",
                    expected=None if one is None else shown(one)[:200],
                    actual=None if two is None else shown(two)[:200],
                )
            )
    return combine(_METADATA, children[:100], kind="safetensors", summary=f"{len(children)} entries differ")


def _set_aside(before: Header, after: Header) -> tuple[str, ...]:
    if before.text == after.text:
        return ()
    names = []
    common = [name for name in before.tensors if name in after.tensors]
    if common != [name for name in after.tensors if name in before.tensors]:
        names.append("tensor order")
    same = before.tensors == after.tensors and before.metadata == after.metadata
    if same and not names:
        names.append("safetensors header layout")
    return tuple(names)


def _may_be(source: Source) -> bool:
    head = source.head(1024)
    if len(head) < 9 or head[8:9] != b"{" or int.from_bytes(head[:8], "little") > 1 << 40:
        return source.name.lower().endswith(".safetensors")
    return source.name.lower().endswith(".safetensors") or b'"dtype"' in head or b'"__metadata__"' in head
