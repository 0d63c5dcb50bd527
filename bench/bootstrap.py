"""What the bootstrap costs: at the start of an interpreter, at each opened file, in a training.

Prints JSON lines: one for each measured variant (medians and minima of CPU and wall milliseconds over
interleaved rounds), then one for each limit with the difference or ratio that was reached. Variants:
`plain` has no bootstrap; `idle` has it installed, outside of a run; `active` is within a run; `seeded`
within a run with a seed. Byte code is allowed to be written (PYTHONDONTWRITEBYTECODE is removed).

    python bench/bootstrap.py [--rounds 15] [--only start,opens,again,workers,training]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from reproof import injected

START = "pass"
OPENS = """
import sys
total = 0
for number in range(int(sys.argv[1])):
    with open(f"data/{number // 1000}/{number}.txt") as file:
        total += len(file.read())
"""
AGAIN = """
import sys
for number in range(int(sys.argv[1])):
    with open("data/0/0.txt") as file:
        file.read()
"""
WORKERS = """
import os, sys
amount = int(sys.argv[1])
if os.fork() == 0:
    for number in range(amount):
        with open(f"data/{number // 1000}/{number}.txt") as file:
            file.read()
    os._exit(0)
os.wait()
"""
TRAINING = """
import numpy as np
from sklearn.ensemble import RandomForestRegressor
rng = np.random.default_rng(0)
x = rng.normal(size=(4000, 12))
RandomForestRegressor(n_estimators=40, random_state=42).fit(x, x[:, 0]).predict(x)
"""
SCRIPTS = {"start": START, "opens": OPENS, "again": AGAIN, "workers": WORKERS, "training": TRAINING}
AMOUNTS = {"opens": 100_000, "again": 100_000, "workers": 20_000}
HERE = Path.cwd()


def make_environment(folder: Path, *, installed: bool) -> Path:
    """A virtual environment that sees this one's packages; its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    site_packages = next((folder / "lib").glob("python3*")) / "site-packages"
    (site_packages / "bench_packages.pth").write_text(os.environ.get("BENCH_PACKAGES", "") + "\n")
    if installed:
        injected.install(site_packages, python=python)
    return python


def measure(argv: list[str], env: dict[str, str], times: int) -> tuple[float, float]:
    """CPU and wall milliseconds of one command with all its descendants, the mean of so many times."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    for _ in range(times):
        # Neither fork nor Popen: their own cost would count as the child's.
        pid = os.posix_spawn(argv[0], argv, env)
        _, status = os.waitpid(pid, 0)
        if status:
            sys.exit(f"{argv} failed with {os.waitstatus_to_exitcode(status)}")
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu / times * 1e3, wall / times * 1e3


def interleave(case: str, pythons: dict[str, Path], root: Path, rounds: int) -> dict[str, dict[str, float]]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "REPROOF_"))}
    lines = root / "run" / "observations.jsonl"
    run = clean | {"REPROOF_OBSERVATIONS": str(lines), "REPROOF_PROJECT": str(root / "project")}
    variants = {
        "plain": (pythons["plain"], clean),
        "idle": (pythons["installed"], clean),
        "active": (pythons["installed"], run),
        "seeded": (pythons["installed"], run | {"REPROOF_SEED": "42", "PYTHONHASHSEED": "42"}),
    }
    words = [f"{case}.py", *([str(AMOUNTS[case])] if case in AMOUNTS else [])]
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in variants}
    for number in range(rounds + 1):
        for name, (python, env) in variants.items():
            lines.unlink(missing_ok=True)
            os.chdir(root / "project")
            figure = measure([str(python), *words], env, 10 if case == "start" else 1)
            if number:  # the first round warms caches
                figures[name].append(figure)
    return {
        name: {
            "cpu_ms": round(statistics.median(cpu for cpu, _ in rows), 2),
            "cpu_ms_least": round(min(cpu for cpu, _ in rows), 2),
            "wall_ms": round(statistics.median(wall for _, wall in rows), 2),
            "wall_ms_least": round(min(wall for _, wall in rows), 2),
        }
        for name, rows in figures.items()
    }


def tell(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


def limit(case: str, what: str, value: float, bound: float) -> None:
    tell(case=case, limit=what, reached=round(value, 3), bound=bound, met=value <= bound)


def judge(case: str, figures: dict[str, dict[str, float]]) -> None:
    plain, active = figures["plain"]["cpu_ms_least"], figures["active"]["cpu_ms_least"]
    if case == "start":
        limit(case, "active: added CPU milliseconds", active - plain, 2.0)
        limit(case, "idle: added CPU milliseconds", figures["idle"]["cpu_ms_least"] - plain, 0.5)
    elif case == "training":
        limit(case, "active: CPU ratio to plain", active / plain, 1.01)
    else:
        added = (active - plain) / AMOUNTS[case] * 1000
        tell(case=case, added_us_per_file=round(added, 2))
        if case == "opens":
            limit(case, "active: CPU ratio to plain", active / plain, 1.15)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", default=",".join(SCRIPTS))
    options = parser.parse_args()
    if importlib.util.find_spec("sklearn") is not None:
        os.environ["BENCH_PACKAGES"] = str(Path(importlib.util.find_spec("sklearn").origin).parents[1])
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve()
        (root / "run").mkdir()
        for number in range(AMOUNTS["opens"]):
            path = root / "project" / "data" / str(number // 1000) / f"{number}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x" * 200)
        pythons = {
            kind: make_environment(root / kind, installed=kind == "installed")
            for kind in ("plain", "installed")
        }
        for case in options.only.split(","):
            if case == "training" and "BENCH_PACKAGES" not in os.environ:
                tell(case=case, skipped="needs scikit-learn")
                continue
            (root / "project" / f"{case}.py").write_text(SCRIPTS[case])
            figures = interleave(case, pythons, root, options.rounds)
            for variant, figure in figures.items():
                tell(case=case, variant=variant, rounds=options.rounds, **figure)
            judge(case, figures)
        os.chdir(HERE)


if __name__ == "__main__":
    main()
