"""All runs of an experiment that MLflow recorded without reproof, each with a verdict or what is missing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from projects import LIGHT, Project
from servers import MLflowServer

pytestmark = [pytest.mark.needs("mlflow"), pytest.mark.xdist_group("server")]

TRAIN = (
    LIGHT
    + """
import argparse, random
import mlflow

parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float, default=0.1)
parser.add_argument("--seed", type=int)
parser.add_argument("--data", default="rows.txt")
parser.add_argument("--fail", action="store_true")
given = parser.parse_args()
if given.seed is not None:
    random.seed(given.seed)
with mlflow.start_run():
    mlflow.log_params(vars(given))
    rows = [float(line) for line in open(given.data)]
    weight = random.random()
    for step in range(3):
        weight += given.rate * (sum(rows) - weight)
        mlflow.log_metric("weight", weight, step=step)
    mlflow.log_metric("ratio", float("inf"))
    mlflow.log_metric("zero", -0.0)
    if given.fail:
        raise ValueError("as intended")
    with open("model.json", "w") as file:
        file.write(repr(weight))
    mlflow.log_artifact("model.json", "model")
"""
)
NESTED = (
    LIGHT
    + """
import mlflow

with mlflow.start_run(run_name="search"):
    for rate in (0.1, 0.2):
        with mlflow.start_run(nested=True):
            mlflow.log_param("rate", rate)
            mlflow.log_metric("loss", rate * rate)
    mlflow.log_metric("best", 0.01)
"""
)
MLPROJECT = """
name: plain
entry_points:
  fit:
    parameters:
      rate: {type: float, default: 0.1}
      rows: {type: path, default: rows.txt}
    command: "python train.py --seed 5 --rate {rate} --data {rows}"
"""

#: Makes plain runs, with MLflow imported once: what is run, in which folder, with which arguments.
DRIVER = (
    LIGHT
    + """
import json, os, runpy, sys
import mlflow
from mlflow.tracking import MlflowClient
from mlflow.tracking.context.registry import _run_context_provider_registry as contexts

mlflow.set_experiment(sys.argv[1])
made = {}
for name, folder, script, words in json.load(sys.stdin):
    os.chdir(folder)
    sys.argv = [script, *words]
    for context in contexts:
        getattr(context, "_cache", {}).clear()  # which commit it is, is asked once for each process
    try:
        runpy.run_path(script, run_name="__main__")
    except ValueError:
        pass
    made[name] = mlflow.last_active_run().info.run_id
    parent = mlflow.last_active_run().data.tags.get("mlflow.parentRunId")
    made[name] = parent or made[name]
client = MlflowClient()
client.delete_run(made["deleted"])
seeded = client.get_run(made["seeded"])
tags = {key: value for key, value in seeded.data.tags.items() if key.startswith("mlflow.source")}
made["running"] = client.create_run(seeded.info.experiment_id, tags=tags).info.run_id
print(json.dumps(made))
"""
)


def drive(project: Project, experiment: str, runs: list[tuple[str, Path, str, list[str]]]) -> dict[str, str]:
    """Make plain MLflow runs of these names; returns their ids."""
    text = json.dumps([(name, str(folder), script, words) for name, folder, script, words in runs])
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, experiment],
        input=text,
        env=project.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    made: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return made


@pytest.fixture
def project(make_project: Callable[..., Project], server: MLflowServer, warm: None) -> Project:
    project = make_project(
        {
            "train.py": TRAIN,
            "search.py": NESTED,
            "MLproject": MLPROJECT,
            "rows.txt": "1\n2\n4\n",
            ".gitignore": "model.json\nloose/\n",
        }
    )
    project.env.update(MLFLOW_TRACKING_URI=server.uri, VIRTUAL_ENV=str(Path(sys.executable).parents[1]))
    return project


def other_clone(project: Project, tmp_path: Path, name: str, change: Callable[[Path], None]) -> Path:
    """A clone with a commit of its own."""
    folder = tmp_path / name
    project.shell(f"git clone -q {project.folder} {folder}")
    change(folder)
    project.shell(f"cd {folder} && git add -A && git commit -qm {name}")
    return folder


def unsatisfiable(folder: Path) -> None:
    (folder / "requirements.txt").write_text("--no-index\nno-such-package==1.0\n")


@pytest.mark.needs("bwrap")
def test_an_experiment_of_twelve_runs(project: Project, server: MLflowServer, tmp_path: Path) -> None:
    experiment = f"plain {tmp_path.name}"
    here = project.folder
    project.write("loose/rows.txt", "7\n8\n")
    lost = other_clone(project, tmp_path, "lost", lambda folder: (folder / "new.txt").touch())
    impossible = other_clone(project, tmp_path, "impossible", unsatisfiable)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "search.py").write_text(NESTED)
    made = drive(
        project,
        experiment,
        [
            ("seeded", here, "train.py", ["--seed", "3", "--rate", "0.25"]),
            ("seedless", here, "train.py", ["--rate", "0.3"]),
            ("no data", here, "train.py", ["--seed", "1", "--data", "loose/rows.txt"]),
            ("unknown commit", lost, "train.py", ["--seed", "1"]),
            ("impossible", impossible, "train.py", ["--seed", "1"]),
            ("deleted", here, "train.py", ["--seed", "1"]),
            ("no commit", outside, "search.py", []),
            ("nested", here, "search.py", []),
            ("failed", here, "train.py", ["--seed", "2", "--fail"]),
        ],
    )
    project.shell(f"git fetch -q {impossible} HEAD:refs/heads/other")
    subprocess.run(["rm", "-rf", str(lost), str(here / "loose")], check=True)
    said = project.shell(
        f"mlflow run --env-manager local --experiment-name '{experiment}' -e fit -P rate=0.5 ."
    )
    made["project"] = re.findall(r"ID '([0-9a-f]{32})'", said.err)[0]
    project.reproof(
        "run", "--env-manager", "local", "--experiment-name", experiment, "-e", "fit", ".", expect=0
    )

    result = project.reproof(
        *("verify", "--all", "--experiment", experiment, "--output-format", "json"), expect=1
    )
    rows = {row["run_id"]: row for row in result.json["rows"]}
    assert len(rows) == 12
    assert result.json["nested"] == 4
    told = {name: rows[run].get("word") or rows[run]["missing"] for name, run in made.items()}
    assert told == {
        "seeded": "reconstructed",
        "seedless": "not reproduced",
        "no data": "data",
        "unknown commit": "code",
        "impossible": "environment",
        "deleted": "run",
        "no commit": "code",
        "nested": "reconstructed",
        "failed": "reconstructed",
        "running": "run",
        "project": "reconstructed",
    }
    recorded = next(row for row in rows.values() if row["run_id"] not in made.values())
    assert (recorded["kind"], recorded["word"]) == ("recorded", "repeated")
    assert rows[made["seedless"]]["detail"].startswith(
        "varies by itself; metric:weight: 3 of 3 values differ"
    )
    assert rows[made["no data"]]["reason"] == "the run reads `loose/rows.txt`, and neither Git nor DVC has it"
    assert "--data loose/rows.txt=PATH" in rows[made["no data"]]["hint"]
    assert "no-such-package" in json.dumps(rows[made["impossible"]])
    assert "mlflow runs restore" in rows[made["deleted"]]["hint"]
    assert "--code PATH" in rows[made["unknown commit"]]["hint"]
    leads_back(project, server, experiment, (recorded["run_id"], made["seeded"]), tmp_path)
    row = next((project.folder / ".reproof/experiments").rglob(f"{recorded['run_id']}.json"))
    row.unlink()  # a record lacks nothing: what is supplied replaces nothing of it
    goes_on(project, experiment, made, tmp_path)
    assert json.loads(row.read_text())["word"] == "repeated"


def leads_back(
    project: Project, server: MLflowServer, experiment: str, runs: tuple[str, str], tmp_path: Path
) -> None:
    """A model that was registered from what a recorded run logged leads to it; the other to no record."""
    name = f"plain-{tmp_path.name}"
    server.ask("registered-models/create", {"name": name})
    found = server.ask("experiments/search", {"max_results": 9, "filter": f"name = '{experiment}'"})
    folder = found["experiments"][0]["artifact_location"]
    for version, (alias, run) in enumerate(zip(("champion", "other"), runs, strict=True), 1):
        source = {"name": name, "source": f"{folder}/{run}/artifacts/model", "run_id": run}
        server.ask("model-versions/create", source)
        server.ask("registered-models/alias", {"name": name, "alias": alias, "version": str(version)})
    (tmp_path / "elsewhere").mkdir()
    validator = Project(tmp_path / "elsewhere", project.env)
    seen = validator.reproof("show", f"models:/{name}@champion", "--output-format", "json", expect=0).json
    assert (seen["run_id"], seen["version"], seen["verdict"]["word"]) == (runs[0], "1", "repeated")
    assert seen["record"] == project.records()[-1].stem
    said = validator.reproof("show", f"models:/{name}@other", expect=1).out
    assert "no recorded run that is known here" in said


def goes_on(project: Project, experiment: str, made: dict[str, str], tmp_path: Path) -> None:
    """Verdicts stay; what was missing is tried again, with what is supplied now."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/rows.txt").write_text("7\n8\n")
    words = ("verify", "--all", "--experiment", experiment, "--data", str(tmp_path / "kept"))
    result = project.reproof(*words, expect=1)
    assert "kept    5 verdicts of an earlier call" in result.out
    assert re.search(rf"{made['no data'][:12]} .* reconstructed", result.out)
    assert "2  missing: code" in result.out
    assert "exit status 1: at least one run was checked and not reproduced" in result.out
    page = tmp_path / "survey.html"
    project.reproof(*words, "--output-format", "html", "-o", str(page), expect=1)
    assert made["seeded"] in page.read_text()
    later = project.reproof(*words[:4], "--since", "2999-01-01", expect=3)
    assert "there is no run to compare" in later.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--all",), "`--all` needs an experiment"),
        (("--experiment", "x"), "belong to `--all`"),
        (("--all", "--experiment", "nowhere"), "no experiment `nowhere` in"),
        (("--all", "--experiment", "Default", "--since", "soon"), "`soon` is no date"),
        (("--all", "--experiment", "Default", "--output-format", "junit"), "cannot show an experiment"),
        (("abc", "--all", "--experiment", "Default"), "is about an experiment, not about one run"),
    ],
)
def test_what_makes_no_sense_is_said(project: Project, words: tuple[str, ...], message: str) -> None:
    assert message in project.reproof("verify", *words, expect=2).err


def test_a_store_that_is_not_there(project: Project) -> None:
    failed = project.reproof(
        *("verify", "--all", "--experiment", "x", "--tracking-uri", "http://127.0.0.1:9"), expect=2
    )
    assert "cannot reach the MLflow server" in failed.err
