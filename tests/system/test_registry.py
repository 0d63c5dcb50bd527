"""Runs that read models of a registry and of earlier runs: recorded by digest, served to the clean room."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from projects import Project
from servers import MLflowServer

pytestmark = pytest.mark.needs("mlflow")

COMMON = """
import json, os, sys, mlflow

class Scale(mlflow.pyfunc.PythonModel):
    def __init__(self, factor):
        self.factor = factor

    def predict(self, context, model_input, params=None):
        return [each * self.factor for each in model_input]

client = mlflow.MlflowClient()
"""

TRAIN = (
    COMMON
    + """
factor = 3 + (0.5 if os.environ.get("FAULT") else 0)
with mlflow.start_run() as run:
    mlflow.log_params({"factor": factor})
    mlflow.log_metric("quality", 0.5)
    mlflow.set_tag("step", "train")
    mlflow.log_text("read me", "notes/about.txt")
    logged = mlflow.pyfunc.log_model(
        name="model", python_model=Scale(factor), pip_requirements=[], registered_model_name="scale"
    )
    client.set_registered_model_alias("scale", "champion", logged.registered_model_version)
json.dump({"done": True}, open("trained.json", "w"))
"""
)

INFER = (
    COMMON
    + """
version = client.get_model_version_by_alias("scale", "champion")
model = mlflow.pyfunc.load_model("models:/scale@champion")
json.dump({"out": model.predict([1, 2]), "version": int(version.version)}, open("out.json", "w"))
"""
)

USE = (
    COMMON
    + """
best, = mlflow.search_runs(filter_string="tags.step = 'train'", output_format="list", experiment_names=[os.environ["MLFLOW_EXPERIMENT_NAME"]])
same = mlflow.pyfunc.load_model(f"runs:/{best.info.run_id}/model")
model = mlflow.pyfunc.load_model("models:/scale@champion")
number = mlflow.pyfunc.load_model("models:/scale/1")
note = open(client.download_artifacts(best.info.run_id, "notes") + "/about.txt").read()
with mlflow.start_run():
    mlflow.log_metric("quality of it", best.data.metrics["quality"])
    out = [each.predict([2]) for each in (same, model, number)]
    new = mlflow.register_model(f"runs:/{best.info.run_id}/model", "scale")
    client.set_registered_model_alias("scale", "champion", new.version)
    json.dump({"out": out, "note": note, "new": int(new.version)}, open("used.json", "w"))
"""
)

FILES = {
    "train.py": TRAIN,
    "infer.py": INFER,
    "use.py": USE,
    ".gitignore": "__pycache__/\n/mlruns\n/mlflow.db\n/*.json\n/cache\n",
    "pyproject.toml": "[tool.reproof]\nseed = 1\n",
}

STAGES = """\
stages:
  train:
    cmd: python train.py
    deps: [train.py]
    outs: [trained.json]
  infer:
    cmd: python infer.py
    deps: [infer.py, trained.json]
    outs: [out.json]
"""


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    return make_project(FILES)


def materials(record: Any) -> dict[str, Any]:
    return {each["name"]: each for each in record["materials"] if each["origin"] == "mlflow"}


def test_what_a_registry_gave_is_recorded_and_served(
    project: Project, mlflow_server: MLflowServer, tmp_path: Path
) -> None:
    name = f"scale-{tmp_path.name}-{os.getpid()}"  # others use the server, too
    project.env["MLFLOW_EXPERIMENT_NAME"] = name
    for script in ("train.py", "use.py"):
        project.write(script, FILES[script].replace("scale", name))
    project.commit()
    project.env["MLFLOW_TRACKING_URI"] = mlflow_server.uri
    project.shell(f"{sys.executable} train.py")
    project.reproof("run", "--", "python", "use.py", expect=0)
    record = project.record()
    read, tracked = materials(record), record["tracked"]
    run = tracked["runs"][0]["run"]
    assert {
        f"models:/{name}/1/MLmodel",
        f"runs:/{run}/model/python_model.pkl",
        f"runs:/{run}/notes/about.txt",
    } <= (read.keys())
    assert all(each["kept"] and "blake3" in each["digests"] for each in read.values())
    assert read[f"models:/{name}/1/MLmodel"]["source"] == f"models:/{name}@champion"
    assert tracked["uri"] == mlflow_server.uri
    (version,) = tracked["versions"]
    assert (version["version"], version["aliases"]) == ("1", ["champion"])
    assert tracked["own_versions"] == [{"name": name, "version": "2"}]
    assert tracked["runs"][0]["parameters"] == {"factor": "3"}
    assert str(project.folder) not in json.dumps(tracked)

    # The registry moves on, and loses what it had: the recorded bytes are what counts.
    with closing(sqlite3.connect(mlflow_server.folder / "mlflow.db")) as database, database:
        database.execute("DELETE FROM registered_model_aliases WHERE name = ?", (name,))
        lost = ("/nowhere", name)
        database.execute("UPDATE model_versions SET storage_location = ? WHERE name = ?", lost)
    verdict = project.verify("--no-log", expect=0)
    assert verdict["outcome"] == 0
    with closing(sqlite3.connect(mlflow_server.folder / "mlflow.db")) as database:
        versions = database.execute("SELECT count(*) FROM model_versions WHERE name = ?", (name,))
        assert versions.fetchone() == (2,)  # that of the training, and that of the recorded run
    said = [each["note"] for each in verdict["conditions"] if each["name"] == "model registry"]
    assert said == [f"`models:/{name}@champion` was version 1, served from the record"]

    place = project.folder / ".reproof/objects/b3"
    kept = read[f"models:/{name}/1/python_model.pkl"]["digests"]["blake3"]
    (place / kept[:2] / kept[2:]).unlink()
    told = project.reproof("verify", "--no-log", expect=2).err
    assert f"cannot restore `models:/{name}/1/python_model.pkl`" in told
    assert "--store" in told


def test_a_pipeline_passes_models_on_through_the_registry(project: Project) -> None:
    project.write("dvc.yaml", STAGES)
    project.commit()
    project.shell(f"{sys.executable} train.py")  # a version of before
    project.reproof("run", "--no-log", "--pipeline", expect=0)
    (parent,) = (
        json.loads(path.read_text()) for path in project.records() if '"pipeline"' in path.read_text()
    )
    assert not materials(parent)  # made by a stage
    verdict = project.verify("--no-log", expect=0)
    assert [each["state"] for each in verdict["stages"]] == ["same", "same"]
    assert json.loads((project.folder / "out.json").read_text()) == {"out": [3, 6], "version": 2}
    assert project.verify("--no-log", "--stage", "infer", expect=0)["outcome"] == 0

    assert "2 unchanged" in project.reproof("run", "--no-log", "--pipeline", expect=0).err
    with closing(sqlite3.connect(project.folder / "mlflow.db")) as database, database:
        database.execute("UPDATE registered_model_aliases SET version = 1")
    told = project.reproof("status", expect=0).out
    assert "`models:/scale@champion` is version 1 now, it was 2" in told
    assert "1 of 2 stages out of date" in told


def test_what_a_stage_inherits_through_the_registry_is_not_its_own(project: Project) -> None:
    project.write("dvc.yaml", STAGES)
    project.commit()
    project.reproof(
        "run", "--no-log", "--pipeline", expect=0, FAULT="1"
    )  # which no room has: there the model is another
    verdict = project.verify("--no-log", expect=1)
    assert verdict["first"] == "train"
    assert [each["state"] for each in verdict["stages"]] == ["differs", "inherited"]
    assert verdict["stages"][1]["sources"] == ["train"]
