from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from reproof.report.safe import json_text, lines, plain, shorten, without_surrogates

ANYTHING = st.text(st.characters(exclude_categories=()))  # surrogates included


@given(ANYTHING)
def test_plain_text_is_printable_utf_8_on_one_line(text: str) -> None:
    safe = plain(text)
    safe.encode()
    assert len(safe.splitlines()) <= 1
    assert not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in safe)


@given(st.text(st.characters(categories=("L", "N", "P", "S"))))
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert plain(text) == text


def test_what_is_active_or_invisible_becomes_an_escape() -> None:
    assert plain("\x1b[0m") == "\\x1b[0m"
    assert plain("\x9b0m") == "\\x9b0m"
    assert plain("a\nb\tc\r") == "a\\nb\\tc\\r"
    assert plain("exe\u202egpj") == "exe\\u202egpj"
    assert plain("caf\udce9") == "caf\\xe9"
    assert plain("\ud800") == "\\ud800"
    assert plain("\U000e0041") == "\\U000e0041"


def test_wide_and_combining_characters_are_ordinary() -> None:
    assert plain("データ ünï 🚲") == "データ ünï 🚲"


@given(ANYTHING, st.integers(5, 50))
def test_shortened_text_keeps_both_ends(text: str, limit: int) -> None:
    short = shorten(text, limit)
    assert len(short) <= limit
    assert len(text) > limit or short == text
    if len(text) > limit:
        assert short[0] == text[0]
        assert short[-1] == text[-1]


def test_lines_keep_their_breaks() -> None:
    assert lines("a\tb\n\x1bc") == ["a   b", "\\x1bc"]
    assert lines("") == [""]


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_keeps_its_value(value: object) -> None:
    document = json_text(json.dumps(value, ensure_ascii=False, indent=1))
    assert json.loads(document) == value
    assert not any(0x7F <= ord(c) < 0xA0 or ord(c) in (0x1B, 0x202E) for c in document)


@given(ANYTHING)
def test_text_without_surrogates_can_be_encoded(text: str) -> None:
    without_surrogates(text).encode()
