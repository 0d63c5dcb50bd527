"""Opcodes of the pickle machine that push plain values: numbers, text, bytes."""

from __future__ import annotations

import struct

from reproof.compare.pickles.nodes import Raw
from reproof.compare.pickles.tape import Tape
from reproof.compare.protocol import ContentError

_LONG_TEXT = 1 << 16
_SHORT_BYTES = 1 << 8  # below this a copy is smaller than a view
_UNFRAMED = 1 << 16  # payloads of at least this size stand outside of frames

_U2, _I4, _U4, _U8 = (struct.Struct(form) for form in ("<H", "<i", "<I", "<Q"))
_F8 = struct.Struct(">d")


class Values(Tape):
    """The opcodes for plain values. Each takes the position behind itself and returns the next one."""

    # constants

    def _op_none(self, position: int) -> int:
        self._stack.append(None)
        return position

    def _op_newtrue(self, position: int) -> int:
        self._stack.append(True)
        return position

    def _op_newfalse(self, position: int) -> int:
        self._stack.append(False)
        return position

    def _op_int(self, position: int) -> int:
        line, position = self._line(position)
        self._stack.append({b"00": False, b"01": True}[line] if line in (b"00", b"01") else decimal(line))
        return position

    def _op_long(self, position: int) -> int:
        line, position = self._line(position)
        self._stack.append(decimal(line.removesuffix(b"L")))
        return position

    def _op_binint(self, position: int) -> int:
        self._stack.append(_I4.unpack_from(self.data, position)[0])
        return position + 4

    def _op_binint1(self, position: int) -> int:
        self._stack.append(self.data[position])
        return position + 1

    def _op_binint2(self, position: int) -> int:
        self._stack.append(_U2.unpack_from(self.data, position)[0])
        return position + 2

    def _op_long1(self, position: int) -> int:
        return self._long(position + 1, self.data[position])

    def _op_long4(self, position: int) -> int:
        (length,) = _I4.unpack_from(self.data, position)
        if length < 0:
            raise ContentError("the pickle is damaged: a number of negative length")
        return self._long(position + 4, length)

    def _long(self, position: int, length: int) -> int:
        digits = self._take(position, length)
        if length > 1 and digits[-1] in (0, 255) and (digits[-2] >> 7) == (digits[-1] >> 7):
            self.note(f"a number with more digits than it needs at {position}")
        self._stack.append(int.from_bytes(digits, "little", signed=True))
        self.weight += length
        return position + length

    def _op_float(self, position: int) -> int:
        line, position = self._line(position)
        if line != line.strip() or b"_" in line:
            raise ContentError("the pickle is damaged: a number that is none")
        self._stack.append(float(line))
        return position

    def _op_binfloat(self, position: int) -> int:
        self._stack.append(_F8.unpack_from(self.data, position)[0])
        return position + 8

    # text and bytes

    def _text(self, position: int, length: int, head: int) -> int:
        taken = self._take(position, length)
        if length < _LONG_TEXT:
            self._stack.append(str(taken, "utf-8", "surrogatepass"))
            self.weight += 50 + length
        else:
            self._stack.append(Raw("text", taken))
            self._exempt += head + length
            self._large += 1
        return position + length

    def _bytes(self, kind: str, position: int, length: int, head: int) -> int:
        taken = self._take(position, length)
        self._stack.append(Raw(kind, bytes(taken) if length < _SHORT_BYTES else taken))
        self.weight += 300
        if length >= _UNFRAMED:
            self._exempt += head + length
            self._large += 1
        return position + length

    def _op_short_binunicode(self, position: int) -> int:
        self._needs(4, position)
        return self._text(position + 1, self.data[position], 2)

    def _op_binunicode(self, position: int) -> int:
        return self._text(position + 4, _U4.unpack_from(self.data, position)[0], 5)

    def _op_binunicode8(self, position: int) -> int:
        self._needs(4, position)
        return self._text(position + 8, _U8.unpack_from(self.data, position)[0], 9)

    def _op_unicode(self, position: int) -> int:
        line, position = self._line(position)
        self._stack.append(str(line, "raw-unicode-escape"))
        self.weight += 50 + len(line)
        return position

    def _op_short_binbytes(self, position: int) -> int:
        self._needs(3, position)
        return self._bytes("bytes", position + 1, self.data[position], 2)

    def _op_binbytes(self, position: int) -> int:
        self._needs(3, position)
        return self._bytes("bytes", position + 4, _U4.unpack_from(self.data, position)[0], 5)

    def _op_binbytes8(self, position: int) -> int:
        self._needs(4, position)
        return self._bytes("bytes", position + 8, _U8.unpack_from(self.data, position)[0], 9)

    def _op_bytearray8(self, position: int) -> int:
        self._needs(5, position)
        return self._bytes("bytearray", position + 8, _U8.unpack_from(self.data, position)[0], 9)

    def _op_short_binstring(self, position: int) -> int:
        return self._bytes("str8", position + 1, self.data[position], 2)

    def _op_binstring(self, position: int) -> int:
        (length,) = _I4.unpack_from(self.data, position)
        if length < 0:
            raise ContentError("the pickle is damaged: text of negative length")
        return self._bytes("str8", position + 4, length, 5)

    def _op_string(self, position: int) -> int:
        line, position = self._line(position)
        if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in b"'\"":
            raise ContentError("the pickle is damaged: text without quotes")
        import codecs

        decoded, _ = codecs.escape_decode(line[1:-1])
        self._stack.append(Raw("str8", decoded))
        self.weight += 100 + len(line)
        return position


def decimal(line: bytes) -> int:
    """An integer as picklers write it: no blanks, no underscores, no leading zeros.

    Raises:
        ContentError: It is written in another way.
        ValueError: It is no integer.
    """
    number = int(line)
    if str(number).encode() != line:
        raise ContentError("the pickle is damaged: a number in an unusual form")
    return number
