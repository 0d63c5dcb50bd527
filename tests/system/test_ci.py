"""The workflows of docs/ci.md: their own commands, on a real project and server."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from projects import PLAIN, Project
from servers import MLflowServer

pytestmark = [pytest.mark.needs("mlflow", "bwrap"), pytest.mark.xdist_group("server")]

PAGE = (Path(__file__).parents[2] / "docs/ci.md").read_text()
GITHUB, GITLAB = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))


@pytest.fixture
def project(make_project: Callable[..., Project], server: MLflowServer, tmp_path: Path) -> Project:
    """A checkout as a runner has it: the recorded run is known to the server only."""
    author = make_project(
        {"train.py": PLAIN, "data.txt": "1\n2\n", ".gitignore": "model.json\n"}, name="author"
    )
    author.env["MLFLOW_TRACKING_URI"] = server.uri
    author.reproof("run", "--env-manager", "local", "--", "python", "train.py", expect=0)
    runner = Project(tmp_path / "runner", author.env)
    author.shell(f"git clone -q . {runner.folder}")
    tracking = author.records()[-1].with_suffix("").with_suffix(".mlflow.json")
    runner.env["REPROOF_RUN"] = re.findall(r'"run_id": *"(\w+)"', tracking.read_text())[0]
    runner.shell("git config user.email a@b; git config user.name a")
    return runner


def command(steps: list[Any]) -> str:
    """The one line of a workflow that calls `reproof verify`."""
    lines = [step if isinstance(step, str) else step.get("run", "") for step in steps]
    (found,) = [line for line in lines if line.startswith("reproof verify")]
    return found


def change(project: Project, *, altering: bool) -> None:
    text = PLAIN.replace("range(100)", "range(1)") if altering else PLAIN + "# tidied\n"
    project.write("train.py", text)
    project.commit()


def test_the_github_workflow(project: Project) -> None:
    line = command(GITHUB["jobs"]["same-result"]["steps"])
    change(project, altering=True)
    done = project.shell(line, check=False)
    assert done.status == 1, done.err
    assert "::error" in done.out
    assert "other result" in done.out


def test_the_gitlab_job(project: Project) -> None:
    line = command(GITLAB["same-result"]["script"])
    change(project, altering=False)
    done = project.shell(line, check=False)
    assert done.status == 0, done.err
    report = GITLAB["same-result"]["artifacts"]["reports"]["junit"]
    suite = ET.parse(project.folder / report).getroot()
    assert int(suite.get("tests", "0")) > 0
    assert not list(suite.iter("failure"))
