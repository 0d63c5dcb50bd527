"""Which processes the bootstrap reaches, on every Python of this machine."""

from __future__ import annotations

import signal
import sys
from typing import Any

import pytest

from reproof.capture import observations
from reproof.capture.entropy import draws
from reproof.model.observation import Applied, Booted, Ended, Opened, Seeded

WORKERS = """
import multiprocessing, os, sys

def work(number):
    import random
    open("data%d.txt" % number).read()
    return random.random()

def report(number, queue):
    queue.put((number, work(number)))

if __name__ == "__main__":
    for number in range(2):
        with open("data%d.txt" % number, "w") as file:
            file.write("x")
    context = multiprocessing.get_context(sys.argv[1])
    queue = context.Queue()
    children = [context.Process(target=report, args=(number, queue)) for number in range(2)]
    for child in children:
        child.start()
    values = sorted(queue.get(timeout=60) for child in children)
    for child in children:
        child.join()
    print([value for number, value in values])
"""


def ended(told: Any) -> set[int]:
    return {line.p for line in told.lines.of(Ended)}


def test_main_process(any_place: Any) -> None:
    told = any_place.run("import sys; print(sys.argv, sys.path[1:])")
    assert told.status == 0, told.stderr
    (boot,) = told.boots
    assert boot.argv[1:] == ("main.py",)
    assert boot.version.startswith(f"{any_place.site_packages.parent.name[6:]}.")
    assert boot.executable == str(any_place.python)
    assert boot.prefix == str(any_place.python.parent.parent)
    assert boot.via == "environment"
    assert not boot.fork
    (end,) = told.lines.of(Ended)
    assert end.native
    assert all(path.startswith("/") for path in end.native)
    assert list(end.native) == sorted(set(end.native))
    assert end.modules == ()
    assert observations.omissions(told.lines) == ()


def test_subprocess_with_its_own_arguments(any_place: Any) -> None:
    told = any_place.run(
        "import subprocess, sys; subprocess.run([sys.executable, '-c', 'pass', 'x'], check=True)"
    )
    main, child = told.boots
    assert child.parent == main.p
    assert child.argv[1:] == ("-c", "pass", "x")
    assert ended(told) == {main.p, child.p}
    assert [process.reached for process in observations.processes(told.lines)] == [True, True]


def test_fork(any_place: Any) -> None:
    told = any_place.run("import os\nif os.fork() == 0: raise SystemExit\nos.wait()")
    main, child = told.boots
    assert child.fork
    assert child.parent == main.p
    assert observations.processes(told.lines)[1].argv == main.argv
    assert ended(told) == {main.p, child.p}


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(any_place: Any, method: str) -> None:
    told = any_place.call(any_place.python, write(any_place, WORKERS), method)
    assert told.status == 0, told.stderr
    readers = {
        line.p: line.path for line in told.lines.of(Opened) if "data" in line.path and line.mode == "r"
    }
    assert {path.rpartition("/")[2] for path in readers.values()} == {"data0.txt", "data1.txt"}
    assert set(readers) <= ended(told)
    assert set(readers) <= {boot.p for boot in told.boots}
    assert observations.omissions(told.lines) == ()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_have_seeds_of_their_own_that_repeat(any_place: Any, method: str) -> None:
    script = write(any_place, WORKERS)
    one = any_place.call(any_place.python, script, method, REPROOF_SEED="42")
    two = any_place.call(any_place.python, script, method, REPROOF_SEED="42")
    other = any_place.call(any_place.python, script, method, REPROOF_SEED="43")
    first, second = (float(value) for value in one.stdout.strip("[]\n").split(","))
    assert first != second
    assert one.stdout == two.stdout != other.stdout
    assert observations.omissions(one.lines) == ()


def test_plain_forks_have_seeds_of_their_own(any_place: Any) -> None:
    code = """
import os, random
random.seed(3)  # Python drops it in a fork
for number in range(2):
    if os.fork() == 0:
        print(random.random())
        raise SystemExit
    os.wait()
print(random.random())
"""
    one = any_place.run(code, REPROOF_SEED="42").stdout.split()
    assert len(set(one)) == 3
    assert one == any_place.run(code, REPROOF_SEED="42").stdout.split()
    assert one[:2] != any_place.run(code, REPROOF_SEED="43").stdout.split()[:2]


def test_pool_that_is_terminated_loses_no_file(any_place: Any) -> None:
    code = """
import multiprocessing
def read(number):
    name = "f%d.txt" % number
    open(name, "w").close()
    return len(open(name).read())
if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(2) as pool:
        pool.map(read, range(600))
"""
    told = any_place.run(code)
    names = {path.rpartition("/")[2] for path in observations.opened_for_reading(told.lines)}
    assert {f"f{number}.txt" for number in range(600)} <= names


@pytest.mark.parametrize("option", ["-I", "-E", "-s", "-B", "-u"])
def test_options_of_python(any_place: Any, option: str) -> None:
    told = any_place.run("open('main.py').read()", options=[option])
    assert len(told.boots) == 1
    assert any(path.endswith("main.py") for path in observations.opened_for_reading(told.lines))


def test_without_site_is_listed_as_unreached(any_place: Any) -> None:
    told = any_place.run("import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', 'pass'])")
    assert len(told.boots) == 1
    (_, silent) = observations.processes(told.lines)
    assert not silent.reached
    assert silent.argv == (str(any_place.python), "-S", "-c", "pass")
    (omission,) = observations.omissions(told.lines)
    assert omission.subject == f"process `{any_place.python} -S -c pass`"


def test_another_interpreter_is_listed_as_unreached(place: Any) -> None:
    told = place.run(f"import os; os.system('{sys.base_prefix}/bin/python3 -c pass')")
    assert [process.reached for process in observations.processes(told.lines)] == [True, False]


def test_scrubbed_environment(any_place: Any) -> None:
    told = any_place.run(
        "import subprocess, sys; subprocess.run([sys.executable, '-c', 'pass'], env={}, check=True)"
    )
    main, child = told.boots
    assert child.parent == main.p
    assert observations.omissions(told.lines) == ()


def test_scrubbed_environment_below_a_shell(place: Any) -> None:
    code = "import subprocess, sys; subprocess.run(['env', '-i', '/bin/sh', '-c', sys.executable + ' -c pass; :'], check=True)"
    told = place.run(code)
    assert len(told.boots) == 2
    assert observations.omissions(told.lines) == ()


def test_started_by_a_shell_with_patterns(place: Any) -> None:
    told = place.run(
        "import os, sys; os.system('X=1 ' + sys.executable + ' -c pass ma*.py 2>/dev/null && echo x')"
    )
    assert [process.reached for process in observations.processes(told.lines)] == [True, True]


def test_replaced_by_exec(any_place: Any) -> None:
    told = any_place.run(
        "import os, sys; os.execvp(sys.executable, [sys.executable, '-c', 'open(\"main.py\")'])"
    )
    first, second = told.boots
    assert first.p == second.p
    (process,) = observations.processes(told.lines)
    assert process.argv[1] == "-c"
    assert observations.omissions(told.lines) == ()


def test_replaced_by_another_program(place: Any) -> None:
    told = place.run("import os; os.execvp('true', ['true'])")
    assert told.status == 0
    assert observations.native_libraries(told.lines)
    assert observations.omissions(told.lines) == ()


def test_abrupt_end_is_an_omission(any_place: Any) -> None:
    told = any_place.run("open('main.py').read(); import os; os._exit(7)")
    assert told.status == 7
    assert any(path.endswith("main.py") for path in observations.opened_for_reading(told.lines))
    (omission,) = observations.omissions(told.lines)
    assert omission.subject == "1 process"


def test_killed_half_way_loses_nothing(any_place: Any) -> None:
    code = """
import os, signal
for number in range(200):
    open("f%d" % number, "w").close()
os.kill(os.getpid(), signal.SIGKILL)
"""
    told = any_place.run(code)
    assert told.status == -signal.SIGKILL
    names = {path.rpartition("/")[2] for path in observations.opened_for_writing(told.lines)}
    assert {f"f{number}" for number in range(200)} <= names
    assert not told.lines.torn
    assert told.lines.damaged == 0


def test_thousands_of_files_in_batches(any_place: Any) -> None:
    code = """
for number in range(3000):
    open("f%d" % number, "w").close()
for number in range(3000):
    open("f%d" % number).close()
"""
    told = any_place.run(code)
    expected = {str(any_place.project / f"f{number}") for number in range(3000)}
    assert expected <= set(observations.opened_for_reading(told.lines))
    assert expected <= set(observations.opened_for_writing(told.lines))
    assert len(told.lines.lines) < 1000


def test_preexec_function_is_no_python_program(place: Any) -> None:
    told = place.run("import subprocess; subprocess.run(['true'], preexec_fn=lambda: None, check=True)")
    assert told.status == 0
    assert [boot.fork for boot in told.boots] == [False, True]


@pytest.mark.needs("joblib")
def test_loky(place: Any) -> None:
    code = """
def draw(number):
    import random
    return random.random()
if __name__ == "__main__":
    from joblib import Parallel, delayed
    print(len(Parallel(n_jobs=2)(delayed(draw)(number) for number in range(8))))
"""
    path = next(entry for entry in sys.path if entry.endswith("site-packages"))
    told = place.run(code, REPROOF_SEED="1", PYTHONPATH=path)
    assert told.status == 0, told.stderr
    workers = [boot for boot in told.boots if "LokyProcess" in " ".join(boot.argv)]
    assert len(workers) == 2
    seeds = {line.value for line in told.lines.of(Applied) if line.p in {boot.p for boot in workers}}
    assert len(seeds) >= 2


def test_threads_that_open_at_once(any_place: Any) -> None:
    code = """
import threading
def write(start):
    for number in range(start, start + 500):
        open("f%d" % number, "w").close()
threads = [threading.Thread(target=write, args=(start,)) for start in range(0, 2000, 500)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""
    told = any_place.run(code)
    names = {path.rpartition("/")[2] for path in observations.opened_for_writing(told.lines)}
    assert {f"f{number}" for number in range(2000)} <= names
    assert told.lines.damaged == 0


def test_seeds_set_for_spawned_workers_stand_where_they_are(some_place: Any) -> None:
    (some_place.site_packages / "seeding.py").write_text("import random\ndef run():\n    random.seed(1)\n")
    code = """
import multiprocessing, seeding
if __name__ == "__main__":
    child = multiprocessing.get_context("spawn").Process(target=seeding.run)
    child.start()
    child.join()
"""
    (line,) = some_place.run(code).lines.of(Seeded)
    assert line.where.endswith("/site-packages/seeding.py:3")


def write(place: Any, code: str) -> str:
    place.project.mkdir(exist_ok=True)
    (place.project / "main.py").write_text(code, encoding="utf-8")
    return "main.py"


def test_decoder_knows_every_line(any_place: Any) -> None:
    """The contract between the writers in the child and the values of the model."""
    code = """
import os, random, socket, sqlite3, subprocess, sys, ctypes
random.seed(7)
random.Random()
open("a.txt", "w").close()
open("a.txt", "r+").close()
sqlite3.connect("b.db").close()
os.chdir("/")
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.connect(("127.0.0.1", 9))
subprocess.run(["true"])
if os.fork() == 0:
    os._exit(0)
os.wait()
import _reproof_lines
_reproof_lines.failed("subject", "reason " + chr(0x1F600))
_reproof_lines.write("ml.metric", run="r", key="k", value=(0.1).hex(), step=3)
"""
    told = any_place.run(code, REPROOF_SEED="5", PYTHONHASHSEED="5")
    assert told.status == 0, told.stderr
    assert told.lines.unknown == {}
    assert told.lines.damaged == 0
    kinds = {type(line).__name__ for line in told.lines.lines}
    assert kinds == {
        *("Booted", "Ended", "Opened", "Connected", "Started", "Applied", "Seeded", "Drew", "Failed"),
        "Answered",
        "MetricLogged",
    }
    project = str(any_place.project)
    assert f"{project}/b.db" in observations.opened_for_writing(told.lines)
    assert observations.network(told.lines) == ("127.0.0.1:9",)
    applied, seeded = observations.randomness(told.lines)
    assert applied == ("PYTHONHASHSEED", "random")
    assert [(draw.what, draw.where, draw.value) for draw in seeded] == [
        ("random.seed", "${PROJECT}/main.py:3", "7")
    ]
    assert [(draw.what, draw.where) for draw in draws(told.lines)] == [
        ("random.Random()", "${PROJECT}/main.py:4")
    ]
    assert [line for line in told.lines.of(Booted) if line.fork]
