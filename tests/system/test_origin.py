"""Is the deployed model the validated one: from a model to the run that made it, by content."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from projects import Project
from servers import MLflowServer

pytestmark = [pytest.mark.slow, pytest.mark.needs("mlflow"), pytest.mark.usefixtures("warm")]

TRAIN = """
import mlflow
import mlflow.pyfunc

class Model(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[float]):
        return model_input

with mlflow.start_run():
    mlflow.log_metric("rmse", 0.25)
    open("weights.txt", "w").write("0.5\\n")
    mlflow.pyfunc.log_model(
        name="model", python_model=Model(), artifacts={"weights": "weights.txt"}, pip_requirements=["mlflow"],
        registered_model_name="wheels",
    )
mlflow.MlflowClient().set_registered_model_alias("wheels", "champion", 1)
"""


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    return make_project({"train.py": TRAIN, ".gitignore": "mlruns/\nmlflow.db*\nweights.txt\n"})


def run(project: Project) -> None:
    project.reproof("run", "--env-manager", "local", "--", "python", "train.py", expect=0)


def model_folder(project: Project) -> Path:
    return next(project.folder.rglob("mlruns/**/MLmodel")).parent


def test_a_model_leads_to_its_run_and_verdict(project: Project, tmp_path: Path) -> None:
    run(project)
    record = project.records()[-1].stem
    seen = project.reproof("show", "models:/wheels@champion", "--output-format", "json", expect=3).json
    assert (seen["record"], seen["version"], seen["exit_status"]) == (record, "1", 3)
    assert "nobody verified that run" in project.reproof("show", "models:/wheels/1", expect=3).out
    project.verify("--no-log", expect=0)
    for name in ("models:/wheels@champion", "models:/wheels/latest", str(model_folder(project))):
        seen = project.reproof("show", name, "--output-format", "json", expect=0).json
        assert seen["record"] == record
        assert seen["verdict"]["reproduced"]
    one = next(model_folder(project).rglob("weights.txt"))
    assert record[:12] in project.reproof("show", str(one), expect=0).out

    deployed = tmp_path / "deployed"
    shutil.copytree(model_folder(project), deployed)
    assert project.reproof("show", str(deployed), expect=0)
    weights = next(deployed.rglob("weights.txt"))
    weights.write_text("0.6\n")
    said = project.reproof("show", str(deployed), expect=1).out
    assert "no recorded run that is known here" in said
    assert "weights.txt" in said


def test_content_at_another_name_is_another_model(project: Project, tmp_path: Path) -> None:
    run(project)
    deployed = tmp_path / "deployed"
    shutil.copytree(model_folder(project), deployed)
    weights, other = next(deployed.rglob("weights.txt")), deployed / "python_env.yaml"
    mine, theirs = weights.read_bytes(), other.read_bytes()
    weights.write_bytes(theirs)
    other.write_bytes(mine)
    project.reproof("show", str(deployed), expect=1)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("models:/wheels", "cannot read the model address `models:/wheels`"),
        ("models:/wheels@nobody", "no model `models:/wheels@nobody`"),
        ("models:/wheels/7", "no model `models:/wheels/7`"),
    ],
)
def test_a_model_that_is_not_there_is_an_error(project: Project, address: str, words: str) -> None:
    failed = project.reproof("show", address, expect=2)
    assert words in failed.err


@pytest.mark.xdist_group("server")
def test_a_model_of_a_server_is_found_without_the_project(
    project: Project, server: MLflowServer, tmp_path: Path
) -> None:
    project.env["MLFLOW_TRACKING_URI"] = server.uri
    run(project)
    project.verify(expect=0)
    (tmp_path / "elsewhere").mkdir()
    validator = Project(tmp_path / "elsewhere", project.env)
    for name in ("models:/wheels@champion", "models:/wheels/latest", "models:/wheels/None"):  # a stage
        seen = json.loads(validator.reproof("show", name, "--output-format", "json", expect=0).out)
        assert seen["record"] == project.records()[-1].stem
        assert seen["verdict"]["reproduced"]
    assert "no model `models:/wheels@x`" in validator.reproof("show", "models:/wheels@x", expect=2).err
