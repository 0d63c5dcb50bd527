"""Many re-runs at once: the one place that hands them to workers, and gives back what came of each.

Each task is carried out in a process of its own kind (or wherever the executor has its workers), in a
clean room that nothing else uses. What has come back is told at once, so that whoever listens can keep
it: when everything is ended half-way, only what was under way is done again.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import contextmanager
from types import FrameType
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from reproof.errors import ExecutionError, ReproofError
from reproof.model.event import Emit, Event
from reproof.workflow.cluster import crew
from reproof.workflow.needs import Needs, fitting

Task = TypeVar("Task")
Result = TypeVar("Result")

#: How often a task is given out whose worker died under it.
ATTEMPTS = 3
_GRACE = 20.0  # seconds that a worker without a parent has for ending its re-run
_LOOK = 10.0  # seconds without news after which workers are looked for


class Hands(msgspec.Struct, frozen=True, kw_only=True):
    """Who does the work.

    Attributes:
        count: Re-runs at the same time.
        cluster: Address of a Dask scheduler, ``tcp://HOST:PORT``; None for processes of this machine.
        resources: What each re-run occupies, as the user says: ``cpus``, ``GPU`` ...
    """

    count: int = 1
    cluster: str | None = None
    resources: dict[str, float] = {}


def _unheard(name: str, result: object) -> None:
    """Whoever asks for all results at the end need not listen."""


class Batch(msgspec.Struct, Generic[Task, Result], frozen=True, kw_only=True):
    """What is to be done.

    Attributes:
        tasks: By name. They, and what comes of them, travel between processes.
        work: Does one task; a function of a module.
        title: What the work is called while it goes on.
        told: Called with the name, and the result or why there is none, as soon as it is known.
        total: How many there are with those that were done before; None for those of `tasks`.
        needs: What one task occupies.
        luggage: Content that tasks refer to, by its BLAKE3; it travels to the workers of a cluster.
    """

    tasks: Mapping[str, Task]
    work: Callable[[Task], Result]
    title: str
    told: Callable[[str, Result | ReproofError], None] = _unheard
    total: int | None = None
    needs: Needs = Needs()
    luggage: Mapping[str, bytes] = {}


class _Crew(Protocol):
    """Whoever takes tasks."""

    def submit(self, work: Callable[[Task], Result], task: Task) -> Future[Result]:
        """Give out one task; BrokenExecutor, also as its result: it has to be given out again."""

    def look(self) -> None:
        """Raise where what is under way can never come to an end."""

    def end(self) -> None:
        """Let go of what is under way, and wait until it is."""


def carry_out(batch: Batch[Task, Result], hands: Hands, emit: Emit) -> None:
    """Do all tasks of a batch, `hands.count` at the same time, and tell each result.

    A worker that dies takes nothing with it: what it did is given to another, at most three times. An
    error of one task is told, and does not keep the others from being done. On this machine no more go on
    at the same time than it has CPUs and GPUs for.

    Raises:
        KeyboardInterrupt: Ctrl-C; what was under way is ended, what was told is kept.
        ExecutionError: The cluster cannot be reached, or its workers cannot take part.
        UsageError: The package for it is not installed.
    """
    waiting = deque(batch.tasks.items())
    total = batch.total if batch.total is not None else len(waiting)
    progress = _Progress(batch.title, total - len(waiting), total, emit)
    attempts: Counter[str] = Counter()
    count = hands.count
    if hands.cluster is None and waiting:
        count = fitting(min(count, len(waiting)), batch.needs, emit)
    progress.tell("start")
    try:
        while waiting:
            with _crew(hands, count, batch, emit) as workers:
                lost = _turns(workers, count, batch, waiting, progress)
            for name, task in reversed(lost):
                attempts[name] += 1
                if attempts[name] < ATTEMPTS:
                    waiting.appendleft((name, task))
                    continue
                batch.told(name, _died(name))
                progress.advance()
    finally:
        progress.tell("finish")


def results_of(batch: Batch[Task, Result], hands: Hands, emit: Emit) -> dict[str, Result]:
    """Do all tasks as `carry_out` does, and give back what came of each, in their order.

    Raises:
        ReproofError: A task could not be worked on, which is raised when the others are done; or as `carry_out`.
        KeyboardInterrupt: As `carry_out`.
    """
    done: dict[str, Result] = {}
    failed: list[ReproofError] = []

    def told(name: str, result: Result | ReproofError) -> None:
        batch.told(name, result)
        if isinstance(result, ReproofError):
            failed.append(result)
        else:
            done[name] = result

    carry_out(msgspec.structs.replace(batch, told=told), hands, emit)
    if failed:
        raise failed[0]
    return {name: done[name] for name in batch.tasks}


def _turns(
    workers: _Crew,
    count: int,
    batch: Batch[Task, Result],
    waiting: deque[tuple[str, Task]],
    progress: _Progress,
) -> list[tuple[str, Task]]:
    """Give out tasks until none is left, or the workers are gone.

    Returns:
        The tasks that were under way when they went.
    """
    running: dict[Future[Result], tuple[str, Task]] = {}
    lost: list[tuple[str, Task]] = []
    try:
        while (waiting and not lost) or running:
            while waiting and not lost and len(running) < count:
                name, task = waiting.popleft()
                try:
                    running[workers.submit(batch.work, task)] = name, task
                except BrokenExecutor:  # while nobody looked; this one was not under way
                    waiting.appendleft((name, task))
                    if not running:
                        return lost
                    break
            ended, _ = wait(running, timeout=_LOOK, return_when=FIRST_COMPLETED)
            if not ended:
                workers.look()
            for future in ended:
                name, task = running.pop(future)
                if _take(future, name, batch):
                    progress.advance()
                else:
                    lost.append((name, task))
    except BaseException:
        for future in running:
            future.cancel()
        workers.end()
        raise
    return lost


def _take(future: Future[Result], name: str, batch: Batch[Task, Result]) -> bool:
    """Tell what came of one task; False where its worker died."""
    try:
        batch.told(name, future.result())
    except BrokenExecutor:
        return False
    except CancelledError as error:
        raise KeyboardInterrupt from error
    except ReproofError as error:
        batch.told(name, error)
    return True


def _died(name: str) -> ExecutionError:
    return ExecutionError(
        f"the worker that carried out `{name}` died {ATTEMPTS} times",
        hint="it may have run out of memory: pass a smaller `--jobs`",
    )


class _Progress:
    """Counts what is done, and tells it."""

    def __init__(self, title: str, done: int, total: int, emit: Emit) -> None:
        self._title, self._done, self._total, self._emit = title, done, total, emit

    def advance(self) -> None:
        """One more is done."""
        self._done += 1
        self.tell("advance")

    def tell(self, kind: Any) -> None:
        """Say how many are done."""
        self._emit(
            Event(kind=kind, subject="re-runs", message=self._title, done=self._done, total=self._total)
        )


class _Processes:
    """Workers of this machine, each a process of its own."""

    def __init__(self, count: int) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would take over locks that threads hold
        self._pool = ProcessPoolExecutor(count, mp_context=context, initializer=begin_worker)

    def submit(self, work: Callable[[Task], Result], task: Task) -> Future[Result]:
        """Hand a task to a process."""
        return self._pool.submit(attend, work, task)

    def look(self) -> None:
        """A pool says so by itself when one of its processes dies."""

    def end(self) -> None:
        """Let running tasks end, and begin no more."""
        self._pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _crew(hands: Hands, count: int, batch: Batch[Task, Result], emit: Emit) -> Iterator[_Crew]:
    if hands.cluster is not None:
        with crew(hands.cluster, batch.needs, batch.luggage, emit) as workers:
            yield workers
        return
    processes = _Processes(count)
    try:
        yield processes
    finally:
        processes.end()


class _State:
    """Of a worker: whether it is at work, and whether it is to end."""

    busy = False
    ending = False


def attend(work: Callable[[Task], Result], task: Task) -> Result:
    """In a worker: do one task; a signal that says to stop ends it as Ctrl-C does, and is nothing in between.

    Raises:
        KeyboardInterrupt: The worker was told to end before the task began.
    """
    if _State.ending:
        raise KeyboardInterrupt
    _State.busy = True
    try:
        return work(task)
    finally:
        _State.busy = False


def begin_worker() -> None:
    """In a worker of this machine: let go of a task when told to, and end with the process that started us."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_GRACE)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="end-with-parent").start()


def _stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature is signal's
    _State.ending = _State.ending or number == signal.SIGTERM
    if _State.busy:
        raise KeyboardInterrupt
    if number == signal.SIGTERM:
        os._exit(128 + number)
