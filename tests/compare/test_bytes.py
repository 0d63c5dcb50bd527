from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reproof.compare.bytewise import describe_bytes, equal_bytes
from reproof.compare.protocol import ContentError, LimitError, Source
from reproof.model.difference import Outcome

LARGE = (1 << 26) + 12_345  # several threads read it


def source(data: bytes) -> Source:
    return Source(name="it", data=data)


def stored(path: Path, data: bytes) -> Source:
    path.write_bytes(data)
    return Source.of(path)


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_says_where_and_how_much(one: bytes, two: bytes) -> None:
    found = describe_bytes(source(one), source(two), "it")
    assert (found.outcome is Outcome.IDENTICAL) == (one == two) == equal_bytes(source(one), source(two))
    if one != two:
        common = min(len(one), len(two))
        differing = [index for index in range(common) if one[index] != two[index]]
        assert found.evidence["offset"] == (differing[0] if differing else common)
        assert found.evidence["differing"] == len(differing)
        assert found.evidence["sizes"] == [len(one), len(two)]


@pytest.mark.parametrize(
    ("one", "two", "words"),
    [
        (b"abc\0", b"abd\0", "1 of 4 byte differs, first at offset 2"),
        (b"abc", b"bcd", "3 of 3 bytes differ, first at offset 0"),
        (b"abc", b"abcd", "continued at offset 3: 3 -> 4 bytes"),
        (b"abc", b"", "cut off at offset 0: 3 -> 0 bytes"),
        (b"abc", b"xbcd", "3 -> 4 bytes, first difference at offset 0"),
    ],
)
def test_words(one: bytes, two: bytes, words: str) -> None:
    assert describe_bytes(source(one), source(two), "it").summary == words


@pytest.mark.parametrize("place", [0, (1 << 18) - 1, 1 << 18, LARGE // 2, LARGE - 1])
def test_large_files_are_compared_to_the_last_byte(place: int, tmp_path: Path) -> None:
    data = bytearray(random.Random(1).randbytes(1 << 20) * (LARGE // (1 << 20) + 1))[:LARGE]
    one = stored(tmp_path / "one", data)
    data[place] ^= 1
    two = stored(tmp_path / "two", data)
    assert not equal_bytes(one, two)
    data[place] ^= 1
    assert equal_bytes(one, stored(tmp_path / "two", data))
    assert not equal_bytes(one, stored(tmp_path / "two", data[:-1]))


def test_stretches_of_files_are_sources_of_their_own(tmp_path: Path) -> None:
    whole = stored(tmp_path / "whole", b"head-CONTENT-middle-CONTENT-tail")
    one, two = whole.part("one", 5, 7), whole.part("two", 20, 7)
    assert equal_bytes(one, two)
    assert equal_bytes(one, source(b"CONTENT"))
    assert (one.size, one.head(3), one.read(100)) == (7, b"CON", b"CONTENT")
    inner = one.part("inner", 1, 3)
    assert inner.read(3) == b"ONT"
    with inner.open() as file:
        assert file.seek(-1, os.SEEK_END) == 2
        assert file.read() == b"T"
        assert file.read() == b""
        with pytest.raises(OSError, match="before"):
            file.seek(-1)
    with inner.view() as view:
        assert bytes(view) == b"ONT"
    with pytest.raises(ContentError):
        whole.part("beyond", 30, 7)
    with pytest.raises(LimitError):
        one.read(6)


def test_views_of_nothing_and_of_memory(tmp_path: Path) -> None:
    for empty in (stored(tmp_path / "empty", b""), source(b"")):
        with empty.view() as view:
            assert len(view) == 0
    with source(b"abc").view() as view:
        assert view[1] == ord("b")


def test_a_kept_slice_of_a_view_does_not_hurt(tmp_path: Path) -> None:
    with stored(tmp_path / "file", b"abc").view() as view:
        kept = view[1:]
    assert bytes(kept) == b"bc"


def test_names_that_cannot_be_printed_are_escaped() -> None:
    name = os.fsdecode(b"a\xff\n")
    assert Source(name=name, data=b"").name == "a\\xff\\n"
    assert source(b"abc").part("\x1b[31m", 0, 1).name == "\\x1b[31m"


def test_a_source_of_nothing_says_so() -> None:
    with pytest.raises(ContentError):
        Source(name="nothing").open()
