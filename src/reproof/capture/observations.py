"""Reads what the child told about itself, and sums it up in the terms of a record.

All of it is self-reported by the user's processes, any of which may have been killed while it wrote:
nothing in the file can make these functions raise, and what cannot be understood is an omission.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import TypeVar

import msgspec

from reproof.base.files import open_plain
from reproof.capture.programs import conceal, python_calls
from reproof.model.observation import (
    Answered,
    AnyObservation,
    Applied,
    Booted,
    Connected,
    Ended,
    Failed,
    Observation,
    Opened,
    Pooled,
    Redirected,
    Seeded,
    Started,
    Versioned,
)
from reproof.model.randomness import Draw
from reproof.model.record import ChildProcess, Omission

_CHUNK = 1 << 20  # bytes
_LONGEST = 1 << 24  # bytes of one line; a longer one is damage
_LISTED = 20  # processes that are named one by one
_VALUES = 3  # seeds that are named for one place

#: Processes of multiprocessing itself, which outlive the program by a moment.
_COMPANIONS = ("resource_tracker", "semaphore_tracker", "multiprocessing.forkserver")

_decoder = msgspec.json.Decoder(AnyObservation)

Line = TypeVar("Line", bound=Observation)


class Observations(msgspec.Struct, frozen=True):
    """All lines that could be read.

    Attributes:
        lines: In the order in which they were written.
        unknown: Kinds of lines that this version does not know, and how many there were.
        damaged: Lines that are no JSON or do not follow their kind.
        torn: The last line has no end: its process was killed while it wrote.
    """

    lines: list[AnyObservation] = []
    unknown: dict[str, int] = {}
    damaged: int = 0
    torn: bool = False

    def of(self, kind: type[Line]) -> Iterator[Line]:
        """The lines of one kind, in their order."""
        return (line for line in self.lines if isinstance(line, kind))


class _Head(msgspec.Struct):
    k: str


def read(path: Path) -> Observations:
    """Read the observations file at `path`; a missing or unreadable one gives no lines."""
    lines: list[AnyObservation] = []
    unknown: Counter[str] = Counter()
    damaged, torn = 0, False
    try:
        with open_plain(path) as file:  # the child could have put anything in its place
            for chunk in _chunks(file):
                torn = not chunk.endswith(b"\n")
                whole = chunk[: chunk.rfind(b"\n") + 1] if torn else chunk
                damaged += _decode(whole, lines, unknown)
    except OSError:
        pass
    return Observations(lines, dict(unknown), damaged, torn)


def _chunks(file: BufferedReader) -> Iterator[bytes]:
    """Pieces of about a mebibyte that end with a line, except maybe the last."""
    while chunk := file.read(_CHUNK):
        while not chunk.endswith(b"\n") and len(chunk) < _LONGEST:
            rest = file.readline(_CHUNK)
            if not rest:
                break
            chunk += rest
        yield chunk


def _decode(data: bytes, lines: list[AnyObservation], unknown: Counter[str]) -> int:
    """Add the lines in `data` to `lines`; the number of damaged ones."""
    try:
        lines.extend(_decoder.decode_lines(data))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return sum(_decode_one(line, lines, unknown) for line in data.split(b"\n") if line.strip())
    return 0


def _decode_one(line: bytes, lines: list[AnyObservation], unknown: Counter[str]) -> int:
    try:
        lines.append(_decoder.decode(line))
    except (msgspec.DecodeError, UnicodeDecodeError):
        try:
            kind = msgspec.json.decode(line, type=_Head).k
        except (msgspec.DecodeError, UnicodeDecodeError):
            return 1
        if kind in _KINDS:
            return 1
        unknown[kind] += 1
    return 0


_KINDS = {kind.__struct_config__.tag for kind in AnyObservation.__args__}


def reads_told(data: bytes) -> Iterator[str]:
    """Absolute paths that whole lines in `data` say were to be read; other lines are passed over."""
    for text in data.splitlines():
        if not text.startswith(b'{"k":"open"'):
            continue
        try:
            line = _decoder.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        if isinstance(line, Opened) and line.mode != "w":
            for path in (*([line.path] if line.path else ()), *line.paths):
                yield posixpath.normpath(posixpath.join(line.folder, path))


def opened_for_reading(observations: Observations) -> dict[str, set[int]]:
    """Absolute paths of files that were to be read, and the processes that asked; some may not exist."""
    return _opened(observations, ("r", "rw"))


def opened_for_writing(observations: Observations) -> dict[str, set[int]]:
    """Absolute paths of files that were to be written, and the processes that asked."""
    return _opened(observations, ("w", "rw"))


def written_before_read(observations: Observations) -> set[str]:
    """Absolute paths whose first open that a process told of was for writing alone."""
    first: dict[str, str] = {}
    for line in observations.of(Opened):
        for path in (*([line.path] if line.path else ()), *line.paths):
            first.setdefault(posixpath.normpath(posixpath.join(line.folder, path)), line.mode)
    return {path for path, mode in first.items() if mode == "w"}


def _opened(observations: Observations, modes: tuple[str, ...]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for line in observations.of(Opened):
        if line.mode in modes:
            paths = [posixpath.join(line.folder, path) for path in line.paths]
            for path in [line.path, *paths] if line.path else paths:
                found.setdefault(posixpath.normpath(path), set()).add(line.p)
    return found


def native_libraries(observations: Observations) -> tuple[str, ...]:
    """Absolute paths of all files that some process had mapped as executable code at its end, sorted."""
    return tuple(sorted({path for line in observations.of(Ended) for path in line.native}))


def pools(observations: Observations) -> dict[str, Pooled]:
    """Path of each library for linear algebra or threads to what it said; with the most threads of any process."""
    found: dict[str, Pooled] = {}
    for line in observations.of(Pooled):
        known = found.get(line.path)
        if known is None or line.threads > known.threads:
            found[line.path] = line
    return found


def modules(observations: Observations) -> tuple[str, ...]:
    """Names of the top-level modules imported from outside of the standard library, sorted."""
    return tuple(sorted({name for line in observations.of(Ended) for name in line.modules}))


def network(observations: Observations) -> tuple[str, ...]:
    """Addresses that were connected to or looked up, as ``host:port`` or ``host``, sorted."""
    return tuple(sorted({line.address for line in observations.of(Connected)}))


def randomness(observations: Observations) -> tuple[tuple[str, ...], tuple[Draw, ...]]:
    """What reproof seeded, and what the user's code seeded.

    Each thing once for each place, in the order in which it was first seen; `count` is how often it was
    told, which is once for each process and, up to three, for each different seed.
    """
    applied = tuple(dict.fromkeys(line.what for line in observations.of(Applied)))
    seeded: dict[tuple[str, str], list[Seeded]] = {}
    for line in observations.of(Seeded):
        seeded.setdefault((_what(line), line.where), []).append(line)
    answers: dict[tuple[str, str], list[str]] = {}
    for answer in observations.of(Answered):
        answers.setdefault((answer.what, answer.where), []).append(answer.value)
    return (
        applied,
        tuple(
            Draw(
                what=what,
                where=where,
                value=_some([line.value for line in told]),
                count=len(told),
                answer=_some(answers.get((told[0].what, where), [])),
            )
            for (what, where), told in seeded.items()
        ),
    )


def _what(line: Seeded) -> str:
    if not line.inside:
        return line.what
    return f"{line.what} in {line.inside.rpartition('-packages/')[2]}"


def _some(values: list[str]) -> str | None:
    """A few of the values, each once; None when none is known."""
    known = list(dict.fromkeys(value for value in values if value))
    return ", ".join([*known[:_VALUES], *(["..."] if len(known) > _VALUES else [])]) or None


def mlflow_version(observations: Observations) -> str | None:
    """The version of MLflow that was imported first; None when none was."""
    return next((line.version for line in observations.of(Versioned)), None)


def redirected(observations: Observations) -> tuple[str, ...]:
    """Addresses of tracking stores that the code named and was not given, sorted."""
    return tuple(sorted({line.address for line in observations.of(Redirected)}))


def processes(observations: Observations) -> tuple[ChildProcess, ...]:
    """Python processes in the order of their beginning, then those that started but never spoke.

    A fork is shown with the arguments of the process that it came from; one that went on to execute
    another Python is shown as that. Secrets in arguments are concealed.
    """
    known: dict[int, ChildProcess] = {}
    found: list[ChildProcess] = []
    for line in observations.of(Booted):
        origin = known.get(line.parent)
        argv = conceal(line.argv) if not line.fork else origin.argv if origin else ()
        process = ChildProcess(pid=line.p, parent=line.parent, argv=argv)
        earlier = known.get(line.p)
        if earlier is not None and not line.fork and earlier in found:
            found.remove(earlier)
        known[line.p] = process
        found.append(process)
    return (*found, *_unreached(observations))


def _unreached(observations: Observations) -> tuple[ChildProcess, ...]:
    """Python programs that were started and of which no process told that it had begun."""
    free = {number: line for number, line in enumerate(observations.lines) if isinstance(line, Booted)}
    speakers = {line.p for line in free.values()}
    free = {number: line for number, line in free.items() if not line.fork}
    silent = []
    for number, start in enumerate(observations.lines):
        if not isinstance(start, Started):
            continue
        for call in python_calls(start.argv):
            # A start is told before it happens, so its process speaks further down.
            later = [each for each in free if each > number]
            boot = _boot_of(start, call, {each: free[each] for each in later}, speakers)
            if boot is not None:
                del free[boot]
            else:
                silent.append(
                    ChildProcess(pid=start.child or 0, parent=start.p, argv=conceal(call), reached=False)
                )
    return tuple(silent)


def _boot_of(
    start: Started, call: tuple[str, ...], later: dict[int, Booted], speakers: set[int]
) -> int | None:
    """Which of the first lines in `later` is by the process that `start` began; None if none is."""
    if start.child is not None:
        return next((number for number, boot in later.items() if boot.p == start.child), None)
    same = {number: boot for number, boot in later.items() if boot.argv[1:] == call[1:]}
    below = [number for number, boot in same.items() if boot.parent == start.p]
    if same:
        return (below or list(same))[0]
    if call == start.argv:
        return None
    # Through a shell, which may have expanded the arguments: a process below one that says nothing.
    return next(
        (number for number, boot in later.items() if boot.parent == start.p or boot.parent not in speakers),
        None,
    )


def omissions(observations: Observations) -> tuple[Omission, ...]:
    """What was not seen of the run's processes, and why."""
    if not any(observations.of(Booted)):
        reason = "no Python process told what it did: files read, randomness and libraries are not known from within"
        return (Omission(subject="processes", reason=reason), *_unreadable(observations))
    return (
        *_silent_processes(observations),
        *_abrupt_processes(observations),
        *_failures(observations),
        *_unreadable(observations),
    )


def _silent_processes(observations: Observations) -> Iterator[Omission]:
    reason = "started without telling what it did (another interpreter, or one told to start without `site`)"
    silent = _unreached(observations)
    counts = Counter(" ".join(process.argv) for process in silent)
    for command, count in list(counts.items())[:_LISTED]:
        times = f" ({count} times)" if count > 1 else ""
        yield Omission(subject=f"process `{command[:200]}`", reason=reason + times)
    if len(counts) > _LISTED:
        yield Omission(subject="processes", reason=f"{len(counts) - _LISTED} more commands {reason}")


def _abrupt_processes(observations: Observations) -> Iterator[Omission]:
    ended = {line.p for line in observations.of(Ended)} | {line.child for line in observations.of(Started)}
    whole: set[int] = set()
    forks: set[int] = set()
    for line in observations.of(Booted):
        companion = any(name in argument for argument in line.argv for name in _COMPANIONS)
        if line.p not in ended and not companion:
            (forks if line.fork else whole).add(line.p)
    if whole:
        reason = "ended abruptly (killed, or by `os._exit`): what libraries it had loaded, and the last files it read, may be missing"
        yield Omission(subject=_counted(len(whole), "process", "processes"), reason=reason)
    if forks - whole:
        reason = (
            "ended abruptly (killed, or by `os._exit`): libraries loaded there, and nowhere else, are missing"
        )
        yield Omission(subject=_counted(len(forks - whole), "worker", "workers"), reason=reason)


#: Failures by which something that was logged may have gone unseen.
_RESULTS = frozenset({"mlflow", "mlflow artifact", "mlflow artifacts", "hook of mlflow", "import of mlflow"})


def _failures(observations: Observations) -> Iterator[Omission]:
    counts = Counter((line.subject, line.reason) for line in observations.of(Failed))
    for (subject, reason), count in counts.items():
        times = f" ({count} times)" if count > 1 else ""
        yield Omission(subject=subject, reason=reason + times, hides_results=subject in _RESULTS)


def _unreadable(observations: Observations) -> Iterator[Omission]:
    if observations.damaged:
        reason = f"{_counted(observations.damaged, 'line', 'lines')} could not be read"
        yield Omission(subject="observations", reason=reason, hides_results=True)
    for kind, count in sorted(observations.unknown.items()):
        reason = f"{_counted(count, 'line', 'lines')} of the unknown kind `{kind[:40]}`"
        yield Omission(subject="observations", reason=reason, hides_results=True)


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
