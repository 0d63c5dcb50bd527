"""Alarms of `reproof verify` on sound programs: verified many times, under load, at other times, in other places.

Each program is recorded once, half of them at another date by `faketime` where there is one. Then they are verified in turn, each
time under another circumstance: beside a program that burns half a processor, from another path, with another HOME, folder for
temporary files, time zone, locale, umask, number of threads, on one processor, in another isolation, without a cache. Every
verdict but `reproduced` and `repeated` is an alarm. Prints a line for each alarm, then totals as JSON; the exit status is 1 if
there was one. The programs are those of ``mutations/projects/sound`` and of the zoo; what needs a module that is not installed
is left out, and said.

    python bench/soundness.py [--verifies 300] [--jobs N] [--only NAME] [--torch]
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from mutations.making import GIT, Place

OWN = Path(__file__).parent / "mutations" / "projects" / "sound"
ZOO = Path(__file__).parents[1] / "tests" / "zoo" / "sound"
REPROOF = ("-m", "reproof.cli.main")
MODULES = ("numpy", "sklearn", "torch")
DATES = ("2024-02-29 23:59:58", "2023-12-31 23:59:55", "2031-06-01 12:00:00")
BURNER = "import time\nwhile True:\n    end = time.monotonic() + 0.05\n    while time.monotonic() < end: pass\n    time.sleep(0.05)"

#: Sound with as many threads as recorded: the library takes no more than there are processors.
THREADED = {"products"}

#: What a verify gets besides the record, by name: variables, and what stands before the command.
CIRCUMSTANCES: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "nothing": ({}, ()),
    "load": ({}, ()),
    "another path": ({}, ()),
    "time zone": ({"TZ": "Pacific/Chatham"}, ()),
    "locale": ({"LC_ALL": "POSIX", "LANG": "de_DE.UTF-8"}, ()),
    "one processor and load": ({}, ("taskset", "-c", "0")),
    "low priority and load": ({}, ("nice", "-n", "15")),
    "threads": ({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "3"}, ()),
    "umask": ({}, ("bash", "-c", 'umask 077; exec "$@"', "bash")),
    "home and temporary folder": ({"HOME": "home of another", "TMPDIR": "tmp of another"}, ()),
    "isolation process": ({"REPROOF_ISOLATION": "process"}, ()),
    "hash seed and variables": (
        {"PYTHONHASHSEED": "99", "PYTHONOPTIMIZE": "1", "NOBODY_ASKED": "x" * 5000},
        (),
    ),
    "another cache and load": ({"REPROOF_CACHE_DIR": "cache of another"}, ()),
}


@dataclass
class Program:
    """A sound program in a project of its own, and its record."""

    name: str
    folder: Path
    record: str = ""


def sources(options: argparse.Namespace, python: str) -> Iterator[tuple[str, Path]]:
    """Name and file of each program that can be run here."""
    found = [(path.stem, path) for path in sorted(OWN.glob("*.py"))]
    found += [(f"zoo/{path.parent.name}", path) for path in sorted(ZOO.glob("*/train.py"))]
    for name, path in found:
        text = path.read_text(encoding="utf-8")
        wanted = [module for module in MODULES if f"import {module}" in text or f"from {module}" in text]
        if "torch" in wanted and not options.torch:
            continue
        lacking = [module for module in wanted if not _has(python, module)]
        if lacking:
            print(f"left out: {name} needs {', '.join(lacking)}", flush=True)
        elif not options.only or name.startswith(options.only):
            yield name, path


def _has(python: str, module: str) -> bool:
    code = f"import importlib.util as u, sys; sys.exit(u.find_spec({module!r}) is None)"
    return subprocess.run([python, "-c", code], capture_output=True).returncode == 0


def write(name: str, path: Path, top: Path, env: dict[str, str]) -> Program:
    """A repository with the program, and what stands beside it."""
    folder = top / "programs" / name.replace("/", "-")
    if path.name == "train.py":
        shutil.copytree(path.parent, folder)
    else:
        folder.mkdir(parents=True)
        shutil.copy(path, folder / "train.py")
    if "import numpy" not in path.read_text() and "sklearn" not in path.read_text():
        (folder / "requirements.txt").touch()  # nothing is needed: an environment of its own is cheap
    (folder / ".gitignore").write_text(".reproof/\n__pycache__/\nresult.json\noutputs/\n*.npy\n*.pkl\n")
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "Begin")):
        subprocess.run([*GIT, *words], cwd=folder, env=env, check=True, capture_output=True)
    return Program(name, folder)


def recorded(program: Program, number: int, place: Place, env: dict[str, str]) -> None:
    """Run it once; every second one at another date."""
    words = [place.python, *REPROOF, "run", "--no-log", "--", "python", "train.py"]
    if number % 2 and shutil.which("faketime"):
        words = ["faketime", "-f", f"@{DATES[number // 2 % len(DATES)]}", *words]
    done = subprocess.run(words, cwd=program.folder, env=env, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{program.name} could not be recorded: {done.stderr}")
    program.record = next((program.folder / ".reproof" / "records").glob("?" * 64 + ".json")).stem


def verified(
    program: Program, circumstance: str, number: int, place: Place, env: dict[str, str]
) -> tuple[str, str]:
    """Verify once; returns the word of the verdict, and what differed or was said."""
    variables, before = CIRCUMSTANCES[circumstance]
    if before and shutil.which(before[0]) is None:
        variables, before = {}, ()
    changed = dict(variables)
    for name in ("HOME", "TMPDIR", "REPROOF_CACHE_DIR"):
        if name in changed:
            folder = place.folder / f"{changed[name]} {number}"
            folder.mkdir()
            changed[name] = str(folder)
    if circumstance == "another path":
        target = (
            place.folder / f"a folder with ünusual characters {number}" / ("x" * 40) / program.folder.name
        )
        target.parent.mkdir(parents=True)
        program.folder.rename(target)
        program.folder = target
    words = [*before, place.python, *REPROOF, "verify", program.record, "--no-log", "--output-format", "json"]
    done = subprocess.run(
        words, cwd=program.folder, env={**env, **changed}, capture_output=True, text=True, timeout=300
    )
    try:
        verdict = json.loads(done.stdout)
    except json.JSONDecodeError:
        return f"error {done.returncode}", done.stderr[-800:]
    differing = [item["subject"] for item in verdict["differences"] if item["outcome"] > 1]
    return verdict["word"], f"{verdict['stability']}: {', '.join(differing)}"


@contextmanager
def burning(needed: bool) -> Iterator[None]:
    """Half a processor burnt beside, where it is needed."""
    if not needed:
        yield
        return
    burner = subprocess.Popen([sys.executable, "-c", BURNER])
    try:
        yield
    finally:
        burner.kill()
        burner.wait()


@dataclass(frozen=True)
class Seen:
    """What came of one verify."""

    program: str
    circumstance: str
    word: str
    detail: str

    @property
    def alarm(self) -> bool:
        return self.word not in {"reproduced", "repeated"}


def share(
    programs: list[Program], chosen: range, options: argparse.Namespace, place: Place, env: dict[str, str]
) -> list[Seen]:
    """The verifies of some of the programs: no two of one program at the same time, as one may move it."""
    names, seen = list(CIRCUMSTANCES), []
    for number in range(options.verifies):
        index = number % len(programs)
        if index not in chosen:
            continue
        # Each round over the programs shifts the circumstances by one: all meet in the end.
        program, circumstance = programs[index], names[(number + number // len(programs)) % len(names)]
        if program.name in THREADED and circumstance.startswith("one processor"):
            circumstance = "load"  # on fewer processors its threads are fewer, and its bits are others
        with burning("load" in circumstance):
            seen.append(
                Seen(program.name, circumstance, *verified(program, circumstance, number, place, env))
            )
        if seen[-1].alarm:
            print(f"ALARM {seen[-1]}", flush=True)
    return seen


def totals(seen: list[Seen], programs: int, seconds: float) -> dict[str, object]:
    """Counts, by word and by circumstance."""
    return {
        "programs": programs,
        "verifies": len(seen),
        "words": Counter(each.word for each in seen),
        "circumstances": Counter(each.circumstance for each in seen),
        "faketime": bool(shutil.which("faketime")),
        "alarms": sum(each.alarm for each in seen),
        "seconds": round(seconds),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--verifies", type=int, default=300)
    parser.add_argument("--jobs", type=int, default=1, help="programs verified at the same time")
    parser.add_argument("--only", default="")
    parser.add_argument("--torch", action="store_true", help="the zoo's program on PyTorch, too")
    options = parser.parse_args()
    top, begun = Path(tempfile.mkdtemp(prefix="soundness-")), time.monotonic()
    place = Place(top)
    env = place.environment(local=True)
    try:
        programs = [write(name, path, top, env) for name, path in sources(options, place.python)]
        with ThreadPoolExecutor(options.jobs) as pool:
            list(pool.map(lambda each: recorded(each[1], each[0], place, env), enumerate(programs)))
            shares = [range(first, len(programs), options.jobs) for first in range(options.jobs)]
            parts = list(pool.map(lambda chosen: share(programs, chosen, options, place, env), shares))
    finally:
        shutil.rmtree(top, ignore_errors=True)
    found = totals([each for part in parts for each in part], len(programs), time.monotonic() - begun)
    print(json.dumps(found))
    return 1 if found["alarms"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
