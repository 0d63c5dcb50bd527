"""Which files belong to MLflow's own keeping, and so are neither inputs nor results."""

from __future__ import annotations

from pathlib import Path

import pytest

from reproof.base.naming import Naming
from reproof.capture.observations import Observations
from reproof.model.observation import ModelCreated, RunOpened
from reproof.workflow.tracking_files import find_tracking_files, tracking_names

NAMING = Naming(top="/work/project", home="/home/me")
ENDS = ("", "-journal", "-wal", "-shm")


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("sqlite:////work/project/mlflow.db", "mlflow.db"),
        ("sqlite:////work/project/a/mlflow.db?timeout=5", "a/mlflow.db"),
        ("sqlite:///mlflow.db", "sub/mlflow.db"),
        ("sqlite:////home/me/mlflow.db", "${HOME}/mlflow.db"),
        ("sqlite+pysqlite:////data/mlflow.db", "/data/mlflow.db"),
    ],
)
def test_a_database_comes_with_its_journals(address: str, name: str) -> None:
    assert tracking_names(address, NAMING, Path("/work/project/sub")) == tuple(f"{name}{end}" for end in ENDS)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("file:///work/project/mlruns", "mlruns"),
        ("file:///work/project/outputs/mlruns", "outputs/mlruns"),
        ("/work/project/my%20runs", "my%20runs"),
        ("file:///work/project/my%20runs", "my runs"),
        ("./mlruns", "sub/mlruns"),
        ("file:///home/me/mlruns", "${HOME}/mlruns"),
        ("/data/mlruns", "/data/mlruns"),
    ],
)
def test_a_folder(address: str, name: str) -> None:
    assert tracking_names(address, NAMING, Path("/work/project/sub")) == (name,)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "https://tracking.example/",
        "mlflow-artifacts:/1/abc",
        "s3://bucket/1",
        "databricks",
        "sqlite:///:memory:",
    ],
)
def test_a_server_has_no_files(address: str) -> None:
    assert tracking_names(address, NAMING) == ()


def test_a_link_is_known_by_both_names(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    naming = Naming(top="/work/project", home="/home/me")
    assert set(tracking_names(str(tmp_path / "link"), naming)) == {
        str(tmp_path / "link"),
        str(tmp_path / "real"),
    }


@pytest.mark.parametrize("address", [".", "..", "file:///work", "/work/project/"])
def test_a_folder_that_holds_the_project_is_not_mlflows_alone(address: str) -> None:
    assert tracking_names(address, NAMING) == ()


def kept(artifacts: str) -> set[str]:
    """What a run whose artifacts are in that folder keeps, besides its store."""
    opened = RunOpened(
        p=1, run="abc", uri="https://tracking.example", artifact_uri=f"file://{artifacts}/abc/artifacts"
    )
    lines = Observations([opened, ModelCreated(p=1, model="m-1", run="abc")], {}, 0, False)
    return set(find_tracking_files(lines, NAMING, Path("/work/project/sub")))


def test_in_the_project_the_experiment_is_mlflows() -> None:
    assert kept("/work/project/sub/mlruns/1") == {"sub/mlruns/1"}


@pytest.mark.parametrize("folder", ["/data/mlruns/1", "/work/project"])
def test_of_a_shared_folder_only_this_runs_part_is_meant(folder: str) -> None:
    """A model of another run there may be an input, and all else in the project is the project's."""
    base = "" if folder == "/work/project" else f"{folder}/"
    assert kept(folder) == {f"{base}abc", f"{base}models/m-1"}
