"""Comparators whose library may end the process, in a process of their own.

Arrow's readers are written in C++: some damaged files make them end the whole process. Here that ends
only a worker, and the comparison says so. The worker is started once and serves until its input ends.

A message is its length (eight bytes, big-endian), then MessagePack, which keeps infinities.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from reproof.compare.protocol import ContentError, Context, LimitError, Limits, Source
from reproof.model.difference import Difference
from reproof.model.policy import Tolerance

_GRACE = 20.0  # seconds beyond its own limit that a worker gets to end by itself
_MEMORY = 2 << 30
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from reproof.compare.isolated import serve; serve(sys.stdin.buffer, sys.stdout.buffer)"
)


class _Side(msgspec.Struct, frozen=True):
    """A source as it is told to the worker; the path as bytes in the guise of latin-1."""

    name: str
    path: str
    start: int
    length: int | None


class _Request(msgspec.Struct, frozen=True):
    target: str
    sides: tuple[_Side, _Side]
    subject: str
    tolerance: Tolerance
    limits: dict[str, Any]
    depth: int


class _Answer(msgspec.Struct, frozen=True):
    difference: Difference | None = None
    problem: str = ""
    is_limit: bool = False


def compare_apart(target: str, sides: tuple[Source, Source], subject: str, context: Context) -> Difference:
    """What the function `target` says of two sources, called in the worker.

    Args:
        target: ``module:function``; it takes expected, actual, subject and context. Nothing nested
            can be compared from there.
        sides: The recorded side and the other one.
        subject: What the difference is about.
        context: Tolerance and limits.

    Raises:
        ContentError: The function raised it, raised anything else, or ended the worker.
        LimitError: It took too long.
    """
    with ExitStack() as stack:
        told = tuple(_told(side, stack) for side in sides)
        limits = {name: getattr(context.limits, name) for name in Limits.__dataclass_fields__}
        request = _Request(target, (told[0], told[1]), subject, context.tolerance, limits, context.depth)
        seconds = context.limits.seconds or 60 + sum(side.size for side in sides) / 5e6
        answer = _WORKER.ask(request, seconds + _GRACE)
    if answer.difference is not None:
        return answer.difference
    raise (LimitError if answer.is_limit else ContentError)(answer.problem)


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more; what the worker does."""
    import resource

    import numpy  # noqa: ICN001, F401  # here, so that what the libraries reserve is not counted as content
    import pyarrow  # noqa: ICN001, F401

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    while (message := _read(requests)) is not None:
        answer = _answered(msgspec.msgpack.decode(message, type=_Request))
        _write(answers, msgspec.msgpack.encode(answer))


def _answered(request: _Request) -> _Answer:
    """Do what was asked, in this process; every failure becomes an answer."""
    from reproof.compare import new_context

    module, _, name = request.target.partition(":")
    one, two = (
        Source(
            name=side.name,
            path=Path(os.fsdecode(side.path.encode("latin-1"))),
            start=side.start,
            length=side.length,
        )
        for side in request.sides
    )
    try:
        function = getattr(import_module(module), name)
        _limit_memory(one.size + two.size)
        context = new_context(one, two, tolerance=request.tolerance, limits=Limits(**request.limits))
        return _Answer(function(one, two, request.subject, context))
    except ContentError as error:
        return _Answer(problem=str(error), is_limit=isinstance(error, LimitError))
    except MemoryError:
        return _Answer(problem="reading it takes more memory than there is")
    except RecursionError:
        return _Answer(problem="it is nested too deeply")
    except Exception as error:
        return _Answer(problem=f"{type(error).__name__}: {error}")


def _limit_memory(size: int) -> None:
    """Bound what may be allocated beyond what there is, for content of `size` bytes."""
    import resource

    pages = Path("/proc/self/statm")
    if not pages.exists():
        return
    now = int(pages.read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    wanted = now + _MEMORY + 2 * size
    resource.setrlimit(resource.RLIMIT_AS, (wanted if hard < 0 else min(wanted, hard), hard))


class _Worker:
    """The process, started when it is first needed, and again when it died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._lock = threading.Lock()

    def ask(self, request: _Request, seconds: float) -> _Answer:
        """One question and its answer."""
        with self._lock:
            process = self._running()
            assert process.stdin is not None
            try:
                _write(process.stdin, msgspec.msgpack.encode(request))
                message = self._receive(process, time.monotonic() + seconds)
            except BrokenPipeError:
                message = None
            except TimeoutError:
                self.stop()
                return _Answer(problem="the comparison takes longer than its time limit", is_limit=True)
            except BaseException:
                self.stop()  # half a message would be taken for the answer to the next question
                raise
            if message is not None:
                return msgspec.msgpack.decode(message, type=_Answer)
            return _Answer(problem=f"its reader ended by {_death(process.wait())}")

    def stop(self) -> None:
        """End the process; only that of this process itself, not one it was forked with."""
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._owner == os.getpid() and self._process.poll() is None:
            return self._process
        self.stop()
        self._owner = os.getpid()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", _START, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "4"},
        )
        return self._process

    def _receive(self, process: subprocess.Popen[bytes], until: float) -> bytes | None:
        """The next message; None when the process ended before."""
        assert process.stdout is not None
        handle = process.stdout.fileno()
        data = bytearray()
        need = 8
        while len(data) < need:
            left = until - time.monotonic()
            if left <= 0 or not select.select([handle], [], [], left)[0]:
                raise TimeoutError
            chunk = os.read(handle, min(1 << 20, need - len(data)))
            if not chunk:
                return None
            data += chunk
            if need == 8 == len(data):
                need += int.from_bytes(data, "big")
        return bytes(data[8:])


def _told(side: Source, stack: ExitStack) -> _Side:
    if side.path is not None:
        absolute = os.fsencode(side.path.absolute()).decode("latin-1")
        return _Side(_name(side), absolute, side.start, side.length)
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="reproof-side-"))
    path = Path(folder, "content")
    path.write_bytes(side.data or b"")
    return _Side(_name(side), os.fsencode(path).decode("latin-1"), 0, None)


def _name(side: Source) -> str:
    return side.name.encode("utf-8", "replace").decode()


def _read(stream: BinaryIO) -> bytes | None:
    length = stream.read(8)
    return stream.read(int.from_bytes(length, "big")) if len(length) == 8 else None


def _write(stream: Any, message: bytes) -> None:
    stream.write(len(message).to_bytes(8, "big") + message)
    stream.flush()


def _death(status: int) -> str:
    if status >= 0:
        return f"status {status}"
    with contextlib.suppress(ValueError):
        return f"signal {signal.Signals(-status).name}"
    return f"signal {-status}"


_WORKER = _Worker()
atexit.register(_WORKER.stop)
