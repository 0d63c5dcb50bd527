"""What a child writes, on its way to a log, to a digest and to our own output."""

from __future__ import annotations

import fcntl
import os
import pty
import selectors
import termios
from io import FileIO
from pathlib import Path

from reproof.base.digesting import digest_file, new_digester
from reproof.execute.protocol import Output, Watch

_CHUNK = 1 << 16


class Stream:
    """One output of a child: what the child is given, and where its bytes go.

    Without echo the child writes straight into the log, and we do nothing but digest it afterwards.
    """

    def __init__(self, log: Path | None, echo_to: int | None, *, terminal: bool) -> None:
        self._log = log
        self._echo_to = echo_to
        self._file: FileIO | None = log.open("wb", buffering=0) if log is not None else None
        self._digester = new_digester("blake3")
        self._size = 0
        self.reads_from: int | None = None
        self.child_end = -1
        if echo_to is None:
            self.child_end = os.dup(self._file.fileno()) if self._file else os.open(os.devnull, os.O_WRONLY)
        elif terminal:
            self.reads_from, self.child_end = pty.openpty()
            _make_plain(self.child_end)
            self.resize()
        else:
            self.reads_from, self.child_end = os.pipe()
        if self.reads_from is not None:
            os.set_blocking(self.reads_from, False)

    def resize(self) -> None:
        """Give the pseudo-terminal the size of our own terminal."""
        if self.reads_from is None or self._echo_to is None:
            return
        try:
            size = fcntl.ioctl(self._echo_to, termios.TIOCGWINSZ, b"\0" * 8)
            fcntl.ioctl(self.reads_from, termios.TIOCSWINSZ, size)
        except OSError:
            pass  # not a terminal after all: the child sees one without a size

    def started(self) -> None:
        """Close what only the child needs."""
        os.close(self.child_end)
        self.child_end = -1

    def pump(self) -> bool:
        """Pass on what is there to be read; False when nothing will come any more."""
        assert self.reads_from is not None
        try:
            data = os.read(self.reads_from, _CHUNK)
        except BlockingIOError:
            return True
        except OSError:  # EIO: the last holder of the terminal's other end is gone
            return False
        if data:
            self._take(data)
        return bool(data)

    def drain(self) -> None:
        """Pass on what has been written so far, without waiting for more."""
        if self.reads_from is None:
            return
        with selectors.DefaultSelector() as ready:
            ready.register(self.reads_from, selectors.EVENT_READ)
            while ready.select(0) and self.pump():
                pass

    def close(self) -> Output | None:
        """End it and tell what went through; None where nobody looked."""
        for handle in (self.reads_from, self.child_end):
            if handle is not None and handle >= 0:
                os.close(handle)
        try:
            if self._file is not None:
                self._file.close()
        except OSError:  # what was still to be written found no place
            self._log = None
        if self.reads_from is not None:
            return Output(digest=str(self._digester.hexdigest()), size=self._size, path=self._log)
        if self._log is None:
            return None
        return Output(digest=digest_file(self._log)["blake3"], size=self._log.stat().st_size, path=self._log)

    def _take(self, data: bytes) -> None:
        self._digester.update(data)
        self._size += len(data)
        self._keep(data)
        if self._echo_to is not None:
            self._echo(data)

    def _keep(self, data: bytes) -> None:
        try:
            if self._file is not None:
                self._file.write(data)
        except OSError:  # disk full: the run goes on, and its output is told not to be kept
            self._log = None

    def _echo(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view and self._echo_to is not None:
                view = view[os.write(self._echo_to, view) :]
        except OSError:  # nobody reads any more (`reproof run | head`): the run and its log go on
            self._echo_to = None


def open_streams(watch: Watch) -> tuple[Stream, Stream]:
    """Standard output and standard error for a child; one and the same stream for a shared terminal.

    Raises:
        OSError: A log cannot be written.
    """
    terminals = [watch.echo and watch.terminal and os.isatty(number) for number in (1, 2)]
    out = Stream(watch.stdout, 1 if watch.echo else None, terminal=terminals[0])
    if all(terminals):
        return out, out
    try:
        return out, Stream(watch.stderr, 2 if watch.echo else None, terminal=terminals[1])
    except BaseException:
        out.close()
        raise


def _make_plain(terminal: int) -> None:
    """No translation of line ends: the log holds the bytes that the child wrote, ours does the rest."""
    attributes = termios.tcgetattr(terminal)
    attributes[1] &= ~termios.OPOST
    termios.tcsetattr(terminal, termios.TCSANOW, attributes)
