"""Verifying a run of another machine, with nothing but access to the same MLflow server."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from projects import PLAIN, Project, user_environment
from servers import MLflowServer

pytestmark = [pytest.mark.needs("mlflow"), pytest.mark.xdist_group("server")]

FILES = {
    "train.py": PLAIN,
    "data.txt": "1\n2\n3.5\n",
    ".gitignore": "model.json\nloose/\n",
    "pyproject.toml": "",
}
RUN = ("run", "--env-manager", "local", "--", "python", "train.py")


@pytest.fixture
def author(make_project: Callable[..., Project], server: MLflowServer) -> Project:
    """The machine of whoever made the run."""
    project = make_project(FILES)
    project.env["MLFLOW_TRACKING_URI"] = server.uri
    return project


@pytest.fixture
def colleague(tmp_path: Path, server: MLflowServer) -> Project:
    """Another machine: a HOME of its own, no clone."""
    home = tmp_path / "colleague"
    home.mkdir()
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    env = user_environment(home)
    env["MLFLOW_TRACKING_URI"] = server.uri
    return Project(folder, env)


def publish(project: Project, tmp_path: Path) -> Path:
    """Push the project to a remote of its own."""
    remote = tmp_path / "remote.git"
    project.shell(
        f"git init -q --bare {remote}; git remote add origin file://{remote}; git push -q -u origin HEAD"
    )
    return remote


def run_id(project: Project) -> str:
    place = project.records()[-1]
    return str(json.loads(place.with_name(f"{place.stem}.mlflow.json").read_text())["run_id"])


def test_a_colleague_verifies_from_the_remote(author: Project, colleague: Project, tmp_path: Path) -> None:
    publish(author, tmp_path)
    author.reproof(*RUN, expect=0)
    wanted = run_id(author)
    shutil.rmtree(author.folder)
    verdict = colleague.verify(wanted, expect=0)
    assert verdict["reproduced"]
    assert not list(colleague.folder.iterdir())


def test_unpushed_commits_and_changes_travel_with_the_run(
    author: Project, colleague: Project, tmp_path: Path
) -> None:
    publish(author, tmp_path)
    author.write("train.py", PLAIN.replace("range(100)", "range(90)"))
    author.commit()
    author.write("data.txt", "4\n5\n")
    author.write("extra.txt", "untracked\n")
    author.reproof(*RUN, expect=0)
    wanted = run_id(author)
    shutil.rmtree(author.folder)
    assert colleague.verify(wanted, expect=0)["reproduced"]


def test_code_comes_from_the_bundle_when_the_remote_is_gone(author: Project, colleague: Project) -> None:
    author.reproof(*RUN, expect=0)  # no remote at all: the bundle has the whole history
    wanted = run_id(author)
    shutil.rmtree(author.folder)
    assert colleague.verify(wanted, "--no-log", expect=0)["reproduced"]
    # Again: from the clone that is there now.
    assert colleague.verify(wanted, expect=0)["reproduced"]


def test_data_that_did_not_travel_is_named(author: Project, colleague: Project, tmp_path: Path) -> None:
    publish(author, tmp_path)
    author.write("train.py", PLAIN.replace('open("data.txt")', 'open("loose/data.txt")'))
    author.commit()
    author.shell("git push -q")
    author.write("loose/data.txt", "1\n2\n")
    said = author.reproof(*RUN, expect=0)
    assert "only this machine can re-create the run: `loose/data.txt`" in said.err
    wanted = run_id(author)
    shutil.rmtree(author.folder)
    failed = colleague.reproof("verify", wanted, expect=2)
    assert "cannot restore `loose/data.txt`" in failed.err


def test_a_commit_that_is_nowhere_is_named(author: Project, colleague: Project, tmp_path: Path) -> None:
    remote = publish(author, tmp_path)
    author.reproof(*RUN, expect=0)
    wanted = run_id(author)
    shutil.rmtree(author.folder)
    shutil.rmtree(remote)
    failed = colleague.reproof("verify", wanted, expect=2)
    assert "cannot find the code of the run" in failed.err
    assert "remote.git" in failed.err


def test_a_run_that_reproof_did_not_record_is_named(colleague: Project) -> None:
    said = colleague.shell('python -c "import mlflow; print(mlflow.start_run().info.run_id)"')
    wanted = re.findall(r"[0-9a-f]{32}", said.out)[0]
    failed = colleague.reproof("verify", wanted, expect=2)
    assert f"the code of run `{wanted}` is not known: it has no Git commit" in failed.err


def test_an_unknown_run_is_an_error(colleague: Project) -> None:
    failed = colleague.reproof("verify", "0" * 32, expect=2)
    assert "no run `00000000" in failed.err
