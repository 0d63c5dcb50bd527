"""What wheels and source archives depend on, for each backend, and what proving it costs.

    python bench/builds.py [--backend NAME ...] [--rounds N] [--markdown]

Prints JSON lines: for each backend and variation whether the bytes of a controlled build stay the same when
that one thing is varied, or the causes; then the seconds of `reproof build` (two builds, the second with everything
varied, compared) over those of two plain `uv build`. Rounds are interleaved, caches of packages warm,
PYTHONDONTWRITEBYTECODE is off. `--markdown` prints the table of docs/builds.md instead. The first round needs an index.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from uv import find_uv_bin

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from building import BACKENDS, write_project
from reproof.build import FACTORS, control, name_cause, varied
from reproof.model.event import silent
from reproof.workflow.build.build import (
    BuildOptions,
    build_with_tools,
    prepare_build,
    tools_of_project,
    workshop,
)
from reproof.workflow.build.once import delta
from reproof.workflow.build.search import build_all


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", nargs="*", default=list(BACKENDS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as place:
        projects = {name: write_project(Path(place) / name, name) for name in options.backend}
        cells = {name: sensitivity(project) for name, project in projects.items()}
        if options.markdown:
            print(table(cells))
            return
        for name, found in cells.items():
            for factor, causes in found.items():
                print(json.dumps({"backend": name, "varied": factor, "causes": causes}), flush=True)
        for name, project in projects.items():
            print(json.dumps(cost(name, project, options.rounds)), flush=True)


def sensitivity(project: Path) -> dict[str, list[str]]:
    """For each variation, and for a repetition, the names of what makes the bytes differ."""
    options = BuildOptions(folder=project)
    with workshop() as root:
        ready = prepare_build(options, root, silent, tools_of_project)
        base = control(ready.source.epoch)
        ready, (first,) = build_with_tools(ready, options, [base], silent)
        factors = [factor for factor in FACTORS if factor in ready.exercised]
        made = build_all(ready.site, [base, *(varied(base, [factor]) for factor in factors)])
        found: dict[str, list[str]] = {}
        for factor, built in zip(["nothing", *factors], made, strict=True):
            named = [
                f"{kind}: {cause.name}"
                for kind, traits in delta(first, built).items()
                for cause in name_cause(
                    "" if factor == "nothing" else factor, traits, kind, first.listings[kind]
                )
            ]
            found[factor] = sorted(named)
        return found


def table(cells: dict[str, dict[str, list[str]]]) -> str:
    """The cells as Markdown: a row for each variation."""
    rows = list(next(iter(cells.values())))
    lines = ["| varied | " + " | ".join(cells) + " |", "|---" * (len(cells) + 1) + "|"]
    for row in rows:
        words = ["; ".join(found[row]) or "identical" for found in cells.values()]
        lines.append(f"| {row} | " + " | ".join(words) + " |")
    return "\n".join(lines)


def cost(name: str, project: Path, rounds: int) -> dict[str, object]:
    """Seconds of `reproof build` and of two `uv build`, medians, and their ratio."""
    ours, theirs = [], []
    reproof = [sys.executable, "-m", "reproof.cli.main", "build", "--quiet", str(project)]
    target = project.parent / f"{name}-out"
    plain = [find_uv_bin(), "build", "--quiet", "--out-dir", str(target), str(project)]
    for number in range(rounds + 1):
        begin = time.perf_counter()
        subprocess.run(reproof, check=True, capture_output=True)
        middle = time.perf_counter()
        for _ in range(2):
            subprocess.run(plain, check=True, capture_output=True, cwd=project)
        end = time.perf_counter()
        if number:  # the first fills the caches
            ours.append(middle - begin)
            theirs.append(end - middle)
    return {
        "bench": "reproof build over two uv build",
        "backend": name,
        "reproof_s": round(statistics.median(ours), 2),
        "two_uv_s": round(statistics.median(theirs), 2),
        "ratio": round(statistics.median(ours) / statistics.median(theirs), 2),
        "limit": 1.3,
    }


if __name__ == "__main__":
    main()
