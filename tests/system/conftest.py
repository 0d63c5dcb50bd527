"""Fixtures that make whole projects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from projects import PLAIN, Project, user_environment


@pytest.fixture
def make_project(tmp_path: Path) -> Callable[..., Project]:
    """Makes projects; the files are given as name to text."""
    home = tmp_path / "home"
    home.mkdir()

    def make(files: dict[str, str], *, commit: bool = True, name: str = "project") -> Project:
        project = Project(tmp_path / name, user_environment(home))
        project.folder.mkdir()
        for path, text in files.items():
            project.write(path, text)
        if commit:
            project.commit()
        return project

    return make


@pytest.fixture
def plain(make_project: Callable[..., Project]) -> Project:
    """A script without MLflow whose result depends on `random`, data in Git, and a model file."""
    return make_project(
        {
            "train.py": PLAIN,
            "data.txt": "1\n2\n3.5\n",
            ".gitignore": "model.json\n",
            "pyproject.toml": "[tool.reproof]\n",
        }
    )
