"""Locks that Poetry 1.8 and 2.5, PDM 2.22 and Pipenv wrote, in `locks`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from reproof.environment import Interpreter, LockSource, LockText, find_python, make_lock
from reproof.environment.requirements import read_lines
from reproof.environment.uv import default_index
from reproof.errors import EnvironmentBuildError, ProjectError

LOCKS = Path(__file__).with_name("locks")
FILES = {"pdm": "pdm.lock", "pipenv": "Pipfile.lock"}
HASH = "sha256:" + "0" * 64


def of_version(version: str) -> Interpreter:
    """This Python under another version: markers are all that a lock asks of it."""
    python = find_python()
    return msgspec.structs.replace(python, build=msgspec.structs.replace(python.build, version=version))


def lock_of(folder: Path, version: str = "3.11.7", **more: Any) -> LockText:
    kind = next(name for name in ("poetry.lock", "pdm.lock", "Pipfile.lock") if (folder / name).exists())
    source = LockSource(kind=kind, folder=folder, file=kind, **more)  # type: ignore[arg-type]
    return make_lock(source, of_version(version))


def names(lock: LockText) -> list[str]:
    lines = read_lines(lock.text.splitlines(), Path(), lock.source)
    assert all(line.hashed or line.path for line in lines if line.requirement)
    return [line.name or line.text for line in lines if line.requirement]


def written(tmp_path: Path, lock: str, project: str = "", name: str = "poetry.lock") -> Path:
    (tmp_path / name).write_text(lock)
    (tmp_path / "pyproject.toml").write_text(project)
    return tmp_path


@pytest.mark.parametrize("version", ["poetry-2.0", "poetry-2.1"])
def test_poetry_groups_extras_markers_and_folders(version: str) -> None:
    folder = LOCKS / version
    main = ["click", "-e ./libs/local", "packaging"]
    made = lock_of(folder)
    assert names(made) == ["click", "iniconfig", *main[1:], "-e ."]
    assert (made.format, made.source, made.resolved) == ("requirements", "poetry.lock", False)
    assert made.unhashed[0] == "-e ./libs/local: a folder or file of the project"
    assert names(lock_of(folder, groups=())) == [*main, "-e ."]
    assert names(lock_of(folder, groups=("docs",))) == [*main, "six", "-e ."]
    assert names(lock_of(folder, groups=(), extras=("net",))) == [*main, "wheel", "-e ."]
    assert names(lock_of(folder, "3.10.2", groups=())) == [*main, "tomli", "-e ."]


def test_poetry_with_a_project_table() -> None:
    assert names(lock_of(LOCKS / "poetry-pep621")) == ["click", "iniconfig"]
    assert names(lock_of(LOCKS / "poetry-pep621", "3.10.2", extras=("net",), groups=())) == [
        "click",
        "tomli",
        "wheel",
    ]


def test_pdm() -> None:
    assert names(lock_of(LOCKS / "pdm")) == ["click", "iniconfig"]
    assert names(lock_of(LOCKS / "pdm", "3.10.2", groups=(), extras=("net",))) == ["click", "tomli", "wheel"]


def test_pipenv() -> None:
    assert names(lock_of(LOCKS / "pipenv")) == ["click"]
    assert names(lock_of(LOCKS / "pipenv", groups=("dev",))) == ["click", "iniconfig"]
    assert "--extra-index-url https://packages.example.org/simple\n" in lock_of(LOCKS / "pipenv").text


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_index_that_is_asked_anyway_is_not_named(tmp_path: Path, slash: str, monkeypatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://mirror.example.org/simple")  # of this machine alone
    default_index.cache_clear()
    address = default_index()
    assert address is not None
    assert address.startswith("https://")
    assert "mirror" not in address
    folder = shutil.copytree(LOCKS / "pipenv", tmp_path / "project")
    lock = folder / "Pipfile.lock"
    lock.write_text(lock.read_text().replace("https://packages.example.org/simple", address + slash))
    assert "index" not in lock_of(folder).text


@pytest.mark.parametrize(
    ("shape", "file", "before", "after", "again"),
    [
        ("poetry-2.0", "pyproject.toml", "8.1.8", "8.1.7", "poetry lock"),
        ("poetry-2.1", "pyproject.toml", "8.1.8", "8.1.7", "poetry lock"),
        ("poetry-pep621", "pyproject.toml", "iniconfig==2.0.0", "iniconfig==2.0.1", "poetry lock"),
        ("pdm", "pyproject.toml", "iniconfig==2.0.0", "iniconfig==2.0.1", "pdm lock"),
        ("pipenv", "Pipfile", "8.1.8", "8.1.7", "pipenv lock"),
    ],
)
def test_a_stale_lock_is_named(
    tmp_path: Path, shape: str, file: str, before: str, after: str, again: str
) -> None:
    folder = shutil.copytree(LOCKS / shape, tmp_path / "project")
    path = folder / file
    path.write_text(path.read_text() + "\n# a comment changes nothing\n")
    lock_of(folder)
    path.write_text(path.read_text().replace(before, after))
    with pytest.raises(EnvironmentBuildError) as caught:
        lock_of(folder)
    assert caught.value.message == f"the lock does not match {file}"
    assert again in (caught.value.hint or "")
    of_old = lock_of(folder, as_of="2026-01-01T00:00:00Z")  # what that run had: nobody can lock it again
    assert f"does not match {file}" in of_old.unhashed[-1]


PLACES = f"""
[[package]]
name = "From.Git"
version = "1.0"
groups = ["main"]
files = []
[package.source]
type = "git"
url = "git@example.org:team/tool.git"
reference = "main"
resolved_reference = "{"a" * 40}"
subdirectory = "inner"

[[package]]
name = "by-url"
version = "1.0"
groups = ["main"]
files = [{{file = "by_url-1.0-py3-none-any.whl", hash = "{HASH}"}}]
[package.source]
type = "url"
url = "https://example.org/by_url-1.0-py3-none-any.whl"

[[package]]
name = "by-file"
version = "1.0"
groups = ["main"]
files = [{{file = "by_file-1.0-py3-none-any.whl", hash = "{HASH}"}}]
[package.source]
type = "file"
url = "wheels/by_file-1.0-py3-none-any.whl"

[[package]]
name = "of-us"
version = "1.0"
groups = ["main", "dev"]
markers = {{main = "sys_platform == 'win32'", dev = "python_version >= '3.9'"}}
files = [{{file = "of_us-1.0-py3-none-any.whl", hash = "{HASH}"}}]
[package.source]
type = "legacy"
url = "https://ada:secret@packages.example.org/simple"
reference = "ours"

[metadata]
lock-version = "2.1"
python-versions = ">=3.10"
"""


def test_git_addresses_files_and_an_index_of_ones_own(tmp_path: Path) -> None:
    made = lock_of(written(tmp_path, PLACES))
    commit = "a" * 40
    assert made.text.splitlines() == [
        "--extra-index-url https://packages.example.org/simple",
        "./wheels/by_file-1.0-py3-none-any.whl",
        "by-url @ https://example.org/by_url-1.0-py3-none-any.whl \\",
        f"    --hash={HASH}",
        f"from-git @ git+ssh://git@example.org/team/tool.git@{commit}#subdirectory=inner",
        "of-us==1.0 \\",
        f"    --hash={HASH}",
    ]
    assert made.private_indexes == ("https://ada:secret@packages.example.org/simple",)
    assert [line.rpartition(": ")[2] for line in made.unhashed] == [
        "a folder or file of the project",
        "from Git, locked by its commit",
    ]
    assert "of-us" not in lock_of(tmp_path, groups=()).text


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("poetry.lock", "[[[", "`poetry.lock` is not TOML"),
        ("poetry.lock", "", "`poetry.lock` is not in a form that is known"),
        ("poetry.lock", "[metadata]\nlock-version = '1.1'\n", "`poetry.lock` is not in a form that is known"),
        ("pdm.lock", "[metadata]\nlock_version = '4.4'\n", "`pdm.lock` is not in a form that is known"),
        ("Pipfile.lock", "{", "`Pipfile.lock` is not JSON"),
        ("Pipfile.lock", "[]", "`Pipfile.lock` is not a table of JSON"),
        ("Pipfile.lock", "{}", "`Pipfile.lock` is not in a form that is known"),
    ],
)
def test_bad_locks_are_named(tmp_path: Path, name: str, text: str, complaint: str) -> None:
    with pytest.raises(ProjectError) as caught:
        lock_of(written(tmp_path, text, name=name))
    assert caught.value.message.startswith(complaint)


def test_a_distribution_without_hashes_is_refused(tmp_path: Path) -> None:
    package = '[[package]]\nname = "old"\nversion = "1.0"\ngroups = ["main"]\nfiles = []\n'
    lock = package + '[metadata]\nlock-version = "2.1"\n'
    with pytest.raises(EnvironmentBuildError) as caught:
        lock_of(written(tmp_path, lock))
    assert caught.value.message == "`poetry.lock` names no hash for `old==1.0`"
