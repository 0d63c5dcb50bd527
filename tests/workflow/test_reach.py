from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from reproof.environment.values import Environment, Interpreter
from reproof.errors import EnvironmentBuildError
from reproof.execute import BubblewrapRunner, Choice, Confinement, ProcessRunner, visible
from reproof.model.record import PythonBuild
from reproof.workflow.reach import require_interpreter


@pytest.fixture
def place(tmp_path):
    """An interpreter in a tree of its own, an environment that links to it, and a room."""
    base = tmp_path / "owner" / "python"
    (base / "bin").mkdir(parents=True)
    (base / "lib").mkdir()
    program = base / "bin" / "python3"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    (tmp_path / "room" / "bin").mkdir(parents=True)
    (tmp_path / "room" / "bin" / "python").symlink_to(program)
    return tmp_path


def environment(place):
    base = place / "owner" / "python"
    build = PythonBuild(version="3.11.7", implementation="cpython")
    interpreter = Interpreter(path=base / "bin" / "python3", prefix=base, build=build)
    room = place / "room"
    return Environment(
        folder=room,
        python=room / "bin" / "python",
        site_packages=room / "lib",
        scripts=room / "bin",
        base=interpreter,
    )


def tried(place, *shown):
    confinement = Confinement(writable=(place / "room",), read_only=visible(shown))
    choice = Choice(runner=BubblewrapRunner(confinement), level="bubblewrap")
    require_interpreter(choice, confinement, environment(place))


def refusal(place, *shown):
    with pytest.raises(EnvironmentBuildError, match="room's user cannot reach the interpreter") as caught:
        tried(place, *shown)
    return caught.value


@pytest.mark.needs("bwrap")
def test_an_interpreter_that_is_shown(place):
    tried(place, place / "owner" / "python")


@pytest.mark.needs("bwrap")
def test_our_own_interpreter(place):
    program, link = Path(sys._base_executable).resolve(), place / "room" / "bin" / "python"
    link.unlink()
    link.symlink_to(program)
    tried(place, Path(sys.base_prefix))


@pytest.mark.needs("bwrap")
def test_one_that_the_sandbox_does_not_show(place):
    details = refusal(place).details
    assert ("not shown", f"`{place / 'owner' / 'python' / 'bin' / 'python3'}`") in details
    assert ("isolation", "bubblewrap") in details


@pytest.mark.needs("bwrap")
@pytest.mark.skipif(os.getuid() != 0, reason="gives a folder to another user")
def test_root_without_privileges_does_not_enter_the_folder_of_another_user(place):
    closed = place / "owner" / "python" / "bin"
    os.chown(closed, 54321, 54321)
    closed.chmod(0o700)
    error = refusal(place, place / "owner" / "python")
    labels = dict(error.details)
    assert labels["closed"] == f"`{closed}` (of user 54321, mode 0700)"
    assert labels["user"].endswith(", without privileges")
    assert "ermission denied" in labels["said"]
    assert "not shown" not in labels


@pytest.mark.needs("bwrap")
@pytest.mark.skipif(os.getuid() != 0, reason="gives a folder to another user")
def test_the_home_of_another_user(place):
    os.chown(place / "owner", 54321, 54321)
    (place / "owner").chmod(0o700)
    labels = dict(refusal(place, place / "owner" / "python").details)
    assert labels["closed"] == f"`{place / 'owner'}` (of user 54321, mode 0700)"


def test_nothing_is_tried_without_a_sandbox(place):
    (place / "owner" / "python" / "bin" / "python3").unlink()
    choice = Choice(runner=ProcessRunner(), level="process")
    require_interpreter(choice, Confinement(writable=(place / "room",)), environment(place))
