"""A room, and a way to run a few lines of Python in it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from reproof.execute import ProcessRunner, Watch
from reproof.model.recipe import Recipe


class Room:
    """A folder with logs beside it."""

    python = str(Path(sys._base_executable).resolve())

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "room"
        self.folder.mkdir()
        self.out = folder / "out"
        self.err = folder / "err"

    def recipe(self, *argv: str) -> Recipe:
        env = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}
        return Recipe(argv=argv, env=env, cwd=str(self.folder))

    def watch(self, **more) -> Watch:
        return Watch(**{"stdout": self.out, "stderr": self.err, **more})

    def run(self, code: str, runner=None, **more):
        return (runner or ProcessRunner()).run(
            self.recipe(self.python, "-I", "-S", "-c", code), self.watch(**more)
        )


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)
