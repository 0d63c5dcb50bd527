"""What the bootstrap costs: at the start of an interpreter, at each opened file, in a training.

Prints JSON lines: one for each measured variant (medians and minima of CPU and wall milliseconds over
interleaved rounds), then one for each limit with the difference or ratio that was reached. Variants:
`plain` has no bootstrap; `idle` has it installed, outside of a run; `active` is within a run; `seeded`
within a run with a seed, `profile` with a seed and all that the default profile does. Byte code is allowed to be written (PYTHONDONTWRITEBYTECODE is removed).

    python bench/bootstrap.py [--rounds 15] [--only start,opens,again,workers,training,longer,learning,network]
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
from reproof.execute import profiles

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
#: As TRAINING, for ten times as long: what each process pays once weighs less then.
LONGER = TRAINING.replace("n_estimators=40", "n_estimators=400")
LEARNING = """
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
rng = np.random.default_rng(0)
x = rng.normal(size=(20000, 20))
y = (x[:, 0] + rng.normal(size=20000) > 0).astype(int)
for _ in range(6):
    cross_val_score(LogisticRegression(max_iter=200), x, y, cv=5)
"""
TORCH = """
import torch
from torch import nn
network = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Dropout(0.2), nn.Linear(8 * 26 * 26, 10))
optimizer = torch.optim.Adam(network.parameters())
x, y = torch.randn(64, 1, 28, 28), torch.arange(64) % 10
for _ in range(150):
    optimizer.zero_grad()
    nn.functional.cross_entropy(network(x), y).backward()
    optimizer.step()
"""
SCRIPTS = {
    "start": START,
    "opens": OPENS,
    "again": AGAIN,
    "workers": WORKERS,
    "training": TRAINING,
    "longer": LONGER,
    "learning": LEARNING,
    "network": TORCH,
}
PACKAGES = {"training": "sklearn", "longer": "sklearn", "learning": "sklearn", "network": "torch"}
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


def interleave(
    case: str, pythons: dict[str, Path], root: Path, options: argparse.Namespace
) -> dict[str, dict[str, float]]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "REPROOF_"))}
    if case in PACKAGES:
        # With more threads, those that wait make CPU time a measure of how busy the machine is.
        clean |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    lines = root / "run" / "observations.jsonl"
    run = clean | {"REPROOF_OBSERVATIONS": str(lines), "REPROOF_PROJECT": str(root / "project")}
    seeded = run | {"REPROOF_SEED": "42", "PYTHONHASHSEED": "42"}
    added = profiles.variables("default", clean)
    told = {"REPROOF_DETERMINISM": "default", "REPROOF_SET": " ".join(added)}
    variants = {
        "plain": (pythons["plain"], clean),
        "idle": (pythons["installed"], clean),
        "active": (pythons["installed"], run),
        "seeded": (pythons["installed"], seeded),
        "profile": (pythons["installed"], seeded | added | told),
    }
    variants = {name: each for name, each in variants.items() if name in options.variants.split(",")}
    words = [f"{case}.py", *([str(AMOUNTS[case])] if case in AMOUNTS else [])]
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in variants}
    for number in range(options.rounds + 1):
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
            "cpu_ms_fast": round(fast([cpu for cpu, _ in rows]), 2),
            "wall_ms": round(statistics.median(wall for _, wall in rows), 2),
            "wall_ms_least": round(min(wall for _, wall in rows), 2),
        }
        for name, rows in figures.items()
    }


def fast(times: list[float]) -> float:
    """The mean of the faster half: what disturbs a machine only adds, and one least time is luck."""
    return statistics.fmean(sorted(times)[: max(1, len(times) // 2)])


def tell(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


def limit(case: str, what: str, value: float, bound: float) -> None:
    tell(case=case, limit=what, reached=round(value, 3), bound=bound, met=value <= bound)


BOUNDS = {
    "start": {"idle": 0.5, "active": 3.0, "profile": 3.0},
    "opens": {"active": 1.15},
    "network": {"profile": 1.02},
}
LEARNERS = {"active": 1.01, "profile": 1.01}


def judge(case: str, figures: dict[str, dict[str, float]]) -> None:
    """Hold what was measured, the faster half of each, against the bounds: what was added, or the ratio."""
    took = {name: figure["cpu_ms_fast"] for name, figure in figures.items()}
    bounds = BOUNDS.get(case, LEARNERS if case in PACKAGES else {})
    for name in [name for name in bounds if {name, "plain"} <= took.keys()]:
        if case == "start":
            limit(case, f"{name}: added CPU milliseconds", took[name] - took["plain"], bounds[name])
        else:
            limit(case, f"{name}: CPU ratio to plain", took[name] / took["plain"], bounds[name])
    if case in AMOUNTS and {"active", "plain"} <= took.keys():
        added = (took["active"] - took["plain"]) / AMOUNTS[case] * 1000
        tell(case=case, added_us_per_file=round(added, 2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--variants", default="plain,idle,active,seeded,profile")
    parser.add_argument("--only", default=",".join(SCRIPTS))
    options = parser.parse_args()
    numbers = importlib.util.find_spec("numpy")
    if numbers is not None:
        os.environ["BENCH_PACKAGES"] = str(Path(numbers.origin).parents[1])
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
            package = PACKAGES.get(case)
            if package is not None and importlib.util.find_spec(package) is None:
                tell(case=case, skipped=f"needs {package}")
                continue
            (root / "project" / f"{case}.py").write_text(SCRIPTS[case])
            figures = interleave(case, pythons, root, options)
            for variant, figure in figures.items():
                tell(case=case, variant=variant, rounds=options.rounds, **figure)
            judge(case, figures)
        os.chdir(HERE)


if __name__ == "__main__":
    main()
