"""Makes the two sides of a pair for real: a project in a repository of its own, run and recorded, mutated, run again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mutations.operations import Call, apply

HERE = Path(__file__).parent
PROJECTS = HERE / "projects"
GIT = ("git", "-c", "commit.gpgsign=false", "-c", "core.autocrlf=false")


class NotMadeError(Exception):
    """A pair that cannot be made here, or whose two sides came out the same."""


@dataclass(frozen=True)
class Place:
    """Where pairs are made: a folder, the interpreter that runs reproof, and one whose packages `local` projects take."""

    folder: Path
    python: str = sys.executable
    frameworks: str = sys.executable

    def environment(self, *, local: bool = False) -> dict[str, str]:
        """The variables of a user with a HOME of their own."""
        left_out = ("REPROOF", "MLFLOW", "OMP_", "OPENBLAS", "NPY_", "LC_", "PYTHON", "GIT_")
        env = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
        for name in ("TZ", "VIRTUAL_ENV", "LANG"):
            env.pop(name, None)
        (self.folder / "home").mkdir(parents=True, exist_ok=True)
        first = self.frameworks if local else self.python
        return {
            **env,
            **{f"GIT_{role}_NAME": "Bench" for role in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{role}_EMAIL": "bench@example.org" for role in ("AUTHOR", "COMMITTER")},
            "GIT_CONFIG_GLOBAL": os.devnull,
            "HOME": str(self.folder / "home"),
            "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR") or str(Path.home() / ".cache" / "uv"),
            "PYENV_ROOT": os.environ.get("PYENV_ROOT") or str(Path.home() / ".pyenv"),
            "REPROOF_CACHE_DIR": str(self.folder / "cache"),
            "REPROOF_DATA_DIR": str(self.folder / "data"),
            "REPROOF_CONFIG_DIR": str(self.folder / "config"),
            "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db" if local else "file:mlruns",
            "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DVC_NO_ANALYTICS": "1",
            "PATH": f"{Path(first).parent}{os.pathsep}{os.environ['PATH']}",
        }


@dataclass(frozen=True)
class Made:
    """The two records of a pair, in the folder of their project."""

    folder: Path
    first: str
    second: str
    env: dict[str, str]


def read_table() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The projects, and the pairs, of ``pairs.json``."""
    table = json.loads((HERE / "pairs.json").read_text(encoding="utf-8"))
    return table["projects"], table["pairs"]


def missing(pair: dict[str, Any], project: dict[str, Any], place: Place) -> str | None:
    """Why a pair cannot be made on this machine, or none."""
    wanted = project.get("needs", [])
    if wanted:
        code = f"import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, {wanted!r})))"
        if subprocess.run([place.frameworks, "-c", code], capture_output=True).returncode:
            return f"needs {', '.join(wanted)} in {place.frameworks}"
    if "cpu" in pair and pair["cpu"] not in Path("/proc/cpuinfo").read_text(encoding="utf-8").split():
        return f"needs a processor with {pair['cpu']}"
    if pair.get("memory") and not os.access("/dev/shm", os.W_OK):
        return "needs a file system in memory"
    for version in pair.get("pythons", []):
        pyenv = Path(place.environment()["PYENV_ROOT"]) / "versions" / version
        if (
            not pyenv.exists()
            and subprocess.run(["uv", "python", "find", version], capture_output=True).returncode
        ):
            return f"needs Python {version}"
    return None


def make(pair: dict[str, Any], project: dict[str, Any], place: Place) -> Made:
    """Make both sides.

    Raises:
        NotMadeError: The two sides have the same results, or a run failed.
    """
    folder = place.folder / pair["name"] / "project"
    if pair.get("memory"):
        shared = Path("/dev/shm") / f"{place.folder.name}-{pair['name']}"
        shared.mkdir(parents=True)
        folder = shared / "project"
    return build(pair, project, place, folder)


def build(pair: dict[str, Any], project: dict[str, Any], place: Place, folder: Path) -> Made:
    """As ``make``, in a folder that is given."""
    env = place.environment(local="local" in project["options"])
    call = Call(["--no-log", *project["options"]], list(project["command"]))

    def git(*words: str) -> None:
        subprocess.run([*GIT, *words], cwd=folder, env=env, check=True, capture_output=True)

    write_project(pair["project"], folder, place)
    if not (folder / ".git").exists():
        git("init", "-q")
    apply(pair.get("before", []), folder, call, git)
    call.options = _no_log(call.options)
    git("add", "-A")
    git("commit", "-q", "-m", "Begin")
    first = record(folder, call, env, place, pair)
    apply(pair.get("noise", []) + pair["change"], folder, call, git)
    call.options = _no_log(call.options)
    if not pair.get("dirty"):
        git("add", "-A")
        git("commit", "-q", "--allow-empty", "-m", "Go on")
    second = record(folder, call, env, place, pair)
    _require_difference(folder, first, second)
    return Made(folder, first, second, env)


def _no_log(options: list[str]) -> list[str]:
    return options if "--no-log" in options else ["--no-log", *options]


def write_project(name: str, folder: Path, place: Place) -> None:
    """A copy of a project, with what it makes left to Git's ignorance."""
    if name == "bikes":
        code = "import sys; from pathlib import Path; from reproof.examples.bikes import write_project as w; w(Path(sys.argv[1]))"
        folder.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([place.python, "-c", code, str(folder)], check=True, capture_output=True)
        path = folder / "confs" / "training.yaml"
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("n_estimators: 150", "n_estimators: 12"), encoding="utf-8")
        return
    shutil.copytree(PROJECTS / name, folder, ignore=shutil.ignore_patterns("__pycache__", "result.json"))
    ignored = [".reproof/", "__pycache__/", "result.json", "model.json", "mlruns/", "mlflow.db"]
    (folder / ".gitignore").write_text("".join(f"{line}\n" for line in ignored), encoding="utf-8")


def record(folder: Path, call: Call, env: dict[str, str], place: Place, pair: dict[str, Any]) -> str:
    """Run once; returns the id of the record."""
    before = set(_records(folder))
    words = [place.python, "-m", "reproof.cli.main", "run", *call.words()]
    done = subprocess.run(
        words, cwd=folder, env={**env, **call.variables}, capture_output=True, text=True, timeout=600
    )
    if done.returncode:
        raise NotMadeError(f"the run ended with {done.returncode}: {done.stderr[-1500:]}")
    for name in pair.get("keep", []):
        keep = [place.python, "-m", "reproof.cli.main", "keep", name]
        done = subprocess.run(keep, cwd=folder, env=env, capture_output=True, text=True)
        if done.returncode:
            raise NotMadeError(f"`reproof keep` ended with {done.returncode}: {done.stderr[-1500:]}")
    new = set(_records(folder)) - before
    if len(new) != 1:
        raise NotMadeError(f"the run left {len(new)} records")
    time.sleep(0.01)  # records are ordered by the time at which they were made
    return new.pop()


def _records(folder: Path) -> list[str]:
    return [path.stem for path in (folder / ".reproof" / "records").glob("?" * 64 + ".json")]


def results(folder: Path, identity: str) -> tuple[Any, Any]:
    """What a record says came out: metrics, and digests of products by name, without what MLflow wrote."""
    table = json.loads((folder / ".reproof" / "records" / f"{identity}.json").read_text(encoding="utf-8"))
    products = {item["name"]: item["digests"] for item in table.get("products") or []}
    ours = {name: digests for name, digests in products.items() if not name.startswith("mlflow/")}
    return table.get("metrics"), ours


def _require_difference(folder: Path, first: str, second: str) -> None:
    if results(folder, first) == results(folder, second):
        raise NotMadeError("the mutation changes no result")
