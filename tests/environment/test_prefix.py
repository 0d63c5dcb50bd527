"""What an overlay shows of a prefix beside Python and its packages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from uv import find_uv_bin

from reproof.environment import inspect, overlay


@pytest.fixture
def users(tmp_path: Path) -> Path:
    place = tmp_path / "prefix"
    subprocess.run([find_uv_bin(), "venv", "-q", "--python", sys.executable, place], check=True)
    for name in (
        "lib/libfar.so.1",
        "share/far/grid",
        "share/jupyter/lab/x",
        "etc/far.conf",
        "conda-meta/history",
    ):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(name)
    return place


def test_data_and_libraries_are_where_programs_look_for_them(users: Path) -> None:
    made = overlay(inspect(users / "bin/python"))
    for name in (
        "lib/libfar.so.1",
        "share/far/grid",
        "share/jupyter/lab/x",
        "etc/far.conf",
        "conda-meta/history",
    ):
        code = f"import sys; print(open(sys.prefix + '/{name}').read())"
        said = subprocess.run([made.python, "-c", code], capture_output=True, text=True, check=True)
        assert said.stdout.strip() == name


def test_its_programs_and_python_are_its_own(users: Path) -> None:
    (users / "bin/tool").write_text("#!/bin/sh\n")
    made = overlay(inspect(users / "bin/python"))
    assert not (made.scripts / "tool").exists()
    assert not (made.folder / "bin").is_symlink()
    (site,) = (made.folder / "lib").glob("python3*/site-packages")
    assert (site / "reproof_user_packages.pth").exists()
    assert list((users / "lib").glob("python3*/site-packages/reproof*")) == []
    assert "uv" in (made.folder / "pyvenv.cfg").read_text()


def test_what_was_added_since_gives_a_new_one(users: Path) -> None:
    environment = inspect(users / "bin/python")
    first = overlay(environment)
    (users / "share/near").mkdir()
    assert (overlay(environment).folder / "share/near").is_dir()
    assert overlay(environment) != first
