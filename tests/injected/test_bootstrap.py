"""The bootstrap in programs that make life hard for it, and what it must never change."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reproof import injected
from reproof.capture import observations
from reproof.capture.entropy import draws
from reproof.model.observation import Applied, Drew, Ended, Opened, Seeded

NUMPY = pytest.mark.needs("numpy")


def names(opened: dict[str, set[int]], place: Any) -> set[str]:
    below = f"{place.project}/"
    return {path[len(below) :] for path in opened if path.startswith(below)}


def packages() -> str:
    """The folder of this interpreter's packages, to be added to a program's path."""
    import numpy as np

    return str(Path(np.__file__).parents[1])


# What it must not change


def test_output_is_the_same_with_and_without(
    any_place: Any, environments: Callable[[str, bool], Path]
) -> None:
    code = """
import os, random, subprocess, sys, threading, warnings, hashlib
random.seed(11)
print(random.random(), sys.path[1:], sys.argv, threading.active_count(), len(os.listdir("/proc/self/fd")))
print(open("main.py").fileno(), sorted(os.environ.get("X", "")), warnings.filters[:1], __name__)
print(random.Random.seed.__qualname__, random.seed.__module__, random.seed.__doc__)
print(subprocess.run([sys.executable, "-c", "print(hash(1), __name__)"], capture_output=True).stdout)
print([name for name in sys.modules if name in ("json", "re", "multiprocessing", "hashlib", "threading")])
sys.stderr.write("on stderr")
raise SystemExit(3)
"""
    plain = environments(any_place.site_packages.parent.name[6:], False)
    told = any_place.run(code)
    without = any_place.call(plain, "main.py", REPROOF_OBSERVATIONS=None, REPROOF_PROJECT=None)
    assert told.status == without.status == 3
    both = (str(any_place.python.parent.parent), str(plain.parent.parent))
    assert told.stdout.replace(*both) == without.stdout
    assert told.stderr == without.stderr == "on stderr"


def test_nothing_happens_outside_of_a_run(any_place: Any) -> None:
    code = "import sys; print('_reproof_lines' in sys.modules, [f for f in sys.meta_path if 'reproof' in f.__module__])"
    told = any_place.run(code, REPROOF_OBSERVATIONS=None)
    assert told.stdout == "False []\n"
    told = any_place.run(
        "import sys; print([n for n in sys.modules if 'reproof' in n])",
        REPROOF_OBSERVATIONS=None,
        **{f"V{n}": "" for n in range(8)},
    )
    assert told.stdout == "[]\n"
    assert not any_place.file.exists()


def test_switched_off(any_place: Any) -> None:
    told = any_place.run("print(1)", REPROOF_DISABLE="1")
    assert (told.stdout, told.lines.lines) == ("1\n", [])


def test_traceback_of_the_program_shows_nothing_of_ours(any_place: Any) -> None:
    told = any_place.run("import random\nopen('missing')")
    assert told.status == 1
    assert "reproof_" not in told.stderr


def test_functions_can_still_be_pickled(any_place: Any) -> None:
    code = """
import inspect, pickle, random
for function in (random.seed, random.Random.seed, random.Random(3)):
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(function, protocol))
print(pickle.loads(pickle.dumps(random.seed)) is random.seed, inspect.signature(random.seed))
"""
    told = any_place.run(code)
    assert told.stdout == "True (a=None, version=2)\n", told.stderr


# Programs that make it hard


@pytest.mark.parametrize("target", ["/dev/full", "/nowhere/at/all", "/"])
def test_file_that_cannot_be_written(some_place: Any, target: str) -> None:
    code = "for number in range(2000): open('f%d' % number, 'w').close()\nprint('done')"
    told = some_place.run(code, REPROOF_OBSERVATIONS=target)
    assert (told.status, told.stdout, told.stderr) == (0, "done\n", "")


def test_file_that_is_read_only(some_place: Any) -> None:
    some_place.file.parent.mkdir()
    some_place.file.symlink_to("/proc/version")
    told = some_place.run("print('done')")
    assert (told.status, told.stdout, told.stderr) == (0, "done\n", "")


def test_file_that_can_be_written_only_later(some_place: Any) -> None:
    code = """
import os, time
folder = os.path.dirname(os.environ["REPROOF_OBSERVATIONS"])
os.rename(folder, folder + "-away")
for number in range(1500):
    open("f%d" % number, "w").close()
os.rename(folder + "-away", folder)
"""
    told = some_place.run(code)
    assert len(list(told.lines.of(Ended))) == 1
    assert len(names(observations.opened_for_writing(told.lines), some_place)) > 900
    assert told.lines.damaged == 0


def test_replaced_finders(some_place: Any) -> None:
    code = """
import sys
sys.meta_path = [finder for finder in sys.meta_path if "_reproof" not in finder.__module__]
import random
random.seed(5)
"""
    told = some_place.run(code, REPROOF_SEED="1")
    assert told.stderr == ""
    assert [line.where for line in told.lines.of(Seeded)] == ["${PROJECT}/main.py:5"]


def test_hidden_import(some_place: Any) -> None:
    """No event tells of `import_module`; with our finder gone, the next import statement does."""
    code = """
import importlib, sys
sys.meta_path = [finder for finder in sys.meta_path if "_reproof" not in finder.__module__]
random = importlib.import_module("random")
import string
random.seed(5)
"""
    assert [line.value for line in some_place.run(code).lines.of(Seeded)] == ["5"]


def test_audit_hook_of_the_program(some_place: Any) -> None:
    code = """
import sys
seen = []
def hook(event, args):
    if event == "open":
        seen.append(args[0])
    if event == "open" and "observations" in str(args[0]):
        raise RuntimeError("not allowed")
sys.addaudithook(hook)
open("main.py").close()
print("main.py" in seen)
"""
    told = some_place.run(code)
    assert (told.status, told.stdout, told.stderr) == (0, "True\n", "")


def test_closed_descriptors_and_changed_root(some_place: Any) -> None:
    code = """
import os
os.closerange(3, 256)
os.chdir("/")
open("etc/passwd").close()
"""
    told = some_place.run(code)
    assert told.status == 0, told.stderr
    assert "/etc/passwd" in observations.opened_for_reading(told.lines)


def test_replaced_functions_of_the_system(some_place: Any) -> None:
    code = """
import os, time, builtins
def refuse(*args, **kwargs): raise AssertionError("used by someone else")
os.open = os.write = os.close = os.getpid = time.time = time.monotonic = refuse
real, builtins.open = builtins.open, refuse
real("main.py").close()
"""
    told = some_place.run(code)
    assert told.status == 0, told.stderr
    assert "main.py" in names(observations.opened_for_reading(told.lines), some_place)


def test_own_sitecustomize_in_the_environment(some_place: Any, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('mine'); raise ValueError('and broken')")
    told = some_place.run("print('main')", PYTHONPATH=str(tmp_path))
    assert told.stdout == "mine\nmain\n"
    assert "and broken" in told.stderr
    assert len(told.boots) == 1


def test_deep_recursion(some_place: Any) -> None:
    code = """
def dive():
    open("main.py").close()
    dive()
try:
    dive()
except RecursionError:
    print("bottom")
"""
    told = some_place.run(code)
    assert (told.status, told.stdout) == (0, "bottom\n"), told.stderr


def test_damaged_installation(environments: Callable[[str, bool], Path], place: Any, tmp_path: Path) -> None:
    package = place.site_packages / "_reproof_injected"
    aside = package.with_name("_reproof_injected_aside")
    package.rename(aside)
    try:
        told = place.run("print('done')")
    finally:
        aside.rename(package)
    assert (told.status, told.stdout, told.stderr, told.boots) == (0, "done\n", "", [])
    assert observations.omissions(told.lines)[0].subject == "processes"


def test_seed_that_is_no_number(some_place: Any) -> None:
    told = some_place.run("import random; print('done')", REPROOF_SEED="many")
    assert told.stdout == "done\n"
    assert told.failures() == [("seed", "REPROOF_SEED is not a decimal number")]


# Files


def test_files_by_mode(some_place: Any) -> None:
    code = """
import io, os, pathlib
open("a", "w").close()
open("a", "rb").close()
open("a", "r+").close()
pathlib.Path("b").write_text("x")
pathlib.Path("b").read_bytes()
os.close(os.open("c", os.O_CREAT | os.O_WRONLY))
os.close(os.open(b"c", os.O_RDONLY))
open(os.open("d", os.O_CREAT | os.O_RDWR), "r+").close()
open("e", "a").close()
os.close(os.open(".", os.O_RDONLY | os.O_DIRECTORY))
"""
    told = some_place.run(code)
    assert told.failures() == []
    assert names(observations.opened_for_reading(told.lines), some_place) == {"a", "b", "c", "d"} | {
        "main.py"
    }
    assert names(observations.opened_for_writing(told.lines), some_place) == {"a", "b", "c", "d", "e"}


def test_paths_as_they_are_meant(some_place: Any) -> None:
    code = """
import os
os.makedirs("one/two")
os.symlink("one/two", "link")
for name in ("f", "one/g", "one/two/h"):
    open(name, "w").close()
os.chdir("one")
open("g").close()
open("../f").close()
open("./two//h").close()
open("../link/../g").close()
os.chdir("two")
open("h").close()
"""
    told = some_place.run(code)
    assert told.status == 0, told.stderr
    assert names(observations.opened_for_reading(told.lines), some_place) == {
        *("main.py", "f", "one/g", "one/two/h")
    }


def test_names_that_are_no_text(some_place: Any) -> None:
    told = some_place.run(
        "import os\nopen(os.fsencode('caf') + bytes([0xe9]), 'w').close()\nopen('\"q\\\\\\n', 'w')"
    )
    assert told.lines.damaged == 0
    assert names(observations.opened_for_writing(told.lines), some_place) == {"caf\\udce9", '"q\\\n'}


def test_packages_and_our_own_files_are_no_data(some_place: Any) -> None:
    (some_place.site_packages / "packaged").mkdir(exist_ok=True)
    (some_place.site_packages / "packaged" / "__init__.py").write_text("text = open(__file__).read()")
    code = "import packaged, json, os; open('/dev/null').close(); open('/proc/self/stat').close()"
    told = some_place.run(code)
    assert told.status == 0, told.stderr
    assert set(observations.opened_for_reading(told.lines)) == {f"{some_place.project}/main.py"}
    assert observations.modules(told.lines) == ("packaged",)


def test_cached_byte_code_stands_for_its_source(some_place: Any) -> None:
    some_place.project.mkdir()
    (some_place.project / "helper.py").write_text("x = 1")
    code = "import helper"
    some_place.run(code, PYTHONDONTWRITEBYTECODE=None)
    assert (some_place.project / "__pycache__").is_dir()
    told = some_place.run(code)
    assert names(observations.opened_for_reading(told.lines), some_place) == {"main.py", "helper.py"}
    assert observations.modules(told.lines) == ("helper",)


def test_databases(some_place: Any) -> None:
    code = """
import sqlite3
sqlite3.connect("a.db").execute("create table t (x)")
sqlite3.connect("file:a.db?mode=ro", uri=True).close()
sqlite3.connect(":memory:").close()
"""
    told = some_place.run(code)
    found = {line.mode for line in told.lines.of(Opened) if line.path.endswith("a.db")}
    assert found == {"r", "rw"}
    assert not [line for line in told.lines.of(Opened) if "memory" in line.path]


def test_too_many_files(some_place: Any) -> None:
    code = """
import _reproof_watch as _reproof_files
_reproof_files.LIMIT = 1000
for number in range(3000):
    open("f%d" % number, "w").close()
"""
    told = some_place.run(code)
    assert 1000 <= len(observations.opened_for_writing(told.lines)) < 1400
    assert [subject for subject, _ in told.failures()] == ["files"]


def test_addresses(some_place: Any) -> None:
    code = """
import socket
for kind, address in ((socket.AF_INET, ("127.0.0.1", 9)), (socket.AF_INET6, ("::1", 9)), (socket.AF_UNIX, "/nowhere")):
    try:
        socket.socket(kind, socket.SOCK_DGRAM).connect(address)
    except OSError:
        pass
try:
    socket.getaddrinfo("localhost", "80")
except OSError:
    pass
"""
    told = some_place.run(code)
    assert told.failures() == []
    assert observations.network(told.lines) == ("127.0.0.1:9", "[::1]:9", "localhost:80")


# Randomness


def test_seed_is_applied_and_repeats(some_place: Any) -> None:
    code = "import random; print(random.random())"
    one, two = some_place.run(code, REPROOF_SEED="42"), some_place.run(code, REPROOF_SEED="42")
    assert one.stdout == two.stdout == "0.6394267984578837\n"
    assert [(line.what, line.value) for line in one.lines.of(Applied)] == [("random", "42")]
    assert some_place.run(code).stdout != some_place.run(code).stdout


def test_own_seed_wins(some_place: Any) -> None:
    code = "import random\nrandom.seed(7)\nprint(random.random())"
    assert some_place.run(code, REPROOF_SEED="1").stdout == some_place.run(code, REPROOF_SEED="2").stdout


def test_sub_processes_have_seeds_of_their_own_that_repeat(some_place: Any) -> None:
    code = """
import os, subprocess, sys
ask = [sys.executable, "-c", "import random; print(random.random())"]
for number in range(2):
    subprocess.run(ask)
subprocess.run(ask, env=dict(os.environ))
subprocess.run(ask, env=dict(os.environ))
"""
    one, two = some_place.run(code, REPROOF_SEED="42"), some_place.run(code, REPROOF_SEED="42")
    assert one.stdout == two.stdout
    assert len(set(one.stdout.split())) == 4


def test_hash_seed_that_is_ignored_is_told(some_place: Any) -> None:
    kept = some_place.run("pass", REPROOF_SEED="42", PYTHONHASHSEED="42")
    assert [(line.what, line.value) for line in kept.lines.of(Applied)] == [("PYTHONHASHSEED", "42")]
    lost = some_place.run("pass", options=["-E"], REPROOF_SEED="42", PYTHONHASHSEED="42")
    assert [subject for subject, _ in lost.failures()] == ["PYTHONHASHSEED"]


def test_seeds_of_the_program_are_noted_few_for_each_place(some_place: Any) -> None:
    code = """
import random
for value in range(10):
    random.seed(value)
random.seed("text")
random.seed(a=10**30)
random.seed()
"""
    told = some_place.run(code)
    assert [(line.where[-2:], line.value) for line in told.lines.of(Seeded)] == [
        *((":4", "0"), (":4", "1"), (":4", "2"), (":5", ""), (":6", ""))
    ]
    assert [(line.what, line.where) for line in told.lines.of(Drew)] == [
        ("random.seed()", "${PROJECT}/main.py:7")
    ]


def test_temporary_names_are_no_draws(some_place: Any) -> None:
    told = some_place.run("import tempfile; tempfile.mkdtemp(); tempfile.mktemp()")
    assert {(line.control, line.by) for line in told.lines.of(Drew)} == {
        ("harmless", "names of temporary files")
    }


@NUMPY
def test_numpy(place: Any) -> None:
    code = """
import numpy as np
print(np.random.rand(), np.random.default_rng(3).random())
np.random.seed(4)
np.random.default_rng()
np.random.RandomState()
np.random.SeedSequence()
np.random.Generator(np.random.PCG64())
np.random.seed()
make = np.random.default_rng
make()
for _ in range(3): np.random.default_rng()
np.random.RandomState(5); np.random.default_rng(5); np.random.PCG64(5); np.random.RandomState([1, 2])
print(np.random.get_state()[0], isinstance(np.random.RandomState(6)._bit_generator, np.random.MT19937))
"""
    one = place.run(code, REPROOF_SEED=str(2**32 + 42), PYTHONPATH=packages())
    two = place.run(code, REPROOF_SEED=str(42), PYTHONPATH=packages())
    assert one.stderr == ""
    assert one.stdout == two.stdout
    assert one.stdout.startswith("0.3745401188473625 ")
    applied, seeded = observations.randomness(one.lines)
    unseeded = draws(one.lines)
    assert applied == ("random", "numpy.random")
    assert [(draw.what, draw.where, draw.value, draw.answer) for draw in seeded] == [
        ("numpy.random.default_rng", "${PROJECT}/main.py:3", "3", None),
        ("numpy.random.seed", "${PROJECT}/main.py:4", "4", "4"),
        ("numpy.random.RandomState", "${PROJECT}/main.py:13", "5", None),
        ("numpy.random.default_rng", "${PROJECT}/main.py:13", "5", None),
        ("numpy.random.RandomState", "${PROJECT}/main.py:14", "6", None),
    ]
    assert sorted(
        ((draw.what, int(draw.where.rpartition(":")[2])) for draw in unseeded), key=lambda each: each[1]
    ) == [
        ("numpy.random.rand()", 3),
        ("numpy.random.default_rng()", 5),
        ("numpy.random.RandomState()", 6),
        ("numpy.random.SeedSequence()", 7),
        ("numpy.random.PCG64()", 8),
        ("numpy.random.seed()", 9),
        ("numpy.random.generator", 11),
        ("numpy.random.default_rng()", 12),
    ]


@NUMPY
def test_numpy_functions_can_still_be_pickled(place: Any) -> None:
    code = "import pickle, numpy as np; print(pickle.loads(pickle.dumps(np.random.seed)) is np.random.seed)"
    told = place.run(code, PYTHONPATH=packages())
    assert (told.stdout, told.stderr) == ("True\n", "")


def test_draws_within_a_package_name_both_places(some_place: Any) -> None:
    package = some_place.site_packages / "drawing.py"
    package.write_text(
        "import random\ndef make():\n    return random.Random()\nrandom.Random(3); random.Random()"
    )
    told = some_place.run("import drawing\ndrawing.make()")
    (draw,) = draws(told.lines)
    assert draw.what == "random.Random() in drawing.py:3"
    assert draw.where == "${PROJECT}/main.py:2"


def test_places_within_generated_code(some_place: Any) -> None:
    code = """
import dataclasses, random
@dataclasses.dataclass
class Settings:
    generator: random.Random = dataclasses.field(default_factory=random.Random)
Settings()
"""
    (line,) = some_place.run(code).lines.of(Drew)
    assert line.where == "${PROJECT}/main.py:6"


# Hooks after imports


def test_calls_back_after_imports(some_place: Any) -> None:
    some_place.project.mkdir()
    (some_place.project / "late.py").write_text("print('late runs')")
    (some_place.project / "broken.py").write_text("raise ValueError('mine')")
    code = """
import importlib.util, sys
import _reproof_imports as imports
imports.after("sys", lambda module: print("already", module is sys))
imports.after("late", lambda module: print("after", module.__name__, module.__loader__.__dict__.keys() - {"name", "path"}))
imports.after("late", lambda module: 1 / 0)
imports.after("broken", lambda module: print("never"))
imports.after("missing", lambda module: print("never"))
print(importlib.util.find_spec("late").name)
import late
try:
    import broken
except ValueError as error:
    print(error)
try:
    import missing
except ModuleNotFoundError as error:
    print(error.name)
"""
    told = some_place.run(code)
    assert told.stdout.splitlines() == [
        *("already True", "late", "late runs", "after late set()", "mine", "missing")
    ], told.stderr
    assert [subject for subject, _ in told.failures()] == ["hook of late"]


def test_mlflow_is_watched_only_when_asked(some_place: Any) -> None:
    some_place.project.mkdir()
    (some_place.project / "mlflow.py").write_text("__version__ = '0'")
    code = "import mlflow, sys; print('_reproof_mlflow' in sys.modules)"
    assert some_place.run(code).stdout == "False\n"
    assert some_place.run(code, REPROOF_MLFLOW="1").stdout == "True\n"


# Delivery


def test_files_and_version() -> None:
    shipped = {path.name for path in injected.files()}
    assert {"reproof_bootstrap.py", "_reproof_lines.py", "_reproof_mlflow.py"} <= shipped
    assert "reproof_finish.py" not in shipped
    assert len(shipped) == len(injected.files())
    assert injected.version() == injected.version()
    assert len(injected.version()) == 64


def test_install_replaces_an_earlier_version(tmp_path: Path) -> None:
    (tmp_path / "_reproof_injected").mkdir()
    (tmp_path / "_reproof_injected" / "_reproof_old.py").write_text("")
    injected.install(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"_reproof_injected", "reproof.pth", "reproof.start"}
    assert not (tmp_path / "_reproof_injected" / "_reproof_old.py").exists()
    assert (tmp_path / "reproof.pth").read_text().count("\n") == 1
    assert (tmp_path / "reproof.start").read_text() == "_reproof_injected:start\n"


def test_install_compiles_for_the_interpreter(place: Any) -> None:
    cached = list((place.site_packages / "_reproof_injected" / "__pycache__").glob("*.pyc"))
    assert len(cached) == len(injected.files()) - 1  # without sitecustomize


def test_entry_point_of_pep_829(some_place: Any) -> None:
    """Pythons of the future resolve this name and call it, instead of executing the line in the .pth."""
    code = """
import os, pkgutil, sys
os.environ["REPROOF_OBSERVATIONS"] = sys.argv[1]
entry = open(sys.argv[2]).read().strip()
pkgutil.resolve_name(entry)()
pkgutil.resolve_name(entry)()
"""
    some_place.run("pass")
    (some_place.project / "main.py").write_text(code)
    entry = some_place.site_packages / "reproof.start"
    told = some_place.call(some_place.python, "main.py", some_place.file, entry, REPROOF_OBSERVATIONS=None)
    assert told.stderr == ""
    assert len(told.boots) == 1


def test_folder_for_python_path(some_place: Any, environments: Callable[[str, bool], Path]) -> None:
    version = some_place.site_packages.parent.name[6:]
    plain = environments(version, False)
    folder = injected.sitecustomize_folder(some_place.folder / "way in")
    own = some_place.folder / "own"
    own.mkdir()
    some_place.project.mkdir()
    (some_place.project / "main.py").write_text(
        "import sys, multiprocessing as m\n"
        f"print({str(folder)!r} in sys.path, 'sitecustomize' in sys.modules)\n"
        "if __name__ == '__main__':\n"
        "    p = m.get_context('spawn').Process(target=print, args=(1,)); p.start(); p.join()\n"
    )
    alone = some_place.call(plain, "main.py", PYTHONPATH=str(folder))
    assert alone.stdout.splitlines()[0].startswith("False ")
    assert [boot.via for boot in alone.boots if boot.argv[1:] == ("main.py",)] == ["path"]
    assert len(alone.boots) >= 2
    (own / "sitecustomize.py").write_text("print('mine')\nX = 1\n")
    chained = some_place.call(
        plain, "-c", "import sitecustomize as s; print(s.X)", PYTHONPATH=f"{folder}{os.pathsep}{own}"
    )
    assert (chained.stdout, chained.stderr, len(chained.boots)) == ("mine\n1\n", "", 1)
    for body in ("raise ValueError('broken')", "import not_there", "raise SystemExit(4)"):
        (own / "sitecustomize.py").write_text(body)
        path = f"{folder}{os.pathsep}{own}"
        ours = some_place.call(plain, "-c", "print(2)", PYTHONPATH=path)
        without = some_place.call(plain, "-c", "print(2)", PYTHONPATH=str(own), REPROOF_OBSERVATIONS=None)
        assert (ours.status, ours.stdout, ours.stderr.splitlines()[-1:]) == (
            *(without.status, without.stdout, without.stderr.splitlines()[-1:]),
        )
        assert len(ours.boots) == 1


def test_loaded_through_both_ways_begins_once(some_place: Any) -> None:
    folder = injected.sitecustomize_folder(some_place.folder / "way in")
    assert len(some_place.run("pass", PYTHONPATH=str(folder)).boots) == 1
