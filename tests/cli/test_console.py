from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from reproof.cli.console import Console, encodable, is_colored, render_error, wants_color, write_document
from reproof.errors import MaterialError
from reproof.model.event import Event


class Terminal(io.StringIO):
    encoding = "utf-8"  # type: ignore[assignment]

    def isatty(self) -> bool:
        return True


def note(message: str) -> Event:
    return Event(kind="note", subject="x", message=message)


def stretch(subject: str = "environment") -> list[Event]:
    return [
        Event(kind="start", subject=subject, message="making the environment", total=2),
        Event(kind="advance", subject=subject, done=1),
        Event(kind="finish", subject=subject, message="environment ready"),
    ]


def shown(verbosity: int, *events: Event) -> str:
    stream = io.StringIO()
    with Console(verbose=max(verbosity, 0), quiet=max(-verbosity, 0), stream=stream) as console:
        for event in events:
            console.emit(event)
    return re.sub(r"\(\d+ ms\)", "(0 ms)", stream.getvalue())


def test_an_error_has_the_form_of_the_design() -> None:
    error = MaterialError(
        "cannot restore `data/bikes.csv`: its recorded content is in no store",
        details=[
            ("recorded", "blake3:9f2c41d0 (554 KiB), from `data/bikes.csv.dvc` at commit `1a2b3c4`"),
            ("searched", ".reproof, .dvc/cache, remote `origin`, artifacts of run `df8805c0`"),
            ("git", "first line\nsecond line"),
        ],
        hint="run `dvc push` where the run was made, or pass `--store PATH`",
    )
    assert render_error(error) == (
        "error: cannot restore `data/bikes.csv`: its recorded content is in no store\n"
        "  recorded  blake3:9f2c41d0 (554 KiB), from `data/bikes.csv.dvc` at commit `1a2b3c4`\n"
        "  searched  .reproof, .dvc/cache, remote `origin`, artifacts of run `df8805c0`\n"
        "  git       first line\n"
        "            second line\n"
        "hint: run `dvc push` where the run was made, or pass `--store PATH`"
    )


def test_an_error_without_details_is_one_line() -> None:
    assert render_error(MaterialError("no")) == "error: no"


def test_an_error_cannot_move_the_cursor() -> None:
    text = render_error(MaterialError("a\x1b[2Jb\nc", details=[("l\x07", "\x1b]0;t\x07")], hint="x\u202ey"))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert text.startswith("error: a\\x1b[2Jb\\nc\n")
    assert "x\\u202ey" in text


def test_an_error_in_colour_says_the_same() -> None:
    error = MaterialError("no", details=[("why", "because")], hint="wait")
    colored = render_error(error, color=True)
    assert colored != render_error(error)
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == render_error(error)


def test_notes_and_warnings_are_shown_by_default_and_stretches_are_not() -> None:
    warning = Event(kind="warning", subject="lock", message="`uv.lock` disagrees", hint="run `uv lock`")
    assert shown(0, note("seed 42"), *stretch(), warning) == (
        "seed 42\nwarning: `uv.lock` disagrees\nhint: run `uv lock`\n"
    )


def test_quiet_hides_notes_and_twice_quiet_hides_warnings() -> None:
    warning = Event(kind="warning", subject="lock", message="old")
    assert shown(-1, note("seed"), warning) == "warning: old\n"
    assert shown(-2, note("seed"), warning) == ""


def test_verbose_brackets_a_stretch_with_lines() -> None:
    assert shown(1, *stretch()) == "making the environment ...\nenvironment ready (0 ms)\n"


def test_more_verbose_tells_each_step() -> None:
    assert shown(2, *stretch()) == (
        "making the environment ...\nmaking the environment 1 of 2\nenvironment ready (0 ms)\n"
    )


def test_a_finish_without_start_is_fine() -> None:
    assert (
        shown(1, Event(kind="finish", subject="lost"), Event(kind="finish", subject="x", message="y"))
        == "y\n"
    )


def test_a_finish_without_words_takes_those_of_the_start() -> None:
    begin, _, _ = stretch()
    assert shown(1, begin, Event(kind="finish", subject="environment")) == (
        "making the environment ...\nmaking the environment (0 ms)\n"
    )


def test_the_summary_of_a_run_is_told_unless_quiet() -> None:
    for quiet, expected in ((0, "recorded ab\nMLflow: run cd\n"), (1, "")):
        stream = io.StringIO()
        Console(quiet=quiet, stream=stream).tell_recorded(["recorded ab", "MLflow: run cd"])
        assert stream.getvalue() == expected


@pytest.mark.parametrize(
    ("words", "env", "expected"),
    [
        (["verify", "--color", "always"], {}, True),
        (["verify", "--color=always"], {}, True),
        (["--color", "never", "verify"], {"REPROOF_COLOR": "always"}, False),
        (["verify"], {"REPROOF_COLOR": "always"}, True),
        (["run", "--", "tool", "--color", "always"], {}, False),
        (["verify", "--color"], {}, False),
        (["verify", "--color", "purple"], {}, False),
    ],
)
def test_errors_find_the_colour_on_the_command_line(
    words: list[str], env: dict[str, str], expected: bool
) -> None:
    assert wants_color(words, env) is expected


def test_foreign_text_in_events_is_neutralised() -> None:
    assert shown(0, note("\x1b[31mred\nnext")) == "\\x1b[31mred\\nnext\n"


@pytest.mark.parametrize(
    ("when", "env", "expected"),
    [
        ("auto", {"TERM": "xterm"}, True),
        ("auto", {"TERM": "dumb"}, False),
        ("auto", {}, False),
        ("auto", {"TERM": "xterm", "NO_COLOR": "1"}, False),
        ("auto", {"TERM": "xterm", "NO_COLOR": ""}, True),
        ("never", {"TERM": "xterm"}, False),
        ("always", {"NO_COLOR": "1"}, True),
    ],
)
def test_colour_follows_the_option_then_the_environment(
    when: str, env: dict[str, str], expected: bool
) -> None:
    assert is_colored(Terminal(), when, env) is expected  # type: ignore[arg-type]


def test_no_colour_without_a_terminal() -> None:
    assert not is_colored(io.StringIO(), "auto", {"TERM": "xterm"})


def test_a_closed_stream_does_not_end_the_work() -> None:
    stream = io.StringIO()
    console = Console(stream=stream)
    stream.close()
    console.emit(note("nobody hears"))


def test_text_is_escaped_for_narrow_encodings() -> None:
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    assert encodable("naïve \N{CHECK MARK}", narrow) == "na\\xefve \\u2713"
    write_document("naïve\n", None, narrow)
    assert narrow.buffer.getvalue() == b"na\\xefve\n"  # type: ignore[attr-defined]


def test_documents_go_to_files_whole(tmp_path: Path) -> None:
    write_document("<html>\n", tmp_path / "out" / "report.html")
    assert (tmp_path / "out" / "report.html").read_text(encoding="utf-8") == "<html>\n"
    write_document("text\n", Path("/dev/null"))
    assert Path("/dev/null").is_char_device()


def test_a_dash_is_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    write_document("text\n", Path("-"))
    assert capsys.readouterr().out == "text\n"


def test_events_may_come_from_many_threads() -> None:
    stream = io.StringIO()
    console = Console(stream=stream)
    threads = [
        threading.Thread(target=lambda: [console.emit(note("a line that stays whole")) for _ in range(50)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(stream.getvalue().splitlines()) == {"a line that stays whole"}
    assert stream.getvalue().count("\n") == 400


SCRIPT = """
import sys, time
from reproof.cli.console import Console
from reproof.model.event import Event
with Console(quiet=int(sys.argv[1]), yields_to=("training",)) as console:
    subject = sys.argv[2]
    console.emit(Event(kind="start", subject=subject, message="making it", total=5))
    for done in range(5):
        time.sleep(0.5)
        console.emit(Event(kind="advance", subject=subject, done=done + 1))
    console.emit(Event(kind="note", subject="x", message="[bold]a note"))
    console.emit(Event(kind="finish", subject=subject, message="made it"))
print("rich" in sys.modules)
"""


def on_terminal(*arguments: str, **env: str) -> str:
    """Standard error and output of SCRIPT on a pseudo terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "PYTHONUTF8": "1", **env},
    )
    os.close(theirs)
    data = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # Linux: the other side has been closed
            break
        if not chunk:
            break
        data += chunk
    os.close(ours)
    assert process.wait() == 0
    return data.decode()


def test_a_long_stretch_moves_on_a_terminal_and_leaves_a_line() -> None:
    text = on_terminal("0", "environment")
    assert "making it" in text
    assert "\x1b[2K" in text
    assert "[bold]a note" in text
    assert re.search(r"made it \(\d+\.\d s\)", text)
    assert "True" in text


@pytest.mark.parametrize("arguments", [("1", "environment"), ("0", "training")])
def test_nothing_moves_when_it_is_not_wanted(arguments: tuple[str, str]) -> None:
    text = on_terminal(*arguments)
    assert "\x1b[2K" not in text
    assert "False" in text  # rich was not even imported
