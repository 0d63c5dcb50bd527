"""Reading PNG: chunks with their checks, and pixels band by band (W3C PNG, third edition)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reproof.compare.png_filters import unfilter
from reproof.compare.protocol import ContentError, Context, LimitError, Source

if TYPE_CHECKING:
    import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_DECODED = 96 << 20
_BAND_BYTES = 8 << 20
_BAND_ROWS = 1024
_MAX_TEXT = 1 << 20
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
#: First column, first row, step of columns, step of rows of the seven passes of Adam7.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


@dataclass(frozen=True)
class Png:
    """A PNG file taken apart.

    Attributes:
        width: Pixels.
        height: Pixels.
        depth: Bits of a sample.
        colour: Colour type of the format: 0, 2, 3, 4 or 6.
        interlaced: Whether the seven passes of Adam7 are used.
        palette: Of colour type 3: three bytes for each colour.
        transparency: The tRNS chunk.
        data: The compressed pixels, as they lie in the IDAT chunks.
        further: Type and data of all other chunks, in order.
        behind: What stands behind the image.
    """

    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool
    palette: bytes
    transparency: bytes
    data: Sequence[bytes] = field(repr=False)
    further: Sequence[tuple[str, bytes]] = field(repr=False)
    behind: bytes = field(repr=False)

    @property
    def row_bytes(self) -> int:
        """Bytes of a whole row without its filter."""
        return _row_bytes(self.width, self)

    @property
    def sample_width(self) -> int:
        """Bytes from a pixel to the next; at least 1."""
        return max(1, _CHANNELS[self.colour] * self.depth // 8)


def read_png(source: Source, context: Context) -> Png:
    """The chunks of `source`.

    Raises:
        ContentError: No PNG, cut off, a wrong check sum in any chunk, or impossible values.
    """
    data = source.read(context.limits.max_bytes_in_memory)
    if not data.startswith(SIGNATURE):
        raise ContentError("it does not begin like a PNG file")
    chunks, end = _chunks(data, context)
    if not chunks or chunks[0][0] != "IHDR" or len(chunks[0][1]) != 13:
        raise ContentError("it has no header")
    header = chunks[0][1]
    colour, depth = header[9], header[8]
    if depth not in _DEPTHS.get(colour, ()) or header[10] or header[11] or header[12] > 1:
        raise ContentError("its header has values that are not known")
    size = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
    if not all(0 < length < 1 << 31 for length in size):
        raise ContentError("an image of no size cannot be")
    used = {"IHDR", "IDAT", "IEND", "tRNS"} | ({"PLTE"} if colour == 3 else set())
    return Png(
        *size,
        depth=depth,
        colour=colour,
        interlaced=header[12] == 1,
        palette=_only(chunks, "PLTE") if colour == 3 else b"",
        transparency=_only(chunks, "tRNS"),
        data=[body for kind, body in chunks if kind == "IDAT"],
        further=[(kind, body) for kind, body in chunks if kind not in used],
        behind=data[end:],
    )


def read_text(kind: str, body: bytes) -> tuple[str, bytes]:
    """Keyword and text of a ``tEXt``, ``zTXt`` or ``iTXt`` chunk; the text in UTF-8 with its tags.

    Raises:
        ContentError: It does not follow the format.
    """
    keyword, zero, rest = body.partition(b"\0")
    if not zero:
        raise ContentError(f"a {kind} chunk has no keyword")
    name = keyword.decode("latin-1")
    if kind == "tEXt":
        return name, rest.decode("latin-1").encode()
    if kind == "zTXt":
        if rest[:1] != b"\0":
            raise ContentError("a zTXt chunk is compressed in a way that is not known")
        return name, _inflated(rest[1:]).decode("latin-1").encode()
    if len(rest) < 2 or rest[0] > 1 or rest[1]:
        raise ContentError("an iTXt chunk has values that are not known")
    tags, text = rest[2:].split(b"\0", 2)[:2], rest[2:].split(b"\0", 2)[-1]
    text = _inflated(text) if rest[0] else text
    return name, text if tags == [b"", b""] else b"\0".join((*tags, text))


def check_size(image: Png, context: Context) -> None:
    """Raises LimitError when decoding would cost more than the limits allow."""
    total = image.row_bytes * image.height
    if total > _MAX_DECODED:
        raise LimitError(f"{image.width:,} x {image.height:,} pixels are more than the limit")
    context.spending.expand(total)


def band_rows(image: Png) -> int:
    """How many rows are decoded together."""
    return max(1, min(_BAND_ROWS, image.height, _BAND_BYTES // image.row_bytes))


def bands(image: Png, rows: int) -> Iterator[np.ndarray]:
    """The pixels, `rows` rows at a time, as red, green, blue and opacity: uint8, or uint16 for depth 16.

    Raises:
        ContentError: The compressed data are damaged, or not as many as the size needs.
    """
    stream = _Inflating(image.data)
    if image.interlaced:
        whole = _interlaced(image, stream)
        stream.finish()
        for start in range(0, image.height, rows):
            yield _coloured(image, whole[start : start + rows])
        return
    for pixels in _pass(image, stream, image.width, image.height, rows):
        yield _coloured(image, pixels)
    stream.finish()


def _chunks(data: bytes, context: Context) -> tuple[list[tuple[str, bytes]], int]:
    """Type and data of each chunk, and where the image ends."""
    chunks: list[tuple[str, bytes]] = []
    position = len(SIGNATURE)
    while True:
        length = int.from_bytes(data[position : position + 4], "big")
        end = position + 12 + length
        if position + 12 > len(data) or end > len(data):
            raise ContentError("cut off within a chunk")
        kind = data[position + 4 : position + 8]
        if not (kind.isalpha() and kind.isascii()):
            raise ContentError("a chunk has no valid type")
        if zlib.crc32(data[position + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise ContentError(f"damaged: the check sum of a {kind.decode()} chunk is wrong")
        context.spending.visit()
        chunks.append((kind.decode(), data[position + 8 : end - 4]))
        position = end
        if kind == b"IEND":
            return chunks, end


def _only(chunks: list[tuple[str, bytes]], wanted: str) -> bytes:
    found = [body for kind, body in chunks if kind == wanted]
    if len(found) > 1:
        raise ContentError(f"it has more than one {wanted} chunk")
    return found[0] if found else b""


def _inflated(data: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        text = inflater.decompress(data, _MAX_TEXT)
    except zlib.error as error:
        raise ContentError(f"damaged: {error}") from None
    if not inflater.eof:
        raise LimitError("a compressed text is cut off or too long")
    return text


class _Inflating:
    """The decompressed pixels, a number of bytes at a time."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = iter(pieces)
        self._inflater = zlib.decompressobj()
        self._waiting = b""

    def read(self, count: int) -> bytes:
        """Exactly `count` bytes; ContentError where there are fewer."""
        found = bytearray()
        while len(found) < count:
            part = self._inflate(count - len(found))
            if not part:
                raise ContentError("cut off within the pixels")
            found += part
        return bytes(found)

    def finish(self) -> None:
        """Raises ContentError when there is more than the image needs."""
        if (
            self._inflate(1)
            or not self._inflater.eof
            or self._inflater.unused_data
            or next(self._pieces, b"")
        ):
            raise ContentError("it has other pixels than its size needs")

    def _inflate(self, limit: int) -> bytes:
        """Up to `limit` bytes; none only at the end."""
        while True:
            try:
                part = self._inflater.decompress(self._waiting, limit)
            except zlib.error as error:
                raise ContentError(f"damaged: {error}") from None
            self._waiting = self._inflater.unconsumed_tail
            if part or self._inflater.eof:
                return part
            if not self._waiting:
                following = next(self._pieces, None)
                if following is None:
                    return b""
                self._waiting = following


def _row_bytes(width: int, image: Png) -> int:
    return (width * _CHANNELS[image.colour] * image.depth + 7) // 8


def _pass(image: Png, stream: _Inflating, width: int, height: int, rows: int) -> Iterator[np.ndarray]:
    """Samples of some rows: (rows, width, channels)."""
    import numpy as np

    length = _row_bytes(width, image)
    previous = np.zeros(length, np.uint8)
    for start in range(0, height, rows):
        count = min(rows, height - start)
        raw = np.frombuffer(stream.read(count * (length + 1)), np.uint8).reshape(count, length + 1)
        done = unfilter(raw, image.sample_width, previous)
        previous = done[-1]
        yield _samples(image, done, width)


def _interlaced(image: Png, stream: _Inflating) -> np.ndarray:
    import numpy as np

    dtype = np.uint16 if image.depth == 16 else np.uint8
    whole = np.zeros((image.height, image.width, _CHANNELS[image.colour]), dtype)
    for left, top, across, down in _PASSES:
        part = whole[top::down, left::across]
        if part.size:
            at = 0
            for pixels in _pass(image, stream, part.shape[1], part.shape[0], _BAND_ROWS):
                part[at : at + len(pixels)] = pixels
                at += len(pixels)
    return whole


def _samples(image: Png, rows: np.ndarray, width: int) -> np.ndarray:
    import numpy as np

    channels = _CHANNELS[image.colour]
    if image.depth == 16:
        return np.ascontiguousarray(rows).view(">u2").astype(np.uint16).reshape(len(rows), width, channels)
    if image.depth == 8:
        return rows.reshape(len(rows), width, channels)
    bits = np.unpackbits(rows, axis=1)[:, : width * image.depth].reshape(len(rows), width, image.depth)
    weights = (1 << np.arange(image.depth - 1, -1, -1)).astype(np.uint8)
    summed: np.ndarray = (bits * weights).sum(axis=2, dtype=np.uint8)[:, :, None]
    return summed


def _coloured(image: Png, samples: np.ndarray) -> np.ndarray:
    """Samples as red, green, blue and opacity."""
    import numpy as np

    if image.colour == 3:
        return _looked_up(image, samples[:, :, 0])
    largest = 65535 if image.depth == 16 else 255
    result = np.empty((*samples.shape[:2], 4), samples.dtype)
    has_alpha = image.colour in {4, 6}
    plain = samples[:, :, :-1] if has_alpha else samples
    result[:, :, 3] = samples[:, :, -1] if has_alpha else largest
    if image.transparency and not has_alpha:
        need = 2 * plain.shape[2]
        if len(image.transparency) != need:
            raise ContentError("its tRNS chunk has a wrong length")
        clear = np.frombuffer(image.transparency, ">u2")
        result[:, :, 3][(plain == clear).all(axis=2)] = 0
    result[:, :, :3] = plain * (255 // ((1 << image.depth) - 1)) if image.depth < 8 else plain
    return result


def _looked_up(image: Png, indexes: np.ndarray) -> np.ndarray:
    import numpy as np

    if len(image.palette) % 3 or not 0 < len(image.palette) <= 768 or len(image.transparency) > 256:
        raise ContentError("its palette has a wrong length")
    colours = np.frombuffer(image.palette, np.uint8).reshape(-1, 3)
    if indexes.size and int(indexes.max()) >= len(colours):
        raise ContentError("a pixel has a colour that is not in the palette")
    table = np.full((len(colours), 4), 255, np.uint8)
    table[:, :3] = colours
    clear = np.frombuffer(image.transparency, np.uint8)[: len(colours)]
    table[: len(clear), 3] = clear
    found: np.ndarray = table[indexes]
    return found
