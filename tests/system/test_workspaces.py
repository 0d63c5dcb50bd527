"""A run in a project that shares a workspace of uv, and its lock, with others."""

from __future__ import annotations

from collections.abc import Callable

from projects import Project

ROOT = """
[project]
name = "root"
version = "0"
requires-python = ">=3.11"
dependencies = ["toml==0.10.2"]

[tool.uv.workspace]
members = ["packages/*"]
"""
APP = """
[project]
name = "app"
version = "0"
requires-python = ">=3.11"
dependencies = ["near", "iniconfig<2.1"]

[project.optional-dependencies]
more = ["six<2"]

[tool.uv.sources]
near = {workspace = true}

[tool.reproof.environment]
extras = ["more"]
"""
NEAR = """
[project]
name = "near"
version = "0.3"
requires-python = ">=3.11"

[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
#: Makes an editable wheel with nothing but the standard library.
BACKEND = """
import os, zipfile

def build_editable(folder, settings=None, metadata=None):
    info = "near-0.3.dist-info/"
    with zipfile.ZipFile(os.path.join(folder, "near-0.3-py3-none-any.whl"), "w") as file:
        file.writestr("near.pth", os.path.abspath("src") + "\\n")
        file.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: near\\nVersion: 0.3\\n")
        file.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nGenerator: own\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        file.writestr(info + "RECORD", "near.pth,,\\n" + info + "METADATA,,\\n" + info + "WHEEL,,\\n" + info + "RECORD,,\\n")
    return "near-0.3-py3-none-any.whl"
"""
TRAIN = "import iniconfig, near, six\nopen('model.json', 'w').write(str([near.FACTOR, six.__version__]))\nprint(near.__file__)\n"


def test_it_is_made_from_the_lock_of_the_workspace(make_project: Callable[..., Project]) -> None:
    project = make_project(
        {
            "pyproject.toml": ROOT,
            "packages/near/pyproject.toml": NEAR,
            "packages/near/backend.py": BACKEND,
            "packages/near/src/near.py": "FACTOR = 4\n",
            "packages/app/pyproject.toml": APP,
            "packages/app/train.py": TRAIN,
            ".gitignore": "model.json\n__pycache__/\n",
        }
    )
    project.shell("uv lock -q")
    project.commit()
    app = Project(project.folder / "packages/app", project.env)
    said = app.reproof("run", "--env-manager", "uv", "--no-log", "--", "python", "train.py", expect=0)
    assert "`../../uv.lock` is the lock: the project is a member of its workspace" in said.err
    environment = project.record()["environment"]
    assert environment["lock"]["source"] == "../../uv.lock"
    assert not environment["lock"].get("resolved")
    found = {each["name"]: each.get("source") for each in environment["distributions"]}
    assert found == {"iniconfig": None, "near": "${PROJECT}/../near", "six": None}  # nothing of `root`
    verdict = project.verify(expect=0)
    assert verdict["word"] == "reproduced"
    project.write("packages/near/src/near.py", "FACTOR = 5\n")  # the commit counts
    assert project.verify(expect=0)["word"] == "reproduced"
    refused = project.reproof("env", "export", "--format", "dockerfile", expect=2)
    assert "cannot write a Dockerfile: `-e ../near` is a folder of the project" in refused.err
