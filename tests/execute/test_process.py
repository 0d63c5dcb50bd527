from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from fcntl import ioctl
from pathlib import Path

import blake3
import msgspec
import pytest

from reproof.errors import ExecutionError
from reproof.execute import ProcessRunner, Watch

#: A program that runs a recipe the way the workflows do, and says how it went.
DRIVER = """
import json, sys
from pathlib import Path
from reproof.execute import Interrupted, ProcessRunner, Watch
from reproof.model.recipe import Recipe
code, folder, options = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
recipe = Recipe(argv=(sys.executable, "-I", "-S", "-c", code), env={"PATH": "/usr/bin:/bin"}, cwd=str(folder))
try:
    done = ProcessRunner().run(recipe, Watch(stdout=folder / "out", stderr=folder / "err", **options))
except Interrupted as stopped:
    done = stopped.execution
(folder / "done.json").write_text(json.dumps({"status": done.status, "interrupted": done.interrupted, "seconds": done.seconds,
    "same": done.stdout is done.stderr, "size": done.stdout.size, "left": done.left_behind}))
"""


def test_an_ordinary_run(room):
    done = room.run("import sys; print('out'); sys.stderr.write('err'); sys.exit(7)")
    assert (done.status, done.signal, done.problem, done.timed_out, done.interrupted) == (
        7,
        None,
        None,
        False,
        None,
    )
    assert room.out.read_bytes() == b"out\n"
    assert done.stdout == msgspec.structs.replace(
        done.stdout, digest=blake3.blake3(b"out\n").hexdigest(), size=4, path=room.out
    )
    assert done.stderr.size == 3
    assert done.cpu_seconds > 0
    assert done.peak_memory > 1 << 20
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00", done.started)


def test_what_the_child_gets(room):
    code = "import json, os, sys; print(json.dumps([os.getcwd(), dict(os.environ), sys.stdin.read(), os.getsid(0) == os.getpid()]))"
    room.run(code)
    cwd, env, stdin, leads = json.loads(room.out.read_text())
    assert (cwd, stdin, leads) == (str(room.folder), "", True)
    assert set(env) <= {"PATH", "HOME", "PYTHONDONTWRITEBYTECODE", "LC_CTYPE"}


def test_a_signal_ends_the_child(room):
    done = room.run("import os; os.kill(os.getpid(), 9)")
    assert (done.status, done.signal) == (137, 9)


@pytest.mark.parametrize(
    ("name", "status", "problem"),
    [("no-such-program", 127, "cannot find"), ("plain.txt", 126, "cannot execute")],
)
def test_what_cannot_be_started(room, name, status, problem):
    (room.folder / "plain.txt").write_text("text")
    program = name if "." not in name else str(room.folder / name)
    done = ProcessRunner().run(room.recipe(program), room.watch())
    assert done.status == status
    assert done.problem.startswith(f"{problem} `{program}`")


def test_a_script_is_not_found_among_programs(room):
    (room.folder / "train.py").write_text("")
    done = ProcessRunner().run(room.recipe("train.py"), room.watch())
    assert done.status == 127
    assert done.problem == "cannot find `train.py` among programs; the file of that name here is `./train.py`"


def test_a_missing_folder(room):
    recipe = msgspec.structs.replace(room.recipe("true"), cwd="/no/such/folder")
    with pytest.raises(ExecutionError, match="the working directory `/no/such/folder` does not exist"):
        ProcessRunner().run(recipe, room.watch())


def test_a_log_that_cannot_be_written(room):
    with pytest.raises(ExecutionError, match="cannot write the log"):
        ProcessRunner().run(room.recipe("true"), room.watch(stderr=room.folder / "none" / "err"))


def test_a_full_disk_ends_the_log_and_not_the_run(room, capfd):
    done = room.run("print('x' * 100000)", stdout=Path("/dev/full"), echo=True)
    assert done.status == 0
    assert done.stdout.path is None
    assert done.stdout.size == 100001
    assert len(capfd.readouterr().out) == 100001


def test_echo_passes_on_and_keeps(room, capfd):
    done = room.run("import sys; print('out' * 50000); sys.stderr.write('err')", echo=True)
    shown = capfd.readouterr()
    assert shown.out == room.out.read_text() == "out" * 50000 + "\n"
    assert shown.err == room.err.read_text() == "err"
    assert done.stdout.digest == blake3.blake3(room.out.read_bytes()).hexdigest()


def test_nobody_looks(room, capfd):
    done = room.run("print('out')", stdout=None, stderr=None)
    assert (done.status, done.stdout, done.stderr) == (0, None, None)
    assert capfd.readouterr().out == ""


def test_time_that_is_up(room):
    done = room.run("import time; time.sleep(60)", timeout=0.3)
    assert (done.timed_out, done.status, done.signal) == (True, 143, 15)


def test_a_child_that_does_not_want_to_end(room):
    code = "import signal, time\nsignal.signal(15, lambda *a: print('no', flush=True))\nwhile True: time.sleep(1)"
    done = room.run(code, timeout=3.0, grace=0.3)
    assert (done.timed_out, done.signal) == (True, 9)
    assert room.out.read_text() == "no\n"


LEAVES = "import os, time\npid = os.fork()\nif pid == 0:\n    time.sleep(300)\nprint(pid, flush=True)"


@pytest.mark.parametrize("echo", [False, True])
def test_processes_left_behind_are_killed_in_rooms(room, echo):
    done = room.run(LEAVES, end_left_behind=True, echo=echo)
    assert done.left_behind == 1
    assert not Path("/proc", room.out.read_text().strip()).exists() or is_zombie(int(room.out.read_text()))


@pytest.mark.parametrize("echo", [False, True])
def test_else_they_live_on_and_nobody_waits(room, echo):
    done = room.run(LEAVES, echo=echo)
    child = int(room.out.read_text())
    try:
        assert (done.status, done.left_behind) == (0, 0)
        assert done.seconds < 30
        assert not is_zombie(child)
    finally:
        os.kill(child, signal.SIGKILL)


def is_zombie(process: int) -> bool:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_runs_in_threads(room):
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(room.run("pass", stdout=None, stderr=None).status))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [0, 0, 0]


def test_our_own_signal_handling_is_put_back(room):
    before = [
        signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGWINCH)
    ]
    room.run("pass")
    assert [
        signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGWINCH)
    ] == before


def test_no_descriptor_is_left_open(room):
    room.run("pass", echo=True)
    before = sorted(Path("/proc/self/fd").iterdir())
    for echo in (True, False):
        room.run("pass", echo=echo)
        ProcessRunner().run(room.recipe("no-such-program"), room.watch(echo=echo))
    assert sorted(Path("/proc/self/fd").iterdir()) == before


class Driver:
    """The driver as a process of its own."""

    def __init__(self, folder, code, **options):
        self.folder = folder
        self.argv = [sys.executable, "-c", DRIVER, code, str(folder), json.dumps(options)]

    def start(self, **how):
        self.process = subprocess.Popen(self.argv, **how)
        return self.process

    def wait_for(self, text):
        end = time.monotonic() + 30
        while text not in (self.folder / "out").read_text() if (self.folder / "out").exists() else True:
            assert time.monotonic() < end
            time.sleep(0.02)

    def result(self):
        self.process.wait(30)
        return json.loads((self.folder / "done.json").read_text())


SLOW = "import time\ntry:\n    print('ready', flush=True)\n    time.sleep(300)\nexcept KeyboardInterrupt:\n    print('tidied up', flush=True)\n    raise SystemExit(5)"
DEAF = "import signal, time\nsignal.signal(2, signal.SIG_IGN)\nprint('ready', flush=True)\ntime.sleep(300)"


def test_ctrl_c_ends_the_child_and_tells(tmp_path):
    driver = Driver(tmp_path, SLOW)
    driver.start()
    driver.wait_for("ready")
    driver.process.send_signal(signal.SIGINT)
    result = driver.result()
    assert (result["status"], result["interrupted"]) == (5, signal.SIGINT)
    assert (tmp_path / "out").read_text() == "ready\ntidied up\n"


def test_sigterm_is_passed_on(tmp_path):
    driver = Driver(tmp_path, SLOW)
    driver.start()
    driver.wait_for("ready")
    driver.process.send_signal(signal.SIGTERM)
    result = driver.result()
    assert (result["status"], result["interrupted"]) == (143, signal.SIGTERM)


def test_a_deaf_child_is_killed_after_the_grace(tmp_path):
    driver = Driver(tmp_path, DEAF, grace=0.3)
    driver.start()
    driver.wait_for("ready")
    driver.process.send_signal(signal.SIGINT)
    assert driver.result()["status"] == 137


def test_a_second_ctrl_c_kills_at_once(tmp_path):
    driver = Driver(tmp_path, DEAF, grace=200)
    driver.start()
    driver.wait_for("ready")
    driver.process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    driver.process.send_signal(signal.SIGINT)
    assert driver.result()["status"] == 137


def test_nobody_reads_our_output(tmp_path):
    driver = Driver(tmp_path, "import time\nfor i in range(3): print('x' * 100000, flush=True)", echo=True)
    reading, writing = os.pipe()
    process = driver.start(stdout=writing, stderr=subprocess.DEVNULL)
    os.close(writing)
    os.close(reading)
    process.wait(30)
    result = driver.result()
    assert (result["status"], result["size"]) == (0, 300003)


ASKS = (
    "import os, signal, sys, time\n"
    "print([os.isatty(n) for n in (0, 1, 2)], os.get_terminal_size(1), flush=True)\n"
    "sys.stderr.write('two\\n')\n"
    "seen = []\nsignal.signal(signal.SIGWINCH, lambda *a: seen.append(1))\nprint('ready', flush=True)\n"
    "while not seen: time.sleep(0.02)\n"
    "print(os.get_terminal_size(2), flush=True)\n"
)


def read_all(terminal: int, until: str = "") -> str:
    data = b""
    end = time.monotonic() + 30
    while time.monotonic() < end and (not until or until not in data.decode()):
        if not select.select([terminal], [], [], 0.1)[0]:
            continue
        try:
            chunk = os.read(terminal, 4096)
        except OSError:
            break
        if not chunk:
            break
        data += chunk
    return data.decode()


def test_a_terminal_of_ours_is_a_terminal_for_the_child(tmp_path):
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 77, 0, 0))
    driver = Driver(tmp_path, ASKS, echo=True, terminal=True)
    driver.start(stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    shown = read_all(ours, "ready")
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 99, 0, 0))
    driver.process.send_signal(signal.SIGWINCH)
    os.close(theirs)
    shown += read_all(ours)
    os.close(ours)
    assert driver.result()["same"]
    lines = [
        "[False, True, True] os.terminal_size(columns=77, lines=30)",
        "two",
        "ready",
        "os.terminal_size(columns=99, lines=40)",
    ]
    assert shown.split("\r\n")[:4] == lines
    assert (tmp_path / "out").read_text() == "\n".join(lines) + "\n"
    assert not (tmp_path / "err").exists() or (tmp_path / "err").read_text() == ""


def test_half_a_terminal(tmp_path):
    """Standard output into a file, standard error on the terminal."""
    ours, theirs = pty.openpty()
    driver = Driver(tmp_path, "import os; print([os.isatty(n) for n in (1, 2)])", echo=True, terminal=True)
    with (tmp_path / "redirected").open("w") as file:
        driver.start(stdout=file, stderr=theirs)
        assert not driver.result()["same"]
    assert (tmp_path / "redirected").read_text() == "[False, True]\n"
    os.close(ours)
    os.close(theirs)


def test_terminals_only_where_ours_is_one(room, capfd):
    room.run("import os; print(os.isatty(1))", echo=True, terminal=True)
    assert capfd.readouterr().out == "False\n"


def test_a_watch_has_sound_defaults():
    assert Watch().grace == 10.0
