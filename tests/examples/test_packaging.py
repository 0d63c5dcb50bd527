"""The well-known recipe: what builds is locked by hashes, wrong ones stop it, the same commit gives the same bytes."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from pathlib import Path

import pytest
from uv import find_uv_bin

from building import BACKENDS, write_project
from reproof.examples import bikes

TOP = Path(__file__).parents[2]


def call(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(find_uv_bin()).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        words, cwd=folder, env={**os.environ, "PATH": path, **env}, capture_output=True, text=True
    )


def digest(folder: Path) -> str:
    (wheel,) = (folder / "dist").glob("*.whl")
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


@pytest.mark.needs("just")
def test_the_demonstration_project_packs_the_same_bytes_twice_and_heeds_its_hashes(tmp_path: Path) -> None:
    project = tmp_path / "bikes"
    bikes.write_project(project)
    assert call(project, "just", "package").returncode == 0
    first = digest(project)
    assert call(project, "just", "package", TZ="GMT-14", LC_ALL="C").returncode == 0
    assert digest(project) == first
    lock = (project / "constraints.txt").read_text()
    wrong = re.sub(r"(?<=^hatchling==)(.*?)(?=^[a-z])", _reversed, lock, flags=re.MULTILINE | re.DOTALL)
    (project / "other.txt").write_text(wrong)
    done = call(project, "just", "package", "other.txt")
    assert done.returncode != 0
    assert "Hash mismatch for `hatchling==" in done.stderr
    assert not (project / "dist").exists() or not list((project / "dist").glob("*.whl"))


def _reversed(match: re.Match[str]) -> str:
    return re.sub(r"sha256:([0-9a-f]{64})", lambda each: f"sha256:{each[1][::-1]}", match[0])


@pytest.mark.needs("just")
@pytest.mark.parametrize("file", [TOP / "justfile", TOP / "src/reproof/examples/bikes/project/justfile"])
def test_the_name_of_the_lock_goes_from_recipe_to_recipe(file: Path, tmp_path: Path) -> None:
    words = ["just", "--justfile", str(file), "--working-directory", str(tmp_path), "--dry-run"]
    shown = call(tmp_path, *words, "package", "mine.txt").stderr
    assert "--build-constraint=mine.txt --require-hashes --wheel" in shown
    assert "package-constraints mine.txt" in shown
    assert "rm -rf dist build" in shown
    shown = call(tmp_path, *words, "package-constraints", "mine.txt").stderr
    assert "--generate-hashes" in shown
    assert shown.rstrip().endswith("--output-file=mine.txt")
    assert "constraints.txt" in call(tmp_path, *words, "package-build").stderr


@pytest.mark.parametrize("backend", ["hatchling", "uv_build"])
def test_the_published_lines_work_once_the_backend_is_a_second_input(tmp_path: Path, backend: str) -> None:
    project = write_project(tmp_path / "project", backend)
    (project / "build.in").write_text(f"{BACKENDS[backend][0]}\n")
    uv = str(find_uv_bin())
    lock = f"{uv} pip compile pyproject.toml {{}} --generate-hashes --output-file=constraints.txt"
    build = f"{uv} build --build-constraint=constraints.txt --require-hashes --wheel"
    assert call(project, *lock.format("").split()).returncode == 0
    if backend == "hatchling":
        done = call(project, *build.split())
        assert done.returncode != 0
        assert "no trusted hash was provided for: `hatchling`" in " ".join(done.stderr.split())
    assert call(project, *lock.format("build.in").split()).returncode == 0
    assert call(project, *build.split()).returncode == 0
    first = digest(project)
    assert call(project, *build.split()).returncode == 0
    assert digest(project) == first
