"""Images: what is seen against what is only said about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reproof.compare.collecting import Collector
from reproof.compare.jpeg import MAGIC as JPEG_MAGIC
from reproof.compare.jpeg import compare_jpeg
from reproof.compare.png import SIGNATURE, Png, band_rows, bands, check_size, read_png, read_text
from reproof.compare.protocol import Context, Source
from reproof.compare.special import shown
from reproof.model.difference import Difference, Outcome

if TYPE_CHECKING:
    import numpy as np

#: Texts that say when and with what an image was made, by their keywords.
_TEXTS = frozenset({"Software", "Creation Time", "date:create", "date:modify", "date:timestamp"})
_CHUNKS = {"tIME": "PNG modification time", "pHYs": "PNG physical dimensions"}


class PngComparator:
    """PNG: pixels, and what is said about them.

    Set aside by name: compression, filters, interlacing, the way colours are coded, modification time,
    physical dimensions, and the texts that say when and with what the image was made. Everything else
    is content, colour spaces and comments too. A chunk whose check sum is wrong makes it UNKNOWN.
    """

    name = "png"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Both begin with the mark of PNG."""
        return all(side.head(8) == SIGNATURE for side in (expected, actual))

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """Children: ``pixels``, and chunks that differ.

        Raises:
            ContentError: A side is damaged, or has more pixels than the limits allow.
        """
        one, two = read_png(expected, context), read_png(actual, context)
        parts = Collector(context)
        names = _compare_chunks(one, two, parts)
        parts.add(_compare_pixels(one, two, context, names))
        if one.behind != two.behind:
            parts.add(_changed("(behind the image)", "other bytes"))
        return parts.difference(
            subject, kind=self.name, summary=_summary(parts, names), canonicalised=tuple(sorted(names))
        )


class JpegComparator:
    """JPEG: the compressed image data and their tables against EXIF, comments and other remarks."""

    name = "jpeg"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Both begin with the mark of JPEG."""
        return all(side.head(3) == JPEG_MAGIC for side in (expected, actual))

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """See :func:`reproof.compare.jpeg.compare_jpeg`."""
        return compare_jpeg(expected, actual, subject, context)


def _summary(parts: Collector, names: set[str]) -> str:
    told = [f"{part.subject}: {part.summary}" for part in parts.children()[:3]]
    if told:
        return "; ".join(told)
    return f"same pixels, other {', '.join(sorted(names))}" if names else "same pixels"


def _compare_chunks(one: Png, two: Png, parts: Collector) -> set[str]:
    """Add the chunks that are content and differ; the names of those that are not, and differ."""
    before, after = _told(one), _told(two)
    names = set()
    for name in sorted({*before, *after}):
        values = [[said for said, _ in side.get(name, [])] for side in (before, after)]
        codings = [[kind for _, kind in side.get(name, [])] for side in (before, after)]
        if values[0] != values[1]:
            if name in _CHUNKS.values() or name.removeprefix("PNG text ") in _TEXTS:
                names.add(name)
                continue
            words = "is new" if not values[0] else "is gone" if not values[1] else "has another content"
            parts.add(_changed(name, words, _clip(values[0]), _clip(values[1])))
        elif codings[0] != codings[1]:
            names.add("PNG text encoding")
    common = [[kind for kind in side if kind in before and kind in after] for side in (before, after)]
    if common[0] != common[1]:
        names.add("PNG chunk order")
    return names


def _told(image: Png) -> dict[str, list[tuple[bytes, str]]]:
    """What is said beside the pixels, by name, each with the type of its chunk."""
    found: dict[str, list[tuple[bytes, str]]] = {}
    for kind, body in image.further:
        if kind in {"tEXt", "zTXt", "iTXt"}:
            keyword, text = read_text(kind, body)
            found.setdefault(f"PNG text {shown(keyword)}", []).append((text, kind))
        else:
            found.setdefault(_CHUNKS.get(kind, f"chunk {kind}"), []).append((body, kind))
    return found


def _compare_pixels(one: Png, two: Png, context: Context, names: set[str]) -> Difference:
    if (one.width, one.height) != (two.width, two.height):
        sizes = [f"{image.width} x {image.height}" for image in (one, two)]
        return _changed("pixels", f"{sizes[0]} -> {sizes[1]}", *sizes)
    coded = [
        (image.depth, image.colour, image.palette, image.transparency, image.interlaced)
        for image in (one, two)
    ]
    if coded[0] == coded[1] and b"".join(one.data) == b"".join(two.data):
        if list(one.data) != list(two.data):
            names.add("PNG chunk sizes")
        return Difference(subject="pixels", outcome=Outcome.IDENTICAL, summary="the same", kind="pixels")
    for image in (one, two):
        check_size(image, context)
    seen = _Seen(one.width)
    rows = min(band_rows(one), band_rows(two))
    for first, second in zip(bands(one, rows), bands(two, rows), strict=True):
        context.spending.check_time()
        seen.add(first, second)
    if not seen.differing:
        names.update(_codings(one, two))
    return seen.difference(one)


def _codings(one: Png, two: Png) -> set[str]:
    names = set()
    if (one.depth, one.colour) != (two.depth, two.colour):
        names.add("PNG colour type")
    elif (one.palette, one.transparency) != (two.palette, two.transparency):
        names.add("PNG palette")
    if one.interlaced is not two.interlaced:
        names.add("PNG interlacing")
    return names or {"PNG compression"}


@dataclass
class _Seen:
    """Pixels that differ so far."""

    width: int
    rows: int = 0
    differing: int = 0
    largest: int = 0
    first: tuple[int, int] | None = None
    box: tuple[int, int, int, int] | None = None

    def add(self, first: np.ndarray, second: np.ndarray) -> None:
        """Compare two bands of red, green, blue and opacity."""
        import numpy as np

        if first.dtype != second.dtype:
            first, second = (
                side.astype(np.uint16) * np.uint16(257) if side.dtype == np.uint8 else side
                for side in (first, second)
            )
        mask = (first != second).any(axis=2)
        if mask.any():
            down, across = np.nonzero(mask)
            self.differing += len(down)
            distance = np.abs(first[mask].astype(np.int32) - second[mask].astype(np.int32))
            self.largest = max(self.largest, int(distance.max()))
            if self.first is None:
                self.first = int(across[0]), self.rows + int(down[0])
            found = int(across.min()), self.rows + int(down[0]), int(across.max()), self.rows + int(down[-1])
            old = self.box or found
            self.box = min(old[0], found[0]), min(old[1], found[1]), max(old[2], found[2]), found[3]
        self.rows += len(first)

    def difference(self, image: Png) -> Difference:
        """What was found."""
        total = image.width * image.height
        if not self.differing:
            return Difference(subject="pixels", outcome=Outcome.IDENTICAL, summary="the same", kind="pixels")
        facts: dict[str, Any] = {
            "size": [image.width, image.height],
            "differing": self.differing,
            "max_channel": self.largest,
            "first": list(self.first or ()),
            "box": list(self.box or ()),
        }
        words = (
            f"{self.differing:,} of {total:,} pixels differ, by at most {self.largest} in a channel, "
            f"first at x {facts['first'][0]}, y {facts['first'][1]}"
        )
        return Difference(
            subject="pixels", outcome=Outcome.DIFFERENT, summary=words, kind="pixels", evidence=facts
        )


def _changed(
    subject: str, summary: str, expected: str | None = None, actual: str | None = None
) -> Difference:
    return Difference(
        subject=subject,
        outcome=Outcome.DIFFERENT,
        summary=summary,
        kind="image",
        expected=expected,
        actual=actual,
    )


def _clip(values: list[bytes]) -> str | None:
    return shown(b", ".join(values)[:120].decode("utf-8", "backslashreplace")) if values else None
