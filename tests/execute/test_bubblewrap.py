from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from reproof.errors import ExecutionError
from reproof.execute import BubblewrapRunner, Confinement, Interrupted, probe, visible
from reproof.model.recipe import Recipe

pytestmark = pytest.mark.needs("bwrap")


@pytest.fixture
def confined(room):
    runner = BubblewrapRunner(
        Confinement(writable=(room.folder,), read_only=visible([Path(sys.base_prefix)]))
    )
    return lambda code, **more: room.run(code, runner, **more)


def answer(room):
    return json.loads(room.out.read_text())


def test_it_works_here():
    assert probe() is None


def test_status_output_and_costs_come_through(room, confined):
    done = confined(
        "import sys; x = bytearray(80 << 20); print(sum(range(3000000)) > 0); sys.stderr.write('e'); sys.exit(9)"
    )
    assert (done.status, room.out.read_text(), room.err.read_text()) == (9, "True\n", "e")
    assert done.cpu_seconds > 0.02
    assert done.peak_memory > 80 << 20


@pytest.mark.parametrize(("argv", "status"), [(("no-such-program",), 127), (("/etc/passwd",), 126)])
def test_what_cannot_be_started(room, argv, status):
    runner = BubblewrapRunner(Confinement(writable=(room.folder,)))
    assert runner.run(room.recipe(*argv), room.watch()).status == status


def test_a_signal_ends_the_child(confined):
    assert confined("import os; os.kill(os.getpid(), 9)").status == 137


def test_there_is_no_network(room, confined):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        confined(
            "import json, socket\n"
            "def attempt(address):\n"
            "    try: socket.create_connection(address, 2); return 'connected'\n"
            "    except OSError as error: return type(error).__name__\n"
            f"print(json.dumps([attempt(('127.0.0.1', {port})), attempt(('192.0.2.1', 80))]))"
        )
        assert "connected" not in answer(room)


def test_the_network_can_be_left_on(room):
    runner = BubblewrapRunner(
        Confinement(writable=(room.folder,), read_only=visible([Path(sys.base_prefix)]), network=True)
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = room.run(f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)", runner)
    assert done.status == 0


def test_home_is_not_to_be_seen(room, confined, tmp_path):
    (tmp_path / "secret").write_text("s3cret")
    home = str(Path.home())
    confined(
        "import json, os\n"
        f"home, prefix = {home!r}, {str(Path(sys.base_prefix).resolve())!r}\n"
        "files = [os.path.join(root, name) for root, _, names in os.walk(home) for name in names]\n"
        "print(json.dumps([[f for f in files if not f.startswith(prefix)][:5], "
        f"os.path.exists({str(tmp_path / 'secret')!r}), os.path.exists('/etc/shadow'), "
        "len([p for p in os.listdir('/proc') if p.isdigit()]), os.environ.get('HOME')]))"
    )
    files, secret, shadow, processes, own_home = answer(room)
    assert (files, secret, shadow) == ([], False, False)
    assert processes <= 3
    assert own_home == str(room.folder)


def test_nothing_outside_can_be_written(room, confined, tmp_path):
    prefix = Path(sys.base_prefix).resolve()
    targets = [
        "/usr/evil",
        "/etc/evil",
        "/evil",
        f"{prefix}/evil",
        f"{tmp_path}/evil",
        "/sys/kernel/evil",
        "/etc/passwd",
    ]
    confined(
        "import json\n"
        "def attempt(path):\n"
        "    try: open(path, 'a').write('x'); return True\n"
        "    except OSError: return False\n"
        f"open('inside', 'w').write('x'); open('/tmp/own', 'w').write('x')\n"
        f"print(json.dumps([attempt(path) for path in {targets!r}]))"
    )
    private = "/tmp/"  # a /tmp of its own: writing there succeeds, and reaches nothing
    wrote = [path for path, success in zip(targets, answer(room), strict=True) if success]
    assert [path for path in wrote if not path.startswith(private)] == []
    assert [path for path in targets[:-1] if Path(path).exists()] == []
    assert (room.folder / "inside").exists()
    assert not Path("/tmp/own").exists()


def test_no_privileges_inside(room, confined):
    confined(
        "import json\n"
        "lines = dict(line.split(':', 1) for line in open('/proc/self/status').read().splitlines())\n"
        "print(json.dumps([lines['CapEff'].strip(), lines['NoNewPrivs'].strip()]))"
    )
    assert answer(room) == ["0000000000000000", "1"]


def test_a_room_inside_what_is_shown_stays_writable(room, tmp_path):
    runner = BubblewrapRunner(
        Confinement(writable=(room.folder,), read_only=(tmp_path, *visible([Path(sys.base_prefix)])))
    )
    done = room.run("open('inside', 'w'); open('../outside', 'w')", runner)
    assert done.status == 1
    assert (room.folder / "inside").exists()
    assert not (tmp_path / "outside").exists()


def test_what_is_to_be_shown_must_exist(room):
    runner = BubblewrapRunner(Confinement(writable=(room.folder,), read_only=(Path("/no/such"),)))
    with pytest.raises(ExecutionError, match="`/no/such` is to be shown in the room and does not exist"):
        runner.run(room.recipe("true"), room.watch())


def test_time_that_is_up_reaches_the_inside(confined):
    done = confined("import time; time.sleep(300)", timeout=0.5)
    assert (done.timed_out, done.status) == (True, 143)


def test_what_does_not_want_to_end_is_killed_with_the_sandbox(confined):
    code = "import os, signal, time\nsignal.signal(15, signal.SIG_IGN)\nif os.fork() == 0: os.setsid()\ntime.sleep(301.5)"
    assert confined(code, timeout=3.0, grace=0.3).signal == 9
    end = time.monotonic() + 10
    while running("time.sleep(301.5)") and time.monotonic() < end:
        time.sleep(0.05)
    assert running("time.sleep(301.5)") == []


def running(words: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.extend(
                [str(path)]
                if words.encode() in path.read_bytes() and int(path.parent.name) != os.getpid()
                else []
            )
        except OSError:
            continue
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_us_reaches_the_inside(room, confined, number):
    code = (
        "import signal, sys, time\n"
        "def tidy(*_):\n    print('tidied up', flush=True)\n    sys.exit(5)\n"
        "signal.signal(signal.SIGINT, tidy)\nsignal.signal(signal.SIGTERM, tidy)\n"
        "print('ready', flush=True)\ntime.sleep(300)"
    )
    threading.Thread(target=stop_when_ready, args=(room.out, number)).start()
    with pytest.raises(Interrupted) as caught:
        confined(code)
    assert (caught.value.execution.status, caught.value.execution.interrupted) == (5, number)
    assert room.out.read_text() == "ready\ntidied up\n"


def stop_when_ready(log: Path, number: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and not (log.exists() and log.read_text()):
        time.sleep(0.02)
    os.kill(os.getpid(), number)


@pytest.mark.skipif(os.getuid() != 0, reason="becomes another user")
def test_it_works_for_a_normal_user(tmp_path):
    """The same sandbox, started by somebody without any rights."""
    place = Path("/var/tmp") / f"reproof-test-{os.getpid()}"
    place.mkdir()
    try:
        os.chown(place, 65534, 65534)
        arguments = json.dumps(
            list(
                __import__("reproof.execute.bubblewrap", fromlist=["x"]).arguments(
                    Confinement(writable=(place,))
                )
            )
        )
        code = f"import json, os, subprocess; os.setgid(65534); os.setuid(65534); raise SystemExit(subprocess.call(['bwrap', *json.loads({arguments!r}), '--', '/bin/sh', '-c', 'echo x > {place}/made; exit 6']))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (6, "")
        assert (place / "made").stat().st_uid == 65534
    finally:
        shutil.rmtree(place)


def test_a_recipe_keeps_its_folder_and_variables(room):
    inner = room.folder / "deep"
    inner.mkdir()
    runner = BubblewrapRunner(Confinement(writable=(room.folder,)))
    recipe = Recipe(
        argv=("/bin/sh", "-c", 'echo "$PWD $WORD"'),
        env={"PATH": "/usr/bin:/bin", "WORD": "two words"},
        cwd=str(inner),
    )
    runner.run(recipe, room.watch())
    assert room.out.read_text() == f"{inner} two words\n"
