from __future__ import annotations

import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reproof.capture.elf import build_id

ID = bytes(range(20))


def note(order: str, name: bytes, kind: int, value: bytes, align: int = 4) -> bytes:
    def padded(data: bytes) -> bytes:
        return data + bytes(-len(data) % align)

    return padded(padded(struct.pack(order + "III", len(name), len(value), kind) + name) + value)


def elf(*, wide: bool, big: bool, notes: bytes, at: int = 0x200, align: int = 4) -> bytes:
    """The smallest file with one loadable segment and one segment of notes."""
    order = ">" if big else "<"
    ident = b"\x7fELF" + bytes([2 if wide else 1, 2 if big else 1, 1]) + bytes(9)
    if wide:
        head = struct.pack(order + "HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
        table = struct.pack(order + "IIQQQQQQ", 1, 5, 0, 0, 0, 0, 0, 4096)
        table += struct.pack(order + "IIQQQQQQ", 4, 4, at, at, at, len(notes), len(notes), align)
    else:
        head = struct.pack(order + "HHIIIIIHHHHHH", 3, 3, 1, 0, 52, 0, 0, 52, 32, 2, 0, 0, 0)
        table = struct.pack(order + "IIIIIIII", 1, 0, 0, 0, 0, 0, 5, 4096)
        table += struct.pack(order + "IIIIIIII", 4, at, at, at, len(notes), len(notes), 4, align)
    data = ident + head + table
    return data + bytes(at - len(data)) + notes


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("big", [True, False])
@pytest.mark.parametrize("at", [0x200, 0x12345])
@pytest.mark.parametrize("align", [4, 8])
def test_both_word_sizes_and_byte_orders(tmp_path: Path, wide: bool, big: bool, at: int, align: int) -> None:
    order = ">" if big else "<"
    notes = note(order, b"GNU\0", 1, bytes(16), align) + note(order, b"Go\0\0", 3, b"other", align)
    notes += note(order, b"GNU\0", 3, ID, align)
    path = tmp_path / "lib.so"
    path.write_bytes(elf(wide=wide, big=big, notes=notes, at=at, align=align))
    assert build_id(path) == ID.hex()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x7fELF",
        b"#!/bin/sh\n" * 20,
        b"\x7fELF\x02\x01" + b"\xff" * 200,
        b"\x7fELF\x01\x02" + b"\xff" * 200,
        b"\x7fELF\x03\x01" + bytes(200),
        elf(wide=True, big=False, notes=note("<", b"GNU\0", 3, b"")),
        elf(wide=True, big=False, notes=note("<", b"GNU\0", 3, bytes(65))),
        elf(wide=True, big=False, notes=note("<", b"GNU\0", 3, ID))[:-8],
        elf(wide=True, big=False, notes=struct.pack("<III", 0xFFFFFFFF, 0xFFFFFFFF, 3)),
        elf(wide=True, big=False, notes=bytes(4096)),
        elf(wide=False, big=False, notes=b"", at=0x300),
    ],
    ids=range(12),
)
def test_what_has_none_has_none(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    assert build_id(path) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.binary(max_size=400), st.booleans(), st.booleans())
def test_no_content_does_harm(tmp_path: Path, tail: bytes, wide: bool, big: bool) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\x7fELF" + bytes([2 if wide else 1, 2 if big else 1]) + tail)
    assert build_id(path) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.integers(0, 0x250), st.binary(min_size=1, max_size=8))
def test_no_damage_does_harm(tmp_path: Path, position: int, damage: bytes) -> None:
    data = bytearray(elf(wide=True, big=False, notes=note("<", b"GNU\0", 3, ID)))
    data[position : position + len(damage)] = damage
    path = tmp_path / "file"
    path.write_bytes(data)
    found = build_id(path)
    assert found is None or len(found) <= 128


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        build_id(tmp_path / "nowhere")


@pytest.mark.needs("readelf")
def test_readelf_says_the_same_of_real_libraries() -> None:
    maps = Path("/proc/self/maps").read_text()
    paths = sorted(set(re.findall(r"(/\S+\.so\S*)$", maps, re.MULTILINE)))[:25]
    assert paths
    for path in [*paths, str(Path(sys.executable).resolve())]:
        told = subprocess.run(["readelf", "-n", path], capture_output=True, text=True, check=False).stdout
        match = re.search(r"Build ID: ([0-9a-f]+)", told)
        assert build_id(Path(path)) == (match[1] if match else None)
