"""What every runner takes and gives."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from reproof.model.recipe import Recipe

Level = Literal["none", "process", "bubblewrap", "docker"]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much a run may use; None for as much as there is.

    Attributes:
        memory: Bytes.
        processes: Processes and threads at one time.
        disk: Bytes below the folders that it may write.
    """

    memory: int | None = None
    processes: int | None = None
    disk: int | None = None


class Confinement(msgspec.Struct, frozen=True, kw_only=True):
    """What a run may touch.

    Attributes:
        writable: Folders that it may change (those of the room).
        read_only: Folders and files that it may read besides: the environment, its interpreter's tree.
            Where one lies within the other, the inner one counts.
        lent: Files and folders that it may read at another place than their own: ``(source, target)``. The
            target exists, within a writable folder, and is covered.
        network: Leave the network on.
        devices: Device nodes to pass through, such as those of a GPU.
        limits: How much it may use.
    """

    writable: tuple[Path, ...] = ()
    read_only: tuple[Path, ...] = ()
    lent: tuple[tuple[Path, Path], ...] = ()
    network: bool = False
    devices: tuple[Path, ...] = ()
    limits: Limits = Limits()

    @property
    def variables(self) -> dict[str, str]:
        """What the run is told of it: that there is no network, so that its first vain call can say so."""
        return {} if self.network else {"REPROOF_NETWORK": "off"}

    @property
    def shown(self) -> tuple[Path, ...]:
        """Every path outside that has to exist for the run to start."""
        return (*self.writable, *self.read_only, *(source for source, _ in self.lent))

    def binds(self) -> list[tuple[Path, bool]]:
        """Each path to show once, with whether it may be changed; outer ones first, so that inner ones count."""
        found = dict.fromkeys(self.read_only, False)
        found.update(dict.fromkeys(self.writable, True))
        return sorted(found.items(), key=lambda bind: len(bind[0].parts))


class Stopper:
    """Passes a signal on to runs that other threads attend to; signals themselves reach the main thread alone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pipes: set[int] = set()
        self._number = 0

    def stop(self, number: int) -> None:
        """Ask every run to end as if `number` had been sent to us; also those that begin later."""
        with self._lock:
            self._number = number
            for pipe in self._pipes:
                os.write(pipe, bytes([number]))

    @contextmanager
    def attached(self, pipe: int) -> Iterator[None]:
        """While this lasts, the number of a signal is written to `pipe`."""
        with self._lock:
            self._pipes.add(pipe)
            if self._number:
                os.write(pipe, bytes([self._number]))
        try:
            yield
        finally:
            with self._lock:
                self._pipes.discard(pipe)


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """How a run is watched.

    Attributes:
        stdout: File that standard output is written to; None keeps no copy.
        stderr: The same for standard error.
        echo: Pass both on to our own standard output and error as they come.
        terminal: Give the child a pseudo-terminal for each of its two outputs that is passed on to
            a terminal of ours, so that progress bars survive. Both then share one stream, and one log.
        timeout: Seconds after which the run is ended; None for never.
        grace: Seconds between asking a run to end and killing it.
        end_left_behind: Kill processes that the run leaves behind in its session; else they live on.
        quota: Bytes that may lie below `measured`; a run that exceeds them is killed. None for no limit.
        measured: The folders whose content counts, looked at again and again.
        stopper: Tells a run in another thread than the main one to end.
    """

    stdout: Path | None = None
    stderr: Path | None = None
    echo: bool = False
    terminal: bool = False
    timeout: float | None = None
    grace: float = 10.0
    end_left_behind: bool = False
    quota: int | None = None
    measured: tuple[Path, ...] = ()
    stopper: Stopper | None = None


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """What came out of a stream: BLAKE3 digest in hexadecimal, bytes, and the file that keeps it."""

    digest: str
    size: int
    path: Path | None = None


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """A run that has ended.

    Attributes:
        status: Exit status as a shell gives it: 0 to 255, 128 + n after signal n, 127 not found,
            126 not executable.
        signal: The signal that ended it, None after an ordinary end.
        started: ISO 8601, in UTC.
        seconds: Wall time.
        cpu_seconds: User and system time of the process and the descendants it waited for.
        peak_memory: Bytes, of the largest of these processes; Linux counts from what we ourselves had
            when starting it.
        stdout: Standard output, None where nobody looked.
        stderr: Standard error; the same as `stdout` for a shared pseudo-terminal.
        timed_out: It was ended because its time was up.
        interrupted: The signal to us that ended it, None otherwise.
        left_behind: Processes that it left behind and that were killed.
        problem: Why it could not be started (`status` 126 or 127), None otherwise.
        exceeded: The limit that it was ended for, in words; None otherwise.
    """

    status: int
    signal: int | None = None
    started: str
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory: int = 0
    stdout: Output | None = None
    stderr: Output | None = None
    timed_out: bool = False
    interrupted: int | None = None
    left_behind: int = 0
    problem: str | None = None
    exceeded: str | None = None


class Interrupted(KeyboardInterrupt):
    """We were told to stop (Ctrl-C, SIGTERM, SIGHUP), and the run has ended because of it.

    Attributes:
        execution: The run as far as it came.
    """

    def __init__(self, execution: Execution) -> None:
        super().__init__()
        self.execution = execution


class Runner(Protocol):
    """Runs a recipe at one level of isolation."""

    level: Level

    def run(self, recipe: Recipe, watch: Watch) -> Execution:
        """Run `recipe` to its end.

        Raises:
            ExecutionError: Its folder is missing, a log cannot be written, or the isolation fails.
            Interrupted: We were told to stop.
        """
        ...  # pragma: no cover
