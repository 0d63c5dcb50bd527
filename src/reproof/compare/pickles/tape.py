"""What all opcodes of the pickle machine share: the buffer, frames, the stack and its marks."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

from reproof.compare.pickles.nodes import Call, Node, Persistent, Sequence
from reproof.compare.protocol import ContentError

_SMALL_FRAME = 4  # what is shorter gets no frame
_U8 = struct.Struct("<Q")


class Tape:
    """A buffer with a position in it, a stack of values, and what was noted about the encoding.

    Attributes:
        data: The buffer; nodes keep slices of it.
        check: Called now and then; raises LimitError when the time is over.
        protocol: As the pickle declares it; 0 when it does not.
        anomalies: What no pickler writes.
        loose: Calls whose result nobody keeps and whose first argument is no object of the tree.
        weight: Estimated bytes of the tree.
        shared: Ids of the nodes that stand in several places of the tree.
    """

    def __init__(
        self, data: memoryview, check: Callable[[], None], persistent: Callable[[Any], Any] | None
    ) -> None:
        self.data = data
        self.check = check
        self.protocol = 0
        self.anomalies: list[str] = []
        self.loose: list[Call] = []
        self.weight = 0
        self.shared: set[int] = set()
        self._persistent = persistent or Persistent
        self._stack: list[Any] = []
        self._outer: list[list[Any]] = []
        self._start = 0
        self._frame_end: float = math.inf
        self._outside_from: int | None = None
        self._exempt = 0
        self._large = 0

    def note(self, anomaly: str) -> None:
        """Remember something that no pickler writes."""
        if len(self.anomalies) < 20:
            self.anomalies.append(anomaly)

    # frames

    def _end_frame(self, position: int) -> None:
        if position != self._frame_end:
            raise ContentError("the pickle is damaged: an opcode crosses the end of a frame")
        self._frame_end, self._outside_from, self._exempt, self._large = math.inf, position, 0, 0

    def _leave(self, position: int) -> None:
        """At STOP: the frame must end here too."""
        if self._frame_end not in (math.inf, position):
            raise ContentError("the pickle is damaged: it ends within a frame")
        if self._frame_end == math.inf:
            self._check_outside(position)

    def _check_outside(self, position: int) -> None:
        if self._outside_from is not None:
            loose = position - self._outside_from - self._exempt
            # a frame only ends early for something large, behind which there may be too little for another
            if loose > (_SMALL_FRAME - 1) * self._large:
                self.note("opcodes outside of frames")
        self._outside_from = None

    def _op_frame(self, position: int) -> int:
        if self._frame_end != math.inf:
            raise ContentError("the pickle is damaged: a frame within a frame")
        self._needs(4, position)
        self._check_outside(position - 1)
        (length,) = _U8.unpack_from(self.data, position)
        self._frame_end = position + 8 + length
        if self._frame_end > len(self.data):
            raise ContentError("the pickle is cut short")
        return position + 8

    def _op_proto(self, position: int) -> int:
        version = self.data[position]
        if version > 5 or position != self._start + 1:
            raise ContentError(f"the pickle is damaged: protocol {version} at {position - 1}")
        if version < 2:
            self.note(f"protocol {version}, which has no opcode to say so")
        self.protocol = version
        return position + 1

    def _needs(self, protocol: int, position: int) -> None:
        if self.protocol < protocol:
            self.note(f"an opcode of protocol {protocol} in protocol {self.protocol} at {position - 1}")

    def no_opcode(self, position: int) -> int:
        """Refuses a byte that is no opcode.

        Raises:
            ContentError: Always.
        """
        raise ContentError(f"no pickle: byte 0x{self.data[position - 1]:02x} at {position - 1} is no opcode")

    # reading arguments

    def _take(self, start: int, length: int) -> memoryview:
        if start + length > len(self.data):
            raise ContentError("the pickle is cut short")
        return self.data[start : start + length]

    def _line(self, position: int) -> tuple[bytes, int]:
        pieces = []
        while True:
            piece = bytes(self.data[position : position + 256])
            end = piece.find(b"\n")
            if end >= 0:
                pieces.append(piece[:end])
                return b"".join(pieces), position + end + 1
            if not piece:
                raise ContentError("the pickle is cut short")
            pieces.append(piece)
            position += len(piece)

    # the stack

    def _mark(self) -> list[Any]:
        """The values since the last mark, which is taken away."""
        items = self._stack
        self._stack = self._outer.pop()
        return items

    def _op_mark(self, position: int) -> int:
        self._outer.append(self._stack)
        self._stack = []
        self.weight += 64
        return position

    def _op_pop(self, position: int) -> int:
        if not self._stack:
            self._mark()
            return position
        self._drop(self._stack.pop())
        return position

    def _drop(self, value: Any) -> None:
        """A call whose result is thrown away was made for what it does to its first argument."""
        if not isinstance(value, Call) or value.kind != "call":
            return
        given = value.arguments.items if isinstance(value.arguments, Sequence) else []
        if given and isinstance(given[0], Call):
            given[0].effects = [*(given[0].effects or []), value]
        else:
            self.loose.append(value)

    def _op_pop_mark(self, position: int) -> int:
        for value in self._mark():
            self._drop(value)
        return position

    def _op_dup(self, position: int) -> int:
        self._stack.append(self._stack[-1])
        if isinstance(self._stack[-1], Node):
            self.shared.add(id(self._stack[-1]))
        return position
