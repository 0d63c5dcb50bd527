"""MLflow's own command line with reproof as its backend."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from projects import Project, user_environment

pytestmark = [pytest.mark.needs("mlflow"), pytest.mark.xdist_group("mlflow-backend")]

FILES = {
    "MLproject": "name: small\nentry_points:\n  main:\n    parameters:\n      rate: {type: float, default: 0.5}\n"
    '    command: "python train.py {rate}"\n',
    "train.py": "import random, sys, mlflow\n"
    "if float(sys.argv[1]) < 0:\n    sys.exit(3)\n"
    "mlflow.log_metric('m', random.random())\n",
    ".gitignore": "mlruns/\nmlflow.db*\n",
}
READ = """
import json, sys, mlflow
found = mlflow.search_runs(search_all_experiments=True, output_format="list")
print(json.dumps([{"id": each.info.run_id, "name": each.info.run_name, "status": each.info.status,
    "experiment": mlflow.get_experiment(each.info.experiment_id).name, "tags": dict(each.data.tags)} for each in found]))
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "home").mkdir()
    (tmp_path / "project").mkdir()
    project = Project(tmp_path / "project", user_environment(tmp_path / "home"))
    for name, text in FILES.items():
        project.write(name, text)
    project.commit()
    return project


def mlflow_run(project: Project, *words: str) -> subprocess.CompletedProcess[str]:
    options = ["-b", "reproof", "--env-manager", "local", "--experiment-name=bikes", *words, "."]
    return subprocess.run(
        [sys.executable, "-m", "mlflow", "run", *options],
        cwd=project.folder,
        env=project.env,
        capture_output=True,
        text=True,
        timeout=300,
    )


def runs(project: Project) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-c", READ], cwd=project.folder, env=project.env, capture_output=True, text=True
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_a_run_is_recorded_and_verified(project: Project) -> None:
    done = mlflow_run(project, "--run-name=Training", "-P", "rate=0.25")
    assert done.returncode == 0, done.stderr
    (run,) = runs(project)
    assert (run["name"], run["status"], run["experiment"]) == ("Training", "FINISHED", "bikes")
    assert run["tags"]["mlflow.project.backend"] == "reproof"
    assert run["tags"]["reproof.within"] == "run"
    assert run["tags"]["reproof.record"] == project.records()[-1].stem
    assert project.record()["project"]["parameters"] == {"rate": "0.25"}
    assert project.verify(run["id"], "--no-log", expect=0)["reproduced"]


def test_a_command_that_fails_fails_mlflow(project: Project) -> None:
    done = mlflow_run(project, "--run-name=Bad", "-P", "rate=-1")
    assert done.returncode == 1
    assert "failed: exit status 3" in done.stderr
    (run,) = runs(project)
    assert (run["name"], run["status"]) == ("Bad", "FAILED")


LOGS = """
import mlflow
print("the project has", mlflow.__version__)
with mlflow.start_run():
    for step in range(3):
        mlflow.log_metric("loss", 0.1 / (step + 1), step=step)
    mlflow.log_param("depth", 3)
    open("notes.txt", "w").write("x")
    mlflow.log_artifact("notes.txt")
    with mlflow.start_run(nested=True, run_name="inner"):
        mlflow.log_metric("fold", 1.0)
"""
READ_ALL = """
import json, mlflow
client = mlflow.MlflowClient()
(outer,) = [each for each in mlflow.search_runs(search_all_experiments=True, output_format="list") if "mlflow.parentRunId" not in each.data.tags]
(inner,) = [each for each in mlflow.search_runs(search_all_experiments=True, output_format="list") if "mlflow.parentRunId" in each.data.tags]
print(json.dumps({
    "id": outer.info.run_id, "name": outer.info.run_name, "status": outer.info.status, "tags": dict(outer.data.tags),
    "experiment": mlflow.get_experiment(outer.info.experiment_id).name, "parameters": dict(outer.data.params),
    "history": [[each.step, each.value] for each in client.get_metric_history(outer.info.run_id, "loss")],
    "artifacts": [each.path for each in client.list_artifacts(outer.info.run_id)],
    "parent": inner.data.tags["mlflow.parentRunId"], "inner": inner.info.run_name,
}))
"""


@pytest.mark.slow
def test_a_project_with_another_mlflow_leaves_the_outer_store_to_the_outer_one(
    project: Project, mlflow2: Path
) -> None:
    """MLflow 2 in the project could not open the database that the outer MLflow 3 made, nor may it."""
    project.write("train.py", LOGS)
    project.write(".gitignore", "mlruns/\nmlflow.db*\nnotes.txt\n")
    project.commit()
    project.env["PATH"] = f"{mlflow2.parent}:{project.env['PATH']}"
    done = mlflow_run(project, "--run-name=Training", "-P", "rate=0.25")
    assert done.returncode == 0, done.stderr
    assert "the project has 2." in done.stdout
    read = subprocess.run(
        [sys.executable, "-c", READ_ALL], cwd=project.folder, env=project.env, capture_output=True, text=True
    )
    run = json.loads(read.stdout)
    assert (run["name"], run["status"], run["experiment"]) == ("Training", "FINISHED", "bikes")
    assert sorted(run["history"]) == [[0, 0.1], [1, 0.05], [2, 0.1 / 3]]
    assert run["parameters"] == {"depth": "3", "rate": "0.25"}
    assert run["artifacts"] == ["notes.txt", "reproof"]
    assert (run["parent"], run["inner"]) == (run["id"], "inner")
    record = project.records()[-1]
    assert run["tags"]["reproof.record"] == record.stem
    facts = json.loads(record.with_name(f"{record.stem}.mlflow.json").read_text())
    assert (facts["run_id"], facts["uri"]) == (run["id"], f"sqlite:///{project.folder}/mlflow.db")


def test_what_cannot_be_run_is_said_in_our_words(project: Project) -> None:
    done = mlflow_run(project, "-P", "rate=fast")
    assert done.returncode == 1
    assert "`rate`" in done.stderr
    assert "Traceback" not in done.stderr
    assert runs(project) == []
