"""SVG: drawings as matplotlib and others write them, compared element by element.

Format: SVG 1.1 (W3C), as far as it is XML: nothing is drawn.
"""

from __future__ import annotations

from typing import Any

from reproof.compare.collecting import Collector
from reproof.compare.protocol import Context, Source
from reproof.compare.svg_events import Start, Svg, read_svg
from reproof.compare.tables import clipped
from reproof.compare.text import looks_like_text
from reproof.model.difference import Difference, Outcome

_END = object()


class SvgComparator:
    """SVG: the date, the version of matplotlib and its random names are set aside by name.

    So are comments, the XML declaration, the order of attributes and blanks between elements (not
    those within texts). A document with entities of its own is UNKNOWN.
    """

    name = "svg"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Text with an ``svg`` element near its beginning, or that is called so."""
        return all(
            looks_like_text(side.head())
            and (b"<svg" in side.head() or (side.name.lower().endswith(".svg") and b"<" in side.head()))
            for side in (expected, actual)
        )

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """Children are attributes, texts and elements, each under its path: ``svg/g[2]/path[1]/@d``.

        Raises:
            ContentError: A side is not well-formed or declares entities.
            LimitError: A side has too many elements.
        """
        limit = context.limits.max_bytes_in_memory // 4  # a parsed document takes much more
        data = expected.read(limit), actual.read(limit)
        one, two = read_svg(data[0]), read_svg(data[1])
        parts = Collector(context)
        if one.head != two.head:
            parts.add(_changed("document type", " ".join(one.head), " ".join(two.head)))
        if one.namespaces != two.namespaces:
            parts.add(
                _changed("namespaces", ", ".join(sorted(one.namespaces)), ", ".join(sorted(two.namespaces)))
            )
        _compare_events(one.events, two.events, parts, context)
        names = _set_aside(one, two)
        if not names and parts.outcome is Outcome.IDENTICAL and data[0] != data[1]:
            names = ["XML layout"]
        changed = parts.differing
        if changed:
            summary = (
                f"{changed:,} {'part differs' if changed == 1 else 'parts differ'}, first {_first(parts)}"
            )
        else:
            summary = f"same drawing, other {', '.join(names)}" if names else "same drawing"
        return parts.difference(subject, kind=self.name, summary=summary, canonicalised=tuple(names))


def _set_aside(one: Svg, two: Svg) -> list[str]:
    told = {
        "SVG creation date": one.dates != two.dates,
        "SVG creator version": one.creators != two.creators,
        "SVG generated ids": one.ids != two.ids,
        "XML comments": one.comments.digest() != two.comments.digest(),
        "XML declaration": one.declaration != two.declaration,
        "XML layout": one.layout.digest() != two.layout.digest(),
    }
    return [name for name, differs in told.items() if differs]


def _compare_events(one: list[Any], two: list[Any], parts: Collector, context: Context) -> None:
    """Walk both in step; where the elements part ways the rest is not compared any more."""
    place = _Place()
    for number in range(max(len(one), len(two))):
        first = one[number] if number < len(one) else _END
        second = two[number] if number < len(two) else _END
        if number % 4096 == 0:
            context.spending.check_time()
        if isinstance(first, Start) and isinstance(second, Start) and first.tag == second.tag:
            place.enter(first.tag)
            if first.attributes != second.attributes:
                _compare_attributes(place.path, first, second, parts)
        elif isinstance(first, str) and isinstance(second, str):
            if first != second:
                parts.add(_changed(f"{place.path}/text()", first, second))
        elif first is None and second is None:
            place.leave()
        elif first != second:
            parts.add(_changed(f"{place.path}/*", _word(first), _word(second)))
            return


def _compare_attributes(path: str, first: Start, second: Start, parts: Collector) -> None:
    before, after = dict(first.attributes), dict(second.attributes)
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            parts.add(_changed(f"{path}/@{_local(name)}", before.get(name), after.get(name)))


class _Place:
    """Where we are, as a path with numbers among elements of one name."""

    def __init__(self) -> None:
        self._steps: list[str] = []
        self._counts: list[dict[str, int]] = [{}]

    def enter(self, tag: str) -> None:
        """Into an element."""
        name = _local(tag)
        counts = self._counts[-1]
        counts[name] = counts.get(name, 0) + 1
        self._steps.append(f"{name}[{counts[name]}]" if self._steps else name)
        self._counts.append({})

    def leave(self) -> None:
        """Out of the element that was entered last."""
        self._steps.pop()
        self._counts.pop()

    @property
    def path(self) -> str:
        """The path, without its middle where it is long."""
        steps = self._steps if len(self._steps) <= 24 else [*self._steps[:12], "...", *self._steps[-12:]]
        return clipped("/".join(steps))


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _word(event: Any) -> str:
    if isinstance(event, Start):
        return f"<{_local(event.tag)}>"
    if event is None:
        return "the end of the element"
    return "nothing more" if event is _END else f"text {event!r}"


def _first(parts: Collector) -> str:
    part = parts.children()[0]
    return f"{part.subject}: {part.summary}"


def _changed(subject: str, expected: str | None, actual: str | None) -> Difference:
    before = "absent" if expected is None else clipped(expected)
    after = "absent" if actual is None else clipped(actual)
    return Difference(
        subject=subject,
        outcome=Outcome.DIFFERENT,
        summary=f"{before} -> {after}",
        kind="svg",
        expected=before,
        actual=after,
    )
