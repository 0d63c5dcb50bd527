"""Keys, repositories and statements for tests of signing and of the log."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from attesting import new_key, statement
from reproof.attest.keys import SigningKey
from reproof.model.statement import Statement


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    return new_key(tmp_path, "ada@example.org")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    top = tmp_path / "repository"
    top.mkdir()
    (top / "train.py").write_text("print(1)\n")
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "first"]):
        subprocess.run(["git", *command], cwd=top, check=True)
    return top


@pytest.fixture
def make_statement() -> Callable[..., Statement]:
    return statement
