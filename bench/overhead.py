"""What recording costs: the same training bare, under `reproof run`, `mlflow run` and `reproof verify`.

Prints JSON lines: a line for each measured command (medians of user+system and wall seconds over
interleaved rounds), then a line for each limit with the ratio that was reached. Byte code is allowed to
be written (PYTHONDONTWRITEBYTECODE multiplies import times and is removed from the environment).

    python bench/overhead.py [--rounds 3] [--seconds 10] [--only plain,mlflow,loader,files]

`plain` trains without MLflow; `mlflow` logs to it; `loader` is a torch DataLoader with 8 workers
(skipped visibly without torch); `files` opens 100,000 files. The user's environment is this one.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PLAIN = """
import os, sys, time
import numpy as np

rng = np.random.default_rng(0)
a = rng.normal(size=(1200, 1200))
for _ in range(int(sys.argv[1])):
    a = a @ a.T
    a /= np.abs(a).max()
open("result.txt", "w").write(repr(float(a.sum())))
"""
MLFLOW = (
    PLAIN
    + """
import mlflow
with mlflow.start_run():
    mlflow.log_param("rounds", sys.argv[1])
    for step in range(20):
        mlflow.log_metric("sum", float(a.sum()) + step, step=step)
"""
)
LOADER = """
import sys, torch
from torch.utils.data import DataLoader, Dataset
class Numbers(Dataset):
    def __len__(self): return 4000
    def __getitem__(self, i): return torch.full((64,), float(i)).sin().sum()
if __name__ == "__main__":
    torch.manual_seed(0)
    total = 0.0
    for _ in range(int(sys.argv[1])):
        for batch in DataLoader(Numbers(), batch_size=32, num_workers=8):
            total += float(batch.sum())
    open("result.txt", "w").write(repr(total))
"""
FILES = """
import os, sys
total = 0
for i in range(int(sys.argv[1])):
    with open(f"data/{i // 1000}/{i}.txt") as file:
        total += len(file.read())
open("result.txt", "w").write(str(total))
"""
PROJECT = 'name: bench\nentry_points:\n  main:\n    command: "python train.py {amount}"\n'


def measure(argv: list[str], cwd: Path, env: dict[str, str]) -> tuple[float, float]:
    """CPU seconds (with all descendants that were waited for) and wall seconds of one command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True)
    wall = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{argv} failed:\n{done.stdout.decode()[-2000:]}\n{done.stderr.decode()[-3000:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def interleave(
    commands: dict[str, list[str]], cwd: Path, env: dict[str, str], rounds: int
) -> dict[str, dict[str, float]]:
    """Medians of `rounds` rounds, after one that is not counted (caches, byte code, templates)."""
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, argv in commands.items():
            figure = measure(argv, cwd, env)
            if number:
                figures[name].append(figure)
    return {
        name: {
            "cpu_s": round(statistics.median(cpu for cpu, _ in rows), 3),
            "wall_s": round(statistics.median(wall for _, wall in rows), 3),
        }
        for name, rows in figures.items()
    }


def tell(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


def limit(case: str, what: str, value: float, bound: float) -> None:
    tell(case=case, limit=what, reached=round(value, 3), bound=bound, met=value <= bound)


def make_project(folder: Path, script: str) -> None:
    folder.mkdir()
    (folder / "train.py").write_text(script)
    (folder / ".gitignore").write_text("result.txt\nmlruns/\nmlflow.db\ndata/\n__pycache__/\n")
    (folder / "MLproject").write_text(
        PROJECT.replace("main:\n", "main:\n    parameters:\n      amount: string\n")
    )
    for words in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=b", "-c", "user.email=b@example.org", "commit", "-qm", "bench"],
    ):
        subprocess.run(["git", *words], cwd=folder, check=True)


def commands_for(
    amount: int, *, verify: bool = True, mlflow: bool = True, log: bool = False
) -> dict[str, list[str]]:
    python, bin_folder = sys.executable, Path(sys.executable).parent
    reproof = str(bin_folder / "reproof")
    keep = [] if log else ["--no-log"]
    commands = {
        "bare": [python, "train.py", str(amount)],
        "reproof run": [
            reproof,
            "run",
            "--env-manager",
            "local",
            *keep,
            "-q",
            "--seed",
            "1",
            "--",
            "python",
            "train.py",
            str(amount),
        ],
    }
    if log:
        commands["reproof run without the finishing agent"] = [
            *commands["reproof run"][:4],
            "--no-log",
            *commands["reproof run"][4:],
        ]
    if verify:
        commands["reproof verify"] = [reproof, "verify", "-q", "--no-log"]
    if mlflow:
        commands["mlflow run"] = [
            str(bin_folder / "mlflow"),
            "run",
            "--env-manager",
            "local",
            "-P",
            f"amount={amount}",
            ".",
        ]
    return commands


def calibrate(folder: Path, env: dict[str, str], seconds: float) -> int:
    """How much work a bare run does in about `seconds`."""
    amount = 10
    while True:
        _, wall = measure([sys.executable, "train.py", str(amount)], folder, env)
        if wall >= min(3.0, seconds):
            return max(1, int(amount * seconds / wall))
        amount *= 3


def bench_training(
    case: str, script: str, root: Path, env: dict[str, str], options: argparse.Namespace
) -> None:
    folder = root / case
    make_project(folder, script)
    amount = calibrate(folder, env, options.seconds)
    figures = interleave(commands_for(amount, log=case == "mlflow"), folder, env, options.rounds)
    for name, figure in figures.items():
        tell(case=case, command=name, rounds=options.rounds, **figure)
    bare, run = (
        figures["bare"],
        figures.get("reproof run without the finishing agent", figures["reproof run"]),
    )
    limit(case, "run: added CPU seconds", run["cpu_s"] - bare["cpu_s"], 0.5)
    limit(case, "run: wall ratio to bare", run["wall_s"] / bare["wall_s"], 1.05)
    added, theirs = run["wall_s"] - bare["wall_s"], figures["mlflow run"]["wall_s"] - bare["wall_s"]
    limit(case, "run: added wall as a share of mlflow run's", added / theirs, 0.2)
    limit(case, "verify: wall ratio to run", figures["reproof verify"]["wall_s"] / run["wall_s"], 1.1)
    if case == "mlflow":
        agent = figures["reproof run"]
        tell(
            case=case,
            command="finishing agent",
            cpu_s=round(agent["cpu_s"] - run["cpu_s"], 3),
            wall_s=round(agent["wall_s"] - run["wall_s"], 3),
        )


def bench_small(
    case: str, script: str, amount: int, root: Path, env: dict[str, str], options: argparse.Namespace
) -> None:
    folder = root / case
    make_project(folder, script)
    if case == "files":
        for number in range(amount):
            place = folder / "data" / str(number // 1000)
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{number}.txt").write_text(str(number))
    figures = interleave(commands_for(amount, verify=False, mlflow=False), folder, env, options.rounds)
    for name, figure in figures.items():
        tell(case=case, command=name, rounds=options.rounds, **figure)
    tell(
        case=case,
        added_cpu_s=round(figures["reproof run"]["cpu_s"] - figures["bare"]["cpu_s"], 3),
        wall_ratio=round(figures["reproof run"]["wall_s"] / figures["bare"]["wall_s"], 3),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--only", default="plain,mlflow,loader,files")
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="reproof-bench-"))
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONDONTWRITEBYTECODE", "MLFLOW_TRACKING_URI")
    }
    env.update(
        PATH=f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}",
        REPROOF_CACHE_DIR=str(root / "cache"),
        MLFLOW_DISABLE_TELEMETRY="true",
    )
    wanted = options.only.split(",")
    tell(
        machine={"cpus": os.cpu_count(), "python": sys.version.split()[0]},
        rounds=options.rounds,
        seconds=options.seconds,
    )
    try:
        for case, script in (("plain", PLAIN), ("mlflow", MLFLOW)):
            if case in wanted:
                bench_training(case, script, root, env, options)
        if "loader" in wanted:
            if importlib.util.find_spec("torch") is None:
                tell(case="loader", skipped="torch is not installed here")
            else:
                bench_small("loader", LOADER, 2, root, env, options)
        if "files" in wanted:
            bench_small("files", FILES, 100_000, root, env, options)
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
