"""Packages, Python and data of runs that reproof did not record."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from reproof.errors import MissingError, UsageError
from reproof.model.event import silent
from reproof.project.settings import EnvironmentSettings
from reproof.store.directory import DirectoryStore
from reproof.workflow.packages import packages_of
from reproof.workflow.supplies import Supplies
from reproof.workflow.unrecorded.inputs import (
    hold_places,
    missing_names,
    put_in,
    python_for,
    wanted_packages,
)

WHEN = "2026-01-01T00:00:00Z"


def test_packages_are_taken_as_of_the_start(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("six\n")
    wanted, lines = wanted_packages(tmp_path, None, EnvironmentSettings(), WHEN, silent)
    assert wanted.source is not None
    assert (wanted.source.as_of, wanted.source.file) == (WHEN, "requirements.txt")
    assert lines[0].value == f"as of {WHEN}"


def test_a_lock_needs_no_date(tmp_path: Path) -> None:
    (tmp_path / "pylock.toml").write_text("")
    _, lines = wanted_packages(tmp_path, None, EnvironmentSettings(), WHEN, silent)
    assert lines[0].value == "those of `pylock.toml`"


def test_no_packages_and_no_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(MissingError, match="has no lock") as caught:
        wanted_packages(tmp_path, None, EnvironmentSettings(), WHEN, silent)
    assert caught.value.ingredient == "environment"
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path))
    wanted, lines = wanted_packages(tmp_path, None, EnvironmentSettings(), WHEN, silent)
    assert wanted.source is None
    assert lines[0].value == "the active one"


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("req.txt", "six==1.17.0 --hash=sha256:00\n", "requirements-hashed"),
        ("req.in", "six\n", "requirements"),
        ("python_env.yaml", "python: '3.11'\ndependencies: [six]\n", "requirements"),
        ("conda.yaml", "dependencies: [python=3.11, {pip: [six]}]\n", "requirements"),
        ("pyproject.toml", "[project]\nname = 'p'\nversion = '1'\n", "pyproject"),
        ("pylock.toml", "", "pylock.toml"),
    ],
)
def test_what_an_environment_is_named_by(tmp_path: Path, name: str, text: str, kind: str) -> None:
    (tmp_path / name).write_text(text)
    source = packages_of(tmp_path / name, silent).source
    assert source is not None
    assert source.kind == kind
    assert source.folder == tmp_path


def test_a_folder_without_packages_names_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="names no packages"):
        packages_of(tmp_path, silent)
    with pytest.raises(UsageError, match="to take an environment from"):
        packages_of(tmp_path / "none.txt", silent)
    (tmp_path / "pyvenv.cfg").touch()
    with pytest.raises(UsageError, match="names no packages") as caught:
        packages_of(tmp_path, silent)
    assert caught.value.hint is not None
    assert f"uv pip freeze --python {tmp_path} > packages.txt" in caught.value.hint


def test_a_model_says_which_python_of_a_range_it_was() -> None:
    here = ".".join(map(str, sys.version_info[:3]))
    assert python_for(">=3.11", (here, "m/MLmodel"))[0] == here
    assert python_for(None, (here, "m/MLmodel"))[0] == here
    assert python_for("==2.7.*", (here, "m/MLmodel"))[0] == "==2.7.*"  # the commit changed since
    assert python_for(">=3.11", ("3.99.1", "m/MLmodel"))[0] == ">=3.11"  # this machine has no such one
    assert python_for(None, ("3.99.1", "m/MLmodel"))[0] == "3.99.*"  # asked for, and missed, by name
    assert python_for("3.11", None)[0] == "3.11"
    assert python_for(None, None)[0] is None


def test_places_stand_for_inputs(tmp_path: Path) -> None:
    (tmp_path / "kept/raw").mkdir(parents=True)
    (tmp_path / "kept/raw/a.csv").touch()
    (tmp_path / "b.csv").touch()
    supplies = Supplies(
        [str(tmp_path / "kept"), f"data/x.csv={tmp_path / 'b.csv'}", f"set={tmp_path / 'kept'}"]
    )
    assert supplies.find("data/raw/a.csv") == tmp_path / "kept/raw/a.csv"
    assert supplies.find("data/x.csv") == tmp_path / "b.csv"
    assert supplies.find("set/raw/a.csv") == tmp_path / "kept/raw/a.csv"
    assert supplies.find("data/y.csv") is None
    assert Supplies([str(tmp_path / "b.csv")]).find("data/b.csv") == tmp_path / "b.csv"
    with pytest.raises(UsageError):
        Supplies([str(tmp_path / "nowhere")])


def test_a_supplied_folder_is_kept_whole(tmp_path: Path) -> None:
    (tmp_path / "in/deep").mkdir(parents=True)
    (tmp_path / "in/deep/a").write_text("1")
    (tmp_path / "in/b").write_text("2")
    store = DirectoryStore(tmp_path / "store")
    artifacts, line = put_in("data", tmp_path / "in", store, {})
    assert [each.name for each in artifacts] == ["data/b", "data/deep/a"]
    assert all(each.digest in store for each in artifacts if each.digest is not None)
    assert "neither Git nor DVC has it" in (line.note or "")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("FileNotFoundError: [Errno 2] No such file or directory: 'data/x.csv'", ["sub/data/x.csv"]),
        ("FileNotFoundError: [Errno 2] No such file or directory: '/mnt/x.csv'", ["/mnt/x.csv"]),
        ("OSError: Failed to open local file 'data/t.parquet'", ["sub/data/t.parquet"]),
        ("ValueError: 'data/x.csv' is odd", []),
        ("FileNotFoundError: No such file or directory: 'there.csv'", []),
    ],
)
def test_inputs_that_last_words_name(tmp_path: Path, said: str, expected: list[str]) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/there.csv").touch()
    opened = [str(tmp_path / "sub/data/x.csv"), str(tmp_path / "sub/there.csv")]
    assert list(missing_names(said, opened, tmp_path, tmp_path / "sub")) == expected


def test_places_are_held_within_the_clone_only(tmp_path: Path) -> None:
    clone, outside = tmp_path / "clone", tmp_path / "outside"
    (clone / ".git").mkdir(parents=True)
    outside.mkdir()
    (clone / "link").symlink_to(outside)
    hold_places(clone, ["data/x.csv", "link/evil.csv"])
    assert (clone / "data/x.csv").exists()
    assert not list(outside.iterdir())
