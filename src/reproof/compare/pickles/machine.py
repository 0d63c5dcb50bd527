"""A pickle machine that imports nothing and calls nothing: opcodes in, a neutral tree out.

The opcodes are those of Python's ``pickletools`` (protocols 0 to 5, PEP 307, 3154, 574). It is
stricter than Python's own machine: what no pickler writes is noted as an anomaly, so that damage in
the encoding is told apart from a mere difference of encoding.
"""

from __future__ import annotations

import functools
import math
import struct
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Callable
from typing import Any

from reproof.compare.pickles import joblib_arrays
from reproof.compare.pickles.containers import Containers
from reproof.compare.pickles.nodes import Call, Extension, Global, Node, OutOfBand, Sequence, is_global
from reproof.compare.pickles.values import decimal
from reproof.compare.protocol import ContentError, LimitError

MAX_WEIGHT = 320 << 20  # estimated bytes of one tree
_LEAF = 36  # bytes that a number costs
_OFTEN = 1 << 16  # opcodes between two looks at the limits

_U2, _I4, _U4 = (struct.Struct(form) for form in ("<H", "<i", "<I"))


class Machine(Containers):
    """Reads one pickle out of a buffer.

    Args:
        data: The buffer; nodes keep slices of it.
        check: Called now and then; raises LimitError when the time is over.
        persistent: Makes the node for a persistent id; :class:`Persistent` when None.
        joblib: Whether arrays follow behind joblib's wrappers.
    """

    def __init__(
        self,
        data: memoryview,
        check: Callable[[], None],
        persistent: Callable[[Any], Any] | None = None,
        *,
        joblib: bool = True,
    ) -> None:
        super().__init__(data, check, persistent)
        self._joblib = joblib
        self._memo: dict[int, Any] = {}
        self._globals: dict[tuple[str, str], Global] = {}
        self._buffers = 0
        self.mappable: set[bool] = set()

    def read(self, start: int = 0) -> tuple[Any, int]:
        """Read the pickle that begins at `start`.

        Returns:
            The root of the tree, and the position behind the STOP opcode.

        Raises:
            ContentError: It is cut short, or is no pickle.
            LimitError: It costs too much.
        """
        self._start = start
        try:
            end = self._run(start)
        except (IndexError, struct.error):
            raise ContentError("the pickle is cut short") from None
        except (ValueError, OverflowError) as error:
            raise ContentError(f"the pickle is damaged: {error}") from None
        if self._outer or len(self._stack) != 1:
            raise ContentError("the pickle is damaged: values are left over")
        return self._stack.pop(), end

    def _run(self, position: int) -> int:
        data, table = self.data, _table()
        count = 0
        while True:
            code = data[position]
            if code == 46:  # STOP
                self._leave(position + 1)
                return position + 1
            position = table[code](self, position + 1)
            if position >= self._frame_end:
                self._end_frame(position)
            count += 1
            if not count % _OFTEN:
                self.check()
                if self.weight + count * _LEAF > MAX_WEIGHT:
                    raise LimitError(f"the pickle holds more objects than fit into {MAX_WEIGHT >> 20} MiB")

    # names and objects

    def _global(self, module: str, name: str) -> Global:
        if self.protocol < 3:
            if (module, name) in NAME_MAPPING:
                module, name = NAME_MAPPING[module, name]
            elif module in IMPORT_MAPPING:
                module = IMPORT_MAPPING[module]
        found = self._globals.get((module, name))
        if found is None:
            found = self._globals[module, name] = Global(module, name)
            self.weight += 300
        return found

    def _op_global(self, position: int) -> int:
        module, position = self._line(position)
        name, position = self._line(position)
        self._stack.append(self._global(module.decode("utf-8"), name.decode("utf-8")))
        return position

    def _op_stack_global(self, position: int) -> int:
        self._needs(4, position)
        name, module = self._stack.pop(), self._stack.pop()
        if type(name) is not str or type(module) is not str:
            raise ContentError("the pickle is damaged: a name that is no text")
        self._stack.append(self._global(module, name))
        return position

    def _call(self, kind: str, callee: Any, arguments: Any, keywords: Any = None) -> None:
        self._stack.append(Call(kind, callee, arguments, keywords))
        self.weight += 150

    def _op_reduce(self, position: int) -> int:
        arguments, callee = self._stack.pop(), self._stack.pop()
        self._call("call", callee, arguments)
        return position

    def _op_newobj(self, position: int) -> int:
        arguments, callee = self._stack.pop(), self._stack.pop()
        self._call("new", callee, arguments)
        return position

    def _op_newobj_ex(self, position: int) -> int:
        self._needs(4, position)
        keywords, arguments, callee = self._stack.pop(), self._stack.pop(), self._stack.pop()
        self._call("new", callee, arguments, keywords)
        return position

    def _op_inst(self, position: int) -> int:
        module, position = self._line(position)
        name, position = self._line(position)
        self._old_instance(self._global(module.decode("utf-8"), name.decode("utf-8")), self._mark())
        return position

    def _op_obj(self, position: int) -> int:
        items = self._mark()
        self._old_instance(items[0], items[1:])
        return position

    def _old_instance(self, callee: Any, arguments: list[Any]) -> None:
        self._call("call" if arguments else "new", callee, Sequence("tuple", arguments))

    def _op_build(self, position: int) -> int:
        state = self._stack.pop()
        target = self._stack[-1]
        if not isinstance(target, Call):
            raise ContentError("the pickle is damaged: a state for what cannot have one")
        target.states = [*(target.states or []), state]
        self.weight += 60
        if self._joblib and is_global(target.callee, *joblib_arrays.WRAPPERS) and target.inline is None:
            if self._frame_end not in (math.inf, position):
                raise ContentError("the pickle is damaged: an array within a frame")
            end = joblib_arrays.read_inline(self, target, position)
            self._outside_from, self._exempt, self._large, self._frame_end = end, 0, 1, math.inf
            return end
        return position

    # memo, persistent ids, buffers, extensions

    def _op_memoize(self, position: int) -> int:
        self._memo[len(self._memo)] = self._stack[-1]
        self.weight += 80
        return position

    def _put(self, number: int, position: int) -> None:
        if number != len(self._memo):
            self.note(f"memo number {number} out of sequence at {position - 1}")
        self._memo[number] = self._stack[-1]
        self.weight += 80

    def _op_put(self, position: int) -> int:
        line, end = self._line(position)
        self._put(decimal(line), position)
        return end

    def _op_binput(self, position: int) -> int:
        self._put(self.data[position], position)
        return position + 1

    def _op_long_binput(self, position: int) -> int:
        self._put(_U4.unpack_from(self.data, position)[0], position)
        return position + 4

    def _get(self, number: int) -> None:
        if number not in self._memo:
            raise ContentError(f"the pickle is damaged: nothing was put at memo number {number}")
        value = self._memo[number]
        self._stack.append(value)
        if isinstance(value, Node):
            self.shared.add(id(value))

    def _op_get(self, position: int) -> int:
        line, position = self._line(position)
        self._get(decimal(line))
        return position

    def _op_binget(self, position: int) -> int:
        self._get(self.data[position])
        return position + 1

    def _op_long_binget(self, position: int) -> int:
        self._get(_U4.unpack_from(self.data, position)[0])
        return position + 4

    def _op_persid(self, position: int) -> int:
        line, position = self._line(position)
        self._stack.append(self._persistent(line.decode("ascii")))
        return position

    def _op_binpersid(self, position: int) -> int:
        self._stack.append(self._persistent(self._stack.pop()))
        self.weight += 150
        return position

    def _op_next_buffer(self, position: int) -> int:
        self._needs(5, position)
        self._stack.append(OutOfBand(self._buffers))
        self._buffers += 1
        return position

    def _op_readonly_buffer(self, position: int) -> int:
        self._needs(5, position)
        target = self._stack[-1]
        if isinstance(target, OutOfBand):
            target.read_only = True
        elif not isinstance(target, Node):
            raise ContentError("the pickle is damaged: a buffer that is none")
        return position

    def _op_ext1(self, position: int) -> int:
        self._stack.append(Extension(self.data[position]))
        return position + 1

    def _op_ext2(self, position: int) -> int:
        self._stack.append(Extension(_U2.unpack_from(self.data, position)[0]))
        return position + 2

    def _op_ext4(self, position: int) -> int:
        self._stack.append(Extension(_I4.unpack_from(self.data, position)[0]))
        return position + 4


@functools.cache
def _table() -> tuple[Callable[[Machine, int], int], ...]:
    """For each byte the method of the opcode that it is."""
    from pickletools import opcodes

    names = {ord(opcode.code): opcode.name.lower() for opcode in opcodes}
    return tuple(getattr(Machine, f"_op_{names.get(code)}", Machine.no_opcode) for code in range(256))
