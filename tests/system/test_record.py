"""What a record says, seen from outside: order, names without this machine's folders, honest omissions."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from projects import Project

RUN = ("run", "--env-manager", "local")


def test_the_last_of_several_runs_within_a_second_is_the_last(plain: Project) -> None:
    seeds = []
    for seed in ("3", "1", "2", "4"):
        plain.reproof(*RUN, "--seed", seed, "--", "python", "train.py", expect=0)
        seeds.append(seed)
        shown = plain.reproof("show", "--output-format", "json", expect=0).json
        assert str(shown["randomness"]["seed"]) == seed
    rows = plain.reproof("list", "--output-format", "json", expect=0).json["runs"]
    ids = [path.name.removesuffix(".json") for path in plain.records()]
    assert [row["record"] for row in rows] == ids[::-1]


def test_no_folder_of_this_machine_is_in_the_arguments_of_processes(plain: Project) -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, sys.argv[1]], check=True)"
    plain.write("start.py", code)
    plain.commit()
    plain.reproof(*RUN, "--", "python", "start.py", str(plain.folder / "train.py"), expect=0)
    record = plain.record()
    arguments = [word for process in record["byproducts"]["processes"] for word in process["argv"]]
    assert "${PROJECT}/train.py" in arguments
    assert not any(str(plain.folder) in word for word in arguments)


def test_a_file_that_is_only_written_was_not_read(plain: Project) -> None:
    plain.write("model.json", "{}")
    plain.shell("git add -f model.json && git commit -qm model")
    plain.reproof(*RUN, "--", "python", "train.py", expect=0)
    assert not [each for each in plain.record().get("omissions", ()) if each["subject"] == "model.json"]
    plain.write("train.py", 'open("model.json").read()\nopen("model.json", "a").write("\\n")\n')
    plain.commit()
    plain.reproof(*RUN, "--", "python", "train.py", expect=0)
    said = {each["subject"]: each["reason"] for each in plain.record()["omissions"]}
    assert "read it and also wrote it" in said["model.json"]


def test_an_environment_within_a_project_below_the_top_is_found_again(
    make_project: Callable[..., Project],
) -> None:
    project = make_project(
        {"sub/train.py": 'open("result.txt", "w").write("1")\n', ".gitignore": ".venv/\nresult.txt\n"}
    )
    environment = project.folder / "sub/.venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    path = f"{environment}/bin:{project.env['PATH']}"
    project.reproof(
        "run", "sub", "--", "python", "train.py", expect=0, PATH=path, VIRTUAL_ENV=str(environment)
    )
    assert project.record()["environment"]["python"]["executable"] == "sub/.venv/bin/python"
    assert project.verify(expect=0)["word"] == "repeated"


def test_a_tolerance_on_the_command_line_reaches_rules_without_one(
    make_project: Callable[..., Project],
) -> None:
    script = """
import json, random
json.dump({"loss": 1 + random.random() * 1e-9}, open("loose.json", "w"))
json.dump({"loss": 1 + random.random() * 1e-9}, open("strict.json", "w"))
"""
    rules = """
[[tool.reproof.compare.rules]]
pattern = "loose.json"
accept = "close"

[[tool.reproof.compare.rules]]
pattern = "strict.json"
rtol = 1e-15
"""
    project = make_project({"train.py": script, "pyproject.toml": rules, ".gitignore": "*.json\n"})
    project.reproof(*RUN, "--seed", "none", "--", "python", "train.py", expect=0)
    verdict = project.verify("--rtol", "1e-6", expect=1)
    outcomes = {each["subject"]: each["outcome"] for each in verdict["differences"]}
    assert (outcomes["loose.json"], outcomes["strict.json"]) == (2, 4)
    assert verdict["policy"]["rules"][0]["tolerance"]["rtol"] == 1e-6


def test_two_records_are_the_same_as_far_as_the_settings_accept(
    make_project: Callable[..., Project],
) -> None:
    script = 'import random\nopen("loss.json", "w").write(str([1 + random.random() * 1e-9]))\n'
    settings = '[tool.reproof]\nseed = "none"\n[tool.reproof.compare]\nrtol = 1e-6\n'
    project = make_project({"train.py": script, "pyproject.toml": settings, ".gitignore": "*.json\n"})
    for _ in range(2):
        project.reproof(*RUN, "--", "python", "train.py", expect=0)
    project.reproof("diff", "last~1", "last", expect=0)
    project.reproof("diff", "--accept", "equivalent", "last~1", "last", expect=1)
