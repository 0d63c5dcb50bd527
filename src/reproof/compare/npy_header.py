"""The header of a .npy file, read without executing or unpickling anything.

Format: NumPy's `numpy.lib.format`, versions 1.0 to 3.0. The header is a Python literal; the little of
the language that it may use is read here, so that no hostile nesting reaches Python's own parser.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reproof.compare.protocol import ContentError, Source

if TYPE_CHECKING:
    import numpy as np

MAGIC = b"\x93NUMPY"
_MAX_HEADER = 1 << 20
_MAX_DEPTH = 32

#: Every version of NumPy that is supported can have as many axes.
MAX_AXES = 32
_TOKEN = re.compile(
    r"[ \n\t]*(?:(?P<string>'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\")|(?P<number>-?(?:0|[1-9][0-9]*))[lL]?"
    r"|(?P<word>True|False|None)|(?P<mark>[\[\](){},:]))"
)
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(['\"\\]))")
_WORDS = {"True": True, "False": False, "None": None}
_TYPE = re.compile(r"[<>|](?:[biufcSUV?][0-9]*|[Mm]8(?:\[[0-9]*[A-Za-z]+(?:/[0-9]+)?\])?|O8?)")


@dataclass(frozen=True)
class NpyHeader:
    """What the header of one array says.

    Attributes:
        layout: NumPy type of one element.
        shape: Lengths of the axes.
        order: ``C`` or ``F``.
        offset: Where the data begin, in bytes from the beginning of the array.
        text: The header as it is written, with the version.
    """

    layout: np.dtype[Any]
    shape: tuple[int, ...]
    order: str
    offset: int
    text: tuple[int, str]


def read_npy_header(source: Source) -> NpyHeader:
    """The header at the beginning of `source`.

    Raises:
        ContentError: It is no npy file, of an unknown version, or the header is damaged.
    """
    head = source.head(12)
    if not head.startswith(MAGIC) or len(head) < 12:
        raise ContentError("it does not begin like a npy file")
    version = (head[6], head[7])
    if version not in {(1, 0), (2, 0), (3, 0)}:
        raise ContentError(f"npy version {version[0]}.{version[1]} is not known")
    start = 10 if version == (1, 0) else 12
    (length,) = struct.unpack_from("<H" if start == 10 else "<I", head, 8)
    if length > _MAX_HEADER:
        raise ContentError(f"a npy header of {length:,} bytes cannot be")
    data = source.head(start + length)[start:]
    if len(data) < length:
        raise ContentError("cut off within the npy header")
    try:
        text = data.decode("utf-8" if version == (3, 0) else "latin-1")
    except UnicodeDecodeError:
        raise ContentError("the npy header is no text") from None
    return _checked(text, version[0], start + length)


def read_literal(text: str) -> Any:
    """The value of a Python literal made of dicts, lists, tuples, strings, integers and constants.

    Raises:
        ContentError: The text is anything else.
    """
    return _Literal(text).whole()


def layout_of(description: Any) -> np.dtype[Any]:
    """The NumPy type of a `descr` as NumPy writes it, with explicit byte order.

    Raises:
        ContentError: It is no type.
    """
    from numpy.lib import format as npy

    _check_description(description, 0)
    try:
        layout = npy.descr_to_dtype(description)
    except (TypeError, ValueError, SyntaxError, OverflowError, MemoryError) as error:
        raise ContentError(f"the element type {description!r:.80} cannot be: {error}") from None
    if layout.itemsize > 1 << 31:
        raise ContentError(f"elements of {layout.itemsize:,} bytes cannot be")
    return layout


def _checked(text: str, version: int, offset: int) -> NpyHeader:
    if not text.endswith("\n"):
        raise ContentError("the npy header does not end with a newline")
    value = read_literal(text)
    if not isinstance(value, dict) or sorted(value) != ["descr", "fortran_order", "shape"]:
        raise ContentError("the npy header does not name a type, an order and a shape")
    shape, order = value["shape"], value["fortran_order"]
    if not isinstance(shape, tuple) or not all(type(length) is int and length >= 0 for length in shape):
        raise ContentError("the shape in the npy header cannot be")
    if len(shape) > MAX_AXES:
        raise ContentError(f"an array of {len(shape):,} axes cannot be")
    if type(order) is not bool:
        raise ContentError("the memory order in the npy header cannot be")
    return NpyHeader(layout_of(value["descr"]), shape, "F" if order else "C", offset, (version, text))


def _check_description(description: Any, depth: int) -> None:
    """Only the forms that NumPy writes, so that no other notation of a type reaches its parser."""
    if depth > _MAX_DEPTH:
        raise ContentError("the element type is nested too deeply")
    if isinstance(description, str):
        if not _TYPE.fullmatch(description):
            raise ContentError(f"the element type {description!r:.80} cannot be")
    elif isinstance(description, tuple) and len(description) == 2:
        base, shape = description
        if not isinstance(shape, tuple) or not all(type(length) is int and length >= 0 for length in shape):
            raise ContentError("the element type has no valid shape")
        _check_description(base, depth + 1)
    elif isinstance(description, list) and description:
        for field in description:
            if not isinstance(field, tuple) or len(field) not in {2, 3} or not _is_field_name(field[0]):
                raise ContentError("the element type has no valid fields")
            _check_description(field[1] if len(field) == 2 else field[1:], depth + 1)
    else:
        raise ContentError(f"the element type {description!r:.80} cannot be")


def _is_field_name(name: Any) -> bool:
    if isinstance(name, tuple):
        return len(name) == 2 and all(isinstance(part, str) for part in name)
    return isinstance(name, str)


class _Literal:
    """Reads one literal; the depth is bounded, so recursion is safe."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0

    def whole(self) -> Any:
        """The value of the text; ContentError where anything else stands in it."""
        value = self._value(0)
        if self._text[self._position :].strip(" \n"):
            raise self._broken()
        return value

    def _broken(self) -> ContentError:
        return ContentError(f"no literal at character {self._position} of the header")

    def _next(self) -> re.Match[str]:
        match = _TOKEN.match(self._text, self._position)
        if match is None:
            raise self._broken()
        self._position = match.end()
        return match

    def _peek(self) -> str:
        match = _TOKEN.match(self._text, self._position)
        return match["mark"] or "" if match else ""

    def _value(self, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise ContentError("the header is nested too deeply")
        token = self._next()
        if token["string"] is not None:
            return _string(token["string"][1:-1])
        if token["number"] is not None:
            return _integer(token["number"])
        if token["word"] is not None:
            return _WORDS[token["word"]]
        if token["mark"] == "{":
            return self._mapping(depth)
        if token["mark"] == "[":
            return self._items("]", depth)[0]
        if token["mark"] == "(":
            items, comma = self._items(")", depth)
            return tuple(items) if comma or len(items) != 1 else items[0]
        raise self._broken()

    def _items(self, end: str, depth: int) -> tuple[list[Any], bool]:
        """Values up to `end`, and whether a comma stood among them."""
        items: list[Any] = []
        comma = False
        while self._peek() != end:
            items.append(self._value(depth + 1))
            following = self._peek()
            if following == ",":
                self._next()
                comma = True
            elif following != end:
                raise self._broken()
        self._next()
        return items, comma

    def _mapping(self, depth: int) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        while self._peek() != "}":
            key = self._value(depth + 1)
            if self._next()["mark"] != ":" or not isinstance(key, str) or key in found:
                raise self._broken()
            found[key] = self._value(depth + 1)
            if self._peek() == ",":
                self._next()
            elif self._peek() != "}":
                raise self._broken()
        self._next()
        return found


def _integer(text: str) -> int:
    if len(text) > 20:
        raise ContentError("a number in the header is too large")
    return int(text)


def _string(text: str) -> str:
    def character(match: re.Match[str]) -> str:
        code = match[1] or match[2] or match[3]
        if code is None:
            return str(match[4])
        if int(code, 16) > 0x10FFFF:
            raise ContentError("a character in the header cannot be")
        return chr(int(code, 16))

    plain = _ESCAPE.sub(character, text)
    if "\\" in _ESCAPE.sub("", text):
        raise ContentError("an escape in the header is not known")
    return plain
