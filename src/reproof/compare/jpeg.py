"""JPEG without decoding: segments that make the picture against segments that speak about it.

Format: ITU-T T.81; JFIF, EXIF (orientation only) and Adobe's segment as they are commonly used.
"""

from __future__ import annotations

import io
import re
import struct
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from reproof.compare.collecting import Collector
from reproof.compare.protocol import ContentError, Context, Source
from reproof.model.difference import Difference, Outcome

MAGIC = b"\xff\xd8\xff"
_SOI, _EOI, _SOS, _COM, _APP = 0xD8, 0xD9, 0xDA, 0xFE, 0xE0
_SCAN = 0x100  # no marker: the entropy-coded data behind one
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_ORIENTATION = 0x0112
_END_OF_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_MAX_PIXELS = 40_000_000
_MODES = {"L": 1, "RGB": 3, "CMYK": 4}


@dataclass
class Jpeg:
    """A JPEG file taken apart.

    Attributes:
        size: Width and height in pixels, of the first frame.
        content: Marker and bytes of what makes the picture: tables, frames and scans in order, ICC
            profile, colour transformation.
        remarks: Name and bytes of what only speaks about it, in order.
        orientation: How EXIF says that it is to be turned; None when it does not.
        behind: What stands behind the image.
    """

    size: tuple[int, int] = (0, 0)
    content: list[tuple[int, bytes]] = field(default_factory=list)
    remarks: list[tuple[str, bytes]] = field(default_factory=list)
    orientation: int | None = None
    behind: bytes = b""


def compare_jpeg(expected: Source, actual: Source, subject: str, context: Context) -> Difference:
    """How two JPEG files relate.

    The same tables and scans are the same picture; EXIF (without orientation), XMP, comments and the
    like are set aside by name. Other compressed data are DIFFERENT: they are not decoded here. Where
    Pillow is installed it counts the pixels that differ.

    Raises:
        ContentError: A side is no whole JPEG file.
    """
    limit = context.limits.max_bytes_in_memory
    data = expected.read(limit), actual.read(limit)
    one, two = read_jpeg(data[0], context), read_jpeg(data[1], context)
    parts = Collector(context)
    if one.size != two.size:
        sizes = [f"{width} x {height}" for width, height in (one.size, two.size)]
        parts.add(_changed("image", f"{sizes[0]} -> {sizes[1]}", {"sizes": [list(one.size), list(two.size)]}))
    elif one.content != two.content:
        words, facts = _pixels(data, one.size)
        parts.add(_changed("image", f"compressed image data differ; {words}", facts))
    if one.orientation != two.orientation:
        parts.add(_changed("orientation", f"{one.orientation or 'none'} -> {two.orientation or 'none'}", {}))
    if one.behind != two.behind:
        parts.add(_changed("(behind the image)", "other bytes", {}))
    names = _remarks(one, two)
    told = "; ".join(f"{part.subject}: {part.summary}" for part in parts.children())
    same = f"same compressed image data, other {', '.join(names)}" if names else "same compressed image data"
    return parts.difference(subject, kind="jpeg", summary=told or same, canonicalised=names)


def read_jpeg(data: bytes, context: Context) -> Jpeg:
    """The segments of a JPEG file.

    Raises:
        ContentError: It is none, is cut off, or its segments do not follow each other.
        LimitError: It has too many segments.
    """
    if not data.startswith(MAGIC):
        raise ContentError("it does not begin like a JPEG file")
    found = Jpeg()
    position = 2
    while True:
        marker, position = _marker(data, position)
        context.spending.visit()
        if marker == _EOI:
            found.behind = data[position:]
            if not any(kind == _SOS for kind, _ in found.content):
                raise ContentError("it has no image data")
            return found
        if marker in _STANDALONE:
            raise ContentError(f"marker {marker:02x} stands where it cannot be")
        if position + 2 > len(data):
            raise ContentError("cut off within a segment")
        (length,) = struct.unpack_from(">H", data, position)
        end = position + length
        if length < 2 or end > len(data):
            raise ContentError("cut off within a segment")
        body = data[position + 2 : end]
        position = end
        _sort(found, marker, body)
        if marker == _SOS:
            position = _scan_end(data, end)
            found.content.append((_SCAN, data[end:position]))


def _marker(data: bytes, position: int) -> tuple[int, int]:
    """The marker at `position`, and where its segment begins; fill bytes may stand before it."""
    if data[position : position + 1] != b"\xff":
        raise ContentError("a segment does not begin with a marker (cut off?)")
    while data[position : position + 1] == b"\xff":
        position += 1
    if position >= len(data) or data[position] == 0:
        raise ContentError("cut off within a marker")
    return data[position], position + 1


def _scan_end(data: bytes, position: int) -> int:
    """Where the entropy-coded data end: at the first marker that is no restart."""
    match = _END_OF_SCAN.search(data, position)
    if match is None:
        raise ContentError("cut off within the image data")
    return match.start()


def _sort(found: Jpeg, marker: int, body: bytes) -> None:
    """Add a segment to the content or to the remarks."""
    name = None
    if marker == _COM:
        name = "JPEG comments"
    elif marker == _APP and body.startswith((b"JFIF\0", b"JFXX\0")):
        # that there is a JFIF header tells how colours are meant; what it says are density and thumbnail
        found.content.append((marker, body[:5]))
        name = "JPEG density and thumbnail"
    elif marker == _APP + 1 and body.startswith(b"Exif\0\0"):
        found.orientation = _orientation(body[6:])
        name = "JPEG EXIF"
    elif marker == _APP + 1 and body.startswith((b"http://ns.adobe.com/xap", b"http://ns.adobe.com/xmp")):
        name = "JPEG XMP"
    elif marker == _APP + 13:
        name = "JPEG IPTC"
    if name:
        found.remarks.append((name, body))
        return
    if marker in _FRAMES and found.size == (0, 0):
        if len(body) < 5:
            raise ContentError("cut off within the frame header")
        height, width = struct.unpack_from(">HH", body, 1)
        found.size = width, height
    found.content.append((marker, body))


def _orientation(tiff: bytes) -> int | None:
    """The orientation in the first directory of EXIF; None where it is absent or cannot be read."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return None
    (start,) = struct.unpack_from(f"{order}I", tiff, 4)
    if start + 2 > len(tiff):
        return None
    (count,) = struct.unpack_from(f"{order}H", tiff, start)
    for number in range(count):
        place = start + 2 + 12 * number
        if place + 12 > len(tiff):
            return None
        tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, place)
        if tag == _ORIENTATION and kind == 3:
            return int(value)
    return None


def _remarks(one: Jpeg, two: Jpeg) -> tuple[str, ...]:
    names = {name for name, _ in (*one.remarks, *two.remarks)}
    return tuple(
        sorted(
            name
            for name in names
            if [body for kind, body in one.remarks if kind == name]
            != [body for kind, body in two.remarks if kind == name]
        )
    )


def _pixels(data: tuple[bytes, bytes], size: tuple[int, int]) -> tuple[str, dict[str, Any]]:
    """How many pixels differ as Pillow decodes them, where it is installed."""
    if size[0] * size[1] > _MAX_PIXELS:
        return "too many pixels to decode them", {"decoded": False}
    try:
        images = import_module("PIL.Image")
    except ImportError:
        return "the pixels were not decoded", {"decoded": False}
    import numpy as np

    try:
        sides = []
        for each in data:
            with images.open(io.BytesIO(each), formats=["JPEG"]) as image:
                if image.mode not in _MODES:
                    return "the pixels were not decoded", {"decoded": False}
                sides.append(np.asarray(image).reshape(image.height, image.width, -1).astype(np.int16))
    except Exception as error:
        return f"the pixels could not be decoded ({type(error).__name__})", {"decoded": False}
    if sides[0].shape != sides[1].shape:
        return "the pixels have other channels", {"decoded": True}
    distance = np.abs(sides[0] - sides[1]).max(axis=2)
    count, largest = int(np.count_nonzero(distance)), int(distance.max())
    facts = {"decoded": True, "differing": count, "max_channel": largest, "size": list(size)}
    if not count:
        return "all pixels come out the same in this decoder", facts
    return f"{count:,} of {distance.size:,} pixels differ, by at most {largest} in a channel", facts


def _changed(subject: str, summary: str, facts: dict[str, Any]) -> Difference:
    return Difference(
        subject=subject, outcome=Outcome.DIFFERENT, summary=summary, kind="image", evidence=facts
    )
