"""Workspaces of uv: which project is a member of which."""

from __future__ import annotations

from pathlib import Path

import pytest

from reproof.project.uv_workspace import find_root

ROOT = "[tool.uv.workspace]\nmembers = ['packages/*', 'tools/**/bin']\nexclude = ['packages/old']\n"


@pytest.fixture
def top(tmp_path: Path) -> Path:
    place = tmp_path / "repository"
    (place / ".git").mkdir(parents=True)
    (place / "pyproject.toml").write_text(ROOT)
    return place


@pytest.mark.parametrize(
    ("name", "is_member"),
    [
        ("packages/app", True),
        ("packages/old", False),
        ("packages/app/inner", False),
        ("packages", False),
        ("tools/bin", True),
        ("tools/a/b/bin", True),
        ("tools/a", False),
        ("elsewhere", False),
    ],
)
def test_members_by_the_patterns_of_the_workspace(top: Path, name: str, is_member: bool) -> None:
    (top / name).mkdir(parents=True)
    assert find_root(top / name) == (top if is_member else None)


def test_the_workspace_is_no_member_of_itself(top: Path) -> None:
    assert find_root(top) is None
    inner = top / "packages/app"
    inner.mkdir(parents=True)
    (inner / "pyproject.toml").write_text(ROOT)
    assert find_root(inner) is None


def test_nothing_outside_of_the_repository(top: Path, tmp_path: Path) -> None:
    inner = top / "packages/app"
    (inner / ".git").mkdir(parents=True)
    assert find_root(inner) is None
    (inner / ".git").rmdir()
    assert find_root(inner) == top
    (top / ".git").rmdir()
    assert find_root(inner) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "= nothing",
        "[tool]\nuv = 1\n",
        "[tool.uv]\nworkspace = []\n",
        "[tool.uv.workspace]\nmembers = 'packages/*'\n",
    ],
)
def test_what_says_nothing_is_no_workspace(top: Path, text: str) -> None:
    (top / "pyproject.toml").write_text(text)
    (top / "packages/app").mkdir(parents=True)
    assert find_root(top / "packages/app") is None
