from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from reproof.execute import sessions

CODE = "import os, time\nfor _ in range(2):\n    if os.fork() == 0:\n        time.sleep(300)\nprint('ready', flush=True)\ntime.sleep(300)"


def start():
    child = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", CODE], stdout=subprocess.PIPE, start_new_session=True
    )
    assert child.stdout.readline() == b"ready\n"
    return child


def test_members_and_signals():
    child = start()
    try:
        members = sessions.members(child.pid)
        assert len(members) == 3
        assert child.pid in members
        assert os.getpid() not in members
        assert sessions.send(child.pid, signal.SIGCONT, spare_leader=True) == 2
        assert sessions.send(child.pid, signal.SIGKILL) == 3
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    until = time.monotonic() + 30
    while (
        sessions.members(child.pid) and time.monotonic() < until
    ):  # the killed need a moment on a busy machine
        time.sleep(0.01)
    assert sessions.send(child.pid, signal.SIGTERM) == 0


def test_the_rest_is_killed():
    child = start()
    child.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert sessions.kill_rest(child.pid) == 2
    child.wait()
    child.stdout.close()
    assert sessions.members(child.pid) == []


def test_names_with_brackets_do_not_mislead(tmp_path):
    program = tmp_path / "a) S 1 1 1 ("
    program.symlink_to("/bin/sleep")
    child = subprocess.Popen([program, "300"], start_new_session=True)
    try:
        assert sessions.members(child.pid) == [child.pid]
    finally:
        child.kill()
        child.wait()
