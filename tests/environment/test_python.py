from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

from reproof.environment import all_pythons, find_python, interpreter_at
from reproof.errors import EnvironmentBuildError

HERE = platform.python_version()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("REPROOF_CACHE_DIR", str(tmp_path / "cache"))


def test_none_is_the_one_that_runs_us():
    found = find_python()
    assert found.version == HERE
    assert found.path == Path(sys._base_executable).resolve()
    assert found.prefix == Path(sys.base_prefix)
    assert found.build.compiler == platform.python_compiler()


@pytest.mark.parametrize("request_", [HERE, f"=={HERE}", f">={HERE},<={HERE}"])
def test_exact_requests(request_):
    assert find_python(request_).version == HERE


@pytest.mark.parametrize("form", ["{}", "{}.*"])
def test_a_minor_version_means_the_newest_of_it(form):
    minor = ".".join(HERE.split(".")[:2])
    versions = [python.version for python in all_pythons() if python.version.startswith(f"{minor}.")]
    newest = max(versions, key=lambda version: [int(part) for part in version.split(".")])
    assert find_python(form.format(minor)).version == newest


def test_the_recorded_build_is_preferred():
    for python in all_pythons():
        assert find_python(python.version, like=python.build).build.build == python.build.build


def test_missing_version_lists_those_that_are_there():
    with pytest.raises(EnvironmentBuildError) as caught:
        find_python("3.11.99")
    assert caught.value.message == "Python `3.11.99` is not on this machine"
    assert any(text.startswith(f"{HERE} at /") for _, text in caught.value.details)
    assert caught.value.hint is None  # there is no such version to install


def test_missing_version_that_can_be_had_is_offered():
    offered = next(
        version
        for version in ("3.12.8", "3.12.7", "3.12.6")
        if version not in {p.version for p in all_pythons()}
    )
    with pytest.raises(EnvironmentBuildError) as caught:
        find_python(offered)
    assert caught.value.hint == f"run `uv python install {offered}`"


def test_nonsense_is_no_version():
    with pytest.raises(EnvironmentBuildError, match="`latest` is not a Python version"):
        find_python("latest")


def test_scripts_are_not_taken_for_interpreters(tmp_path, monkeypatch):
    shim = tmp_path / "python3"
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert all(python.path != shim for python in all_pythons())


def test_the_link_of_a_virtual_environment_leads_to_its_base(tmp_path):
    link = tmp_path / "python"
    link.symlink_to(Path(sys._base_executable).resolve())
    assert interpreter_at(link) == find_python()


def test_answers_are_remembered_until_the_file_changes(tmp_path):
    program = tmp_path / "python9"
    program.write_text(
        f'#!/bin/sh\necho run >> {tmp_path}/asked\nexec {Path(sys._base_executable).resolve()} "$@"\n'
    )
    program.chmod(0o755)
    for _ in range(2):
        interpreter_at(program)
    assert (tmp_path / "asked").read_text() == "run\n"
    program.write_text(program.read_text() + "\n")
    interpreter_at(program)
    assert (tmp_path / "asked").read_text() == "run\nrun\n"


@pytest.mark.parametrize("content", ["#!/bin/sh\nexit 3\n", "#!/bin/sh\necho no json\n"])
def test_what_does_not_answer_is_no_interpreter(tmp_path, content):
    program = tmp_path / "python3"
    program.write_text(content)
    program.chmod(0o755)
    with pytest.raises(EnvironmentBuildError, match="is not a working Python 3"):
        interpreter_at(program)


@pytest.fixture
def closed(tmp_path):
    """A folder that somebody else has closed; a folder to remember in is open to us."""
    folder = Path(tempfile.mkdtemp(dir="/var/tmp", prefix="reproof-test-"))
    folder.chmod(0o755)
    inner = folder / "home" / "bin"
    inner.mkdir(parents=True)
    (inner / "python3.11").symlink_to(Path(sys._base_executable).resolve())
    (folder / "home").chmod(0o000)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield inner
    if root:
        os.seteuid(0)
    (folder / "home").chmod(0o755)
    shutil.rmtree(folder)


def test_an_interpreter_that_this_user_cannot_reach(closed):
    with pytest.raises(EnvironmentBuildError, match="cannot be reached by this user") as caught:
        interpreter_at(closed / "python3.11")
    labels = dict(caught.value.details)
    assert f"`{closed.parent}`" in labels["closed"]
    assert "mode 0000" in labels["closed"]
    assert caught.value.hint


def test_folders_that_are_closed_are_named_where_a_version_is_missing(closed, monkeypatch):
    monkeypatch.setenv("PATH", str(closed))
    monkeypatch.setattr("reproof.environment.python._can_be_had", lambda request: False)
    with pytest.raises(EnvironmentBuildError, match="is not on this machine") as caught:
        find_python("3.4.1")
    assert any(label == "closed" and str(closed.parent) in text for label, text in caught.value.details)
