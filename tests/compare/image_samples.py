"""Valid images: PNG, JPEG, SVG, PDF; see samples.py."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
Chunks = Sequence[tuple[bytes, bytes]]


def picture(height: int = 19, width: int = 23, channels: int = 3) -> np.ndarray:
    down, across = np.mgrid[0:height, 0:width]
    planes = [(across * (plane + 3) + down * 5 + across * down // 7) % 256 for plane in range(channels)]
    return np.stack(planes, axis=-1).astype(np.uint8)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def filtered(rows: np.ndarray, width: int, kinds: Sequence[int]) -> bytes:
    """Rows of bytes with the row filters `kinds` in turn; written from the definition, byte by byte."""
    out = bytearray()
    above = [0] * rows.shape[1]
    for number, row in enumerate(rows.tolist()):
        kind = kinds[number % len(kinds)]
        out.append(kind)
        for place, value in enumerate(row):
            left = row[place - width] if place >= width else 0
            corner = above[place - width] if place >= width else 0
            guess = (0, left, above[place], (left + above[place]) // 2, paeth(left, above[place], corner))[
                kind
            ]
            out.append((value - guess) % 256)
        above = row
    return bytes(out)


def paeth(left: int, above: int, corner: int) -> int:
    guess = left + above - corner
    return min((left, above, corner), key=lambda value: abs(guess - value))


def packed(samples: np.ndarray, depth: int) -> np.ndarray:
    """Samples (rows, width, channels) as bytes of rows."""
    if depth == 16:
        return samples.astype(">u2").view(np.uint8).reshape(len(samples), -1)
    if depth == 8:
        return samples.reshape(len(samples), -1)
    bits = (samples[:, :, :1] >> np.arange(depth - 1, -1, -1)) & 1
    return np.packbits(bits.reshape(len(samples), -1).astype(np.uint8), axis=1)


def png(
    samples: np.ndarray,
    colour: int = 2,
    depth: int = 8,
    *,
    kinds: Sequence[int] = (0, 1, 2, 3, 4),
    interlaced: bool = False,
    before: Chunks = (),
    after: Chunks = (),
    level: int = 9,
    pieces: int = 1,
) -> bytes:
    width = max(1, samples.shape[2] * depth // 8)
    parts = (
        [samples[top::down, left::across] for left, top, across, down in PASSES] if interlaced else [samples]
    )
    raw = b"".join(filtered(packed(part, depth), width, kinds) for part in parts if part.size)
    data = zlib.compress(raw, level)
    step = -(-len(data) // pieces)
    header = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], depth, colour, 0, 0, interlaced)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            *(chunk(*each) for each in before),
            *(chunk(b"IDAT", data[start : start + step]) for start in range(0, len(data), step)),
            *(chunk(*each) for each in after),
            chunk(b"IEND", b""),
        )
    )


# the same picture in two qualities, and a grey one
FINE = base64.b85decode(
    "|JeWF01!$>Nk#wx0RR9200961|JwjV00jdC1Ox*G1Ox;H1qB8N3<w7Y2L}%e3keJn4-yg)4-pX)791B76dDx~5f~vD8XX-UA0HDJ"
    "A|xUnBpe<e9{<|_LjeT^1qTKP4hRSi9uyH29v&VZ9v&VZ9v&VZ9v&VZ9v&VZ9v&VZ9v&VZ9v&VZ9v&VZ9v&VZ9v&VZ9v&VZ9v=U|"
    "01*fP7yuvx0U`hb5di}c0sq7R82|tR0|5X40000000000000061qTQO|HJ?#5C8!J1p@^E0RR9100000009C800RaQ5(FZl6Coop"
    "K?gGb!~hln0RaI30000000000000000|W;D!~i1^009F71Ofv900000000000RjUA00j{tA~8ZiQ4(Qs|Jncy0|5X65d#qbKLE_k"
    "tl1RohjvyRt+R;lr<t-T*%mcC!+dr{4Ny5yEVSkE@$nAqw6*Qy;u~q|Zut24hTTM#%6YDPgN)g7B<azd$&3C_K40l3_5fUxKpw;-"
    "tAu-dCFu(Ir;oCH068T116q_ax0V}hWS#)3HkW3(M#!}(b{pffh#-"
    "S%s&b~QdXb`lVLIJuNz@dcgp7h!H9%bVJ%T_Wsb{i5`bY;VSAU{DR_>^tl_2!ektt|FOsQAytR=4I>L6W8B%fY_Y(W|88!5U>epI"
    "c+wXG=~QWBz_2eJmIllg!&j>uh_*B$74TzD%h>;O2zPh96xH+mpf|Je"
)
COARSE = base64.b85decode(
    "|JeWF01!$>Nk#wx0RR9200961|JwjV02B@n5)Ta&5)cv>6%-"
    "gAG9exu93DL^E+jHZKuk+VKt@GST61DhRc%&9Mr4R(ZFhTtf`Lw8jhBplmUDiAeE-`3Lje^R7akfOJ0T%Ed{ahKe0+R-e0+R-"
    "e0+R-e0+R-e0+R-e0+R-e0+R-e0+R-e0+R-e0+R-e0+R-e0+R-"
    "e0=}F01*fP7yuvx0U`hb5di}c0sq7R82|tR0|5X40000000000000040tE&G|HJ?!5C8xL0|NyC0000000000000330|X&4VFeLU"
    "5;8$TvGD)I02ToO0RaF20000000000000020R;cV038tk0s{a70{{R300000000010ssRM5+M^Y(f`^23<CiG0ucid06zfCvc?0<"
    "$H1EmT7t=l_y|H`?8d-(n3xT*8q^LcEyig}aLFl2Zf1T3YZkG|j5tZbD5EiI3s}+ZKmb7zo#shvPGhZo-"
    "l^yJBPlmhdV8d;%9b)J7dsLC00w$TmD!uTBnhOkrln-|+uzCm*#"
)
GREY = base64.b85decode(
    "|JeWF01!$>Nk#wx0RR9200961|JwjV01yid4h#wq4h;?x5fBp?C>j_R78o%jB^@X_Gd(;xGdMRuNL)@pL{~*OI8bd-"
    "S6^ahXlFi6ad~iLcwA*?WB<Sa3kU!Z01yEI5di<h02TlN0RaF20000000000000041qT1b02&Yg0{{a70000000000000001Q7!v"
    "K{5Z@00;pA002J#$6;RZb`@^~F1?y5F0YzD|Je"
)


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def jpeg(data: bytes = FINE, *segments: bytes) -> bytes:
    """A JPEG file with segments behind its first marker."""
    return data[:2] + b"".join(segments) + data[2:]


def exif(orientation: int, made: bytes = b"2020:01:01 00:00:00\0") -> bytes:
    entries = struct.pack("<HHII", 0x0112, 3, 1, orientation) + struct.pack("<HHII", 0x0132, 2, len(made), 38)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + entries + struct.pack("<I", 0) + made


SVG = """<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
<svg xmlns:xlink="http://www.w3.org/1999/xlink" width="10pt" viewBox="0 0 9 9" xmlns="http://www.w3.org/2000/svg">
 <metadata><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
  xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:cc="http://creativecommons.org/ns#"><cc:Work>
  <dc:date>2026-01-01T00:00:00</dc:date>
  <dc:creator><cc:Agent><dc:title>Matplotlib v3.10.0, https://matplotlib.org/</dc:title></cc:Agent></dc:creator>
 </cc:Work></rdf:RDF></metadata>
 <!-- drawn -->
 <g id="figure_1" clip-path="url(#p0123456789)">
  <path id="m8b45e98b21" d="M 0 0 L 0 3.5" style="stroke: #000000"/>
  <use xlink:href="#m8b45e98b21" x="1.5" y="2"/>
  <text style="fill: #ff0000" x="1">loss  <tspan>a</tspan> &amp; b</text>
 </g>
 <defs><clipPath id="p0123456789"><rect x="0" y="0" width="5" height="5"/></clipPath></defs>
</svg>
"""


def pdf(
    objects: dict[int, bytes],
    *,
    info: bytes = b"",
    identifier: bytes = b"",
    order: Sequence[int] = (),
    extra: bytes = b"",
) -> bytes:
    """A file with a cross-reference table, of objects by number; 1 is the root."""
    if info:
        objects = {**objects, 90: b"<< " + info + b" >>"}
    data = bytearray(b"%PDF-1.4\n%\xac\xdc \xab\xba\n")
    places = {}
    for number in order or objects:
        places[number] = len(data)
        data += b"%d 0 obj\n" % number + objects[number] + b"\nendobj\n"
    start = len(data)
    data += extra + b"xref\n0 1\n0000000000 65535 f \n"
    start += len(extra)
    for number in sorted(places):
        data += b"%d 1\n%010d 00000 n \n" % (number, places[number])
    trailer = b"/Size 91 /Root 1 0 R" + (b" /Info 90 0 R" if info else b"")
    trailer += b" /ID [<%s> <%s>]" % (identifier, identifier) if identifier else b""
    return bytes(data) + b"trailer\n<< " + trailer + b" >>\nstartxref\n%d\n%%%%EOF\n" % start


def stream(data: bytes, facts: bytes = b"", *, level: int | None = None) -> bytes:
    if level is not None:
        data = zlib.compress(data, level)
        facts += b" /Filter /FlateDecode"
    return b"<< /Length %d%s >>\nstream\n" % (len(data), facts) + data + b"\nendstream"


DRAWN = b"0.5 0.25 1 rg\n10 10 m\n20 30.5 l\nS\n"


def page(contents: bytes, title: bytes = b"(A \\(small\\) page)") -> dict[int, bytes]:
    return {
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        2: b"<< /Type /Pages /Kids [ 3 0 R ] /Count 1 >>",
        3: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792.5] /Contents 4 0 R /Title " + title + b" >>",
        4: contents,
    }


INFO = b"/Creator (Matplotlib v3.10.0, https://matplotlib.org) /Producer (pdf backend v3.10.0) /CreationDate (D:20260101)"


def _written(folder: Path, files: dict[str, bytes]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in files]


def _png(folder: Path) -> list[Path]:
    other = picture()
    other[3, 4, 1] += 1
    return _written(
        folder,
        {
            "a.png": png(picture()),
            "b.png": png(picture(), interlaced=True, after=[(b"tEXt", b"Software\0one")]),
            "c.png": png(other, kinds=(0,)),
            "d.png": png(picture(5, 9, 1), 0),
            "e.png": png(
                picture(5, 9, 4), 6, after=[(b"tEXt", b"Comment\0x"), (b"iTXt", b"Title\0\0\0\0\0\xc3\xa9")]
            ),
            "f.png": png(
                picture(6, 7, 1) % 4, 3, 2, before=[(b"PLTE", bytes(range(12))), (b"tRNS", b"\0\x80")]
            ),
            "g.png": png(picture(6, 7, 3).astype(np.uint16) * 250, 2, 16),
        },
    )


def _jpeg(folder: Path) -> list[Path]:
    return _written(
        folder,
        {
            "a.jpg": jpeg(),
            "b.jpg": jpeg(FINE, segment(0xFE, b"a comment")),
            "c.jpg": jpeg(COARSE),
            "d.jpeg": jpeg(FINE, segment(0xE1, exif(6))),
            "e.jpeg": jpeg(GREY),
        },
    )


def _svg(folder: Path) -> list[Path]:
    return _written(
        folder,
        {
            "a.svg": SVG.encode(),
            "b.svg": SVG.replace("8b45e98b21", "aaaaaaaaaa").replace("2026-01-01", "2027-02-02").encode(),
            "c.svg": SVG.replace("3.5", "3.6")
            .encode("utf-16")
            .replace(b"u\0t\0f\0-\x008\0", b"u\0t\0f\0-\x001\x006\0"),
            "d.svg": b"<svg/>",
        },
    )


def _pdf(folder: Path) -> list[Path]:
    return _written(
        folder,
        {
            "a.pdf": pdf(page(stream(DRAWN, level=9)), info=INFO),
            "b.pdf": pdf(
                page(stream(DRAWN)),
                info=INFO.replace(b"2026", b"2027"),
                identifier=b"ab",
                order=(4, 3, 2, 1, 90),
            ),
            "c.pdf": pdf(page(stream(DRAWN.replace(b"30.5", b"30.6"), level=9))),
        },
    )


def _content(
    name: str, data: bytes, *stretches: bytes | tuple[int, int]
) -> Callable[[Path], tuple[Path, list[int]]]:
    def build(folder: Path) -> tuple[Path, list[int]]:
        (path,) = _written(folder, {name: data})
        places: list[int] = []
        for each in stretches:
            start, length = each if isinstance(each, tuple) else (data.index(each), len(each))
            places += range(start, start + length)
        return path, [place for place in places if not (name.endswith(".pdf") and data[place] in b" \n")]

    return build


_PNG = png(picture(), before=[(b"gAMA", b"\0\0\xb1\x8f")], after=[(b"tEXt", b"Comment\0content")], level=0)
_SVG_CONTENT = (
    b'd="M 0 0 L 0 3.5"', b"stroke: #000000", b"url(#p0123456789)", b'href="#m8b45e98b21"', b'id="p0123456789"',
    b'width="10pt"', b"loss  <tspan>a</tspan> &amp; b", b'x="1.5"', b'height="5"', b"figure_1", b"<rect",
)  # fmt: skip
_PDF = pdf(page(stream(DRAWN, b" /Kind (x)")), info=INFO)


def _jpeg_content(folder: Path) -> tuple[Path, list[int]]:
    data = jpeg()
    (path,) = _written(folder, {"a.jpg": data})
    tables = data.index(b"\xff\xdb")
    return path, list(range(tables, len(data)))


SAMPLES: dict[str, Callable[[Path], list[Path]]] = {"png": _png, "jpeg": _jpeg, "svg": _svg, "pdf": _pdf}

CONTENT: dict[str, Callable[[Path], tuple[Path, list[int]]]] = {
    # every byte but those of check sums that cover nothing else; a wrong check sum is UNKNOWN anyway
    "png": _content("a.png", _PNG, (8, len(_PNG) - 8)),
    "jpeg": _jpeg_content,
    "svg": _content("a.svg", SVG.encode(), *_SVG_CONTENT),
    # objects, streams and trailer, without the dates; a flip may make one blank another
    "pdf": _content(
        "a.pdf", _PDF, DRAWN, *(bytes(each) for each in page(b"").values() if each),
        b"/Creator (Matplotlib v", b", https://matplotlib.org)", b"/Kind (x)", b"/Root 1 0 R", b"/Info 90 0 R",
    ),
}  # fmt: skip
