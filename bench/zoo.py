"""What `stress` and `explain RUN` say of every project of the zoo: a line of JSON each, then the table of docs/stress.md.

    python bench/zoo.py [--only NAME,...] [--lines FILE]

Each project is recorded without a seed. A sound one is right when nothing is blamed; what PyTorch's kernels do under
other instruction sets (`isa`, `cpu-mask`) is true of it, and no alarm. `--lines` adds to the lines of an earlier call.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.pop(0)  # this folder, where `zoo` is this file
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from projects import Project
from zoo.test_explain import CLASSES
from zoo.test_zoo import CAUSES, SOUND, copy_of, environment, folder_of

#: What PyTorch's kernels follow.
NUMERIC = {"isa", "cpu-mask"}
NONE = "nothing"


def recorded(name: str, place: Path) -> Project:
    """A copy of a project with one recorded run."""
    project = Project(copy_of(folder_of(name), place / name), environment(place))
    project.write(".gitignore", "result.json\n")
    project.commit()
    words = ("--env-manager", "local", "--no-log", "--seed", "none", "--", "python", "train.py")
    project.reproof("run", *words, expect=0)
    return project


def ask(project: Project, verb: str) -> tuple[Any, float]:
    """What one verb says, and the seconds that it took."""
    begun = time.monotonic()
    done = project.reproof(verb, "last", "--output-format", "json")
    assert done.status in (0, 1, 3), done.err
    return done.json, round(time.monotonic() - begun, 1)


def look(name: str, place: Path) -> dict[str, Any]:
    """One line of the table."""
    truth = CAUSES.get(name)
    project = recorded(name, place)
    stressed, stress_seconds = ask(project, "stress")
    explained, explain_seconds = ask(project, "explain")
    blamed = [
        each["name"]
        for each in stressed["exercises"]
        if each["outcome"] in ("differs", "fails", "unresolved")
    ]
    if truth is None and "torch" in SOUND[name].get("needs", ()):
        blamed = [each for each in blamed if each not in NUMERIC]
    first = explained["causes"][0] if explained["causes"] else {}
    kinds = [each["kind"] for each in explained["causes"]]
    if truth is None and "torch" in SOUND[name].get("needs", ()):
        kinds = [each for each in kinds if each != "isa"]
    where = first.get("where") or ""
    return {
        "project": name,
        "class": CLASSES.get(name, NONE),
        "stress": blamed,
        "stress_right": bool(blamed) == (truth is not None),
        "stress_runs": stressed["runs"],
        "stress_seconds": stress_seconds,
        "explain": kinds,
        "status": explained["status"],
        "reason": explained["reason"],
        "explain_right": (kinds[0] if kinds else NONE) == CLASSES.get(name, NONE),
        "explain_runs": explained["runs"],
        "explain_seconds": explain_seconds,
        "where": where if kinds else "",
        "where_true": truth["where"] if truth else "",
        "where_right": bool(truth) and where in (truth["where"], *truth.get("also", [])),
    }


def table(lines: list[dict[str, Any]]) -> str:
    """Every project, then what was taken for what."""
    rows = [
        "| project | class | `stress` blames | re-runs | `explain` proves | re-runs | at | true line |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for line in lines:
        wrong = "" if line["explain_right"] else " **wrong**"
        missed = "" if line["stress_right"] else " **wrong**"
        rows.append(
            f"| `{line['project']}` | {line['class']} | {', '.join(line['stress']) or NONE}{missed} | {line['stress_runs']} "
            f"| {', '.join(line['explain']) or NONE}{wrong} | {line['explain_runs']} "
            f"| {line['where'] or '-'} | {line['where_true'] or '-'} |"
        )
    confusion = Counter((line["class"], line["explain"][0] if line["explain"] else NONE) for line in lines)
    classes = sorted({each for pair in confusion for each in pair})
    rows += [
        "",
        "| class, and what was named first | " + " | ".join(classes) + " |",
        "|---" * (len(classes) + 1) + "|",
    ]
    for true in classes:
        counts = [str(confusion[true, said] or "") for said in classes]
        if any(counts):
            rows.append(f"| {true} | " + " | ".join(counts) + " |")
    return "\n".join([*rows, "", *summary(lines)])


def summary(lines: list[dict[str, Any]]) -> list[str]:
    """The counts, in sentences."""
    hidden = [line for line in lines if line["class"] != NONE]
    sound = [line for line in lines if line["class"] == NONE]
    proven = [line for line in hidden if line["explain_right"] and line["status"] == "proven"]
    reported = sum(line["stress_right"] for line in hidden)
    first = sum(line["explain_right"] for line in hidden)
    placed = sum(line["where_right"] for line in hidden)
    alarms = [sum(not line[f"{verb}_right"] for line in sound) for verb in ("stress", "explain")]
    text = (
        f"Hidden causes: `stress` reports {reported} of {len(hidden)}; `explain` names the right class first in {first}, "
        f"proven in {len(proven)}, with the true line in {placed}.\n"
        f"Sound projects: {alarms[0]} alarms of `stress` and {alarms[1]} of `explain` in {len(sound)}."
    )
    return text.splitlines()


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="names of projects with commas")
    parser.add_argument("--lines", type=Path, help="a file that keeps the lines")
    options = parser.parse_args()
    for role in ("AUTHOR", "COMMITTER"):
        os.environ |= {f"GIT_{role}_NAME": "Bench", f"GIT_{role}_EMAIL": "bench@example.org"}
    wanted = [name for name in options.only.split(",") if name] or [*CAUSES, *SOUND]
    lines = []
    if options.lines is not None and options.lines.exists():
        lines = [json.loads(text) for text in options.lines.read_text().splitlines()]
    with tempfile.TemporaryDirectory() as folder:
        for name in wanted:
            needs = {**CAUSES, **SOUND}[name].get("needs", [])
            if any(
                importlib.util.find_spec(each) is None
                for each in needs
                if each in ("torch", "sklearn", "numpy")
            ):
                print(json.dumps({"project": name, "left_out": "needs " + ", ".join(needs)}), flush=True)
                continue
            line = look(name, Path(folder))
            print(json.dumps(line), flush=True)
            lines = [each for each in lines if each["project"] != name] + [line]
            if options.lines is not None:
                options.lines.write_text("".join(json.dumps(each) + "\n" for each in lines))
    order = [*CAUSES, *SOUND]
    print("\n" + table(sorted(lines, key=lambda line: order.index(line["project"]))))


if __name__ == "__main__":
    main()
