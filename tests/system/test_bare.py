"""The core of reproof where Linux's own ways of looking are not to be had; the record lists what is missing."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import bare
from projects import Project, Result

pytestmark = [
    pytest.mark.needs("bwrap"),
    pytest.mark.skipif(not bare.is_known(), reason="system calls of this machine are not known"),
]

#: Of the suite: what must hold everywhere.
CORE = (
    "test_loop.py::test_a_fresh_seed_is_recorded_and_replayed",
    "test_data.py::test_a_same_size_edit_with_its_time_put_back_is_seen",
)
NATIVE = """
import json, random, subprocess
rows = [float(line) for line in open("data.txt")]
subprocess.run(["cat", "more.txt"], check=True)
json.dump({"weight": random.random() * sum(rows)}, open("model.json", "w"))
"""


class Bare(Project):
    """A project on a machine without /proc, inotify, reflinks and bubblewrap."""

    def reproof(self, *words: str, expect: int | None = None, **env: str) -> Result:
        argv = [sys.executable, "-m", "reproof.cli.main", *words]
        done = bare.run(argv, self.folder, {**self.env, **env})
        assert expect is None or done.returncode == expect, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return Result(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Bare:
    files = {"train.py": NATIVE, "data.txt": "1\n2\n", "more.txt": "3\n", ".gitignore": "model.json\n"}
    made = make_project(files)
    return Bare(made.folder, made.env)


def test_the_view_lacks_what_it_is_to_lack() -> None:
    text = (
        "import ctypes, os; library = ctypes.CDLL(None, use_errno=True);"
        "print(os.listdir('/proc'), library.inotify_init1(0), ctypes.get_errno())"
    )
    assert bare.run([sys.executable, "-c", text], Path("/"), os.environ).stdout == "[] -1 38\n"
    assert bare.run(["bwrap", "true"], Path("/"), os.environ).returncode != 0


def test_run_verify_and_diff(project: Bare) -> None:
    project.reproof("run", "--env-manager", "local", "--", "python", "train.py", expect=0)
    record = project.record()
    assert record["environment"]["umask"] == project.shell("umask").out.strip()
    missing = {each["subject"] for each in record["omissions"]}
    assert {"files read by native code", "processor"} <= missing
    assert "data.txt" in {each["name"] for each in record["materials"]}
    verdict = project.verify("--no-log", expect=0)
    assert verdict["reproduced"]
    told = {each["name"]: each for each in verdict["conditions"]}
    assert told["isolation"]["value"] == "process"
    assert told["CPU type"]["value"] == "not known"
    assert missing <= {each["subject"] for each in verdict["not_checked"]}
    project.write("data.txt", "1\n2.5\n")
    project.reproof("run", "--env-manager", "local", "--seed", "1", "--", "python", "train.py", expect=0)
    assert "data.txt" in project.reproof("diff", "last", "last~1", expect=1).out


def test_the_core_of_the_suite_passes() -> None:
    here = Path(__file__).parent
    words = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", *(str(here / name) for name in CORE)]
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = bare.run([sys.executable, "-P", "-m", "pytest", *words], here.parents[1], env)
    assert done.returncode == 0, done.stdout[-4000:]
    assert f"{len(CORE)} passed" in done.stdout
