"""A run in an active Conda environment: its packages recorded, the environment used again, every file digested."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from uv import find_uv_bin

from projects import Project

#: Uses what is in the prefix beside Python: data, a program, and what activation sets.
READS = """
import os, subprocess, sys
from bikes_factor import FACTOR
tool = subprocess.run(["bikes-tool"], capture_output=True, text=True, check=True).stdout
places = [sys.prefix, os.environ["CONDA_PREFIX"]]
open("model.json", "w").write(str([FACTOR, tool, *(open(f"{place}/share/bikes/grid").read() for place in places)]))
"""


@pytest.fixture
def prefix(plain: Project, tmp_path: Path) -> Path:
    """A prefix as Conda lays it out, by hand, with a package of Python code."""
    place = tmp_path / "home/miniforge/envs/bikes"
    subprocess.run([find_uv_bin(), "venv", "-q", "--python", sys.executable, place], check=True)
    module = next((place / "lib").glob("python3*")) / "site-packages/bikes_factor.py"
    module.write_text("FACTOR = 2\n")
    meta = {
        "name": "bikes-factor",
        "version": "1.0",
        "build": "py_0",
        "url": "https://conda.anaconda.org/t/canary-token/forge/noarch/bikes-factor-1.0-py_0.conda",
        "sha256": "c" * 64,
        "paths_data": {
            "paths": [
                {
                    "_path": str(module.relative_to(place)),
                    "path_type": "hardlink",
                    "sha256": hashlib.sha256(module.read_bytes()).hexdigest(),
                }
            ]
        },
    }
    (place / "conda-meta").mkdir()
    (place / "share/bikes").mkdir(parents=True)
    (place / "share/bikes/grid").write_text("5")
    (place / "bin/bikes-tool").write_text("#!/bin/sh\necho $CONDA_DEFAULT_ENV\n")
    (place / "bin/bikes-tool").chmod(0o755)
    (place / "conda-meta/bikes-factor-1.0-py_0.json").write_text(json.dumps(meta))
    plain.write("train.py", READS)
    plain.commit()
    return place


def activate(plain: Project, prefix: Path) -> None:
    """As the program does it, for what is started from here on."""
    path = f"{prefix}/bin{os.pathsep}{plain.env['PATH']}"
    plain.env.update(CONDA_PREFIX=str(prefix), CONDA_DEFAULT_ENV="bikes", PATH=path)


def packages(verdict: Any) -> list[str]:
    return [each["value"] for each in verdict["conditions"] if each["name"] == "packages"]


def test_it_is_recorded_and_used_again(plain: Project, prefix: Path) -> None:
    others = dict(plain.env)
    activate(plain, prefix)
    plain.reproof("run", "--", "python", "train.py", expect=0)
    assert (plain.folder / "model.json").read_text() == str([2, "bikes\n", "5", "5"])
    plain.env.clear()
    plain.env.update(others)  # nobody needs to activate it for a re-run
    section = plain.record()["environment"]
    assert section["kind"] == "local"
    assert section["conda"] == [
        {
            "name": "bikes-factor",
            "version": "1.0",
            "build": "py_0",
            "channel": "https://conda.anaconda.org/forge",
            "sha256": "c" * 64,
        }
    ]
    assert "canary-token" not in plain.records()[-1].read_text()
    verdict = plain.verify(expect=0)
    assert verdict["word"] == "repeated"
    assert packages(verdict) == ["as installed: all files of Conda packages (1)"]
    module = next(prefix.glob("lib/python3*/site-packages/bikes_factor.py"))
    module.write_text("FACTOR = 3\n")
    (prefix / "conda-meta/new.json").write_text('{"name": "new", "version": "2"}')
    verdict = plain.verify(expect=1)
    assert packages(verdict) == [
        f"not as installed: `{module.relative_to(prefix)}` of bikes-factor",
        "not as recorded: new 2, recorded absent",
    ]
