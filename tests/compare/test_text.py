from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reproof.compare import compare
from reproof.compare.text import compare_text, looks_like_text
from reproof.model.difference import Outcome


def test_first_difference_and_counts() -> None:
    found = compare_text(b"a\nbcd\ne\n", b"a\nbxd\ne\nf\n", "it")
    assert found.outcome is Outcome.DIFFERENT
    assert found.summary == "first difference at line 2, column 2 (1 removed, 2 added)"
    assert found.evidence["excerpt"] == ["@@ line 1 @@", " a", "-bcd", "+bxd", " e", "+f"]
    assert (found.evidence["offset"], found.evidence["sizes"]) == (3, [8, 10])


@pytest.mark.parametrize(
    ("one", "two", "words"),
    [
        (b"a\r\nb\r\n", b"a\nb\n", "only the line endings differ (CRLF -> LF)"),
        (b"a\rb", b"a\r\nb", "only the line endings differ (CR -> CRLF)"),
        (b"a\nb\r\nc\nd", b"a\nb\nc\r\nd", "only the mix of line endings differs"),
        (b"a\n", b"a", "only the final newline is gone"),
        (b"a", b"a\n", "only the final newline is new"),
        ("ä\n".encode(), "ä\n".encode("utf-8-sig"), "only the encoding differs (utf-8 -> utf-8-sig)"),
        ("ä\n".encode(), "ä\n".encode("latin-1"), "only the encoding differs (utf-8 -> latin-1)"),
        ("ä\n".encode("utf-16"), "ä\n".encode(), "only the encoding differs (utf-16 -> utf-8)"),
    ],
)
def test_what_is_not_in_the_words_is_named(one: bytes, two: bytes, words: str) -> None:
    found = compare_text(one, two, "it")
    assert (found.outcome, found.summary) == (Outcome.DIFFERENT, words)


def test_both_at_once() -> None:
    assert "line endings differ" in compare_text(b"a\r\nb\r\n", b"a\nc\n", "it").summary


@given(st.text(), st.text())
def test_any_two_texts_can_be_compared(one: str, two: str) -> None:
    left, right = one.encode("utf-8", "surrogatepass"), two.encode("utf-8", "surrogatepass")
    found = compare_text(left, right, "it")
    assert (found.outcome is Outcome.IDENTICAL) == (left == right)
    assert found.outcome is compare_text(right, left, "it").outcome


@given(st.binary(), st.binary())
def test_any_bytes_can_be_compared_as_text(one: bytes, two: bytes) -> None:
    assert (compare_text(one, two, "it").outcome is Outcome.IDENTICAL) == (one == two)


def test_the_evidence_of_long_texts_is_short() -> None:
    one = b"\n".join(b"%d" % number * 20 for number in range(20_000))
    two = b"\n".join(b"%d" % (number + 1) * 20 for number in range(20_000))
    found = compare_text(one, two, "it")
    assert len(found.evidence["excerpt"]) <= 40
    assert all(len(line) <= 200 for line in found.evidence["excerpt"])
    assert found.evidence["counts"].startswith("upper bounds")


def test_long_texts_are_streamed(tmp_path: Path) -> None:
    one = b"".join(b"line %d\n" % number for number in range(800_000))
    two = one.replace(b"line 700000\n", b"line 7\nnew\n")
    for name, data in (("one", one), ("two", two), ("three", one.replace(b"\n", b"\r\n"))):
        (tmp_path / f"{name}.txt").write_bytes(data)
    found = compare(tmp_path / "one.txt", tmp_path / "two.txt")
    assert (found.outcome, found.kind) == (Outcome.DIFFERENT, "text")
    assert found.summary == "first difference at line 700,001, column 7 (800,000 -> 800,001 lines)"
    assert found.evidence["excerpt"] == ["@@ line 700001 @@", "-line 700000", "+line 7"]
    assert found.evidence["offset"] == one.index(b"700000\n") + 1
    found = compare(tmp_path / "one.txt", tmp_path / "three.txt")
    assert (found.outcome, found.summary) == (Outcome.DIFFERENT, "only the carriage returns differ")
    assert compare_text(one, one, "it").outcome is Outcome.IDENTICAL
    assert compare_text(one, two, "it").evidence["line"] == 700_001


@pytest.mark.parametrize(
    ("head", "is_text"),
    [
        (b"", True),
        (b"abc\n", True),
        (b"\x1b[31m", True),
        (b"a\0", False),
        (b"\x80\x04\x95", False),
        (b"\xff\xfea\0", True),
    ],
)
def test_what_looks_like_text(head: bytes, is_text: bool) -> None:
    assert looks_like_text(head) is is_text
