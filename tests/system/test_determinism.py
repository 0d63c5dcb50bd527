"""Determinism profiles from the command line to the verdict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from projects import Project
from reproof.execute.profiles import THREADS

SCRIPT = """
import json, os, time
names = ["OMP_NUM_THREADS", "MKL_DYNAMIC", "TZ", "MALLOC_PERTURB_", "ATEN_CPU_CAPABILITY"]
json.dump({name: os.environ.get(name) for name in names}, open("result.json", "w"))
print(time.tzname)
"""


@pytest.fixture
def project(make_project: Callable[..., Project], warm: None) -> Project:
    files = {"train.py": SCRIPT, ".gitignore": "result.json\n", "pyproject.toml": "[tool.reproof]\n"}
    made = make_project(files)
    for name in (*THREADS, "TZ", "MALLOC_PERTURB_"):
        made.env.pop(name, None)
    return made


def run(project: Project, *words: str, **env: str) -> dict[str, Any]:
    command = ("--no-log", "--env-manager", "local", "--", "python", "train.py")
    project.reproof("run", *words, *command, expect=0, **env)
    randomness: dict[str, Any] = project.record()["randomness"]
    return randomness


def test_recorded_values_are_replayed_not_those_of_the_moment(project: Project) -> None:
    randomness = run(project, OMP_NUM_THREADS="3")
    assert randomness["profile"] == "default"
    variables = randomness["variables"]
    assert variables["MKL_NUM_THREADS"] == "3"  # as the user says for OpenMP
    assert variables["TZ"] == "UTC"
    assert "OMP_NUM_THREADS" not in variables  # it is the user's own
    words = ("verify", "--output-format", "json")
    verdict = project.reproof(*words, OMP_NUM_THREADS="1", TZ="Asia/Tokyo", expect=0).json
    assert {each["subject"]: each["outcome"] for each in verdict["differences"]}["result.json"] == 0
    conditions = {each["name"]: each for each in verdict["conditions"]}
    assert conditions["determinism"]["value"] == "default"


def test_profiles_and_what_the_user_sets(project: Project) -> None:
    assert run(project, "--determinism", "strict")["variables"]["MALLOC_PERTURB_"] == "85"
    assert "variables" not in run(project, "--determinism", "off")
    project.write("pyproject.toml", '[tool.reproof]\ndeterminism = "off"\n')
    assert run(project)["profile"] == "off"
    assert "TZ" not in run(project, "--determinism", "default", TZ="Asia/Tokyo")["variables"]


def test_profile_that_does_not_exist(project: Project) -> None:
    done = project.reproof("run", "--determinism", "stricter", "--", "true", expect=125)
    assert "'stricter' is not one of 'off', 'default', 'strict', 'portable'" in done.err
    project.write("pyproject.toml", '[tool.reproof]\ndeterminism = "strikt"\n')
    done = project.reproof("run", "--", "true", expect=125)
    assert "`tool.reproof.determinism` must be one of" in done.err
    assert "did you mean `strict`?" in done.err
