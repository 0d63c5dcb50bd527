"""What pyproject.toml says about building, and each way in which it can be wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from building import BACKENDS, write_project
from reproof.build.system import TESTED, read_build_system
from reproof.errors import ProjectError


def test_all_backends_of_the_tests_are_said_to_be_tested() -> None:
    assert set(TESTED.values()) == set(BACKENDS)


def test_the_table_is_read(tmp_path: Path) -> None:
    system = read_build_system(write_project(tmp_path / "p", "hatchling"))
    assert (system.backend, system.requires, system.name) == (
        "hatchling.build",
        ("hatchling",),
        "small-thing",
    )
    assert system.requires_python == ">=3.9"


def test_without_a_table_it_is_setuptools(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.x]\n")
    system = read_build_system(tmp_path)
    assert system.backend == "setuptools.build_meta:__legacy__"
    assert not system.tested


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("no_pyproject", None),
        ("pyproject_broken", "[build-system\n"),
        ("no_requires", '[build-system]\nbuild-backend = "x"\n'),
        ("requires_wrong", "[build-system]\nrequires = 3\n"),
        ("backend_wrong", "[build-system]\nrequires = []\nbuild-backend = 3\n"),
        ("backend_path_outside", '[build-system]\nrequires = []\nbackend-path = ["../x"]\n'),
    ],
)
def test_what_is_wrong_is_said(
    tmp_path: Path, golden: Callable[..., None], name: str, text: str | None
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    if text is not None:
        (folder / "pyproject.toml").write_text(text)
    with pytest.raises(ProjectError) as caught:
        read_build_system(folder)
    golden(f"build/{name}", caught.value)
