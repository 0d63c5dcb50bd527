"""Notebooks that papermill or nbconvert execute: the kernel is watched and seeded, and the result compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from projects import Project, user_environment

pytestmark = [pytest.mark.frameworks, pytest.mark.needs("papermill", "nbconvert", "ipykernel")]

CELLS = (
    (["parameters"], "rate = 0.1"),
    (
        [],
        "import random\nrows = [float(line) for line in open('data.txt')]\nweight = random.random() + rate * sum(rows)",
    ),
    ([], "print('weight', weight)\nopen('model.txt', 'w').write(repr(weight))\nobject()"),
)
PAPERMILL = ("papermill", "train.ipynb", "out.ipynb", "-p", "rate", "0.5")
NBCONVERT = ("jupyter", "nbconvert", "--to", "notebook", "--execute", "train.ipynb", "--output", "out")


def notebook(kernel: str = "python3") -> str:
    cells = [
        {
            "cell_type": "code",
            "execution_count": None,
            "metadata": {"tags": tags},
            "outputs": [],
            "source": source,
        }
        for tags, source in CELLS
    ]
    kernelspec = {"name": kernel, "display_name": "Python", "language": "python"}
    return json.dumps(
        {"cells": cells, "metadata": {"kernelspec": kernelspec}, "nbformat": 4, "nbformat_minor": 4}
    )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    home = tmp_path / "home"
    home.mkdir()
    made = Project(tmp_path / "project", user_environment(home))
    made.folder.mkdir()
    made.write("train.ipynb", notebook())
    made.write("data.txt", "1\n2\n")
    made.write(".gitignore", "out.ipynb\nmodel.txt\n")
    made.commit()
    return made


def recorded(project: Project, command: tuple[str, ...]) -> Any:
    project.reproof("run", "--env-manager", "local", "--", *command, expect=0)
    record = project.record()
    assert [each["name"] for each in record["materials"]] == ["data.txt", "train.ipynb"]
    assert [each["name"] for each in record["products"]] == ["model.txt", "out.ipynb"]
    assert not [each for each in record["byproducts"]["processes"] if not each.get("reached", True)]
    assert "random" in record["randomness"]["applied"]
    return record


def outcomes(verdict: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    pending = list(verdict["differences"])
    while pending:
        each = pending.pop()
        found[each["subject"]] = each
        pending += each.get("children", [])
    return found


@pytest.mark.needs("bwrap")
def test_papermill(project: Project) -> None:
    record = recorded(project, PAPERMILL)
    (draw,) = record["randomness"]["unseeded"]
    assert (draw["what"], draw["where"]) == (
        "random.random()",
        "In[3]:3",
    )  # after the parameters that were injected
    verdict = project.verify("--isolation", "bubblewrap", expect=0)
    found = outcomes(verdict)
    assert found["model.txt"]["outcome"] == 0
    assert found["out.ipynb"]["outcome"] == 1
    assert "execution times" in (found["out.ipynb"]["canonicalised"])


def test_nbconvert(project: Project) -> None:
    record = recorded(project, NBCONVERT)
    assert record["randomness"]["unseeded"][0]["where"] == "In[2]:3"
    found = outcomes(project.verify(expect=0))
    assert (found["model.txt"]["outcome"], found["out.ipynb"]["outcome"]) == (0, 1)


def test_a_kernel_that_was_installed_for_the_environment_is_watched_too(project: Project) -> None:
    home = Path(project.env["HOME"])
    spec = {
        "argv": ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Mine",
        "language": "python",
    }
    place = home / ".local/share/jupyter/kernels/mine/kernel.json"
    place.parent.mkdir(parents=True)
    python = project.shell("python -c 'import sys; print(sys.executable)'").out.strip()
    place.write_text(json.dumps({**spec, "argv": [python, *spec["argv"][1:]]}))
    project.write("train.ipynb", notebook("mine"))
    project.commit()
    recorded(project, PAPERMILL)


def test_a_cell_that_fails_is_the_exit_status(project: Project) -> None:
    project.write("data.txt", "not a number\n")
    project.commit()
    assert project.reproof("run", "--env-manager", "local", "--", *PAPERMILL).status == 1
    assert project.record()["state"] == "failed"
