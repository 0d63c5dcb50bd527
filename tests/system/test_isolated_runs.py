"""`reproof run --isolation`: the user's own tree, apart from the rest of the machine."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from projects import LIGHT, Project

RUN = ("run", "--env-manager", "local")

#: Tries what an isolated run must not be able to do, and writes down what it could.
ESCAPES = """
import json, os, pathlib, socket, sys

found = {"home": os.environ["HOME"], "variables": sorted(os.environ), "tmp": os.environ.get("TMPDIR", "/tmp")}

def attempt(name, function):
    try:
        found[name] = function() or "done"
    except Exception as error:
        found[name] = type(error).__name__

def connect():
    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=3):
        pass

attempt("network", connect)
attempt("outside", lambda: pathlib.Path(sys.argv[2]).write_text("x"))
attempt("user", lambda: pathlib.Path(sys.argv[3]).read_text())
attempt("records", lambda: pathlib.Path(".reproof/own").write_text("x"))
attempt("temporary", lambda: pathlib.Path(found["tmp"], "x").write_text("x"))
attempt("material", lambda: pathlib.Path("~/inputs/in.txt").expanduser().read_text())
attempt("inside", lambda: pathlib.Path("product.txt").write_text("x"))
pathlib.Path(os.environ["HOME"], "lost.txt").write_text("x")
json.dump(found, open("found.json", "w"))
"""


@pytest.fixture
def listening() -> Any:
    """A port of this machine that answers."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def escapes(plain: Project, listening: int) -> Any:
    """Runs the attempts under one isolation; what they found, and the record."""
    home = Path(plain.env["HOME"])
    (home / "inputs").mkdir()
    (home / "inputs/in.txt").write_text("declared")
    (home / "private.txt").write_text("private")
    outside = plain.folder.parent / "outside"
    outside.mkdir()
    plain.write("escape.py", ESCAPES)
    plain.write("pyproject.toml", '[tool.reproof]\nmaterials = ["~/inputs/*"]\n')
    plain.write(".gitignore", "found.json\nproduct.txt\n")
    plain.commit()

    def run(*words: str, settings: str = "") -> tuple[Any, Any]:
        if settings:
            plain.write("pyproject.toml", f'[tool.reproof]\nmaterials = ["~/inputs/*"]\n{settings}\n')
        command = ("python", "escape.py", str(listening), str(outside / "x"), str(home / "private.txt"))
        plain.reproof(*RUN, *words, "--", *command, expect=0, A_SECRET="x")
        return json.loads((plain.folder / "found.json").read_text()), plain.record()

    return run


def reasons(record: Any, name: str) -> list[str]:
    return [each["reason"] for each in record.get("omissions", []) if each["subject"] == name]


def check_products(plain: Project, record: Any) -> None:
    assert (plain.folder / "product.txt").read_text() == "x"
    assert {"found.json", "product.txt"} <= {each["name"] for each in record["products"]}
    assert "${HOME}/inputs/in.txt" in {each["name"] for each in record["materials"]}


def test_none_is_the_default_and_says_nothing(plain: Project, escapes: Any) -> None:
    found, record = escapes()
    assert found["home"] == plain.env["HOME"]
    assert "A_SECRET" in found["variables"]
    assert "isolation" not in record["environment"]


def test_a_process_gets_variables_and_a_home_of_its_own(plain: Project, escapes: Any) -> None:
    found, record = escapes("--isolation", "process")
    assert record["environment"]["isolation"] == {"level": "process", "network": True}
    assert found["home"] != plain.env["HOME"]
    assert "A_SECRET" not in found["variables"]
    assert found["material"] == "declared"
    assert found["temporary"] == 1
    assert found["network"] == "done"  # a process is not prevented
    assert reasons(record, "${HOME}/lost.txt") == [
        "written to the run's private HOME, which was removed after it"
    ]
    check_products(plain, record)
    assert not Path(found["home"]).exists()


@pytest.mark.parametrize(
    "isolation",
    [
        pytest.param("bubblewrap", marks=pytest.mark.needs("bwrap")),
        pytest.param("docker", marks=pytest.mark.needs("docker")),
    ],
)
def test_a_sandbox_leaves_nothing_but_the_project(plain: Project, escapes: Any, isolation: str) -> None:
    found, record = escapes("--isolation", isolation)
    assert record["environment"]["isolation"] == {"level": isolation}
    assert (found["network"], found["user"]) == ("ConnectionRefusedError", "FileNotFoundError")
    assert found["outside"] in ("OSError", "FileNotFoundError", "PermissionError")
    assert found["records"] == "OSError"  # read-only
    assert found["material"] == "declared"
    assert "A_SECRET" not in found["variables"]
    check_products(plain, record)
    assert not (plain.folder.parent / "outside/x").exists()


@pytest.mark.needs("bwrap")
def test_the_network_is_there_where_the_settings_ask_for_it(plain: Project, escapes: Any) -> None:
    found, record = escapes("--isolation", "auto", settings="network = true")
    assert found["network"] == "done"
    assert record["environment"]["isolation"] == {"level": "bubblewrap", "network": True}


@pytest.mark.needs("bwrap")
def test_an_isolated_run_verifies(plain: Project) -> None:
    plain.reproof(*RUN, "--isolation", "bubblewrap", "--", "python", "train.py", expect=0)
    verdict = plain.verify(expect=0)
    assert verdict["word"] == "repeated"  # the environment is the user's own
    assert verdict.get("factors", []) == []


@pytest.mark.needs("bwrap", "mlflow")
def test_a_sandbox_logs_to_a_local_store_and_not_to_a_server(plain: Project) -> None:
    plain.write(
        "train.py", LIGHT + "import mlflow\nwith mlflow.start_run():\n    mlflow.log_metric('a', 1.0)\n"
    )
    plain.commit()
    words = (*RUN, "--isolation", "bubblewrap")
    store = plain.folder.parent / "store/mlflow.db"
    plain.reproof(*words, "--tracking-uri", f"sqlite:///{store}", "--", "python", "train.py", expect=0)
    assert store.is_file()
    assert plain.record()["metrics"][0]["key"] == "a"
    # a server is named before anything runs, whether or not it answers
    done = plain.reproof(
        *words, "--tracking-uri", "http://127.0.0.1:9", "--no-log", "--", "python", "train.py"
    )
    assert done.status == 125
    assert "from a run without network" in done.err
    assert "network = true" in done.err


@pytest.mark.needs("bwrap")
def test_stages_of_a_pipeline_are_kept_apart_each(plain: Project) -> None:
    plain.write(
        "dvc.yaml",
        "stages:\n  fit:\n    cmd: python stage.py\n    outs:\n    - out.txt:\n        cache: false\n",
    )
    plain.write(
        "stage.py", "import os\nopen('out.txt', 'w').write(str(os.path.exists(os.environ['SEEN'])))\n"
    )
    plain.write("pyproject.toml", '[tool.reproof]\npass-env = ["SEEN"]\n')
    plain.commit()
    seen = Path(plain.env["HOME"]) / "private.txt"
    seen.write_text("x")
    plain.reproof("run", "--env-manager", "local", "--isolation", "bubblewrap", expect=0, SEEN=str(seen))
    assert (plain.folder / "out.txt").read_text() == "False"


def test_a_sandbox_that_cannot_be_had_is_an_error(plain: Project) -> None:
    programs = plain.folder.parent / "programs"
    programs.mkdir()
    for name in ("git", "python"):
        place = shutil.which(name, path=plain.env["PATH"])
        assert place is not None
        (programs / name).symlink_to(place)
    words = ("--", "python", "train.py")
    done = plain.reproof(*RUN, "--isolation", "bubblewrap", *words, PATH=str(programs))
    assert done.status == 125
    assert "cannot isolate by bubblewrap here" in done.err
    assert "`bwrap` is not installed" in done.err
    plain.reproof(*RUN, "--isolation", "auto", *words, expect=0, PATH=str(programs))
    found = plain.record()["environment"]["isolation"]
    assert (found["level"], found["network"]) == ("process", True)
    assert "`bwrap` is not installed" in found["reason"]
