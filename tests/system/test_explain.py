"""Whole projects of which two runs differ in known things: the cause is found, and nothing else is said."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from projects import Project

SCRIPT = """
import json, os, random, sys

rate = float(sys.argv[1])
rows = [float(line) for line in open("data.txt")]
weight = random.random()
for row in rows:
    weight += rate * (row - weight)
weight += 0.5 if os.environ.get("TZ") == "EST5" else 0
json.dump({"weight": weight}, open("model.json", "w"))
"""
ROWS = "".join(f"{random.Random(n).random()}\n" for n in range(40))

Make = Callable[..., Project]


@pytest.fixture
def project(make_project: Make) -> Project:
    files = {"train.py": SCRIPT, "data.txt": ROWS, "README.md": "what it is\n", ".gitignore": "model.json\n"}
    return make_project(files)


def run(project: Project, *arguments: str, seed: str = "1", **env: str) -> None:
    words = ["run", "-q", "--no-log", "--env-manager", "local", "--seed", seed, "--", "python", "train.py"]
    project.reproof(*words, *(arguments or ("0.1",)), expect=0, **env)


def explain(project: Project, *words: str, expect: int = 0) -> Any:
    return project.reproof("explain", "last~1", "last", "--output-format", "json", *words, expect=expect).json


def only_cause(answer: Any) -> Any:
    assert answer["status"] == "proven", answer
    (cause,) = answer["causes"]
    assert "restores A" in answer["evidence"][-1]
    return cause


def test_a_parameter(project: Project) -> None:
    run(project)
    project.write("README.md", "what it is, and more\n")
    project.commit()
    run(project, "0.2")
    cause = only_cause(explain(project))
    assert (cause["kind"], cause["from"], cause["to"]) == ("parameter", "0.1", "0.2")


def test_the_seed(project: Project) -> None:
    run(project)
    run(project, seed="2")
    assert only_cause(explain(project))["kind"] == "seed"


def test_a_variable(project: Project) -> None:
    run(project)
    run(project, TZ="EST5", OMP_NUM_THREADS="1")
    cause = only_cause(explain(project))
    assert (cause["kind"], cause["name"], cause["to"]) == ("variable", "TZ", "EST5")


def test_a_line_of_code_among_others(project: Project) -> None:
    run(project)
    changed = SCRIPT.replace("import json, os", "import os, json").replace(
        "(row - weight)", "(row - weight / 2)"
    )
    project.write(
        "train.py", changed.replace("json.dump({", "json.dump(obj={").replace(", open(", ", fp=open(")
    )
    project.commit()
    run(project)
    cause = only_cause(explain(project))
    assert (cause["kind"], cause["name"], cause["where"]) == ("code", "train.py", "train.py:8")
    assert "weight / 2" in cause["to"]


def test_a_row_of_data(project: Project) -> None:
    run(project)
    rows = ROWS.splitlines()
    rows[3] = rows[3] + "0"  # the same number
    rows[17] = "9.0"
    project.write("data.txt", "\n".join(rows) + "\n")
    run(project)
    cause = only_cause(explain(project))
    assert (cause["kind"], cause["where"], cause["to"]) == ("data", "data.txt:18", "9.0")


def test_two_causes(project: Project) -> None:
    run(project)
    project.write("train.py", SCRIPT.replace("weight / 2", "weight").replace("rate * ", "rate * 0.9 * "))
    run(project, seed="2")
    answer = explain(project)
    assert answer["status"] == "proven"
    assert {each["kind"] for each in answer["causes"]} == {"code", "seed"}
    assert any("alone gives a third result" in line for line in answer["evidence"])
