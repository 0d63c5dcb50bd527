"""A program that means harm, in each sandbox: what it may not reach, it does not reach."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from reproof.execute import BubblewrapRunner, Confinement, DockerRunner, Limits, visible

WAYS = (
    *("parent_paths", "symlinks", "proc", "mounts", "setuid", "ptrace", "sockets", "devices"),
    *("environment", "signals", "fork_bomb", "disk"),
)
LIMITS = Limits(memory=256 << 20, processes=48, disk=64 << 20)
SANDBOXES = [
    pytest.param(BubblewrapRunner, marks=pytest.mark.needs("bwrap"), id="bubblewrap"),
    pytest.param(DockerRunner, marks=pytest.mark.needs("docker"), id="docker"),
]


@pytest.fixture(params=SANDBOXES)
def sandbox(request, room):
    tree = visible([Path(sys.base_prefix), Path(__file__).with_name("hostile.py")])
    confinement = Confinement(writable=(room.folder,), read_only=tree, limits=LIMITS)
    return request.param(confinement)


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """What the program is after: a file, a process, sockets; all belong to the one who runs it."""
    secret = secrets.token_hex(16)
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "canary").write_text(secret)
    victim = subprocess.Popen(["sleep", "600"], env={"SECRET": secret, "PATH": os.environ["PATH"]})
    abstract = f"reproof-{secret}"
    with (
        socket.socket(socket.AF_UNIX) as named,
        socket.socket(socket.AF_UNIX) as nameless,
        socket.create_server(("127.0.0.1", 0)) as server,
    ):
        monkeypatch.chdir(folder)  # the name of a socket must be short
        named.bind("socket")
        named.listen()
        nameless.bind("\0" + abstract)
        nameless.listen()
        yield {
            "secret": secret,
            "canary": str(folder / "canary"),
            "outside": str(folder),
            "victim": victim.pid,
            "parent": os.getpid(),
            "socket": str(folder / "socket"),
            "abstract": abstract,
            "port": server.getsockname()[1],
            "home": str(Path.home()),
            "processes": LIMITS.processes,
            "disk": LIMITS.disk,
        }
    assert victim.poll() is None, "the process outside was ended"
    victim.kill()
    victim.wait()
    assert sorted(path.name for path in folder.iterdir()) == ["canary", "socket"]
    assert (folder / "canary").read_text() == secret


@pytest.mark.parametrize("runner", SANDBOXES)
def test_a_file_that_is_lent_is_read_at_another_place_and_never_written(runner, room, tmp_path):
    lent, target = tmp_path / "lent, too", room.folder / "data/in side"
    lent.write_text("content")
    target.parent.mkdir()
    target.touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file").write_text("within")
    (room.folder / "all").mkdir()
    tree = visible([Path(sys.base_prefix)])
    binds = ((lent, target), (tmp_path / "folder", room.folder / "all"))
    confinement = Confinement(writable=(room.folder,), read_only=tree, lent=binds)
    code = f"""
import os
place = {str(target)!r}
print(open(place).read(), open({str(room.folder / "all/file")!r}).read())
open(place + ".new", "w").close()
for attempt in (lambda: open(place, "r+"), lambda: os.unlink(place), lambda: os.rename(place + ".new", place)):
    try:
        attempt()
    except OSError:
        print("refused")
"""
    done = room.run(code, runner(confinement))
    assert (done.status, room.out.read_text()) == (0, "content within\n" + 3 * "refused\n")
    assert (lent.read_text(), target.read_text()) == ("content", "")


def test_twelve_ways_out(sandbox, room, outside, monkeypatch):
    monkeypatch.setenv("REPROOF_TEST_TOKEN", outside["secret"])
    script = str(Path(__file__).with_name("hostile.py"))
    recipe = room.recipe(room.python, "-I", "-S", script, json.dumps(outside))
    done = sandbox.run(recipe, room.watch(timeout=90))
    assert done.status == 0, room.err.read_text() + str(done.exceeded)
    caught = json.loads(room.out.read_text())
    assert tuple(caught["tried"]) == WAYS
    assert caught.get("escapes", []) == []
    assert caught["fork"] == "EAGAIN"
    assert not Path("/usr/evil").exists()
    assert not (room.folder.parent / "beside").exists()


def test_a_full_disk_is_the_room_s_alone(sandbox, room):
    code = (
        "import time\n"
        "for number in range(100000):\n"
        "    with open(f'part-{number}', 'wb') as file: file.write(b'x' * (1 << 20))\n"
        "    time.sleep(0.002)\n"
    )
    done = sandbox.run(room.recipe(room.python, "-I", "-S", "-c", code), room.watch(timeout=60))
    assert done.exceeded == f"more than {LIMITS.disk:,} bytes on disk"
    assert done.status == 137
    assert not done.timed_out


def test_memory_is_bounded(sandbox, room):
    code = "x = []\nwhile True: x.append(bytearray(16 << 20))"
    done = sandbox.run(room.recipe(room.python, "-I", "-S", "-c", code), room.watch(timeout=60))
    assert done.status in (137, 1)
    assert done.status == 1 or done.exceeded is not None
    assert not done.timed_out


def test_a_run_that_does_not_end_is_ended(sandbox, room):
    watch = room.watch(timeout=2, grace=2)
    code = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(300)"
    done = sandbox.run(room.recipe(room.python, "-I", "-S", "-c", code), watch)
    assert (done.timed_out, done.status) == (True, 137)
    assert done.seconds < 60
