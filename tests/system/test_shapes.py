"""Projects of Poetry and hydra: locks of another tool, and files in folders that are named by the time."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from projects import LIGHT, Project
from reproof.environment.requirements import read_lines
from reproof.environment.uv import find_uv, uv_environment
from reproof.model.difference import Outcome

LOCKS = Path(__file__).parents[1] / "environment" / "locks" / "poetry-hydra"
CONFIG = {
    "conf/config.yaml": "defaults:\n  - optimizer: sgd\n  - _self_\nepochs: 3\n",
    "conf/optimizer/sgd.yaml": "kind: sgd\nlr: 0.01\n",
    "conf/optimizer/adam.yaml": "kind: adam\nlr: 0.001\n",
    ".gitignore": "outputs/\nmlflow.db\nmlruns/\n",
}
TRAIN = """
import json, logging, sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig

log = logging.getLogger(__name__)


@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(config):
    weight = 1.0
    for epoch in range(config.epochs):
        weight -= config.optimizer.lr * weight
        log.info("epoch %d weight %.6f", epoch, weight)
    folder = Path(HydraConfig.get().runtime.output_dir)
    (folder / "model.json").write_text(json.dumps({"weight": weight}))


main()
"""
LOGGED = (
    LIGHT
    + """
import hydra
import mlflow


@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(config):
    with mlflow.start_run():
        mlflow.log_params({"optimizer": config.optimizer.kind, "lr": config.optimizer.lr, "epochs": config.epochs})
        mlflow.log_metric("loss", config.optimizer.lr * config.epochs)


main()
"""
)


def conditions(verdict: Any) -> dict[str, Any]:
    return {each["name"]: each for each in verdict["conditions"]}


def test_a_lock_of_poetry_and_folders_of_hydra(make_project: Callable[..., Project], warm: None) -> None:
    lock = {name: (LOCKS / name).read_text() for name in ("poetry.lock", "pyproject.toml")}
    project = make_project({"train.py": TRAIN, **CONFIG, **lock, "requirements.txt": "iniconfig==1.1.1\n"})
    project.reproof("run", "--no-log", "--", "python", "train.py", "optimizer.lr=0.1", expect=0)
    record = project.record()
    assert record["environment"]["lock"]["source"] == "poetry.lock"
    assert {"hydra-core", "iniconfig"} <= {each["name"] for each in record["environment"]["distributions"]}
    assert "has iniconfig 1.1.1" in record["environment"]["disagreements"][0]
    verdict = project.verify("--no-log", expect=0)
    assert verdict["word"] == "reproduced"
    assert "poetry.lock" in str(conditions(verdict)["environment"])
    found = {re.sub(r"[\d-]+/[\d-]+/", "", each["subject"]): each for each in verdict["differences"]}
    for name in ("model.json", ".hydra/config.yaml", ".hydra/hydra.yaml", "train.log"):
        assert found[f"outputs/{name}"]["outcome"] == Outcome.EQUIVALENT
        assert "time of the run in the name of a folder" in found[f"outputs/{name}"]["canonicalised"]
    assert "times of lines in a log of hydra" in found["outputs/train.log"]["canonicalised"]
    assert not any(each["outcome"] == Outcome.DIFFERENT for each in verdict["differences"])
    (model,) = project.folder.glob("outputs/*/*/model.json")
    assert "reproduced" in project.reproof("show", str(model), expect=0).out
    project.write("train.py", f"# nothing new\n{TRAIN}")
    project.commit()
    assert project.verify("--no-log", "--code", "HEAD", expect=0)["reproduced"]
    project.write("train.py", TRAIN.replace("weight = 1.0", "weight = 2.0"))
    project.commit()
    changed = project.verify("--no-log", "--code", "HEAD", expect=1)
    moved = {
        each["subject"].rpartition("/")[2]
        for each in changed["differences"]
        if each["outcome"] == Outcome.DIFFERENT
    }
    assert moved == {"model.json", "train.log"}
    project.write("pyproject.toml", lock["pyproject.toml"].replace("~1.3", "~1.2"))
    project.commit()
    failed = project.reproof("run", "--no-log", "--", "python", "train.py", expect=125)
    assert "the lock does not match pyproject.toml" in failed.err
    assert failed.hint == "poetry lock"


def lock_of(*packages: str) -> str:
    """A poetry.lock (2.1) of what uv resolves."""
    command = [
        str(find_uv()),
        "pip",
        "compile",
        "-",
        "--generate-hashes",
        "--python",
        sys.executable,
        "--quiet",
    ]
    done = subprocess.run(
        command, input="\n".join(packages), capture_output=True, text=True, check=True, env=uv_environment()
    )
    tables = []
    for line in read_lines(done.stdout.splitlines(), Path(), "poetry.lock"):
        files = ", ".join(f'{{file = "{line.name}", hash = "{each}"}}' for each in line.hashes)
        head = f'[[package]]\nname = "{line.name}"\nversion = "{line.version}"\ngroups = ["main"]\n'
        tables.append(f"{head}files = [{files}]\n")
    return "\n".join([*tables, '[metadata]\nlock-version = "2.1"\n'])


@pytest.mark.needs("mlflow")
def test_overrides_of_hydra_are_found_for_a_run_of_mlflow(
    make_project: Callable[..., Project], warm: None, tmp_path: Path
) -> None:
    lock = lock_of("mlflow-skinny", "hydra-core")
    project = make_project(
        {"train.py": LOGGED, **CONFIG, "poetry.lock": lock, "pyproject.toml": "[tool.poetry]\n"}
    )
    project.env["MLFLOW_TRACKING_URI"] = f"sqlite:///{project.folder}/mlflow.db"
    target = tmp_path / "packages"
    project.shell(f"{find_uv()} pip install --quiet --python {sys.executable} --target {target} hydra-core")
    project.shell(f"PYTHONPATH={target} python train.py optimizer=adam optimizer.lr=0.5")
    with closing(sqlite3.connect(project.folder / "mlflow.db")) as database:
        (wanted,) = database.execute("SELECT run_uuid FROM runs").fetchone()
    verdict = project.verify(wanted, "--no-log", expect=0)
    assert verdict["word"] == "reconstructed"
    said = conditions(verdict)
    assert said["assumed arguments"]["value"] == "`optimizer=adam optimizer.lr=0.5`"
    assert "hydra's configuration" in said["assumed arguments"]["note"]
    assert said["assumed packages"]["value"] == "those of `poetry.lock`"
