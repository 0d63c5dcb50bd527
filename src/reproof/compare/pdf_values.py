"""The values of PDF: numbers, names, strings, arrays, dictionaries, references (ISO 32000-1, 7.3)."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from reproof.compare.protocol import ContentError, LimitError

_MAX_DEPTH = 64
_MAX_VALUES = 1_500_000
_BLANK = re.compile(rb"(?:[\0\t\n\f\r ]|%[^\r\n]*)*")
_TOKEN = re.compile(
    rb"(?P<open><<)|(?P<close>>>)|(?P<mark>[\[\]])|/(?P<name>[^\0\t\n\f\r ()<>\[\]{}/%]*)|(?P<text>\()"
    rb"|<(?P<hex>[0-9A-Fa-f\0\t\n\f\r ]*)>|(?P<number>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))"
    rb"|(?P<word>[A-Za-z]+)"
)
_REFERENCE = re.compile(rb"[\0\t\n\f\r ]+([0-9]{1,10})[\0\t\n\f\r ]+R(?![A-Za-z0-9])")
_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}
_TEXT_PIECE = re.compile(rb"[^()\\\r]+|\\(?:[0-7]{1,3}|\r\n|[\0-\xff])|\r\n?|[()]")


class Name(str):
    """A name object, ``/Type``."""

    __slots__ = ()


class Number(str):
    """A number with a point, as it is written."""

    __slots__ = ()


class Reference(NamedTuple):
    """A reference to an indirect object."""

    number: int
    generation: int

    def __str__(self) -> str:
        return f"{self.number} {self.generation} R"


class Word(str):
    """A keyword: ``obj``, ``stream``, ``R`` ..."""

    __slots__ = ()


class Reading:
    """A position in the bytes of a file, and the values read from there."""

    def __init__(self, data: bytes, position: int = 0, end: int | None = None) -> None:
        """Read from `position`, and never beyond `end`; `count` values have been read so far."""
        self.data = data
        self.position = position
        self.end = len(data) if end is None else end
        self.count = 0

    def skip(self) -> None:
        """Skip blanks and comments."""
        match = _BLANK.match(self.data, self.position, self.end)
        if match:
            self.position = match.end()

    def at_end(self) -> bool:
        """Whether nothing follows but blanks and comments."""
        self.skip()
        return self.position >= self.end

    def value(self, depth: int = 0) -> Any:
        """The next value, of one of the types of this module or None, bool, int, bytes, list, dict.

        Raises:
            ContentError: There is none, or it is nested too deeply.
            LimitError: There are too many.
        """
        self.count += 1
        if depth > _MAX_DEPTH:
            raise ContentError("values are nested too deeply")
        if self.count > _MAX_VALUES:
            raise LimitError(f"more than {_MAX_VALUES:,} values")
        match = self._token()
        kind = match.lastgroup
        if kind == "open":
            return self._dictionary(depth)
        if kind == "mark" and match["mark"] == b"[":
            return self._array(depth)
        if kind == "name":
            return Name(_unescaped_name(match["name"]))
        if kind == "text":
            return self._text()
        if kind == "hex":
            digits = re.sub(rb"[^0-9A-Fa-f]", b"", match["hex"])
            return bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode())
        if kind == "number":
            return self._number(match["number"])
        if kind == "word":
            word = match["word"].decode()
            constants: dict[str, Any] = {"true": True, "false": False, "null": None}
            return constants[word] if word in constants else Word(word)
        raise self.broken()

    def integer(self) -> int:
        """The next value, which is a whole number.

        Raises:
            ContentError: It is something else, or damaged.
        """
        value = self.value()
        if type(value) is not int:
            raise self.broken()
        return value

    def word(self, *wanted: str) -> str:
        """The next value, which is one of the keywords `wanted`.

        Raises:
            ContentError: It is something else, or damaged.
        """
        value = self.value()
        if not isinstance(value, Word) or value not in wanted:
            raise self.broken()
        return str(value)

    def broken(self) -> ContentError:
        """What to raise when something else was expected."""
        return ContentError(f"damaged, or cut off, near offset {self.position:,}")

    def _token(self) -> re.Match[bytes]:
        self.skip()
        match = _TOKEN.match(self.data, self.position, self.end)
        if match is None:
            raise self.broken()
        self.position = match.end()
        return match

    def _number(self, text: bytes) -> Any:
        if b"." in text:
            return Number(text.decode())
        if len(text) > 20:
            raise self.broken()
        reference = _REFERENCE.match(self.data, self.position, self.end)
        if reference and text.isdigit():
            self.position = reference.end()
            return Reference(int(text), int(reference[1]))
        return int(text)

    def _array(self, depth: int) -> list[Any]:
        items: list[Any] = []
        while not self._closes(b"]"):
            items.append(self._inner(depth))
        return items

    def _dictionary(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not self._closes(b">>"):
            key = self._inner(depth)
            if not isinstance(key, Name) or str(key) in found:
                raise self.broken()
            found[str(key)] = self._inner(depth)
        return found

    def _inner(self, depth: int) -> Any:
        value = self.value(depth + 1)
        if isinstance(value, Word):
            raise self.broken()
        return value

    def _closes(self, mark: bytes) -> bool:
        self.skip()
        if self.position + len(mark) > self.end:
            raise self.broken()
        if self.data.startswith(mark, self.position):
            self.position += len(mark)
            return True
        return False

    def _text(self) -> bytes:
        """A string in parentheses, which may hold balanced ones."""
        pieces: list[bytes] = []
        depth = 1
        while True:
            match = _TEXT_PIECE.match(self.data, self.position, self.end)
            if match is None:
                raise self.broken()
            self.position = match.end()
            piece = match[0]
            depth += (piece == b"(") - (piece == b")")
            if not depth:
                return b"".join(pieces)
            pieces.append(_unescaped(piece))


def _unescaped(piece: bytes) -> bytes:
    if piece.startswith(b"\r"):
        return b"\n"
    if not piece.startswith(b"\\"):
        return piece
    rest = piece[1:]
    if rest[:1].isdigit():
        return bytes([int(rest, 8) & 255])
    if rest in (b"\r\n", b"\r", b"\n"):
        return b""
    return _ESCAPES.get(rest, rest)


def _unescaped_name(raw: bytes) -> str:
    return re.sub(rb"#([0-9A-Fa-f]{2})", lambda match: bytes.fromhex(match[1].decode()), raw).decode(
        "latin-1"
    )
