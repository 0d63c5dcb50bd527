"""Which processes of a run the bootstrap reaches in an environment of the user's own, and which are named instead."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from uv import find_uv_bin

from projects import Project

STARTS = """
import os, subprocess, sys
for command in (
    [sys.executable, "-I", "child.py"],
    ["python", "-I", "child.py"],
    ["python", "-E", "child.py"],
    ["sh", "-c", "PYTHONPATH=src python child.py"],
    ["sh", "-c", "env -i PATH=$PATH python child.py"],
    ["tool"],
    {unreached},
):
    subprocess.run(command, check=True)
"""


@pytest.fixture
def prefix(plain: Project, tmp_path: Path) -> Path:
    place = tmp_path / "venv"
    subprocess.run([find_uv_bin(), "venv", "-q", "--python", sys.executable, place], check=True)
    (place / "bin/tool").write_text(f"#!{place}/bin/python\n")
    (place / "bin/tool").chmod(0o755)
    plain.env.update(VIRTUAL_ENV=str(place), PATH=f"{place}/bin:{plain.env['PATH']}")
    plain.write("child.py", "")
    return place


def unreached(project: Project) -> list[str]:
    processes = project.record()["byproducts"]["processes"]
    return [" ".join(each["argv"]) for each in processes if not each.get("reached", True)]


def test_what_is_started_by_name_is_reached(plain: Project, prefix: Path) -> None:
    plain.write("train.py", STARTS.format(unreached='["true"]'))
    plain.commit()
    plain.reproof("run", "--", "python", "-I", "train.py", expect=0)
    assert unreached(plain) == []
    assert len(plain.record()["byproducts"]["processes"]) == 7
    assert "seed" in plain.record()["randomness"]


def test_scripts_and_interpreters_with_an_absolute_path_are_named(plain: Project, prefix: Path) -> None:
    calls = f'["{prefix}/bin/tool", "a"], ["{prefix}/bin/python", "child.py"]'
    plain.write("train.py", STARTS.format(unreached=calls))
    plain.commit()
    plain.reproof("run", "--", "python", "train.py", expect=0)
    assert unreached(plain) == ["${ENV}/bin/python ${ENV}/bin/tool a", "${ENV}/bin/python child.py"]
    reasons = [each["subject"] for each in plain.record()["omissions"]]
    assert f"process `{prefix}/bin/python {prefix}/bin/tool a`" in reasons
    assert plain.verify()["word"] != "reproduced"
