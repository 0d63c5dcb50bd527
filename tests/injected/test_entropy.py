"""Draws of entropy in real interpreters: seen where they are, controlled, forbidden, and never in the way."""

from __future__ import annotations

import signal
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import reproof
from reproof.capture import observations
from reproof.capture.entropy import draws
from reproof.model.observation import Ended, Seeded
from reproof.model.randomness import EntropyDraw

NUMPY = pytest.mark.needs("numpy")
SKLEARN = pytest.mark.needs("sklearn")


def packages() -> str:
    """The folder of this interpreter's packages, to be added to a program's path."""
    import numpy as np

    return str(Path(np.__file__).parents[1])


def seen(told: Any) -> dict[tuple[str, int], EntropyDraw]:
    """Draws by call and line of the program."""
    return {
        (draw.what.partition(" in ")[0], int(draw.where.rpartition(":")[2])): draw
        for draw in draws(told.lines)
    }


def uncontrolled(told: Any) -> set[tuple[str, int]]:
    return {key for key, draw in seen(told).items() if draw.control == "uncontrolled"}


# What is seen


def test_the_systems_entropy_by_all_its_names(any_place: Any) -> None:
    code = """
import os, random, secrets, uuid
os.urandom(3)
uuid.uuid4()
secrets.token_hex(); secrets.randbelow(9)
random.SystemRandom().random()
for _ in range(5): os.urandom(8)
from os import urandom
urandom(1)
"""
    told = any_place.run(code)
    assert told.stderr == ""
    found = seen(told)
    assert {key: draw.count for key, draw in found.items()} == {
        ("os.urandom()", 3): 1,
        ("uuid.uuid4()", 4): 1,
        ("secrets.token_hex()", 5): 1,
        ("secrets.randbelow()", 5): found["secrets.randbelow()", 5].count,  # it draws until it fits
        ("random.SystemRandom()", 6): 1,
        ("os.urandom()", 7): 5,
        ("os.urandom()", 9): 1,
    }
    assert uncontrolled(told) == set(found)


def test_generators_without_a_seed(any_place: Any) -> None:
    code = """
import random
random.Random()
random.seed()
random.seed(3); random.random(); random.Random(4).random(); random.Random("text")
"""
    assert uncontrolled(any_place.run(code)) == {("random.Random()", 3), ("random.seed()", 4)}


def test_the_shared_generator_before_its_seed(any_place: Any) -> None:
    code = """
import random
from random import gauss
random.shuffle([1, 2])
random.random(); gauss(0, 1)
random.seed(3)
random.random()
"""
    assert uncontrolled(any_place.run(code)) == {("random.shuffle()", 4)}


def test_a_state_that_was_given_back_is_no_draw(some_place: Any) -> None:
    code = "import random, pickle\nstate = random.getstate()\nrandom.setstate(state)\nrandom.random()"
    assert uncontrolled(some_place.run(code)) == set()


def test_a_fork_has_new_entropy(some_place: Any) -> None:
    code = """
import os, random
random.seed(1)
if os.fork() == 0:
    random.random()
    os._exit(0)
os.wait()
random.random()
"""
    assert uncontrolled(some_place.run(code)) == {("random.random()", 5)}
    (draw,) = draws(some_place.run(code, REPROOF_SEED="3").lines)
    assert (draw.control, draw.by) == ("controlled", "seed")


@NUMPY
def test_numpys_shared_generator(place: Any) -> None:
    code = """
import numpy as np
class Network:
    def __init__(self): self.first = np.random.normal(size=3)
Network()
np.random.seed(42)
np.random.uniform()
"""
    told = place.run(code, PYTHONPATH=packages())
    assert uncontrolled(told) == {("numpy.random.normal()", 4)}
    told = place.run(code, PYTHONPATH=packages(), REPROOF_SEED="1")
    assert seen(told)["numpy.random.normal()", 4].by == "seed"


@NUMPY
def test_what_goes_past_the_functions_is_seen_without_a_place(place: Any) -> None:
    code = "import numpy as np\nnp.random.mtrand._rand.random()\nnp.random.seed(1)\nnp.random.rand()"
    (draw,) = draws(place.run(code, PYTHONPATH=packages()).lines)
    assert (draw.what, draw.where, draw.control) == ("NumPy's global state", "", "uncontrolled")
    code = "import numpy as np\nnp.random.mtrand._rand.random()"
    (draw,) = draws(place.run(code, PYTHONPATH=packages(), REPROOF_SEED="1").lines)
    assert (draw.what, draw.control, draw.by) == ("NumPy's global state", "controlled", "seed")


@SKLEARN
def test_random_state_none_of_scikit_learn(place: Any) -> None:
    code = """
import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.cluster import KMeans
x = np.arange(40.0).reshape(20, 2)
train_test_split(x)
KMeans(2, n_init=1).fit(x)
KMeans(2, n_init=1, random_state=1).fit(x)
"""
    place.project.mkdir(exist_ok=True)
    told = place.run(code, PYTHONPATH=packages())
    assert uncontrolled(told) == {
        ("ShuffleSplit(random_state=None)", 6),
        ("KMeans(random_state=None)", 7),
    }
    told = place.run(code, PYTHONPATH=packages(), REPROOF_SEED="1")
    assert {draw.by for draw in draws(told.lines)} == {"seed"}
    assert all(draw.package == "sklearn" for draw in draws(told.lines))
    told = place.run(code.replace("x =", "np.random.seed(5); x ="), PYTHONPATH=packages(), REPROOF_SEED="1")
    assert {(draw.control, draw.by) for draw in draws(told.lines)} == {("controlled", "code")}


@pytest.mark.parametrize(
    ("line", "origin"),
    [
        ("random.seed(time.time())", "clock"),
        ("random.seed(int(time.time()))", "clock"),
        ("random.seed(time.time_ns())", "clock"),
        ("random.seed(int(time.time() * 1000) % 2**32)", "clock"),
        ("start = int(time.time() * 1e6); random.seed(start % 2**32)", "clock"),
        ("random.seed(datetime.now().microsecond)", "clock"),
        ("pid = os.getpid() + 0; random.seed(pid)", "process id"),
        ("random.seed(os.getpid() % 7)", "process id"),
        ("random.seed(hash('text') % 1000)", "hash of an object"),
        ("random.seed(int.from_bytes(secrets.token_bytes(4), 'big'))", "system's entropy"),
    ],
)
def test_where_a_seed_comes_from(place: Any, line: str, origin: str) -> None:
    told = place.run(
        f"import os, random, secrets, time\nfrom datetime import datetime\n{line}\nrandom.random()"
    )
    if "pid" in line and "%" not in line and draws(told.lines) == ():
        pytest.skip("the id is too small to be told from a number that was written by hand")
    assert (f"random.seed() by the {origin}", 3) in uncontrolled(told)
    assert len(list(told.lines.of(Seeded))) == 1


@NUMPY
def test_where_a_seed_of_numpy_comes_from(place: Any) -> None:
    code = "import os, time\nimport numpy as np\nnp.random.default_rng(time.time_ns())\nnp.random.seed(os.getpid() % 9)"
    told = place.run(code, PYTHONPATH=packages())
    assert uncontrolled(told) == {
        ("numpy.random.default_rng() by the clock", 3),
        ("numpy.random.seed() by the process id", 4),
    }
    told = place.run(code, PYTHONPATH=packages(), REPROOF_ENTROPY="forbid")
    assert told.status == 1
    assert "main.py:3 draws entropy that nothing controls" in told.stderr


@NUMPY
def test_seeds_of_the_library_are_the_users(place: Any) -> None:
    code = "import reproof\nimport numpy as np\nreproof.seed_everything(42)\nprint(np.random.rand())"
    told = place.run(code, PYTHONPATH=f"{packages()}:{Path(reproof.__file__).parents[1]}", REPROOF_SEED="1")
    assert told.stdout == "0.3745401188473625\n", told.stderr
    assert {(line.what, line.where) for line in told.lines.of(Seeded)} == {
        ("random.seed", "${PROJECT}/main.py:3"),
        ("numpy.random.seed", "${PROJECT}/main.py:3"),
    }
    assert draws(told.lines) == ()


@pytest.mark.parametrize(
    "seed",
    ["42", "1700000000", "20240229", "2**32 - 1", "123456789", "'text'", "0.5", "hashlib.md5(b'x').digest()"],
)
def test_seeds_that_are_written_down_raise_nothing(place: Any, seed: str) -> None:
    told = place.run(f"import hashlib, random, time\nrandom.seed({seed})  # not time.time()\nrandom.random()")
    assert draws(told.lines) == ()


def test_a_hash_repeats_where_the_hash_seed_is_fixed(place: Any) -> None:
    told = place.run("import random\nrandom.seed(hash('x'))", PYTHONHASHSEED="3")
    assert draws(told.lines) == ()


# What is harmless


def test_names_of_files_that_are_gone(some_place: Any) -> None:
    code = """
import os, tempfile, uuid
with tempfile.TemporaryDirectory() as folder:
    open(os.path.join(folder, uuid.uuid4().hex), "w").close()
kept = "model-%s" % uuid.uuid4()
open(kept, "w").close()
for number in range(3):
    name = "scratch-%s" % uuid.uuid4()
    if number: open(name, "w").close(); os.remove(name)
"""
    told = some_place.run(code)
    found = seen(told)
    assert found["uuid.uuid4()", 4].control == "harmless"
    assert found["random.Random()", 3].by == "names of temporary files"
    assert uncontrolled(told) == {
        ("uuid.uuid4()", 5),
        ("uuid.uuid4()", 8),
    }  # the last was used otherwise once


def test_needs_of_the_standard_library_and_of_packages_are_passed_over(some_place: Any) -> None:
    package = some_place.site_packages / "identifying.py"
    package.write_text("import random, uuid\nrandom.Random()\ndef name(): return uuid.uuid4()\n")
    code = "import email.utils, identifying, multiprocessing, ssl\nidentifying.name(); multiprocessing.Manager().shutdown()"
    assert draws(some_place.run(f"if __name__ == '__main__':\n exec({code!r})").lines) == ()


def test_a_program_of_a_package_that_imports_another(some_place: Any) -> None:
    (some_place.site_packages / "defaults.py").write_text("import random\n_own = random.Random()\n")
    (some_place.site_packages / "tool.py").write_text(
        "import defaults, random\ndef main(): random.Random()\n"
    )
    (some_place.site_packages / "run_tool.py").write_text("import tool\ntool.main()\n")
    told = some_place.run(
        "import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'run_tool'], check=True)"
    )
    (draw,) = draws(told.lines)
    assert (draw.what, draw.package, draw.control) == ("random.Random()", "tool", "uncontrolled")


# What is controlled


def test_streams_repeat_and_follow_the_seed(some_place: Any) -> None:
    code = """
import random
def make(): return random.Random().random()
print(make(), make(), random.Random().random())
random.seed(); print(random.random())
"""
    one, two, other = (
        some_place.run(code, REPROOF_SEED=seed, REPROOF_ENTROPY="control").stdout for seed in ("1", "1", "2")
    )
    assert one == two != other
    assert len(set(one.split())) == 4
    moved = some_place.run("\n\n" + code, REPROOF_SEED="1", REPROOF_ENTROPY="control")
    assert moved.stdout == one  # no line is part of a stream's name
    assert {(draw.control, draw.by) for draw in draws(moved.lines)} == {("controlled", "stream")}


def test_without_a_seed_nothing_is_controlled(some_place: Any) -> None:
    code = "import random\nprint(random.Random().random())"
    one, two = (some_place.run(code, REPROOF_ENTROPY="control") for _ in range(2))
    assert one.stdout != two.stdout
    assert uncontrolled(one) == {("random.Random()", 2)}


def test_names_of_temporary_files_stay_random(some_place: Any) -> None:
    code = "import tempfile, uuid\nprint(tempfile.mktemp(), uuid.uuid4())"
    one, two = (some_place.run(code, REPROOF_SEED="1", REPROOF_ENTROPY="control").stdout for _ in range(2))
    assert not set(one.split()) & set(two.split())


STRICT = {"REPROOF_ENTROPY": "control", "REPROOF_DETERMINISM": "strict"}

PINNED = """
import os, random, secrets, uuid
print(os.urandom(3).hex(), len(os.urandom(100001)))
print(uuid.uuid4())
print(uuid.uuid1(), uuid.uuid1(5, 6).hex[16:])
print(secrets.token_hex(), secrets.randbelow(10**9))
print(random.SystemRandom().random())
random.seed(os.urandom(8))
print(random.random())
"""


def test_strict_pins_the_systems_bytes(any_place: Any) -> None:
    one, two, other = (any_place.run(PINNED, REPROOF_SEED=seed, **STRICT) for seed in ("1", "1", "2"))
    assert one.stderr == ""
    assert one.stdout == two.stdout
    mine, theirs = one.stdout.split(), other.stdout.split()
    same = {"100001", "8006000000000005"}  # the size, the address and the sequence that were given
    assert set(mine) & set(theirs) == same
    found = [uuid.UUID(text) for text in mine[2:4]]
    assert [(each.version, each.variant) for each in found] == [(4, uuid.RFC_4122), (1, uuid.RFC_4122)]
    assert {(draw.control, draw.by) for draw in draws(one.lines)} == {("controlled", "stream")}
    assert ("uuid.uuid1()", 5) in seen(one)
    applied, _ = observations.randomness(one.lines)
    assert "os.urandom" in applied


@pytest.mark.parametrize(
    "given",
    [
        {"REPROOF_SEED": "1", "REPROOF_ENTROPY": "control", "REPROOF_DETERMINISM": "default"},
        {"REPROOF_SEED": "1", "REPROOF_ENTROPY": "record", "REPROOF_DETERMINISM": "strict"},
        {"REPROOF_ENTROPY": "control", "REPROOF_DETERMINISM": "strict"},
    ],
)
def test_elsewhere_the_systems_bytes_are_left_alone(place: Any, given: dict[str, str]) -> None:
    one, two = (place.run(PINNED, **given) for _ in range(2))
    assert {"uuid.uuid1()", "uuid.uuid4()", "os.urandom()"} <= {what for what, _ in uncontrolled(one)}
    assert not set(one.stdout.split()) & set(two.stdout.split()) - {"100001", "8006000000000005"}


def test_strict_leaves_names_and_packages_alone(some_place: Any) -> None:
    (some_place.site_packages / "maker.py").write_text("import os\ndef name(): return os.urandom(8).hex()\n")
    code = "import tempfile, maker\nprint(tempfile.mktemp(), maker.name())"
    one, two = (some_place.run(code, REPROOF_SEED="1", **STRICT) for _ in range(2))
    assert one.stderr == ""
    assert not set(one.stdout.split()) & set(two.stdout.split())


def test_no_two_processes_or_threads_are_given_the_same(some_place: Any) -> None:
    code = """
import multiprocessing, os, subprocess, sys, threading, uuid
def name(_=0):
    return str(uuid.uuid4())
if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(name())
        sys.exit()
    print(name(), flush=True)
    if os.fork() == 0:
        print(name(), flush=True)
        os._exit(0)
    os.wait()
    # Programs of one shell share a seed.
    words = "'%s' main.py once & " % sys.executable
    subprocess.run(["sh", "-c", words * 3 + "wait"], check=True)
    for way in ("fork", "spawn"):
        with multiprocessing.get_context(way).Pool(2) as pool:
            print(*pool.map(name, range(10), chunksize=1))
    def work():
        found.extend([name() for _ in range(200)])
    found = []
    threads = [threading.Thread(target=work) for _ in range(4)]
    [thread.start() for thread in threads]; [thread.join() for thread in threads]
    print(*found)
"""
    one, two = (some_place.run(code, REPROOF_SEED="1", **STRICT).stdout.split() for _ in range(2))
    assert len(one) == len(set(one)) == len(two) == 825
    assert sorted(one[:5]) == sorted(two[:5])
    assert sorted(one[-800:]) == sorted(two[-800:])


def test_a_program_that_starts_itself_anew_is_given_others(some_place: Any) -> None:
    code = """
import os, sys, uuid
print(uuid.uuid4(), flush=True)
if len(sys.argv) == 1:
    os.execv(sys.executable, [sys.executable, "main.py", "again"])
"""
    one, two = (some_place.run(code, REPROOF_SEED="1", **STRICT).stdout.split() for _ in range(2))
    assert one == two
    assert len(set(one)) == 2


def test_nothing_is_pinned_where_that_cannot_be_written_down(some_place: Any) -> None:
    code = "import os, uuid\nos.remove(os.environ['REPROOF_OBSERVATIONS'])\nos.mkdir(os.environ['REPROOF_OBSERVATIONS'])\nprint(uuid.uuid4())\nos.rmdir(os.environ['REPROOF_OBSERVATIONS'])"
    one, two = (some_place.run(code, REPROOF_SEED="1", **STRICT) for _ in range(2))
    assert (one.status, one.stderr) == (0, "")
    assert one.stdout != two.stdout
    assert uncontrolled(one) == {("uuid.uuid4()", 4)}


@NUMPY
def test_streams_of_numpy(place: Any) -> None:
    code = """
import numpy as np
def four(): return [np.random.default_rng().random(), np.random.RandomState().random_sample(),
    np.random.Generator(np.random.PCG64()).random(), int(np.random.SeedSequence().generate_state(1)[0])]
np.random.seed()
print(four() + four() + [np.random.random()])
print(np.random.RandomState(5).random_sample(), np.random.default_rng(5).random())
"""
    variables = {"PYTHONPATH": packages(), "REPROOF_ENTROPY": "control"}
    one, two, other = (place.run(code, REPROOF_SEED=seed, **variables) for seed in ("1", "1", "2"))
    assert one.stderr == ""
    assert one.stdout == two.stdout
    mine, theirs = (each.stdout.splitlines() for each in (one, other))
    assert mine[0] != theirs[0]
    assert mine[1] == theirs[1] == "0.22199317108973948 0.8050029237453802"  # what the code seeds is its own
    assert {(draw.control, draw.by) for draw in draws(one.lines)} == {("controlled", "stream")}


def test_siblings_have_streams_of_their_own_that_repeat(some_place: Any) -> None:
    code = """
import multiprocessing, random
def draw(_): return random.Random().random()
if __name__ == "__main__":
    found = [draw(0)]
    for way in ("fork", "spawn", "spawn"):
        with multiprocessing.get_context(way).Pool(1) as pool:
            found += pool.map(draw, range(2))
    print(*found)
"""
    one, two = (some_place.run(code, REPROOF_SEED="1", REPROOF_ENTROPY="control") for _ in range(2))
    assert one.stderr == ""
    assert one.stdout == two.stdout
    assert len(set(one.stdout.split())) == 7
    (draw,) = draws(one.lines)
    assert (draw.control, draw.concurrent) == ("controlled", True)
    assert draw.count >= 4  # a pool may end its workers before they have counted


# What is forbidden


@pytest.mark.parametrize(
    "draw",
    ["random.Random()", "os.urandom(3)", "uuid.uuid4()", "random.random()", "random.seed(os.getpid())"],
)
def test_the_first_draw_ends_the_program(some_place: Any, draw: str) -> None:
    code = f"import os, random, uuid\ntry:\n {draw}\nexcept Exception:\n pass\nprint('went on')"
    told = some_place.run(code, REPROOF_ENTROPY="forbid")
    if "getpid" in draw and not told.status:
        pytest.skip("the id is too small to be told from a number that was written by hand")
    assert (told.status, told.stdout) == (1, "")
    assert "${PROJECT}/main.py:3 draws entropy that nothing controls" in told.stderr
    assert len(uncontrolled(told)) == 1


def test_what_is_seeded_or_harmless_is_not_forbidden(some_place: Any) -> None:
    code = "import random, tempfile\nrandom.seed(1)\nprint(len({random.random(), tempfile.mktemp()}))"
    told = some_place.run(code, REPROOF_ENTROPY="forbid")
    assert (told.status, told.stdout) == (0, "2\n")
    code = "import random\nprint(random.random())"  # reproof's seed is a control, too
    assert some_place.run(code, REPROOF_ENTROPY="forbid", REPROOF_SEED="1").status == 0


def test_a_worker_hands_the_refusal_on(some_place: Any) -> None:
    code = """
import multiprocessing, random
def draw(_): return random.Random().random()
if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(2) as pool:
        pool.map(draw, range(4))
"""
    told = some_place.run(code, REPROOF_ENTROPY="forbid")
    assert told.status == 1
    assert "draws entropy that nothing controls" in told.stderr


# Programs that make it hard


def test_a_program_without_finders_hooks_and_path(some_place: Any) -> None:
    code = """
import os, sys
os.environ.pop("PYTHONPATH", None)
sys.meta_path[:] = [each for each in sys.meta_path if "reproof" not in getattr(each, "__module__", "")]
sys.addaudithook(lambda event, args: None)
import random, subprocess
random.random()
os.urandom(2)
subprocess.run([sys.executable, "-c", "import random; random.Random()"], check=True)
"""
    told = some_place.run(code, PYTHONPATH=str(some_place.project))
    assert told.stderr == ""
    assert uncontrolled(told) == {("random.random()", 7), ("os.urandom()", 8), ("random.Random()", 1)}


def test_an_audit_hook_that_forbids_everything(some_place: Any) -> None:
    code = """
import random, sys
def refuse(event, args):
    if event == "open" and "observations" in str(args[0]): raise RuntimeError("no")
sys.addaudithook(refuse)
random.Random()
print("went on")
"""
    told = some_place.run(code)
    assert (told.status, told.stdout) == (0, "went on\n")


@pytest.mark.parametrize("end", ["os._exit(0)", "os.kill(os.getpid(), 9)", "os.abort()"])
def test_a_program_that_ends_abruptly_has_told(some_place: Any, end: str) -> None:
    told = some_place.run(f"import os, random\nfor _ in range(3): random.Random()\n{end}")
    assert told.status in (0, -signal.SIGKILL, -signal.SIGABRT)
    assert not list(told.lines.of(Ended))
    (draw,) = draws(told.lines)
    assert (draw.what, draw.where, draw.count) == ("random.Random()", "${PROJECT}/main.py:2", 1)


def test_a_sitecustomize_that_fails(some_place: Any) -> None:
    (some_place.site_packages / "sitecustomize.py").write_text("raise RuntimeError('mine')")
    try:
        told = some_place.run("import random\nrandom.Random()")
    finally:
        (some_place.site_packages / "sitecustomize.py").unlink()
    assert "mine" in told.stderr
    assert uncontrolled(told) == {("random.Random()", 2)}


def test_an_environment_that_is_read_only(
    environments: Callable[[str, bool], Path], place: Any, tmp_path: Path
) -> None:
    del environments, tmp_path
    folder = place.site_packages / "_reproof_injected"
    mode = folder.stat().st_mode
    folder.chmod(0o555)
    try:
        told = place.run("import random\nrandom.Random()", PYTHONDONTWRITEBYTECODE=None)
    finally:
        folder.chmod(mode)
    assert told.stderr == ""
    assert uncontrolled(told) == {("random.Random()", 2)}


def test_functions_that_were_replaced_by_the_program(some_place: Any) -> None:
    code = """
import os, random
os.urandom = lambda size: b"x" * size
random.Random.seed = None
random.random = lambda: 4
print(random.random(), os.urandom(2))
"""
    told = some_place.run(code)
    assert (told.status, told.stdout) == (0, "4 b'xx'\n")


def test_stand_ins_can_be_pickled_and_look_like_the_originals(any_place: Any) -> None:
    code = """
import inspect, os, pickle, random
for function in (os.urandom, random.random, random.shuffle, random.seed):
    assert pickle.loads(pickle.dumps(function)) is function, function
print(os.urandom.__name__, random.random.__name__, inspect.signature(random.shuffle), os.urandom(0))
try: os.urandom(-1)
except ValueError as error: print("ValueError")
"""
    told = any_place.run(code)
    assert told.stderr == ""
    assert told.stdout.startswith("urandom random (x")
    assert told.stdout.endswith("b''\nValueError\n")


def test_draws_without_end_are_counted(some_place: Any) -> None:
    code = "import os, random\nfor _ in range(20000): os.urandom(1); random.Random()"
    assert {key: draw.count for key, draw in seen(some_place.run(code)).items()} == {
        ("os.urandom()", 2): 20000,
        ("random.Random()", 2): 20000,
    }


def test_many_places_are_bounded(some_place: Any) -> None:
    code = "\n".join(["import os", *["os.urandom(1)"] * 1500])
    found = draws(some_place.run(code).lines)
    assert 1000 <= len(found) <= 1500


def test_the_place_that_a_thread_draws_at(some_place: Any) -> None:
    code = """
import threading, random
def work():
    random.Random()
threads = [threading.Thread(target=work) for _ in range(4)]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
"""
    (draw,) = draws(some_place.run(code).lines)
    assert (draw.where, draw.count, draw.concurrent) == ("${PROJECT}/main.py:4", 4, True)


def test_nothing_of_the_user_is_kept_alive(some_place: Any) -> None:
    code = """
import gc, random, weakref
class Thing: pass
def use():
    thing = Thing()
    random.Random(); random.random()
    return weakref.ref(thing)
found = use(); gc.collect(); print(found())
"""
    assert some_place.run(code).stdout == "None\n"
