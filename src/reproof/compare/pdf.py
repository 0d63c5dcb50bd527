"""PDF: object by object from the root, streams decompressed; what tells the time is set aside.

Format: ISO 32000-1.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from reproof.compare.collecting import Collector
from reproof.compare.pdf_file import Pdf, Stream, decoded, read_pdf
from reproof.compare.pdf_values import Name, Reference
from reproof.compare.protocol import Context, LimitError, Source
from reproof.compare.svg_events import VERSION
from reproof.compare.tables import clipped
from reproof.model.difference import Difference, Outcome

_MAX_STEPS = 3_000_000
_STRUCTURE = {"Size", "Prev", "XRefStm", "ID"}
_CODING = {"Length", "Filter", "DecodeParms"}
_INFO = {
    "CreationDate": "PDF creation date",
    "ModDate": "PDF modification date",
    "Producer": "PDF producer",
}
_CREATOR = re.compile(rb"Matplotlib v" + VERSION.encode() + rb"(?=, |$)")
_XMP_NAMES = rb"xmp:(?:Create|Modify|Metadata)Date|xmpMM:(?:Document|Instance)ID|pdf:Producer"
_XMP = re.compile(
    rb"<(" + _XMP_NAMES + rb")>[^<]*</\1>|(?<=\s)(" + _XMP_NAMES + rb")=(?:\"[^\"<]*\"|'[^'<]*')"
)


class PdfComparator:
    """PDF: the objects that the document is made of, with their streams decompressed.

    Set aside by name: creation and modification date and producer in the document's own information,
    the version of matplotlib there, the same in its XMP metadata, file identifiers, cross-reference
    tables, object numbers and order, compression, blanks and comments. Encrypted files are UNKNOWN.
    """

    name = "pdf"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Both begin with the mark of PDF."""
        return all(side.head(5) == b"%PDF-" for side in (expected, actual))

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """Children are values, each under its path from the root: ``Root/Pages/Kids[0]/Contents``.

        Raises:
            ContentError: A side is damaged, encrypted, or its tables do not fit.
            LimitError: A side has too many objects or expands too much.
        """
        limit = context.limits.max_bytes_in_memory // 2  # parsed objects take more
        data = expected.read(limit), actual.read(limit)
        walk = _Walk(read_pdf(data[0], context), read_pdf(data[1], context), context)
        walk.run()
        if not walk.names and walk.parts.outcome is Outcome.IDENTICAL and data[0] != data[1]:
            walk.names.add("PDF layout")
        names = tuple(sorted(walk.names))
        changed = walk.parts.differing
        if changed:
            first = walk.parts.children()[0]
            words = f"{changed:,} {'part differs' if changed == 1 else 'parts differ'}"
            summary = f"{words}, first {first.subject}: {first.summary}"
        else:
            summary = f"same content, other {', '.join(names)}" if names else "same content"
        return walk.parts.difference(subject, kind=self.name, summary=summary, canonicalised=names)


class _Walk:
    """Walks both graphs together; each pair of objects is visited once."""

    def __init__(self, one: Pdf, two: Pdf, context: Context) -> None:
        self.parts = Collector(context)
        self.names: set[str] = set()
        self._sides = one, two
        self._context = context
        self._visited: set[tuple[Reference, Reference]] = set()
        self._pending: list[tuple[str, Any, Any]] = []

    def run(self) -> None:
        """Compare all that the trailers lead to; what was found stands in the attributes."""
        one, two = self._sides
        if one.version != two.version:
            self._changed("version", one.version, two.version)
        if one.trailer.get("ID") != two.trailer.get("ID"):
            self.names.add("PDF file identifiers")
        if one.tables != two.tables:
            self.names.add("PDF cross-reference tables")
        older = [[_plain_trailer(trailer) for trailer in side.earlier] for side in (one, two)]
        if older[0] != older[1]:
            self._changed("earlier trailers", repr(older[0]), repr(older[1]))
        ends = [_plain_trailer(side.trailer) for side in (one, two)]
        self._dictionary("", ends[0], ends[1])
        steps = 0
        while self._pending:
            steps += 1
            if steps > _MAX_STEPS:
                raise LimitError(f"more than {_MAX_STEPS:,} values")
            if steps % 4096 == 0:
                self._context.spending.check_time()
            self._pair(*self._pending.pop())
        self._unreached()

    def _pair(self, path: str, first: Any, second: Any) -> None:
        """Compare two values; what lists hold waits in `_pending`, so that depth takes no recursion."""
        if isinstance(first, Reference) and isinstance(second, Reference):
            if (first, second) in self._visited:
                return
            self._visited.add((first, second))
            if first != second:
                self.names.add("PDF object numbers")
        elif isinstance(first, Reference) is not isinstance(second, Reference):
            # a value in place or behind a reference is the same value; both objects count as seen
            self._visited.add((_reference(first), _reference(second)))
            self.names.add("PDF object numbers")
        one, two = self._sides[0].resolved(first), self._sides[1].resolved(second)
        if type(one) is not type(two):
            self._changed(path, _text(one), _text(two))
        elif isinstance(one, Stream):
            self._streams(path, one, two)
        elif isinstance(one, dict):
            self._dictionary(path, one, two)
        elif isinstance(one, list):
            if len(one) != len(two):
                self._changed(path, f"{len(one):,} items", f"{len(two):,} items")
            pairs = list(enumerate(zip(one, two, strict=False)))
            self._pending += [(f"{path}[{place}]", *pair) for place, pair in reversed(pairs)]
        elif one != two and not self._is_maker(path, one, two):
            self._changed(path, _text(one), _text(two))

    def _dictionary(self, path: str, first: dict[str, Any], second: dict[str, Any]) -> None:
        for key in sorted({*first, *second}, reverse=True):
            place = f"{path}/{key}" if path else key
            if key in first and key in second:
                self._pending.append((place, first[key], second[key]))
            elif path == "Info" and key in _INFO:
                self.names.add(_INFO[key])
            else:
                self._changed(
                    place,
                    _text(first[key]) if key in first else None,
                    _text(second[key]) if key in second else None,
                )

    def _is_maker(self, path: str, first: Any, second: Any) -> bool:
        """Whether a value only says when and by what version the document was made."""
        top, _, key = path.partition("/")
        if top != "Info" or not (isinstance(first, bytes) and isinstance(second, bytes)):
            return False
        if key in _INFO:
            self.names.add(_INFO[key])
            return True
        if key == "Creator" and _CREATOR.sub(b"", first, count=1) == _CREATOR.sub(b"", second, count=1):
            self.names.add("PDF creator version")
            return True
        return False

    def _streams(self, path: str, first: Stream, second: Stream) -> None:
        facts = [
            {key: value for key, value in side.facts.items() if key not in _CODING}
            for side in (first, second)
        ]
        self._dictionary(path, facts[0], facts[1])
        coding = [
            [self._plain(pdf, side.facts.get(key)) for key in ("Filter", "DecodeParms")]
            for pdf, side in zip(self._sides, (first, second), strict=True)
        ]
        if first.raw == second.raw and coding[0] == coding[1]:
            return
        one, two = (
            decoded(side, pdf, self._context) for side, pdf in zip((first, second), self._sides, strict=True)
        )
        if one is None or two is None:
            sizes = [f"{len(side.raw):,} bytes" for side in (first, second)]
            self._changed(f"{path}/stream", sizes[0], sizes[1], "encoded data differ")
        elif one == two:
            self.names.add("PDF stream compression")
        elif path == "Root/Metadata" and _XMP.sub(b"", one) == _XMP.sub(b"", two):
            self.names.add("PDF XMP dates and identifiers")
        else:
            self._content(f"{path}/stream", one, two)

    def _plain(self, pdf: Pdf, value: Any) -> str:
        """A filter and its parameters as text, for telling whether they are the same."""
        value = pdf.resolved(value)
        if isinstance(value, list):
            return repr([pdf.resolved(each) for each in value])
        return repr(value)

    def _content(self, path: str, first: bytes, second: bytes) -> None:
        """Where two decompressed streams part, with the operators around."""
        low, high = 0, min(len(first), len(second))
        while low < high:
            middle = (low + high + 1) // 2
            if first[:middle] == second[:middle]:
                low = middle
            else:
                high = middle - 1
        start = max(first.rfind(b"\n", 0, low) + 1, low - 40)
        shown = [side[start : start + 80].split(b"\n")[0].decode("latin-1") for side in (first, second)]
        self._changed(path, shown[0], shown[1], f"content differs at offset {low:,} of {len(first):,}")

    def _unreached(self) -> None:
        """Objects that the document does not use are compared as they are written."""
        found = []
        for side, pdf in enumerate(self._sides):
            seen = {pair[side] for pair in self._visited} | pdf.structural
            rest = Counter(pdf.unnamed)
            for reference, value in pdf.objects.items():
                if reference in seen:
                    continue
                if isinstance(value, dict) and "Linearized" in value:
                    continue
                rest[pdf.texts[reference]] += 1
            found.append(rest)
        if found[0] != found[1]:
            counts = [f"{sum(rest.values()):,} objects" for rest in found]
            self._changed("(unused)", counts[0], counts[1], "objects that the document does not use differ")

    def _changed(self, path: str, expected: str | None, actual: str | None, words: str = "") -> None:
        before = "absent" if expected is None else clipped(expected)
        after = "absent" if actual is None else clipped(actual)
        self.parts.add(
            Difference(
                subject=clipped(path),
                outcome=Outcome.DIFFERENT,
                summary=f"{words}: {before} -> {after}" if words else f"{before} -> {after}",
                kind="pdf",
                expected=before,
                actual=after,
            )
        )


def _plain_trailer(trailer: dict[str, Any]) -> dict[str, Any]:
    """A trailer without what only serves the file's structure."""
    return {key: value for key, value in trailer.items() if key not in _STRUCTURE}


def _reference(value: Any) -> Reference:
    return value if isinstance(value, Reference) else Reference(-1, 0)


def _text(value: Any) -> str:
    if isinstance(value, Name):
        return f"/{value}"
    if isinstance(value, bytes):
        return value[:200].decode("latin-1")
    if isinstance(value, Stream):
        return f"a stream of {len(value.raw):,} bytes"
    if isinstance(value, dict | list):
        return f"{'a dictionary' if isinstance(value, dict) else 'an array'} of {len(value):,}"
    return "null" if value is None else str(value)
