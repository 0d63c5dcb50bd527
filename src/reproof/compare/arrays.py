"""NumPy's files: .npy, and .npz as a zip file of them."""

from __future__ import annotations

import math
import zipfile
from typing import Any

from msgspec.structs import replace

from reproof.compare.archives import ZipStyle, compare_zips
from reproof.compare.npy_header import MAGIC, NpyHeader, read_npy_header
from reproof.compare.protocol import ContentError, Context, Source
from reproof.compare.registry import recognized
from reproof.compare.tensors import Tensor, compare_tensors
from reproof.compare.zips import open_zip
from reproof.model.difference import Difference, Outcome, combine

_HEADER = "npy header layout"


class NpyComparator:
    """One array, bit for bit; header layout, byte order and memory order are set aside by name.

    An array of Python objects is a pickle; that part is left to whoever recognises it.
    """

    name = "npy"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Both begin with NumPy's mark."""
        return all(side.head(len(MAGIC)) == MAGIC for side in (expected, actual))

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """As :func:`reproof.compare.tensors.compare_tensors` says it.

        What stands behind the array (further arrays of one file) is compared as a child.

        Raises:
            ContentError: The header of a side is damaged, or its data are cut off.
        """
        headers = read_npy_header(expected), read_npy_header(actual)
        if any(header.layout.hasobject for header in headers):
            return _compare_objects((expected, actual), headers, subject, context)
        bounds = [_end(side, header) for side, header in zip((expected, actual), headers, strict=True)]
        with expected.view() as left, actual.view() as right:
            tensors = [
                Tensor.of(header.layout, header.shape, view[header.offset : end], header.order)
                for view, header, end in zip((left, right), headers, bounds, strict=True)
            ]
            found = compare_tensors(tensors[0], tensors[1], subject, context.tolerance)
            del tensors
        if headers[0].text != headers[1].text and not found.canonicalised and found.outcome < Outcome.UNKNOWN:
            found = _named(found, _HEADER)
        rests = [
            side.part("", end, side.size - end) for side, end in zip((expected, actual), bounds, strict=True)
        ]
        if not rests[0].size and not rests[1].size:
            return found
        rest = context.compare(rests[0], rests[1], "(behind the array)")
        return combine(
            subject,
            (found.named("(array)"), rest),
            kind="npy",
            summary=f"{found.summary}; behind it: {rest.summary}",
        )


class NpzComparator:
    """Arrays by name; order, dates and compression of the zip file are set aside by name."""

    name = "npz"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Both are zip files of .npy members only."""
        return all(_is_npz(side) for side in (expected, actual))

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """Children are the arrays, each under its name without the ending."""
        return compare_zips(expected, actual, subject, context, ZipStyle(self.name, _compare_member))


def _compare_member(expected: Source, actual: Source, subject: str, context: Context) -> Difference:
    return context.compare(expected, actual, subject.removesuffix(".npy"))


def _is_npz(source: Source) -> bool:
    if source.head(4) not in (b"PK\x03\x04", b"PK\x05\x06"):
        return False
    if source.name.lower().endswith(".npz"):
        return True
    try:
        with open_zip(source) as archive:
            names = archive.namelist()
    except (ContentError, zipfile.BadZipFile):
        return False
    return bool(names) and all(name.endswith(".npy") for name in names)


def _end(source: Source, header: NpyHeader) -> int:
    """Where the data of the array end in the file."""
    need = math.prod(header.shape) * int(header.layout.itemsize)
    have = source.size - header.offset
    if have < need:
        raise ContentError(f"the array needs {need:,} bytes of data and the file has {max(have, 0):,}")
    return header.offset + need


def _compare_objects(
    sides: tuple[Source, Source], headers: tuple[NpyHeader, NpyHeader], subject: str, context: Context
) -> Difference:
    """Arrays of Python objects: NumPy keeps these as a pickle behind the header."""
    facts: dict[str, Any] = {
        "dtype": [str(header.layout) for header in headers],
        "shape": [list(header.shape) for header in headers],
    }
    for name, (before, after) in facts.items():
        if before != after:
            return Difference(
                subject=subject,
                outcome=Outcome.DIFFERENT,
                summary=f"{name} {before} -> {after}",
                kind="npy",
                evidence=facts,
            )
    parts = [
        side.part("objects.pkl", header.offset, side.size - header.offset)
        for side, header in zip(sides, headers, strict=True)
    ]
    if recognized(parts[0], parts[1]).name in {"bytes", "text"}:
        raise ContentError("it holds Python objects, and what follows the header is no pickle")
    found = context.compare(parts[0], parts[1], subject)
    names = {"npy header layout"} if headers[0].text[1] != headers[1].text[1] else set()
    if headers[0].order != headers[1].order:
        names.add("memory order of arrays")
    if not names or found.outcome > Outcome.EQUIVALENT:
        return found
    return _named(found, *sorted(names))


def _named(found: Difference, *names: str) -> Difference:
    return replace(
        found,
        outcome=max(found.outcome, Outcome.EQUIVALENT),
        summary=f"{found.summary}; other {' and '.join(names)}",
        canonicalised=(*found.canonicalised, *names),
    )
