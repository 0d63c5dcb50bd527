"""Whole projects, driven through the command line as a user drives it."""

from __future__ import annotations

import atexit
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from reproof.tracking.template import prepare

PLAIN = """
import json, random, sys

rate = float(sys.argv[1]) if len(sys.argv) > 1 else 0.1
rows = [float(line) for line in open("data.txt")]
weight = random.random()
for _ in range(100):
    for row in rows:
        weight += rate * (row - weight)
json.dump({"weight": weight, "rate": rate}, open("model.json", "w"))
print("weight", weight)
"""

#: A line before ``import mlflow``, which is imported in half the time without these; metrics have to be floats then.
LIGHT = """\
import sys; sys.modules.update(dict.fromkeys("pandas numpy scipy sklearn pyarrow matplotlib flask docker".split()))
"""


class Result(NamedTuple):
    """A finished command: exit status and its two outputs."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def hint(self) -> str:
        """The command that the hint offers."""
        match = re.search(r"^hint: .*?`([^`]+)`", self.err, re.MULTILINE)
        assert match, self.err
        return match[1]


class Project:
    """A Git repository with a project in it."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.folder = folder
        self.env = env

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def shell(self, command: str, *, check: bool = True) -> Result:
        done = subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env=self.env, capture_output=True, text=True
        )
        assert not check or done.returncode == 0, done.stderr
        return Result(done.returncode, done.stdout, done.stderr)

    def commit(self) -> None:
        self.shell("git init -q 2>/dev/null; git add -A && git commit -qm change")

    def status(self) -> str:
        return self.shell("git status --porcelain --ignored=no").out

    def reproof(self, *words: str, expect: int | None = None, **env: str) -> Result:
        done = subprocess.run(
            [sys.executable, "-m", "reproof.cli.main", *words],
            cwd=self.folder,
            env={**self.env, **env},
            capture_output=True,
            text=True,
            timeout=600,
        )
        result = Result(done.returncode, done.stdout, done.stderr)
        assert expect is None or result.status == expect, f"{result.status}\n{result.out}\n{result.err}"
        return result

    def verify(self, *words: str, expect: int | None = None) -> Any:
        return self.reproof("verify", "--output-format", "json", *words, expect=expect).json

    def records(self) -> list[Path]:
        return sorted(
            (self.folder / ".reproof/records").glob("?" * 64 + ".json"),
            key=lambda path: path.stat().st_mtime_ns,
        )

    def record(self) -> Any:
        return json.loads(self.records()[-1].read_text())


@cache
def _store_templates() -> Path:
    """A folder with the empty store of the tests' MLflow, made by reproof itself once in each worker."""
    place = Path(tempfile.mkdtemp(prefix="reproof-templates-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    (place / "mlflow").mkdir()
    try:
        version = metadata.version("mlflow")
    except metadata.PackageNotFoundError:
        return place / "mlflow"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPROOF_CACHE_DIR", str(place))
        prepare(Path(sys.executable), version, place / "store.db")
    return place / "mlflow"


def ready_store(path: Path) -> str:
    """Lay out an empty store of MLflow at `path`, in a moment, as MLflow does in seconds; its address."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPROOF_CACHE_DIR", str(_store_templates().parent))
        return prepare(Path(sys.executable), metadata.version("mlflow"), path)


def known_stores(folder: Path) -> None:
    """Give a cache of reproof the empty store of MLflow that it would make at its first re-run, in seconds."""
    (folder / "mlflow").mkdir(parents=True, exist_ok=True)
    for template in _store_templates().glob("*.db"):
        shutil.copyfile(template, folder / "mlflow" / template.name)


def user_environment(home: Path) -> dict[str, str]:
    """The variables of a user whose active Python is the one of the tests, and who has made re-runs before."""
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MLFLOW_", "PYTEST", "COV_"))
    }
    env.update(
        PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        HOME=str(home),
        PYTHONPATH=str(Path(__file__).parents[1] / "src"),
        MLFLOW_DISABLE_TELEMETRY="true",
    )
    for name in ("PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV", "PYTHONPATH"):
        env.pop(name, None)
    if not {"REPROOF_CACHE_DIR", "XDG_CACHE_HOME"} & env.keys():
        known_stores(home / ".cache/reproof")
    return env
