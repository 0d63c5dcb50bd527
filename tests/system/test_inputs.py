"""Inputs that do not stay what they are: said so, and the content from before the start is the material."""

from __future__ import annotations

import hashlib
import sqlite3
import sys
import threading
import time
from contextlib import closing
from typing import Any

import blake3
import pytest

from projects import LIGHT, Project

RUN = ("run", "--env-manager", "local")
SWAPS = """
import subprocess, sys
text = open("{name}").read()
subprocess.run(["sed", "-i", "s/1/9/", "{name}"], check=True)
open("result.txt", "w").write(text)
"""
OVERWRITES = """
text = open("data.txt").read()
open("data.txt", "w").write("new")
open("result.txt", "w").write(text)
"""


def material(project: Project, name: str) -> Any:
    return next((each for each in project.record()["materials"] if each["name"] == name), None)


def reasons(project: Project, name: str) -> list[str]:
    return [each["reason"] for each in project.record().get("omissions", []) if each["subject"] == name]


def b3(text: str) -> str:
    return blake3.blake3(text.encode()).hexdigest()


def test_a_committed_input_that_moves_under_the_run_is_told(plain: Project) -> None:
    plain.write("train.py", SWAPS.format(name="data.txt"))
    plain.commit()
    said = plain.reproof(*RUN, "--", "python", "train.py", expect=0).err
    assert "`data.txt`: input changed during the run" in said
    assert reasons(plain, "data.txt")[0].startswith("input changed during the run")
    assert "before the start" in material(plain, "data.txt")["note"]
    verdict = plain.verify()  # the commit has the content from before: the same happens again
    assert any("input changed" in each["reason"] for each in verdict["not_checked"])


def test_a_declared_input_keeps_its_digest_from_before(plain: Project) -> None:
    plain.write("train.py", SWAPS.format(name="own.txt"))
    plain.write("pyproject.toml", '[tool.reproof]\nmaterials = ["own.*"]\n')
    plain.write(".gitignore", "own.txt\nmodel.json\n")
    plain.commit()
    plain.write("own.txt", "1\n")
    plain.reproof(*RUN, "--", "python", "train.py", expect=0)
    assert material(plain, "own.txt")["digests"]["blake3"] == b3("1\n")
    assert reasons(plain, "own.txt")[0].startswith("input changed during the run")


def test_a_declared_input_outside_the_project_is_digested_twice(plain: Project) -> None:
    outside = plain.folder.parent / "outside.txt"
    plain.write("train.py", SWAPS.format(name=outside))
    plain.write("pyproject.toml", f'[tool.reproof]\nmaterials = ["{outside}"]\n')
    plain.commit()
    outside.write_text("1\n")
    plain.reproof(*RUN, "--", "python", "train.py", expect=0)
    assert reasons(plain, str(outside)) == [
        f"input changed during the run: blake3:{b3('1' + chr(10))[:8]} before, blake3:{b3('9' + chr(10))[:8]} after"
    ]
    assert material(plain, str(outside))["digests"]["blake3"] == b3("1\n")


def test_an_input_that_the_run_overwrites_is_no_such_finding(plain: Project) -> None:
    plain.write("train.py", OVERWRITES)
    plain.commit()
    said = plain.reproof(*RUN, "--", "python", "train.py", expect=0).err
    assert "input changed" not in said
    assert reasons(plain, "data.txt") == ["the run read it and also wrote it"]
    assert plain.verify(expect=0)["reproduced"] is True


def test_inputs_that_stay_are_not_talked_about(plain: Project) -> None:
    plain.reproof(*RUN, "--", "python", "train.py", expect=0)
    assert reasons(plain, "data.txt") == []
    assert material(plain, "data.txt")["digests"]["blake3"] == b3("1\n2\n3.5\n")


@pytest.mark.needs("dvc")
def test_a_dependency_that_changes_while_a_stage_of_dvc_runs(plain: Project) -> None:
    """DVC hashes dependencies after the command: its lock ties the new content to the old result."""
    dvc = f"{sys.executable} -m dvc"
    plain.env["DVC_SITE_CACHE_DIR"] = str(plain.folder / ".dvc/tmp/site")
    plain.write("data.txt", "1\n2\n3.5\n")
    plain.write("stage.py", SWAPS.format(name="big.txt"))
    plain.write("big.txt", "1\n")
    plain.shell(f"{dvc} init -q && {dvc} config core.analytics false && {dvc} add -q big.txt")
    plain.write(
        "dvc.yaml",
        "stages:\n  fit:\n    cmd: python stage.py\n    deps:\n    - big.txt\n    outs:\n    - result.txt:\n        cache: false\n",
    )
    plain.commit()
    plain.reproof(*RUN, "--", "python", "-m", "dvc", "repro", "fit", expect=0)
    lock = (plain.folder / "dvc.lock").read_text()
    assert hashlib.md5(b"9\n").hexdigest() in lock  # the content that the result was not made from
    assert (plain.folder / "result.txt").read_text() == "1\n"
    assert reasons(plain, "big.txt")[0].startswith("input changed during the run")
    assert material(plain, "big.txt")["digests"]["blake3"] == b3("1\n")


@pytest.mark.needs("dvc")
def test_a_stage_that_varies_and_is_locked_again_silently(plain: Project) -> None:
    """`dvc repro -f` writes what came out this time into the lock; the verdict says that it varies."""
    dvc = f"{sys.executable} -m dvc"
    plain.env["DVC_SITE_CACHE_DIR"] = str(plain.folder / ".dvc/tmp/site")
    plain.write("stage.py", "import os\nopen('result.txt', 'w').write(os.urandom(8).hex())\n")
    plain.write(
        "dvc.yaml",
        "stages:\n  fit:\n    cmd: python stage.py\n    outs:\n    - result.txt:\n        cache: false\n",
    )
    plain.shell(f"{dvc} init -q && {dvc} config core.analytics false")
    plain.commit()
    plain.reproof(*RUN, "--", "python", "-m", "dvc", "repro", "-f", "fit", expect=0)
    assert "up to date" in plain.shell(f"{dvc} status").out
    verdict = plain.verify(expect=1)
    assert (verdict["word"], verdict["stability"]) == ("not reproduced", "varies"), verdict["differences"]


@pytest.mark.needs("mlflow")
def test_what_mlflow_shows_of_the_data_is_its_whole_content(plain: Project) -> None:
    plain.write(
        "train.py",
        LIGHT
        + "import mlflow\nopen('data.txt').read()\nwith mlflow.start_run():\n    mlflow.log_metric('a', 1.0)\n",
    )
    plain.commit()
    plain.reproof(*RUN, "--tracking-uri", "sqlite:///m.db", "--", "python", "train.py", expect=0)
    with closing(sqlite3.connect(plain.folder / "m.db")) as database:
        found = database.execute("SELECT name, digest FROM datasets").fetchall()
        tags = dict(database.execute("SELECT name, value FROM input_tags").fetchall())
    whole = b3("1\n2\n3.5\n")
    assert found == [("data.txt", f"b3:{whole[:32]}")]
    assert tags["reproof.blake3"] == whole


def loose(plain: Project, code: str) -> None:
    """A project with an input that nothing versions, from before the start."""
    plain.write("train.py", code)
    plain.write(".gitignore", "own.txt\nmodel.json\n")
    plain.commit()
    plain.write("own.txt", "1\n")


def test_an_input_of_no_version_that_moves_under_the_run_is_told(plain: Project) -> None:
    loose(plain, SWAPS.format(name="own.txt"))
    said = plain.reproof(*RUN, "--", "python", "train.py", expect=0).err
    assert "`own.txt`: input changed during the run" in said
    assert len(reasons(plain, "own.txt")) == 1
    found = material(plain, "own.txt")  # it moves at once: whether it was read in time is chance
    assert found is None or found["digests"]["blake3"] == b3("1\n")


READERS = {
    "Python": "open('{name}').read()",
    "a native program": "subprocess.run(['cat', '{name}'], check=True, capture_output=True)",
}


@pytest.mark.parametrize(
    ("reader", "place"), [("Python", "in"), ("a native program", "in"), ("Python", "out")]
)
def test_an_input_that_somebody_changes_while_the_run_goes_on(
    plain: Project, reader: str, place: str
) -> None:
    """Nobody declared it: what it held when it was first opened is known all the same."""
    name = "own.txt" if place == "in" else str(plain.folder.parent / "outside.txt")
    path = plain.folder / name
    loose(
        plain,
        "import os, subprocess, time\n"
        + READERS[reader].format(name=name)
        + "\ntime.sleep(2.5)\nopen('read', 'w').close()\n"
        "while not os.path.exists('changed'): time.sleep(0.01)\n",
    )
    path.write_text("1\n")

    def change() -> None:
        while not (plain.folder / "read").exists():
            time.sleep(0.01)
        path.write_text("9\n")
        (plain.folder / "changed").touch()

    other = threading.Thread(target=change, daemon=True)
    other.start()
    said = plain.reproof(*RUN, "--", "python", "train.py", expect=0).err
    other.join()
    found = material(plain, name)
    assert found["digests"]["blake3"] == b3("1\n")
    assert (found["size"], found["origin"]) == (2, "external")
    assert found["note"].endswith("this is the content at its first open")
    assert f"`{name}`: input changed during the run" in said
    assert len(reasons(plain, name)) == 1
    assert "has changed since the run" in plain.reproof("verify", expect=2).err


def test_an_input_of_no_version_that_the_run_overwrites_is_an_omission(plain: Project) -> None:
    code = OVERWRITES.replace("data.txt", "own.txt").replace(
        "\nopen(", "\nimport time; time.sleep(2.5)\nopen(", 1
    )
    loose(plain, code)
    said = plain.reproof(*RUN, "--", "python", "train.py", expect=0).err
    assert "input changed" not in said
    assert reasons(plain, "own.txt") == [
        f"the run read it and also wrote it; at its first open it held blake3:{b3('1' + chr(10))[:16]}"
    ]
    assert material(plain, "own.txt") is None


def test_a_declared_input_outside_that_the_run_overwrites_is_no_finding(plain: Project) -> None:
    outside = plain.folder.parent / "outside.txt"
    plain.write("train.py", OVERWRITES.replace("data.txt", str(outside)))
    plain.write("pyproject.toml", f'[tool.reproof]\nmaterials = ["{outside}"]\n')
    plain.commit()
    outside.write_text("1\n")
    said = plain.reproof(*RUN, "--", "python", "train.py", expect=0).err
    assert "input changed" not in said
    assert "the run read it and also wrote it" in reasons(plain, str(outside))
    assert material(plain, str(outside))["digests"]["blake3"] == b3("1\n")


WRITERS = {
    "itself": "open('own.txt', 'w').write('9')",
    "a program": "import subprocess; subprocess.run('echo 9 > own.txt', shell=True, check=True)",
    "a move": "import os; open('new.txt', 'w').write('9'); os.replace('new.txt', 'own.txt')",
    "a native move": "import subprocess; subprocess.run('echo 9 > n.txt; mv n.txt own.txt', shell=True, check=True)",
}


@pytest.mark.parametrize("writer", WRITERS)
def test_what_the_run_makes_anew_and_reads_back_is_no_input(plain: Project, writer: str) -> None:
    loose(plain, f"{WRITERS[writer]}\nopen('result.txt', 'w').write(open('own.txt').read())\n")
    said = plain.reproof(*RUN, "--", "python", "train.py", expect=0).err
    assert "input changed" not in said
    assert reasons(plain, "own.txt") == []
    assert material(plain, "own.txt") is None


def test_what_stages_of_dvc_depend_on_is_digested_before_the_start(plain: Project) -> None:
    stage = "stages:\n  fit:\n    cmd: python train.py\n    deps:\n    - own.txt\n    - other.txt\n    outs:\n    - model.json\n"
    plain.write("dvc.yaml", stage)
    loose(plain, SWAPS.format(name="own.txt"))
    plain.write("other.txt", "never read\n")
    plain.reproof(*RUN, "--", "python", "train.py", expect=0)
    assert material(plain, "own.txt")["digests"]["blake3"] == b3("1\n")
    assert reasons(plain, "own.txt")[0].startswith("input changed during the run")
    assert material(plain, "other.txt") is None  # declared to DVC, but not read by this run
