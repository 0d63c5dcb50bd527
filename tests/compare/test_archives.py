from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from samples import MEMBERS, tarred, zipped, zstandard

from reproof.compare import new_context
from reproof.compare.protocol import Limits, Source
from reproof.compare.registry import compare_sources
from reproof.model.difference import Difference, Outcome

LATER = (2024, 5, 6, 7, 8, 10)


def check(one: bytes, two: bytes, name: str = "it", limits: Limits | None = None) -> Difference:
    sides = Source(name=name, data=one), Source(name=name, data=two)
    found = compare_sources(*sides, "it", new_context(*sides, limits=limits))
    back = compare_sources(sides[1], sides[0], "it", new_context(*sides, limits=limits))
    assert found.outcome is back.outcome
    return found


def names(found: Difference) -> tuple[str, ...]:
    return found.canonicalisations


def label(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else ""


def with_extra(data: bytes) -> bytes:
    buffer = io.BytesIO()
    info = zipfile.ZipInfo("a.txt", (1980, 1, 1, 0, 0, 0))
    info.extra = struct.pack("<HH4s", 0xCAFE, 4, b"abcd")
    info.external_attr = 0o644 << 16
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(info, data)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        (zipped(MEMBERS), zipped(MEMBERS, date=LATER), ("zip member dates",)),
        (zipped(MEMBERS), zipped(MEMBERS[::-1]), ("zip member order",)),
        (zipped(MEMBERS), zipped(MEMBERS, method=zipfile.ZIP_STORED), ("zip compression",)),
        (
            zipped(MEMBERS),
            zipped(MEMBERS, method=zipfile.ZIP_LZMA),
            ("zip compression", "zip generator fields"),
        ),
        (zipped(MEMBERS), zipped(MEMBERS, mode=0o600), ("zip member permissions",)),
        (zipped(MEMBERS), zipped(MEMBERS, comment=b"hello"), ("zip comments",)),
        (zipped([("a.txt", b"x")], method=0), with_extra(b"x"), ("zip extra fields",)),
        (zipped([("d/", b""), ("d/a", b"x")]), zipped([("d/a", b"x")]), ("zip folder entries",)),
        (tarred(MEMBERS), tarred(MEMBERS, mtime=5), ("tar member dates",)),
        (tarred(MEMBERS), tarred(MEMBERS, mtime=0.25), ("tar member dates", "tar padding")),
        (tarred(MEMBERS), tarred(MEMBERS[::-1]), ("tar member order",)),
        (tarred(MEMBERS), tarred(MEMBERS, owner=1000), ("tar member owners",)),
        (tarred(MEMBERS), tarred(MEMBERS, mode=0o600), ("tar member permissions",)),
        (tarred(MEMBERS), tarred(MEMBERS, form=tarfile.GNU_FORMAT), ("tar format",)),
        (tarred(MEMBERS), tarred(MEMBERS) + b"\0" * 512, ("tar padding",)),
        (
            tarred(MEMBERS, headers={"comment": "a"}),
            tarred(MEMBERS, headers={"comment": "b"}),
            ("tar comments",),
        ),
    ],
    ids=label,
)
def test_what_is_not_content_is_set_aside_by_name(one: bytes, two: bytes, expected: tuple[str, ...]) -> None:
    found = check(one, two)
    assert (found.outcome, names(found)) == (Outcome.EQUIVALENT, expected)


def changed(name: str, data: bytes) -> list[tuple[str, bytes]]:
    return [(member, data if member == name else content) for member, content in MEMBERS]


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize(
    ("members", "subject", "words"),
    [
        (changed("folder/b.json", b'{"b": [1, 2.5, "y"]}'), "folder/b.json", '$.b[2] "x" -> "y"'),
        (changed("c.bin", b"\0" * 256), "c.bin", "255 of 256 bytes differ"),
        (MEMBERS[:2], "c.bin", "is gone; it was a file"),
        ([*MEMBERS, ("new", b"")], "new", "is new: a file"),
        ([*MEMBERS, ("c.bin", b"")], "c.bin #2", "is new: a file"),
        ([*MEMBERS, ("empty/", b"")], "empty", "is new: a f"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_content_is_compared_member_by_member(
    pack: Callable[..., bytes], members: list[tuple[str, bytes]], subject: str, words: str
) -> None:
    found = check(pack(MEMBERS), pack(members))
    assert found.outcome is Outcome.DIFFERENT
    (part,) = found.children
    assert part.subject == subject
    assert words in part.summary


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_permission_to_execute_is_content(pack: Callable[..., bytes]) -> None:
    found = check(pack(MEMBERS), pack(MEMBERS, mode=0o755))
    assert (found.outcome, found.children[0].summary) == (Outcome.DIFFERENT, "mode: now executable")


def test_links_are_content() -> None:
    one, two = (tarred([*MEMBERS, ("link", target)]) for target in ("a.txt", "c.bin"))
    assert check(one, two).children[0].summary == "was a symlink to `a.txt`, is a symlink to `c.bin`"
    assert check(one, tarred([*MEMBERS, ("link", b"a.txt")])).outcome is Outcome.DIFFERENT


def test_links_in_zip_files_are_content() -> None:
    one, two = (zipped([("link", target)], mode=0o120777) for target in (b"a", b"b"))
    assert check(one, two).children[0].summary == "was a symlink to `a`, is a symlink to `b`"
    assert check(one, zipped([("link", b"a")])).outcome is Outcome.DIFFERENT


def test_attributes_of_tar_members_are_content() -> None:
    one, two = (tarred(MEMBERS, headers={"SCHILY.xattr.user.x": value}) for value in "12")
    assert check(one, two).outcome is Outcome.DIFFERENT


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.LNKTYPE, b"Z"])
def test_other_members_of_tar(kind: bytes) -> None:
    def build(number: int) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            info = tarfile.TarInfo("it")
            info.type, info.devmajor, info.linkname = kind, number, f"target{number}"
            archive.addfile(info)
            plain = tarfile.TarInfo("mtime")
            plain.mtime = number
            archive.addfile(plain)
        return buffer.getvalue()

    found = check(build(1), build(2))
    alike = kind in {tarfile.FIFOTYPE, b"Z"}
    assert found.outcome is (Outcome.EQUIVALENT if alike else Outcome.DIFFERENT)
    assert check(build(1), tarred([("it", b""), ("mtime", b"")])).outcome is Outcome.DIFFERENT


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_names_that_climb_out_are_only_text(
    pack: Callable[..., bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    evil = [("../../climbed.txt", b"1"), ("/absolute.txt", b"1"), ("a\n\x1b[31mred", b"1")]
    found = check(pack(evil), pack([(name, b"2") for name, _ in evil]))
    assert found.outcome is Outcome.DIFFERENT
    assert {part.subject for part in found.children} >= {"../../climbed.txt", "a\\n\\x1b[31mred"}
    assert list(tmp_path.iterdir()) == []


def test_bytes_that_belong_to_no_member_are_not_passed_over() -> None:
    data = zipped(MEMBERS)
    for one, two in ((data, data + b"tail"), (b"#!/bin/a\n" + data, b"#!/bin/b\n" + data)):
        found = check(one, two, "it.zip")
        assert (found.outcome, found.children[0].subject) == (Outcome.DIFFERENT, "(between members)")
    plain = tarred(MEMBERS)
    assert check(plain, plain + b"tail" * 128).outcome is Outcome.DIFFERENT
    assert check(plain[:-600] + b"x" + plain[-599:], plain).outcome is Outcome.DIFFERENT
    place = plain.index(MEMBERS[0][1]) + len(MEMBERS[0][1]) + 2  # the unused end of a block
    assert check(plain[:place] + b"x" + plain[place + 1 :], plain).outcome is Outcome.DIFFERENT


def test_a_wrong_sum_is_damage_even_if_the_content_is_the_same() -> None:
    data = zipped([("a", b"content")], method=zipfile.ZIP_STORED)
    crc = struct.pack("<I", zlib.crc32(b"content"))
    found = check(data, data.replace(crc, b"\0\0\0\0"))
    assert (found.outcome, "CRC-32" in found.children[0].summary) == (Outcome.DIFFERENT, True)


def test_damaged_members_are_unknown() -> None:
    data = zipped([("a", bytes(range(256)) * 9)])
    place = data.index(b"a", 26) + 9
    found = check(data, data[:place] + bytes([data[place] ^ 8]) + data[place + 1 :])
    assert found.outcome in {Outcome.UNKNOWN, Outcome.DIFFERENT}


def test_encrypted_members_are_unknown() -> None:
    def locked(data: bytes) -> bytes:
        """Set the encryption flag in the local header and in the directory."""
        directory = data.index(b"PK\x01\x02")
        result = bytearray(data)
        result[6] |= 1
        result[directory + 8] |= 1
        return bytes(result)

    one, two = (locked(zipped([("a", content)])) for content in (b"one", b"two"))
    found = check(one, two)
    assert (found.outcome, found.children[0].summary) == (
        Outcome.UNKNOWN,
        "cannot be compared: it is encrypted",
    )


@pytest.mark.parametrize("size", [0, 10, 100, -30])
def test_cut_off_archives_are_unknown_or_different(size: int) -> None:
    for name, data in (("it.zip", zipped(MEMBERS)), ("it.tar", tarred(MEMBERS)[:2000])):
        assert check(data, data[:size], name).outcome >= Outcome.UNKNOWN


def test_a_zip_bomb_is_stopped() -> None:
    limits = Limits(max_expanded_bytes=20 << 20)
    one, two = (zipped([("bomb", b"\0" * (64 << 20) + end)]) for end in (b"1", b"2"))
    found = check(one, two, limits=limits)
    assert (found.outcome, "decompression yields more" in str(found)) == (Outcome.UNKNOWN, True)


def test_a_gzip_bomb_is_stopped_across_layers() -> None:
    limits = Limits(max_expanded_bytes=20 << 20)
    one, two = (gzip.compress(gzip.compress(b"\0" * (64 << 20) + end)) for end in (b"1", b"2"))
    assert check(one, two, limits=limits).outcome is Outcome.UNKNOWN


def test_overlapping_members_are_stopped() -> None:
    """Members that share their data, as in the "better zip bomb" of David Fifield."""
    kernel = zipped([("a", b"\0" * (1 << 20))])
    directory = kernel.index(b"PK\x01\x02")
    end = kernel.index(b"PK\x05\x06")
    entries = kernel[directory:end] * 3000

    def build(number: int) -> bytes:
        tail = (
            struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 3000, 3000, len(entries), directory, 1)
            + b"%d" % number
        )
        return kernel[:directory] + entries + tail

    found = check(build(1), build(2), limits=Limits(max_expanded_bytes=20 << 20))
    assert found.outcome is Outcome.UNKNOWN


def test_too_many_members_are_refused() -> None:
    many = [(f"{number}", b"") for number in range(50)]
    limits = Limits(max_members=60)
    for pack in (zipped, tarred):
        assert check(pack(many), pack([*many, ("x", b"")]), limits=limits).outcome is Outcome.UNKNOWN


def test_a_huge_directory_is_refused_before_it_is_read() -> None:
    data = zipped(MEMBERS)
    end = data.index(b"PK\x05\x06")
    lie = data[: end + 12] + struct.pack("<I", 1 << 30) + data[end + 16 :]
    found = check(data, lie)
    assert (found.outcome, "more than the limit" in found.summary) == (Outcome.UNKNOWN, True)


def test_archives_are_compared_at_any_depth_within_the_limit() -> None:
    one, two = b'{"a": 1}', b'{"a": 2}'
    for level in range(6):
        one, two = zipped([(f"{level}", one)]), zipped([(f"{level}", two)])
    found = check(one, two)
    deepest = [node for node in found.walk() if node.subject == "$.a"]
    assert (found.outcome, len(deepest)) == (Outcome.DIFFERENT, 1)
    found = check(one, two, limits=Limits(max_depth=3))
    assert (found.outcome, "deeper than 3 containers" in str(found)) == (Outcome.UNKNOWN, True)


def test_hostile_member_names_cost_nothing() -> None:
    deep = "a/" * 30_000
    assert check(zipped([(deep, b"")]), zipped([(deep, b""), ("x", b"")])).outcome is Outcome.DIFFERENT


def header(**changes: bytes) -> bytes:
    """A gzip file with the header fields that the standard library never writes."""
    flags, rest = 0, b""
    for flag, name, ending in ((4, "extra", b""), (8, "file", b"\0"), (16, "comment", b"\0")):
        if name in changes:
            flags |= flag
            length = struct.pack("<H", len(changes[name])) if name == "extra" else b""
            rest += length + changes[name] + ending
    body = gzip.compress(b"content", mtime=0)
    return body[:3] + bytes([flags]) + body[4:9] + changes.get("system", body[9:10]) + rest + body[10:]


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        (gzip.compress(b"x", mtime=1), gzip.compress(b"x", mtime=2), ("gzip date",)),
        (header(), header(file=b"name"), ("gzip file name",)),
        (header(comment=b"a"), header(comment=b"b"), ("gzip comment",)),
        (header(extra=b"abcd"), header(extra=b"abce"), ("gzip extra field",)),
        (header(system=b"\3"), header(system=b"\0"), ("gzip generator",)),
        (
            gzip.compress(bytes(range(99)) * 9, 1, mtime=0),
            gzip.compress(bytes(range(99)) * 9, 9, mtime=0),
            ("gzip compression", "gzip generator"),
        ),
        (
            gzip.compress(b"x", mtime=0),
            gzip.compress(b"x", mtime=0) + gzip.compress(b"", mtime=0),
            ("gzip compression",),
        ),
        (bz2.compress(b"x" * 9999, 1), bz2.compress(b"x" * 9999, 9), ("bzip2 compression",)),
        (lzma.compress(b"x"), lzma.compress(b"x", preset=0, check=lzma.CHECK_CRC32), ("xz compression",)),
        (
            lzma.compress(b"xy"),
            lzma.compress(b"x") + b"\0" * 8 + lzma.compress(b"y") + b"\0" * 4,
            ("xz compression",),
        ),
        (zstandard(b"xy"), zstandard(b"x") + zstandard(b"y"), ("zstd compression",)),
    ],
    ids=label,
)
def test_what_is_not_content_of_a_stream_is_set_aside_by_name(
    one: bytes, two: bytes, expected: tuple[str, ...]
) -> None:
    found = check(one, two)
    assert (found.outcome, names(found)) == (Outcome.EQUIVALENT, expected)


STREAMS = {
    ".gz": lambda data: gzip.compress(data, mtime=0),
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard,
}


@pytest.mark.parametrize("ending", STREAMS)
def test_streams_hold_whatever_they_hold(ending: str) -> None:
    pack = STREAMS[ending]
    found = check(pack(b'{"a":1}'), pack(b'{"a": 2}'), f"it.json{ending}")
    assert (found.outcome, found.children[0].kind) == (Outcome.DIFFERENT, "json")
    found = check(pack(tarred(MEMBERS)), pack(tarred(MEMBERS, mtime=3)), f"it.tar{ending}")
    assert (found.outcome, names(found)) == (Outcome.EQUIVALENT, ("tar member dates",))


@pytest.mark.parametrize("ending", STREAMS)
def test_damaged_streams_are_unknown(ending: str) -> None:
    data = STREAMS[ending](bytes(range(256)) * 40)
    for damaged in (data[:-3], data[: len(data) // 2], data[:12], data + b"garbage"):
        found = check(data, damaged)
        assert found.outcome is Outcome.UNKNOWN
        assert "damaged or cut off" in found.summary or "header" in found.summary


def test_large_members_go_through_temporary_files() -> None:
    body = bytes(range(256)) * 40_000
    limits = Limits(max_bytes_held=1 << 20)
    assert (
        check(gzip.compress(body, 1, mtime=0), gzip.compress(body, 2, mtime=0), limits=limits).outcome
        is Outcome.EQUIVALENT
    )
    assert (
        check(gzip.compress(body, 1), gzip.compress(body[:-1] + b"x", 1), limits=limits).outcome
        is Outcome.DIFFERENT
    )


def test_xz_that_asks_for_too_much_memory_is_refused() -> None:
    filters = [
        {
            "id": lzma.FILTER_LZMA2,
            "dict_size": 1 << 30,
            "mode": lzma.MODE_FAST,
            "mf": lzma.MF_HC3,
            "nice_len": 3,
        }
    ]
    data = bytearray(lzma.compress(b"x" * 100, preset=0))
    header_size = (data[12] + 1) * 4
    place = data.index(bytes([filters[0]["id"], 1]), 12) + 2
    data[place] = 38  # a dictionary of 2 GiB (xz format 1.1, 5.3.1)
    crc = zlib.crc32(bytes(data[12 : 12 + header_size - 4]))
    data[12 + header_size - 4 : 12 + header_size] = struct.pack("<I", crc)
    found = check(bytes(data), lzma.compress(b"x" * 100))
    assert (found.outcome, "emory" in found.summary) == (Outcome.UNKNOWN, True)


def wheel(
    generator: str = "one", body: bytes = b"x = 1\n", *, turned: bool = False, root: str = "true"
) -> bytes:
    info = "own-1.0.dist-info"
    text = f"Wheel-Version: 1.0\nGenerator: {generator}\nRoot-Is-Purelib: {root}\nTag: py3-none-any\n"
    rows = [f"own.py,sha256=abc,{len(body)}", f"{info}/WHEEL,sha256={generator},7", f"{info}/RECORD,,"]
    record = "".join(f"{row}\n" for row in (rows[::-1] if turned else rows))
    return zipped([("own.py", body), (f"{info}/WHEEL", text.encode()), (f"{info}/RECORD", record.encode())])


def test_wheels_set_their_generator_and_the_order_of_record_aside() -> None:
    name = "own-1.0-py3-none-any.whl"
    found = check(wheel(), wheel("two!"), name)
    assert (found.kind, found.outcome, "wheel generator" in names(found)) == (
        "wheel",
        Outcome.EQUIVALENT,
        True,
    )
    found = check(wheel(), wheel(turned=True), name)
    assert (found.outcome, names(found)) == (Outcome.EQUIVALENT, ("order of RECORD",))


@pytest.mark.parametrize("two", [wheel(body=b"x = 2\n"), wheel(root="false"), wheel(body=b"x = 10\n")])
def test_what_a_wheel_holds_is_content(two: bytes) -> None:
    assert check(wheel(), two, "own-1.0-py3-none-any.whl").outcome is Outcome.DIFFERENT


def test_a_generator_elsewhere_is_content() -> None:
    one, two = (zipped([("own/WHEEL.txt", f"Generator: {name}\n".encode())]) for name in ("one", "two"))
    assert check(one, two, "own-1.0-py3-none-any.whl").outcome is Outcome.DIFFERENT
