"""What a pipeline costs for each stage over its bare commands, beside `dvc repro`, in the same rounds.

Prints JSON lines: least user+system and wall seconds of the bare commands, of `reproof run --force` and
of `dvc repro --force`, then what each adds for a stage, what an unchanged pipeline costs, and the goal.
Needs `dvc` in the interpreter that runs it.

    python bench/pipeline.py [--rounds 5] [--stages 6]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

GOAL = 0.3  # CPU seconds that a stage may cost over its bare command
PYTHON = sys.executable

CODE = """
import json, sys
source, target = sys.argv[1:]
rows = [float(line) for line in open(source)]
with open(target, "w") as file:
    file.writelines(f"{row * 1.0001}\\n" for row in rows)
"""


def environment(folder: Path) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("REPROOF", "MLFLOW"))}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    who = {
        f"GIT_{role}_{what}": "bench@localhost"
        for role in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    place = {"REPROOF_CACHE_DIR": str(folder / "cache"), "REPROOF_DATA_DIR": str(folder / "data")}
    path = f"{Path(PYTHON).parent}{os.pathsep}{env['PATH']}"
    return {
        **env,
        **who,
        **place,
        "PATH": path,
        "DVC_SITE_CACHE_DIR": str(folder / "site"),
        "DVC_NO_ANALYTICS": "1",
    }


def make(top: Path, stages: int, env: dict[str, str]) -> list[str]:
    """A chain of stages; returns their bare commands."""
    top.mkdir()
    (top / "step.py").write_text(CODE)
    (top / "0.txt").write_text("".join(f"{number / 7}\n" for number in range(2000)))
    commands = [f"python step.py {number}.txt {number + 1}.txt" for number in range(stages)]
    lines = ["stages:"]
    for number, command in enumerate(commands):
        lines += [f"  s{number}:", f"    cmd: {command}"]
        lines += [f"    deps: [step.py, {number}.txt]", f"    outs: [{number + 1}.txt]"]
    (top / "dvc.yaml").write_text("\n".join(lines) + "\n")
    (top / ".gitignore").write_text("".join(f"/{number + 1}.txt\n" for number in range(stages)))
    for words in (
        ["git", "init", "-q"],
        [PYTHON, "-m", "dvc", "init", "-q"],
        ["git", "add", "-A"],
        ["git", "commit", "-qm", "x"],
    ):
        subprocess.run(words, cwd=top, env=env, check=True)
    return commands


def measured(work: Callable[[], object]) -> tuple[float, float]:
    """CPU seconds (of children too) and wall seconds."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.monotonic() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--stages", type=int, default=6)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        env = environment(folder)
        top = folder / "project"
        commands = make(top, options.stages, env)

        def call(*words: str) -> None:
            subprocess.run(words, cwd=top, env=env, check=True, capture_output=True)

        run = (PYTHON, "-m", "reproof.cli.main", "run", "--no-log")
        repro = (PYTHON, "-m", "dvc", "repro", "-q")
        works: dict[str, Callable[[], object]] = {
            "bare": lambda: [call("bash", "-c", command) for command in commands],
            "reproof run --force": lambda: call(*run, "--force"),
            "dvc repro --force": lambda: call(*repro, "--force"),
            "reproof run, unchanged": lambda: call(*run),
            "dvc repro, unchanged": lambda: call(*repro),
        }
        call(*run), call(*repro, "--force")
        least: dict[str, tuple[float, float]] = {}
        for _ in range(options.rounds):
            for name, work in works.items():
                cpu, wall = measured(work)
                known = least.get(name, (cpu, wall))
                least[name] = (min(known[0], cpu), min(known[1], wall))
    for name, (cpu, wall) in least.items():
        print(
            json.dumps(
                {
                    "operation": name,
                    "stages": options.stages,
                    "cpu_s": round(cpu, 3),
                    "wall_s": round(wall, 3),
                }
            )
        )
    bare = least["bare"][0]
    added = {
        name: (least[name][0] - bare) / options.stages
        for name in ("reproof run --force", "dvc repro --force")
    }
    for name, each in added.items():
        print(json.dumps({"added cpu_s for a stage": round(each, 3), "by": name}))
    reached = added["reproof run --force"]
    print(
        json.dumps(
            {
                "goal": "added CPU for a stage",
                "limit_s": GOAL,
                "reached_s": round(reached, 3),
                "ok": reached <= GOAL,
            }
        )
    )


if __name__ == "__main__":
    main()
