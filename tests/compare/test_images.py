"""PNG, JPEG, SVG and PDF: what is seen against what is only said about it."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from image_samples import (
    COARSE,
    DRAWN,
    FINE,
    INFO,
    SVG,
    chunk,
    exif,
    jpeg,
    page,
    pdf,
    picture,
    png,
    segment,
    stream,
)

from reproof.compare import compare, new_context
from reproof.compare.pdf_values import Name, Number, Reading, Reference
from reproof.compare.png import band_rows, bands, read_png
from reproof.compare.protocol import ContentError, Limits, Source
from reproof.compare.registry import compare_sources
from reproof.compare.svg_events import read_svg
from reproof.model.difference import Difference, Outcome

Pair = Callable[..., Difference]


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    def run(one: bytes | str, two: bytes | str, name: str = "a.bin") -> Difference:
        paths = [tmp_path / side / name for side in "ab"]
        for path, data in zip(paths, (one, two), strict=True):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data.encode() if isinstance(data, str) else data)
        there = compare(*paths)
        assert compare(paths[1], paths[0]).outcome is there.outcome
        return there

    return run


def pixels(data: bytes, rows: int = 0) -> np.ndarray:
    source = Source(name="a.png", data=data)
    image = read_png(source, new_context(source, source))
    return np.concatenate(list(bands(image, rows or band_rows(image))))


# PNG ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("kinds", [(0,), (1,), (2,), (3,), (4,), (0, 1, 2, 3, 4), (2, 4, 1)])
@pytest.mark.parametrize("size", [(1, 1), (7, 3), (19, 23)])
def test_png_filters_and_passes(size: tuple[int, int], kinds: Sequence[int], interlaced: bool) -> None:
    samples = picture(*size, 4)
    data = png(samples, 6, kinds=kinds, interlaced=interlaced)
    for rows in (1, 4, 100):
        assert np.array_equal(pixels(data, rows), samples)


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("interlaced", [False, True])
def test_png_grey(depth: int, interlaced: bool) -> None:
    largest = (1 << depth) - 1
    samples = (picture(9, 13, 1).astype(np.uint16) * 250 if depth == 16 else picture(9, 13, 1)) & largest
    found = pixels(png(samples, 0, depth, interlaced=interlaced))
    scaled = samples if depth == 16 else samples * (255 // largest)
    assert np.array_equal(found[:, :, 0], scaled[:, :, 0])
    assert np.array_equal(found[:, :, 2], scaled[:, :, 0])
    assert (found[:, :, 3] == (65535 if depth == 16 else 255)).all()


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_png_palette_with_opacity(depth: int) -> None:
    samples = picture(9, 13, 1) & ((1 << depth) - 1)
    colours = np.arange(3 << depth, dtype=np.uint8).reshape(-1, 3) * 7
    found = pixels(png(samples, 3, depth, before=[(b"PLTE", colours.tobytes()), (b"tRNS", b"\x05")]))
    assert np.array_equal(found[:, :, :3], colours[samples[:, :, 0]])
    assert np.array_equal(found[:, :, 3], np.where(samples[:, :, 0] == 0, 5, 255))


def test_png_a_transparent_colour() -> None:
    samples = picture(5, 6, 3)
    clear = b"".join(struct.pack(">H", int(value)) for value in samples[2, 3])
    found = pixels(png(samples, 2, before=[(b"tRNS", clear)]))
    assert np.array_equal(found[:, :, 3] == 0, (samples == samples[2, 3]).all(axis=2))
    assert np.array_equal(found[:, :, :3], samples)


def test_png_counts_pixels(pair: Pair) -> None:
    other = picture()
    other[3, 4, 1] += 9
    other[11, 20, 0] -= 2
    found = pair(png(picture()), png(other, kinds=(0,)))
    assert found.outcome is Outcome.DIFFERENT
    (child,) = found.children
    assert child.evidence == {
        "size": [23, 19],
        "differing": 2,
        "max_channel": 9,
        "first": [4, 3],
        "box": [4, 3, 20, 11],
    }
    assert "2 of 437 pixels differ, by at most 9" in found.summary


GREY = picture(9, 13, 1)
COLOURS = np.stack([np.arange(256)] * 3, axis=-1).astype(np.uint8)


@pytest.mark.parametrize(
    ("other", "name"),
    [
        (png(GREY, 0, level=0), "PNG compression"),
        (png(GREY, 0, kinds=(0,)), "PNG compression"),
        (png(GREY, 0, pieces=3), "PNG chunk sizes"),
        (png(GREY, 0, interlaced=True), "PNG interlacing"),
        (png(np.repeat(GREY, 3, axis=2), 2), "PNG colour type"),
        (png(np.concatenate([GREY, np.full_like(GREY, 255)], axis=2), 4), "PNG colour type"),
        (png(GREY.astype(np.uint16) * 257, 0, 16), "PNG colour type"),
        (png(GREY, 3, before=[(b"PLTE", COLOURS.tobytes())]), "PNG colour type"),
        (png(GREY, 0, before=[(b"tIME", b"\x07\xe6\1\1\0\0\0")]), "PNG modification time"),
        (png(GREY, 0, before=[(b"pHYs", b"\0\0\1\0\0\0\1\0\1")]), "PNG physical dimensions"),
        (png(GREY, 0, before=[(b"tEXt", b"Software\0one 1.0")]), "PNG text Software"),
        (png(GREY, 0, after=[(b"tEXt", b"Creation Time\0now")]), "PNG text Creation Time"),
        (png(GREY, 0, after=[(b"zTXt", b"date:create\0\0" + zlib.compress(b"now"))]), "PNG text date:create"),
    ],
)
def test_png_sets_aside_by_name(pair: Pair, other: bytes, name: str) -> None:
    found = pair(png(GREY, 0), other)
    assert found.outcome is Outcome.EQUIVALENT
    assert found.canonicalisations == (name,)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ([(b"tEXt", b"Comment\0a")], [(b"tEXt", b"Comment\0b")]),
        ([(b"tEXt", b"Description\0Software")], [(b"tEXt", b"Description\0Creation Time")]),
        ([], [(b"tEXt", b"software\0one")]),
        ([], [(b"gAMA", b"\0\0\xb1\x8f")]),
        ([(b"iCCP", b"a")], [(b"iCCP", b"b")]),
        ([(b"iTXt", b"Title\0\0\0de\0\0a")], [(b"iTXt", b"Title\0\0\0en\0\0a")]),
        ([(b"fdAT", b"\0\0\0\1a")], [(b"fdAT", b"\0\0\0\1b")]),
        ([], [(b"eXIf", b"MM")]),
    ],
)
def test_png_other_chunks_are_content(
    pair: Pair, one: list[tuple[bytes, bytes]], two: list[tuple[bytes, bytes]]
) -> None:
    assert pair(png(GREY, 0, before=one), png(GREY, 0, before=two)).outcome is Outcome.DIFFERENT


def test_png_texts_are_compared_whatever_their_chunk(pair: Pair) -> None:
    one = png(GREY, 0, before=[(b"tEXt", b"Comment\0caf\xe9")])
    two = png(GREY, 0, before=[(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress("café".encode()))])
    found = pair(one, two)
    assert (found.outcome, found.canonicalisations) == (Outcome.EQUIVALENT, ("PNG text encoding",))


def test_png_size_opacity_and_what_is_behind(pair: Pair) -> None:
    assert pair(png(GREY, 0), png(GREY[:-1], 0)).outcome is Outcome.DIFFERENT
    clear = np.concatenate([GREY, np.full_like(GREY, 254)], axis=2)
    assert pair(png(GREY, 0), png(clear, 4)).outcome is Outcome.DIFFERENT
    assert pair(png(GREY, 0), png(GREY, 0) + b"x").outcome is Outcome.DIFFERENT
    fine = GREY.astype(np.uint16) * 257
    fine[0, 0] += 1
    assert pair(png(GREY, 0), png(fine, 0, 16)).outcome is Outcome.DIFFERENT


def _header(width: int, height: int, depth: int = 8, colour: int = 6, interlace: int = 0) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))


def _raw_png(*chunks: bytes) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


_END = chunk(b"IEND", b"")
_BOMB = chunk(b"IDAT", zlib.compress(bytes(100 << 20), 9))


@pytest.mark.parametrize(
    "hostile",
    [
        _raw_png(),
        _raw_png(_header(9, 9)),
        _raw_png(_header(9, 9), _END),
        _raw_png(_header(0, 9), _END),
        _raw_png(_header(1 << 31, 9), _END),
        _raw_png(_header((1 << 31) - 1, (1 << 31) - 1), _BOMB, _END),
        _raw_png(_header(30_000, 30_000), _BOMB, _END),
        _raw_png(_header(5000, 5000, interlace=1), _BOMB, _END),
        _raw_png(_header(9, 9, 3), _END),
        _raw_png(_header(9, 9, 16, 3), _END),
        _raw_png(_header(9, 9, 8, 6, 2), _END),
        _raw_png(_header(9, 9, 8, 3), chunk(b"IDAT", zlib.compress(b"\0" * 90)), _END),
        _raw_png(
            _header(9, 9, 8, 3), chunk(b"PLTE", b"abc"), chunk(b"IDAT", zlib.compress(b"\1" * 90)), _END
        ),
        _raw_png(_header(9, 9, 8, 0), chunk(b"IDAT", zlib.compress(b"\5" * 90)), _END),
        _raw_png(_header(9, 9, 8, 0), chunk(b"IDAT", zlib.compress(b"\0" * 91)), _END),
        _raw_png(_header(9, 9, 8, 0), chunk(b"IDAT", zlib.compress(b"\0" * 90)) * 2, _END),
        _raw_png(_header(9, 9, 8, 0), chunk(b"IDAT", zlib.compress(b"\0" * 90)[:-1]), _END),
        _raw_png(_header(9, 9, 8, 0), chunk(b"IDAT", b"not zlib"), _END),
        _raw_png(_header(9, 9), b"\xff\xff\xff\xffIDAT"),
        _raw_png(_header(9, 9), chunk(b"I\0AT", b""), _END),
        _raw_png(_header(9, 9)[:-1] + b"\0", _END),
        _raw_png(_header(9, 9, 8, 0), chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(9 << 20))), _END),
        _raw_png(_header(9, 9, 8, 0), chunk(b"iTXt", b"a\0\7\7"), _END),
        _raw_png(_header(9, 9, 8, 0), chunk(b"tEXt", b"no zero"), _END),
    ],
)
def test_hostile_png(pair: Pair, hostile: bytes) -> None:
    valid = png(picture(9, 9, 1), 0)
    assert pair(hostile, hostile + b"x").outcome >= Outcome.UNKNOWN
    # a size that differs is a difference; everything else is unknown
    assert pair(valid, hostile).outcome >= Outcome.UNKNOWN


def test_png_of_many_filtered_pixels_is_decoded_in_time() -> None:
    rows = np.zeros((2000, 1 + 4 * 2000), np.uint8)
    rows[:, 0] = 4
    rows[:, 1:] = 3
    data = _raw_png(_header(2000, 2000), chunk(b"IDAT", zlib.compress(rows.tobytes())), _END)
    started = time.process_time()
    assert pixels(data).shape == (2000, 2000, 4)
    assert time.process_time() - started < 30  # some hundred times what it takes


def test_png_no_flipped_sample_is_missed(pair: Pair) -> None:
    """Check sums turn flips in the file into UNKNOWN; these flips are in the picture."""
    chance = np.random.default_rng(3)
    samples = picture()
    whole = png(samples, kinds=(0,), level=1)
    for _ in range(200):
        other = samples.copy()
        other.reshape(-1)[chance.integers(samples.size)] ^= 1 << int(chance.integers(8))
        found = pair(whole, png(other, kinds=(0,), level=1))
        assert found.outcome is Outcome.DIFFERENT
        assert found.children[0].evidence["differing"] == 1


@pytest.mark.needs("PIL")
def test_png_agrees_with_pillow() -> None:
    from PIL import Image

    for mode, channels in (("L", 1), ("LA", 2), ("RGB", 3), ("RGBA", 4)):
        samples = picture(61, 83, channels)
        image = Image.fromarray(samples[:, :, 0] if channels == 1 else samples, mode)
        for optimize in (False, True):
            buffer = io.BytesIO()
            image.save(buffer, "PNG", optimize=optimize)
            assert np.array_equal(pixels(buffer.getvalue()), np.asarray(image.convert("RGBA")))


# JPEG ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "name"),
    [
        (jpeg(FINE, segment(0xFE, b"a comment")), "JPEG comments"),
        (jpeg(FINE, segment(0xE1, exif(0)[:6])), "JPEG EXIF"),
        (jpeg(FINE, segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>")), "JPEG XMP"),
        (jpeg(FINE, segment(0xED, b"Photoshop 3.0\0")), "JPEG IPTC"),
        (FINE.replace(b"JFIF\0\1\1", b"JFIF\0\1\2"), "JPEG density and thumbnail"),
    ],
)
def test_jpeg_sets_aside_by_name(pair: Pair, other: bytes, name: str) -> None:
    found = pair(FINE, other)
    assert (found.outcome, found.canonicalisations) == (Outcome.EQUIVALENT, (name,))
    dates = [jpeg(FINE, segment(0xE1, exif(6, made))) for made in (b"2020\0", b"2021\0")]
    assert pair(*dates).canonicalisations == ("JPEG EXIF",)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (FINE, COARSE),
        (FINE, FINE[:100] + bytes([FINE[100] ^ 1]) + FINE[101:]),
        (jpeg(FINE, segment(0xE1, exif(1))), jpeg(FINE, segment(0xE1, exif(6)))),
        (FINE, jpeg(FINE, segment(0xE2, b"ICC_PROFILE\0\1\1x"))),
        (FINE, jpeg(FINE, segment(0xEE, b"Adobe\0d\0\0\0\0\1"))),
        (FINE, FINE + b"x"),
        (FINE, FINE.replace(b"JFIF", b"JFXX", 1)),
    ],
)
def test_jpeg_differs(pair: Pair, one: bytes, two: bytes) -> None:
    assert pair(one, two).outcome is Outcome.DIFFERENT


def test_jpeg_says_whether_pixels_were_decoded(pair: Pair) -> None:
    found = pair(FINE, COARSE)
    assert "compressed image data differ" in found.summary
    assert isinstance(found.children[0].evidence["decoded"], bool)


@pytest.mark.parametrize(
    "hostile",
    [
        FINE[:2] + b"\xff",
        FINE[:20],
        FINE[:-2],
        FINE[:2] + FINE[-2:],
        FINE[:2] + b"\xff\xe0\0\1",
        FINE[:2] + b"\xff\xe0\xff\xff",
        FINE[:20] + b"junk" + FINE[20:],
        jpeg(FINE, segment(0xC0, b"")),
        b"\xff\xd8\xff" * 1000,
    ],
)
def test_hostile_jpeg(pair: Pair, hostile: bytes) -> None:
    assert pair(FINE, hostile).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "tiff", [b"II*\0", b"II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff", b"xx", exif(6)[6:40]]
)
def test_jpeg_with_broken_exif(pair: Pair, tiff: bytes) -> None:
    assert pair(FINE, jpeg(FINE, segment(0xE1, b"Exif\0\0" + tiff))).outcome >= Outcome.EQUIVALENT


# SVG ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "name"),
    [
        (SVG.replace("2026-01-01", "2027-02-02"), "SVG creation date"),
        (SVG.replace("v3.10.0,", "v3.11.0rc1,"), "SVG creator version"),
        (SVG.replace("8b45e98b21", "fc56a28a80").replace("0123456789", "ffffffffff"), "SVG generated ids"),
        (SVG.replace("<!-- drawn -->", "<!-- another -->"), "XML comments"),
        (SVG.replace("<!-- drawn -->", ""), "XML comments"),
        (SVG.replace('<?xml version="1.0" encoding="utf-8"?>\n', ""), "XML declaration"),
        (SVG.replace('x="1.5" y="2"', 'y="2" x="1.5"'), "XML layout"),
        (SVG.replace("\n  <use", "\n\n <use"), "XML layout"),
        (SVG.replace('x="1.5"', "x='1.5'"), "XML layout"),
        (SVG.replace("&amp;", "&#38;"), "XML layout"),
        (SVG.replace('y="2"/>', 'y="2"></use>'), "XML layout"),
    ],
)
def test_svg_sets_aside_by_name(pair: Pair, other: str, name: str) -> None:
    found = pair(SVG, other)
    assert found.outcome is Outcome.EQUIVALENT
    assert name in found.canonicalisations
    assert set(found.canonicalisations) <= {name, "XML layout", "XML comments"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("L 0 3.5", "L 0 3.6"),
        ('id="m8b45e98b21"', 'id="maaaaaaaaaa"'),  # a definition that nothing refers to any more
        ("#m8b45e98b21", "#maaaaaaaaaa"),  # a reference to nowhere
        ("url(#p0123456789)", "url(#m8b45e98b21)"),
        ('id="figure_1"', 'id="figure_2"'),
        ("loss  <", "loss <"),
        ("<tspan>a</tspan>", "<tspan>a </tspan>"),
        ("&amp; b", "&lt; b"),
        ("<use ", "<usf "),
        ('<rect x="0" y="0" width="5" height="5"/>', ""),
        ("Matplotlib v3.10.0", "Inkscape v3.10.0"),
        ("https://matplotlib.org/", "https://example.org/"),
        ("</text>", "<dc:date xmlns:dc='http://purl.org/dc/elements/1.1/'>1</dc:date></text>"),
        ("</metadata>", "</metadata><?xml-stylesheet href='a'?>"),
        ("http://www.w3.org/2000/svg", "http://www.w3.org/2000/svh"),
        ("SVG 1.1//EN", "SVG 1.2//EN"),
        ('y="2"/>', 'y="2"/><use/>'),
    ],
)
def test_svg_differs(pair: Pair, old: str, new: str) -> None:
    assert old in SVG
    assert pair(SVG, SVG.replace(old, new)).outcome is Outcome.DIFFERENT


def test_svg_dates_elsewhere_are_content(pair: Pair) -> None:
    def dated(day: str) -> str:
        return SVG.replace(
            "<defs>", f"<g xmlns:dc='http://purl.org/dc/elements/1.1/'><dc:date>{day}</dc:date></g><defs>"
        )

    assert pair(dated("2026"), dated("2027")).outcome is Outcome.DIFFERENT


def test_svg_names_the_place(pair: Pair) -> None:
    found = pair(SVG, SVG.replace('height="5"', 'height="6"'))
    assert [child.subject for child in found.children] == ["svg/defs[1]/clipPath[1]/rect[1]/@height"]
    assert (found.children[0].expected, found.children[0].actual) == ("5", "6")


def test_svg_generated_ids_are_numbered_by_their_first_use() -> None:
    found = read_svg(SVG.encode())
    assert found.ids == ["p0123456789", "m8b45e98b21"]


@pytest.mark.parametrize(
    "hostile",
    [
        '<!DOCTYPE svg [<!ENTITY a "x"><!ENTITY b "&a;&a;&a;&a;">]><svg>&b;</svg>',
        '<!DOCTYPE svg [<!ENTITY a SYSTEM "file:///etc/passwd">]><svg>&a;</svg>',
        '<!DOCTYPE svg SYSTEM "file:///etc/passwd"><svg>&a;</svg>',
        "<svg>" * 5_000,
        "<svg>" + "<g>" * 3_000,
        "<svg",
        "<svg></g></svg>",
        "<svg a='1' a='2'/>",
        "<svg>\0</svg>",
    ],
)
def test_hostile_svg(pair: Pair, hostile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reproof.compare.svg_events._MAX_ELEMENTS", 4_000)
    assert pair(SVG, hostile, "a.svg").outcome in {Outcome.UNKNOWN, Outcome.DIFFERENT}
    assert pair(hostile, hostile + " ", "a.svg").outcome >= Outcome.UNKNOWN


# PDF ----------------------------------------------------------------------------------------------

PAGE = page(stream(DRAWN, level=9))


@pytest.mark.parametrize(
    ("other", "names"),
    [
        (pdf(PAGE, info=INFO.replace(b"D:2026", b"D:2027")), {"PDF creation date"}),
        (pdf(PAGE, info=INFO.replace(b"v3.10.0)", b"v3.11.0)")), {"PDF producer"}),
        (pdf(PAGE, info=INFO.replace(b"v3.10.0,", b"v3.11.0,")), {"PDF creator version"}),
        (pdf(PAGE, info=INFO + b" /ModDate (D:2)"), {"PDF modification date"}),
        (pdf(PAGE, info=INFO, identifier=b"abcd"), {"PDF file identifiers"}),
        (pdf(page(stream(DRAWN)), info=INFO), {"PDF stream compression", "PDF cross-reference tables"}),
        (pdf(PAGE, info=INFO, order=(4, 3, 2, 1, 90)), {"PDF cross-reference tables"}),
        (pdf(PAGE, info=INFO, extra=b"% a comment\n"), {"PDF layout"}),
        (
            pdf(page(stream(DRAWN, level=9), b"<4120 2873 6d61 6c6c29 20 70 61 67 65>"), info=INFO),
            {"PDF cross-reference tables"},
        ),
    ],
)
def test_pdf_sets_aside_by_name(pair: Pair, other: bytes, names: set[str]) -> None:
    found = pair(pdf(PAGE, info=INFO), other)
    assert found.outcome is Outcome.EQUIVALENT
    assert set(found.canonicalisations) == names


@pytest.mark.parametrize(
    "other",
    [
        page(stream(DRAWN.replace(b"30.5", b"30.6"), level=9)),
        page(stream(DRAWN, b" /Kind /New", level=9)),
        page(stream(DRAWN, level=9), b"(A page)"),
        {**PAGE, 2: PAGE[2].replace(b"/Count 1", b"/Count 2")},
        {**PAGE, 3: PAGE[3].replace(b"792.5", b"792.50")},
        {**PAGE, 3: PAGE[3].replace(b"/Page", b"/Pages")},
        {**PAGE, 3: PAGE[3].replace(b"/Title", b"/CreationDate")},
        {**PAGE, 5: b"(nothing refers to this)"},
        {**PAGE, 3: PAGE[3].replace(b"/Contents 4 0 R", b"/Contents 44 0 R")},
        {**PAGE, 1: PAGE[1].replace(b">>", b"/Lang (en) >>")},
    ],
)
def test_pdf_differs(pair: Pair, other: dict[int, bytes]) -> None:
    assert pair(pdf(PAGE, info=INFO), pdf(other, info=INFO)).outcome is Outcome.DIFFERENT


def test_pdf_information_is_content_apart_from_the_makers(pair: Pair) -> None:
    def other(old: bytes, new: bytes) -> Outcome:
        assert old in INFO
        return pair(pdf(PAGE, info=INFO), pdf(PAGE, info=INFO.replace(old, new))).outcome

    assert other(b"Matplotlib v3.10.0, https", b"Matplotlib v3.10.0, ftp") is Outcome.DIFFERENT
    assert other(b"Matplotlib", b"Madplotlib") is Outcome.DIFFERENT
    assert other(b"/Creator", b"/Author") is Outcome.DIFFERENT
    dated = [{**PAGE, 4: stream(DRAWN, b" /Params << /CreationDate (D:%d) >>" % year)} for year in (1, 2)]
    assert pair(pdf(dated[0]), pdf(dated[1])).outcome is Outcome.DIFFERENT


def test_pdf_object_numbers_do_not_matter(pair: Pair) -> None:
    moved = {
        1: PAGE[1].replace(b"2 0 R", b"7 0 R"),
        7: PAGE[2],
        3: PAGE[3].replace(b"2 0 R", b"7 0 R"),
        4: PAGE[4],
    }
    found = pair(pdf(PAGE), pdf(moved))
    assert found.outcome is Outcome.EQUIVALENT
    assert "PDF object numbers" in found.canonicalisations


def test_pdf_names_the_place(pair: Pair) -> None:
    found = pair(pdf(PAGE), pdf(page(stream(DRAWN.replace(b"20 30.5", b"20 99"), level=9))))
    assert [child.subject for child in found.children] == ["Root/Pages/Kids[0]/Contents/stream"]
    assert "20 30.5 l" in found.children[0].summary


XMP = b"<x:xmpmeta><xmp:CreateDate>%d</xmp:CreateDate><dc:title>%s</dc:title></x:xmpmeta>"


def test_pdf_xmp_dates_are_set_aside_only_in_the_documents_own_metadata(pair: Pair) -> None:
    def own(year: int, title: bytes = b"a") -> bytes:
        return pdf({**PAGE, 1: PAGE[1].replace(b">>", b"/Metadata 9 0 R >>"), 9: stream(XMP % (year, title))})

    def elsewhere(year: int) -> bytes:
        return pdf({**PAGE, 3: PAGE[3].replace(b">>", b"/Metadata 9 0 R >>"), 9: stream(XMP % (year, b"a"))})

    assert pair(own(1), own(2)).canonicalisations == ("PDF XMP dates and identifiers",)
    assert pair(own(1), own(1, b"b")).outcome is Outcome.DIFFERENT
    assert pair(elsewhere(1), elsewhere(2)).outcome is Outcome.DIFFERENT


def _modern(contents: bytes, *, level: int = 9, wrong: int = 0) -> bytes:
    """A file of version 1.5: objects in an object stream, a cross-reference stream with a predictor."""
    parts = page(b"")
    inner = b"".join(
        b"%d %d " % (number, offset)
        for number, offset in zip(
            (1, 2, 3), (0, len(parts[1]) + 1, len(parts[1] + parts[2]) + 2), strict=True
        )
    )
    body = inner + b"\n".join(parts[number] for number in (1, 2, 3))
    holder = stream(body, b" /Type /ObjStm /N 3 /First %d" % len(inner), level=level)
    data = b"%PDF-1.5\n"
    places = {}
    for number, text in ((4, contents), (5, holder)):
        places[number] = len(data)
        data += b"%d 0 obj\n" % number + text + b"\nendobj\n"
    rows = [
        (0, 0, 0),
        (2, 5, 0),
        (2, 5, 1),
        (2, 5, 2),
        (1, places[4] + wrong, 0),
        (1, places[5], 0),
        (1, len(data), 0),
    ]
    table = np.array([list(struct.pack(">BHB", *row)) for row in rows], np.uint8)
    up = np.diff(table, axis=0, prepend=np.zeros((1, 4), np.uint8)).astype(np.uint8)
    raw = b"".join(b"\2" + row.tobytes() for row in up)
    facts = b" /Type /XRef /W [1 2 1] /Size 7 /Root 1 0 R /DecodeParms << /Predictor 12 /Columns 4 >>"
    start = len(data)
    return data + b"6 0 obj\n" + stream(raw, facts, level=9) + b"\nendobj\nstartxref\n%d\n%%%%EOF\n" % start


def test_pdf_with_object_streams(pair: Pair) -> None:
    found = pair(_modern(stream(DRAWN)), _modern(stream(DRAWN), level=1))
    assert found.outcome is Outcome.EQUIVALENT
    found = pair(_modern(stream(DRAWN)), _modern(stream(DRAWN + b" ")))
    assert [child.subject for child in found.children] == ["Root/Pages/Kids[0]/Contents/stream"]
    assert pair(_modern(stream(DRAWN)), _modern(stream(DRAWN), wrong=1)).outcome is Outcome.UNKNOWN


def test_pdf_lengths_behind_the_streams(pair: Pair) -> None:
    def late(length: int) -> bytes:
        text = b"<< /Length 8 0 R >>\nstream\n" + DRAWN + b"\nendstream"
        return pdf({**page(text), 8: b"%d" % length})

    assert pair(late(len(DRAWN)), pdf(page(stream(DRAWN)))).outcome is Outcome.EQUIVALENT
    assert pair(late(len(DRAWN)), late(len(DRAWN) - 1)).outcome is Outcome.UNKNOWN


def _updated(first: bytes, contents: bytes) -> bytes:
    """`first` with an incremental update of object 4."""
    place = len(first)
    start = int(first.rsplit(b"startxref\n", 1)[1].split()[0])
    added = b"4 0 obj\n" + contents + b"\nendobj\n"
    table = b"xref\n4 1\n%010d 00000 n \ntrailer\n<< /Size 91 /Root 1 0 R /Prev %d >>\n" % (place, start)
    return first + added + table + b"startxref\n%d\n%%%%EOF\n" % (place + len(added))


def test_pdf_with_an_update(pair: Pair) -> None:
    old, new = stream(b"1 1 m"), stream(DRAWN)
    assert pair(_updated(pdf(page(old)), new), _updated(pdf(page(old)), old)).outcome is Outcome.DIFFERENT
    # what an update replaced can still be found in the file, so it counts
    assert pair(_updated(pdf(page(old)), new), pdf(page(new))).outcome is Outcome.DIFFERENT
    assert (
        pair(_updated(pdf(page(old)), new), _updated(pdf(page(stream(b"2 1 m"))), new)).outcome
        is Outcome.DIFFERENT
    )


@pytest.mark.parametrize(
    "hostile",
    [
        b"%PDF-1.4\n",
        pdf(PAGE)[:-30],
        pdf(PAGE).replace(b"startxref\n", b"startxref\n1"),
        pdf(PAGE).replace(b" 00000 n ", b" 00001 n ", 1),
        pdf(PAGE).replace(b"0000000", b"0000001", 3),
        pdf(PAGE).replace(b"/Root 1 0 R", b"/Root 1 0 R /Encrypt 4 0 R"),
        pdf({**PAGE, 5: b"[" * 100_000}),
        pdf({**PAGE, 5: b"(" * 100_000}),
        pdf({**PAGE, 5: b"<< /A 1 /A 2 >>"}),
        pdf(page(b"<< /Length 99999999999 >>\nstream\nx\nendstream")),
        pdf(page(b"<< /Length -1 >>\nstream\nx\nendstream")),
        pdf(page(b"<< /Length 8 0 R >>\nstream\nx\nendstream")),
        pdf(PAGE) + b"junk",
        b"%PDF-1.4\nxref\n0 9999999999\n",
        pdf(page(stream(DRAWN, level=9).replace(b"x\xda", b"\0\0"))),
    ],
)
def test_hostile_pdf(pair: Pair, hostile: bytes) -> None:
    assert pair(pdf(PAGE), hostile).outcome >= Outcome.UNKNOWN
    assert pair(hostile, hostile + b"x").outcome is Outcome.UNKNOWN


def test_pdf_circles_and_bombs(pair: Pair) -> None:
    circle = {**PAGE, 5: b"6 0 R", 6: b"5 0 R", 1: PAGE[1].replace(b">>", b"/Loop 5 0 R >>")}
    assert pair(pdf(PAGE), pdf(circle)).outcome >= Outcome.UNKNOWN
    assert pair(pdf(circle), pdf(circle, info=INFO)).outcome >= Outcome.UNKNOWN
    bombs = [pdf(page(stream(b"\0" * (8 << 20) + end, level=9))) for end in (b"a", b"b")]
    sides = tuple(Source(name="a.pdf", data=data) for data in bombs)
    context = new_context(*sides, limits=Limits(max_expanded_bytes=1 << 20))
    assert compare_sources(*sides, "it", context).outcome is Outcome.UNKNOWN


def test_pdf_values() -> None:
    text = rb"<< /A#20b [1 -2.5 (a\(\)(b)\101\n\\) <414> true null 12 0 R] /C << >> % comment" + b"\n>>"
    assert Reading(text).value() == {
        "A b": [1, Number("-2.5"), b"a()(b)A\n\\", b"A@", True, None, Reference(12, 0)],
        "C": {},
    }
    assert isinstance(Reading(b"/Name").value(), Name)
    for broken in (b"<<", b"[1", b"(a", b"<4", b"<< 1 2 >>", b"[obj]", b"{", b"", b")", b"9" * 40):
        with pytest.raises(ContentError):
            Reading(broken).value()


# matplotlib ---------------------------------------------------------------------------------------

PLOT = """
import sys, matplotlib
matplotlib.use("agg")
import matplotlib.pyplot as plt, numpy as np
chance = np.random.default_rng(int(sys.argv[2]))
figure, axes = plt.subplots(1, 3, figsize=(6, 2))
axes[0].plot(chance.normal(size=9), marker="o", label="loss")
axes[0].legend()
axes[1].scatter(chance.normal(size=9), chance.normal(size=9), c=chance.random(9), hatch="//")
axes[2].imshow(chance.random((5, 5)))
axes[2].bar([1, 2], [3, 4], hatch="x")
for ending in ("png", "svg", "pdf"):
    figure.savefig(sys.argv[1] + "/plot." + ending)
"""


@pytest.mark.needs("matplotlib")
def test_plots_of_two_processes(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "abc"]
    for folder, seed in zip(folders, "001", strict=True):
        folder.mkdir()
        subprocess.run([sys.executable, "-c", PLOT, str(folder), seed], check=True, capture_output=True)
        time.sleep(1)  # dates in PDF have whole seconds
    for ending in ("png", "svg", "pdf"):
        same, other = (
            compare(folders[0] / f"plot.{ending}", folder / f"plot.{ending}") for folder in folders[1:]
        )
        assert same.outcome <= Outcome.EQUIVALENT
        assert other.outcome is Outcome.DIFFERENT
        assert other.children
    assert compare(folders[0] / "plot.svg", folders[1] / "plot.svg").canonicalisations == (
        "SVG creation date",
        "SVG generated ids",
    )
    assert compare(folders[0] / "plot.pdf", folders[1] / "plot.pdf").canonicalisations == (
        "PDF creation date",
    )
