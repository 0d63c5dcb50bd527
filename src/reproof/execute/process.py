"""Running a recipe as a process in a session of its own, watched from start to end."""

from __future__ import annotations

import errno
import os
import resource
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from reproof.errors import ExecutionError
from reproof.execute import sessions
from reproof.execute.limits import occupied
from reproof.execute.protocol import Execution, Interrupted, Level, Output, Watch
from reproof.execute.streams import Stream, open_streams
from reproof.model.recipe import Recipe

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_DRAIN = 0.5  # seconds to wait for the last output of processes that live on
_MEASURE_EVERY = 1.0  # seconds between two looks at how much a run has written


class ProcessRunner:
    """Runs recipes as they are; what they can see and write is not restricted.

    Attributes:
        level: ``none``, or ``process`` where the recipe comes with a clean environment and folder.
    """

    def __init__(self, level: Level = "process") -> None:
        self.level: Level = level

    def run(self, recipe: Recipe, watch: Watch) -> Execution:
        """Run `recipe` to its end; see :class:`reproof.execute.protocol.Runner`."""
        return run_watched(recipe, watch)


#: Brings a signal to every process of a run.
Send = Callable[[int], None]


def run_watched(
    recipe: Recipe, watch: Watch, *, spare_leader: bool = False, send: Send | None = None
) -> Execution:
    """Run a recipe in a new session, with /dev/null as its standard input.

    SIGINT, SIGTERM and SIGHUP to us are passed on to the session; what does not end within the
    grace is killed, and a second such signal kills at once.

    Args:
        recipe: What to run.
        watch: How to watch it.
        spare_leader: Pass signals on to all but the first process, which is a sandbox's outer end.
        send: How signals reach the run where it is not in the session of what is started here.

    Raises:
        ExecutionError: The working directory is missing or a log cannot be written.
        Interrupted: We were told to stop, and the child has ended.
    """
    if not Path(recipe.cwd).is_dir():
        raise ExecutionError(f"the working directory `{recipe.cwd}` does not exist")
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    try:
        out, err = open_streams(watch)
    except OSError as error:
        raise ExecutionError(f"cannot write the log `{error.filename}`: {error.strerror}") from error
    run = _Run(recipe, watch, (out, err), spare_leader=spare_leader, send=send)
    execution = run.to_the_end()
    if execution.interrupted is not None:
        raise Interrupted(execution)
    return execution


class _Run:
    """One child from its start to its end. Signal handlers only write a byte; this loop does the work."""

    def __init__(
        self,
        recipe: Recipe,
        watch: Watch,
        streams: tuple[Stream, Stream],
        *,
        spare_leader: bool,
        send: Send | None,
    ) -> None:
        self._recipe = recipe
        self._watch = watch
        self._out, self._err = streams
        self._spare_leader = spare_leader
        self._send_elsewhere = send
        self._measured = 0.0  # when the folders were last measured
        self._exceeded: str | None = None
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._ended = threading.Event()
        self._asked: float | None = None  # when the child was first asked to end
        self._kill = False
        self._interrupted: int | None = None
        self._timed_out = False
        self._left = 0
        self._child: subprocess.Popen[bytes] | None = None
        self._waiter: threading.Thread | None = None
        self._waited: tuple[int, int, resource.struct_rusage] | None = None

    def to_the_end(self) -> Execution:
        """Start the command and stay until it, and all that it started, has ended."""
        started = datetime.now(UTC)
        begin = time.monotonic()
        status, usage, problem = 0, (0.0, 0), None
        try:
            with self._listening():
                problem_status, problem = self._start()
                if problem is None:
                    status, usage = self._attend(begin)
                else:
                    status = problem_status
        finally:
            seconds = time.monotonic() - begin
            outputs = self._close()
        return Execution(
            status=128 - status if status < 0 else status,
            signal=-status if status < 0 else None,
            started=started.isoformat(timespec="milliseconds"),
            seconds=seconds,
            cpu_seconds=usage[0],
            peak_memory=usage[1],
            stdout=outputs[0],
            stderr=outputs[1],
            timed_out=self._timed_out,
            interrupted=self._interrupted,
            left_behind=self._left,
            problem=problem,
            exceeded=self._exceeded,
        )

    def _start(self) -> tuple[int, str | None]:
        """Start the child; (status, reason) where it cannot be."""
        try:
            self._child = subprocess.Popen(
                self._recipe.argv,
                cwd=self._recipe.cwd,
                env=self._recipe.env,
                stdin=subprocess.DEVNULL,
                stdout=self._out.child_end,
                stderr=self._err.child_end,
                start_new_session=True,
                umask=-1 if self._recipe.umask is None else self._recipe.umask,
            )
        except OSError as error:
            program = self._recipe.argv[0]
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                here = "/" not in program and (Path(self._recipe.cwd) / program).is_file()
                more = f" among programs; the file of that name here is `./{program}`" if here else ""
                return 127, f"cannot find `{program}`{more}"
            return 126, f"cannot execute `{program}`: {error.strerror}"
        for stream in self._streams():
            stream.started()
        self._waiter = threading.Thread(target=self._wait, args=(self._child.pid,), daemon=True)
        self._waiter.start()
        return 0, None

    def _attend(self, begin: float) -> tuple[int, tuple[float, int]]:
        """Watch the child to its end; whatever goes wrong here, it does not live on."""
        try:
            self._loop(begin)
        except BaseException:
            self._send(signal.SIGKILL)
            self._reap()
            raise
        return self._reap()

    def _wait(self, process: int) -> None:
        """Wait, in a thread, until the child has ended; where possible it stays a zombie, so that its id stays its own."""
        if hasattr(os, "waitid"):
            os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
        else:
            self._waited = os.wait4(process, 0)
        self._ended.set()
        _poke(self._wake_write, 0)

    def _loop(self, begin: float) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_read, selectors.EVENT_READ)
            for stream in self._streams():
                if stream.reads_from is not None:
                    selector.register(stream.reads_from, selectors.EVENT_READ, stream)
            while not self._ended.is_set():
                self._turn(selector, self._remaining(begin))
                self._act(begin)
            if self._watch.end_left_behind or self._interrupted is not None or self._timed_out:
                self._left = sessions.kill_rest(self._pid)
            self._drain(selector)

    def _turn(self, selector: selectors.BaseSelector, timeout: float | None) -> None:
        for key, _ in selector.select(timeout):
            stream: Stream | None = key.data
            if stream is None:
                self._read_signals()
            elif not stream.pump():
                selector.unregister(key.fd)

    def _drain(self, selector: selectors.BaseSelector) -> None:
        """Read to the end of the outputs; processes that live on and hold them get a moment only."""
        end = time.monotonic() + _DRAIN
        while len(selector.get_map()) > 1 and (left := end - time.monotonic()) > 0:
            self._turn(selector, left)
        for stream in self._streams():
            stream.drain()

    def _read_signals(self) -> None:
        try:
            numbers = os.read(self._wake_read, 64)
        except BlockingIOError:
            return
        for number in numbers:
            if number == signal.SIGWINCH:
                for stream in self._streams():
                    stream.resize()
                self._send(signal.SIGWINCH)
            elif number:
                self._kill = self._kill or self._interrupted is not None
                self._interrupted = self._interrupted or number
                self._ask(number)

    def _remaining(self, begin: float) -> float | None:
        """Seconds until something is due, None when nothing is."""
        now = time.monotonic()
        if self._kill:
            return 0.05
        if self._asked is not None:
            return max(0.0, self._asked + self._watch.grace - now)
        due = [begin + self._watch.timeout] if self._watch.timeout is not None else []
        due += [self._measured + _MEASURE_EVERY] if self._watch.quota is not None else []
        return max(0.0, min(due) - now) if due else None

    def _act(self, begin: float) -> None:
        """Do what is due."""
        now = time.monotonic()
        timeout = self._watch.timeout
        if (
            self._asked is None
            and timeout is not None
            and now >= begin + timeout
            and not self._ended.is_set()
        ):
            self._timed_out = True
            self._ask(signal.SIGTERM)
        if self._asked is not None and now >= self._asked + self._watch.grace:
            self._kill = True
        self._measure(now)
        if self._kill and not self._ended.is_set():
            self._send(signal.SIGKILL)

    def _measure(self, now: float) -> None:
        """Have a run that has filled more than its share of the disk killed."""
        quota = self._watch.quota
        if quota is None or self._kill or now < self._measured + _MEASURE_EVERY:
            return
        if occupied(self._watch.measured) > quota:
            self._exceeded = f"more than {quota:,} bytes on disk"
            self._kill = True
        self._measured = time.monotonic()

    def _ask(self, number: int) -> None:
        self._asked = self._asked or time.monotonic()
        self._send(number)

    def _send(self, number: int) -> None:
        """Bring a signal to the run; SIGKILL to the sandbox around it too."""
        spare = self._spare_leader and number != signal.SIGKILL
        if self._send_elsewhere is not None:
            self._send_elsewhere(number)
        if self._send_elsewhere is None or number == signal.SIGKILL:
            sessions.send(self._pid, number, spare_leader=spare)

    def _reap(self) -> tuple[int, tuple[float, int]]:
        """Exit status (negative: the signal), CPU seconds and peak memory in bytes."""
        assert self._child is not None
        if self._waiter is not None:
            self._waiter.join()  # it writes into a pipe that is closed next
        _, status, usage = self._waited or os.wait4(self._pid, 0)
        self._child.returncode = os.waitstatus_to_exitcode(status)  # it has been waited for: Popen must not
        unit = 1 if sys.platform == "darwin" else 1024
        return self._child.returncode, (usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit)

    @property
    def _pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    def _streams(self) -> tuple[Stream, ...]:
        return (self._out,) if self._out is self._err else (self._out, self._err)

    def _close(self) -> tuple[Output | None, Output | None]:
        os.close(self._wake_read)
        os.close(self._wake_write)
        out = self._out.close()
        return out, out if self._err is self._out else self._err.close()

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Have signals to us write their number into the pipe that the loop waits for."""
        if threading.current_thread() is not threading.main_thread():
            with self._watch.stopper.attached(self._wake_write) if self._watch.stopper else nullcontext():
                yield
            return
        wanted = (*_FORWARDED, signal.SIGWINCH)

        def note(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature is signal's
            _poke(self._wake_write, number)

        before = {
            number: signal.signal(number, note)
            for number in wanted
            if signal.getsignal(number) != signal.SIG_IGN
        }
        try:
            yield
        finally:
            for number, old in before.items():
                signal.signal(number, signal.SIG_DFL if old is None else old)


def _poke(pipe: int, number: int) -> None:
    try:
        os.write(pipe, bytes([number]))
    except OSError:
        pass  # full: the loop is awake already
