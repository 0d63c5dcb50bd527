"""Fixtures that make whole projects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from projects import PLAIN, Project, known_stores, user_environment
from reproof.environment.uv import cache_folder
from servers import MLflowServer


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of reproof's own (stores of MLflow, environments) that the tests of a worker share."""
    folder = tmp_path_factory.mktemp("cache")
    known_stores(folder)
    return folder


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MLflowServer]:
    """A tracking server for tests that only need one to be there; they share the xdist group `server`."""
    server = MLflowServer(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def warm(shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Projects made after this use the shared cache, and uv's cache of packages: for tests of other things."""
    monkeypatch.setenv("REPROOF_CACHE_DIR", str(shared_cache))
    monkeypatch.setenv("UV_CACHE_DIR", str(cache_folder()))


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
