"""Foreign text made harmless: names and values come from files that anyone may have written.

A file name may hold escape sequences that rewrite the terminal, right-to-left marks that reverse
what is read, bytes that are no UTF-8, or characters that XML forbids. Every renderer passes foreign
text through :func:`plain` first, and through the escapes of its own format second.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

#: C0 and C1 controls and DEL; soft hyphen, zero-width and bidirectional marks, separators of lines;
#: lone surrogates (undecodable bytes); noncharacters and tags, which are invisible or not XML.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\ufffe\uffff\U000e0000-\U000e007f]"
)
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def plain(text: str, limit: int | None = None) -> str:
    r"""`text` on one line, with everything invisible or active written as an escape.

    Args:
        text: Anything; lone surrogates stand for undecodable bytes and are shown as ``\xNN``.
        limit: Characters to keep; the middle of a longer text gives way to ``...``.
    """
    if limit is not None and len(text) > limit:
        text = shorten(text, limit)
    return _UNSAFE.sub(_escape, text)


def lines(text: str) -> list[str]:
    """The lines of `text`, each as :func:`plain` makes it; tabs become spaces."""
    return [plain(line.expandtabs(4)) for line in text.splitlines()] or [""]


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters (and never less than five): start, ``...``, end."""
    if len(text) <= max(limit, 5):
        return text
    tail = (limit - 3) // 2
    return f"{text[: limit - 3 - tail]}...{text[-tail:]}"


def json_text(document: str) -> str:
    r"""A JSON document with all active characters written as ``\uNNNN``: the same value, safe to print."""
    return _UNSAFE.sub(_json_escape, document)


def json_document(value: Any, indent: int = 1) -> str:
    r"""`value` as a JSON document, safe to print, ending with one newline.

    Args:
        value: Anything that msgspec encodes; undecodable bytes in its text are written as ``\xNN``.
        indent: Columns for each level.
    """
    try:
        data = msgspec.json.encode(value)
    except UnicodeEncodeError:  # undecodable bytes in a name
        data = msgspec.json.encode(_without_surrogates_in(msgspec.to_builtins(value)))
    return json_text(msgspec.json.format(data, indent=indent).decode()) + "\n"


def _without_surrogates_in(value: Any) -> Any:
    if isinstance(value, str):
        return without_surrogates(value)
    if isinstance(value, dict):
        return {_without_surrogates_in(key): _without_surrogates_in(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_surrogates_in(item) for item in value]
    return value


def without_surrogates(text: str) -> str:
    r"""`text` with undecodable bytes written as ``\xNN``; everything else as it is."""
    return text.encode("utf-8", "backslashreplace").decode() if not _encodable(text) else text


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    if 0xDC80 <= code <= 0xDCFF:  # Python's surrogateescape: the byte itself
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code in (0x0A, 0x0D, 0x09):  # between tokens; within strings JSON has escaped them already
        return match[0]
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
