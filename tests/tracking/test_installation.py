"""MLflow's version and schema, found without importing it, are those that it says itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from reproof.tracking.installation import clean_environment, find_installation, head_revision

ASK = """
from mlflow.store.db.utils import _get_latest_schema_revision as head
import mlflow
print(mlflow.__version__, head())
"""


@pytest.mark.needs("mlflow")
@pytest.mark.parametrize("major", [3, pytest.param(2, marks=pytest.mark.slow)])
def test_agrees_with_mlflow_itself(major: int, request: pytest.FixtureRequest) -> None:
    python = Path(sys.executable) if major == 3 else request.getfixturevalue("mlflow2")
    found = find_installation(python)
    assert found is not None
    said = subprocess.check_output([python, "-c", ASK], text=True).split()
    assert [found.version, found.schema] == said
    assert found.databases
    assert found.default_store == ("sqlite:///mlflow.db" if major == 3 else None)


def test_an_interpreter_without_mlflow_has_none(tmp_path: Path) -> None:
    from uv import find_uv_bin

    subprocess.run([find_uv_bin(), "venv", "-q", "--python", sys.executable, tmp_path / "bare"], check=True)
    assert find_installation(tmp_path / "bare" / "bin" / "python") is None


def test_what_is_no_interpreter_has_none(tmp_path: Path) -> None:
    assert find_installation(tmp_path / "absent") is None
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\necho hello\n")
    script.chmod(0o755)
    assert find_installation(script) is None


def script(folder: Path, revision: str, down: str) -> None:
    folder.mkdir(exist_ok=True)
    text = f'"""words"""\nimport x\nrevision = "{revision}"\ndown_revision = {down}\nbranch_labels = None\n'
    (folder / f"{revision}_words.py").write_text(text)


def test_the_head_is_the_one_that_nothing_builds_upon(tmp_path: Path) -> None:
    assert head_revision(tmp_path / "absent") is None
    folder = tmp_path / "versions"
    script(folder, "aaa", "None")
    script(folder, "bbb", '"aaa"')
    assert head_revision(folder) == "bbb"
    script(folder, "ccc", "'aaa'")
    assert head_revision(folder) is None  # two heads: nobody can tell
    script(folder, "ddd", '("bbb",\n    "ccc")')
    assert head_revision(folder) == "ddd"
    (folder / "eee.py").write_text('revision: str = "eee"\ndown_revision: Union[str, None] = "ddd"\n')
    (folder / "notes.py").write_text("nothing of the kind\n")
    assert head_revision(folder) == "eee"


def test_programs_of_our_own_are_not_watched() -> None:
    given = {"REPROOF_OBSERVATIONS": "x", "MLFLOW_RUN_ID": "y", "MLFLOW_TRACKING_TOKEN": "z", "PATH": "p"}
    kept = clean_environment(given)
    assert "REPROOF_OBSERVATIONS" not in kept
    assert "MLFLOW_RUN_ID" not in kept
    assert kept["MLFLOW_TRACKING_TOKEN"] == "z"
    assert kept["REPROOF_DISABLE"] == "1"
