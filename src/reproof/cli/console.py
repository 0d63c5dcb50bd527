"""What people see while a command works: progress, notes, warnings and errors, all on standard error."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, TextIO, cast

from reproof.base.files import write_atomic
from reproof.errors import ReproofError
from reproof.model.event import Event
from reproof.report.numbers import seconds_text
from reproof.report.safe import lines, plain
from reproof.report.terminal import Paint

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

When = Literal["auto", "always", "never"]

_PATIENCE = 2.0  # seconds of work before progress is worth showing
_FRAMES = 6  # refreshes of the progress lines in a second: each costs CPU that the run may want


class Console:
    """Receives events and shows them; use as a context manager, so that progress ends with it.

    On a terminal, work that takes over two seconds is shown as a moving line, with a bar where its
    extent is known. Elsewhere (and for a log), lines are written when work begins and ends, with -v.
    Events may come from any thread.

    The times of -v less those of -q decide what is shown: at -1 warnings and errors, at -2 errors
    only, at 0 also notes and moving progress, at 1 a line for each stretch of work, at 2 its steps.

    Args:
        verbose: Times -v.
        quiet: Times -q.
        color: ``auto`` colours terminals, unless NO_COLOR is set or TERM is ``dumb``.
        stream: Where to write; standard error by default.
        yields_to: Subjects of stretches in which the terminal belongs to the user's own program:
            nothing moves then.
    """

    def __init__(
        self,
        *,
        verbose: int = 0,
        quiet: int = 0,
        color: When = "auto",
        stream: TextIO | None = None,
        yields_to: Collection[str] = (),
    ) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._verbosity = verbose - quiet
        self._when = color
        self._paint = Paint(color=is_colored(self._stream, color))
        self._moves = self._verbosity >= 0 and _can_move(self._stream)
        self._yields_to = frozenset(yields_to)
        self._lock = threading.RLock()
        self._began: dict[str, float] = {}
        self._steps: dict[str, Event] = {}
        self._timer: threading.Timer | None = None
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def color(self) -> bool:
        """Whether this console uses colours."""
        return self._paint.color

    @property
    def color_for_stdout(self) -> bool:
        """Whether what goes to standard output is coloured."""
        return is_colored(sys.stdout, self._when)

    def emit(self, event: Event) -> None:
        """Show `event`, as far as the verbosity asks for it."""
        with self._lock:
            if event.kind == "warning":
                self._warn(event)
            elif event.kind == "note":
                self._say(plain(event.message), least=0)
            elif event.kind == "start":
                self._start(event)
            elif event.kind == "advance":
                self._advance(event)
            else:
                self._finish(event)

    def tell_recorded(self, summary: Sequence[str]) -> None:
        """Write the lines that sum up a run, after ending all progress; hidden by -q."""
        self.close()
        for line in summary:
            self._say(plain(line), least=0)

    def show_error(self, error: ReproofError) -> None:
        """Write `error` in its form, after ending all progress."""
        self.close()
        self._write(render_error(error, color=self.color) + "\n")

    def close(self) -> None:
        """End all progress; the console can be used again."""
        with self._lock:
            self._stop_moving()
            self._steps.clear()
            self._began.clear()

    def _stop_moving(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
        self._tasks.clear()

    def _may_move(self) -> bool:
        return self._moves and bool(self._began) and self._yields_to.isdisjoint(self._began)

    def _start(self, event: Event) -> None:
        self._began[event.subject] = time.monotonic()
        self._steps[event.subject] = event
        self._say(f"{_words(event)} ...", least=1)
        if not self._may_move():
            self._stop_moving()
        elif self._progress is not None:
            self._show(event)
        elif self._timer is None:
            self._await(_PATIENCE)

    def _advance(self, event: Event) -> None:
        known = self._steps.get(event.subject)
        message = event.message or (known.message if known is not None else "")
        total = event.total if event.total is not None else (known.total if known is not None else None)
        step = Event(kind="advance", subject=event.subject, message=message, done=event.done, total=total)
        self._steps[event.subject] = step
        self._say(f"{_words(step)} {_extent(step)}".rstrip(), least=2)
        if self._progress is not None:
            self._show(step)

    def _finish(self, event: Event) -> None:
        began = self._began.pop(event.subject, None)
        known = self._steps.pop(event.subject, None)
        task = self._tasks.pop(event.subject, None)
        if self._progress is not None and task is not None:
            self._progress.remove_task(task)
        if not self._began:
            self._stop_moving()
        elif self._may_move() and self._progress is None and self._timer is None:
            self._await(_PATIENCE)
        if began is None:
            self._say(plain(event.message), least=1)
            return
        seconds = time.monotonic() - began
        message = plain(event.message) or _words(known or event)
        # what was worth watching leaves a line behind; what was not, only with -v
        watched = self._moves and seconds >= _PATIENCE and event.subject not in self._yields_to
        self._say(f"{message} ({seconds_text(seconds)})", least=0 if watched else 1)

    def _warn(self, event: Event) -> None:
        if self._verbosity < -1:
            return
        text = f"{self._paint('warning:', 'bold yellow')} {plain(event.message)}\n"
        if event.hint:
            text += f"{self._paint('hint:', 'bold cyan')} {plain(event.hint)}\n"
        self._write(text)

    def _say(self, text: str, *, least: int) -> None:
        if self._verbosity >= least and text:
            self._write(f"{text}\n")

    def _write(self, text: str) -> None:
        if self._progress is not None:
            from rich.text import Text

            # rich moves its lines out of the way; the text is not its markup
            self._progress.console.print(Text.from_ansi(text.rstrip("\n")), soft_wrap=True)
            return
        try:
            self._stream.write(encodable(text, self._stream))
            self._stream.flush()
        except (OSError, ValueError):  # nobody is listening any more: that must not end the work
            return

    def _await(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._begin_moving)
        self._timer.daemon = True
        self._timer.start()

    def _begin_moving(self) -> None:
        with self._lock:
            self._timer = None
            if self._progress is not None or not self._may_move():
                return
            oldest = time.monotonic() - min(self._began.values())
            if oldest < _PATIENCE * 0.9:  # a row of short stretches: wait for one that lasts
                self._await(_PATIENCE - oldest)
                return
            self._progress = _new_progress(self._stream, color=self.color)
            self._progress.start()
            for event in self._steps.values():
                self._show(event)

    def _show(self, event: Event) -> None:
        assert self._progress is not None
        words = _words(event)
        task = self._tasks.get(event.subject)
        if task is None:
            task = self._progress.add_task(words, total=event.total, extent=_extent(event))
            self._tasks[event.subject] = task
            self._progress.tasks[-1].start_time = self._began.get(event.subject)  # not when first shown
        self._progress.update(
            task, description=words, completed=event.done, total=event.total, extent=_extent(event)
        )


def render_error(error: ReproofError, *, color: bool = False) -> str:
    """An error for people: one line, aligned facts, one hint; without final newline.

    Texts of several lines continue below their beginning; nothing in them can move the cursor.
    """
    paint = Paint(color=color)
    result = [f"{paint('error:', 'bold red')} {plain(error.message)}"]
    gutter = max((len(plain(label)) for label, _ in error.details), default=0) + 2
    for label, text in error.details:
        first, *rest = lines(text)
        result.append(f"  {plain(label):{gutter}}{first}".rstrip())
        result += [f"  {'':{gutter}}{line}".rstrip() for line in rest]
    if error.hint:
        first, *rest = lines(error.hint)
        result += [f"{paint('hint:', 'bold cyan')} {first}", *(f"      {line}" for line in rest)]
    return "\n".join(result)


def write_document(text: str, target: Path | None, stream: TextIO | None = None) -> None:
    """Write a rendered document to the file `target`, or (None or ``-``) to standard output.

    Raises:
        OSError: The file cannot be written, or standard output is closed.
    """
    if target is not None and str(target) != "-":
        data = text.encode("utf-8", "backslashreplace")
        if target.exists() and not target.is_file():
            target.write_bytes(data)  # a device or pipe cannot be replaced, only written to
        else:
            write_atomic(target, data)
        return
    out = sys.stdout if stream is None else stream
    out.write(encodable(text, out))
    out.flush()


def wants_color(words: Sequence[str], env: Mapping[str, str] | None = None) -> bool:
    """Whether errors are coloured, for a command line `words` that may not have been understood."""
    ours = list(words[: words.index("--")] if "--" in words else words)
    when = (os.environ if env is None else env).get("REPROOF_COLOR", "auto")
    for word, following in zip(ours, [*ours[1:], ""], strict=True):
        if word.startswith("--color"):
            when = word.partition("=")[2] or following
    return is_colored(sys.stderr, cast("When", when if when in {"always", "never"} else "auto"), env)


def is_colored(stream: TextIO, when: When, env: Mapping[str, str] | None = None) -> bool:
    """Whether text for `stream` is coloured: ``auto`` means a terminal, without NO_COLOR (no-color.org)."""
    if when != "auto":
        return when == "always"
    return (
        not (os.environ if env is None else env).get("NO_COLOR")
        and _is_terminal(stream)
        and not _is_dumb(env)
    )


def encodable(text: str, stream: TextIO) -> str:
    """`text` with what the stream's encoding cannot express written as escapes."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.encode(encoding, "backslashreplace").decode(encoding)
    return text


def _words(event: Event) -> str:
    return plain(event.message or event.subject)


def _extent(event: Event) -> str:
    if event.total is None:
        return f"{event.done:,}" if event.done else ""
    return f"{event.done:,} of {event.total:,}"


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except (AttributeError, ValueError):  # closed, or replaced by something that is no file
        return False


def _can_move(stream: TextIO) -> bool:
    encoding = (getattr(stream, "encoding", None) or "").lower()
    return _is_terminal(stream) and not _is_dumb() and encoding.startswith("utf")


def _is_dumb(env: Mapping[str, str] | None = None) -> bool:
    return (os.environ if env is None else env).get("TERM", "") in ("", "dumb", "unknown")


def _new_progress(stream: TextIO, *, color: bool) -> Progress:
    from rich.console import Console as RichConsole
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = RichConsole(
        file=stream, force_terminal=True, no_color=not color, highlight=False, markup=False, emoji=False
    )
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[extent]}", markup=False),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        refresh_per_second=_FRAMES,
        redirect_stdout=False,
        redirect_stderr=False,
    )
