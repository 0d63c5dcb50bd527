"""Wheels (binary distribution format, PEP 427): zip files that say who made them, and sum themselves up."""

from __future__ import annotations

import csv
import io
import re

from reproof.compare.archives import ZipStyle, compare_zips
from reproof.compare.protocol import ContentError, Context, Source
from reproof.compare.text import compare_text
from reproof.model.difference import Difference, Outcome

_LIMIT = 16 << 20
_METADATA = re.compile(r"[^/]+\.dist-info/(?P<file>RECORD|WHEEL)")
_GENERATOR = re.compile(rb"(?m)^Generator:.*\n?")


class WheelComparator:
    """Wheel: as zip; the program that made it, and the order of its RECORD, are set aside."""

    name = "wheel"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Zip files that are called so."""
        return all(
            side.name.lower().endswith(".whl") and side.head(4) == b"PK\x03\x04"
            for side in (expected, actual)
        )

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """Children are the members that are not identical."""
        return compare_zips(expected, actual, subject, context, ZipStyle(self.name, _metadata))


def _metadata(expected: Source, actual: Source, subject: str, context: Context) -> Difference | None:
    """Compare RECORD and WHEEL as what they are."""
    del context
    match = _METADATA.fullmatch(expected.name)
    if match is None:
        return None
    one, two = expected.read(_LIMIT), actual.read(_LIMIT)
    if one == two:
        return None
    if match["file"] == "WHEEL":
        return _wheel(one, two, subject)
    return _record(one, two, subject)


def _wheel(one: bytes, two: bytes, subject: str) -> Difference:
    if _GENERATOR.sub(b"", one) != _GENERATOR.sub(b"", two):
        return compare_text(one, two, subject)
    return _set_aside(subject, "wheel generator")


def _record(one: bytes, two: bytes, subject: str) -> Difference:
    """Lines in any order; that of WHEEL follows from WHEEL, which is compared itself."""
    try:
        rows = [_rows(data) for data in (one, two)]
    except (csv.Error, UnicodeDecodeError) as error:
        raise ContentError(f"RECORD cannot be read: {error}") from None
    if len(rows[0]) != len(rows[1]) or dict(rows[0]) != dict(rows[1]):
        return compare_text(one, two, subject)
    ordered = [name for name, _ in rows[0]] == [name for name, _ in rows[1]]
    return _set_aside(subject, "wheel generator" if ordered else "order of RECORD")


def _rows(data: bytes) -> list[tuple[str, tuple[str, ...]]]:
    rows = []
    for row in csv.reader(io.StringIO(data.decode(), newline="")):
        if row:
            name = row[0]
            rows.append((name, () if name.endswith(".dist-info/WHEEL") else tuple(row[1:])))
    return rows


def _set_aside(subject: str, name: str) -> Difference:
    return Difference(
        subject=subject,
        outcome=Outcome.EQUIVALENT,
        summary=f"same, other {name}",
        kind="wheel",
        canonicalised=(name,),
    )
