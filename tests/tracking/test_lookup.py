"""Finding one run among many."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from reproof.errors import TrackingError
from reproof.tracking.address import parse
from reproof.tracking.lookup import artifact_paths, check, find_run, local_folder, read_artifact
from reproof.tracking.values import Access, Run


@pytest.fixture
def twins(store3: tuple[Path, str], tmp_path: Path) -> Access:
    """A store with two runs whose ids begin alike."""
    shutil.copy(store3[0], tmp_path / "m.db")
    with closing(sqlite3.connect(tmp_path / "m.db")) as database, database:
        columns = "name, status, lifecycle_stage, artifact_uri, experiment_id"
        for run_id in ("abc1", "abc2", "abc"):
            database.execute(
                f"INSERT INTO runs (run_uuid, {columns}) SELECT ?, {columns} FROM runs LIMIT 1", (run_id,)
            )
    return Access(parse("sqlite:///m.db", tmp_path), {}, tmp_path)


@pytest.mark.needs("mlflow")
def test_ambiguous_and_unknown_runs_are_named(twins: Access, golden) -> None:
    with pytest.raises(TrackingError) as caught:
        find_run(twins, "ab")
    golden("tracking-run-ambiguous", caught.value)
    with pytest.raises(TrackingError) as caught:
        find_run(twins, "ff")
    golden("tracking-run-unknown", caught.value)
    assert find_run(twins, "abc1").run_id == "abc1"
    assert find_run(twins, "abc").run_id == "abc"  # whole ids win over beginnings


@pytest.mark.parametrize("text", ["", "../x", "a b", "-a", "a" * 300, "a'"])
def test_what_cannot_be_a_run_id_is_refused(tmp_path: Path, text: str) -> None:
    access = Access(parse("sqlite:///m.db", tmp_path), {}, tmp_path)
    with pytest.raises(TrackingError, match="cannot be a run id"):
        find_run(access, text)


@pytest.mark.parametrize("uri", ["postgresql://me:secret@db/x", "databricks"])
def test_a_store_that_needs_its_own_client_is_said_to(tmp_path: Path, uri: str) -> None:
    access = Access(parse(uri, tmp_path), {}, tmp_path)
    check(access)  # says nothing: only MLflow itself could tell
    with pytest.raises(TrackingError, match="without its server") as caught:
        find_run(access, "abc")
    assert "secret" not in caught.value.message
    with pytest.raises(TrackingError, match="cannot read the artifacts"):
        artifact_paths(access, Run(run_id="abc", artifact_uri="dbfs:/x"))


def test_checks_a_database_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "m.db").write_bytes(b"text")
    with pytest.raises(TrackingError, match="is not an MLflow database"):
        check(Access(parse("sqlite:///m.db", tmp_path), {}, tmp_path))
    check(Access(parse("sqlite:///new.db", tmp_path), {}, tmp_path))
    check(Access(parse("mlruns", tmp_path), {}, tmp_path))
    assert not (tmp_path / "mlruns").exists()


def test_artifacts_on_this_disk(tmp_path: Path) -> None:
    access = Access(parse("mlruns", tmp_path), {}, tmp_path)
    folder = tmp_path / "art é"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "f").write_bytes(b"x")
    run = Run(run_id="a", artifact_uri=folder.as_uri())
    assert artifact_paths(access, run) == ["deep/f"]
    assert read_artifact(access, run, "deep/f") == b"x"
    assert read_artifact(access, run, "deep/f/g") is None
    assert read_artifact(access, run, "absent") is None
    with pytest.raises(TrackingError, match="cannot read the artifact `deep`"):
        read_artifact(access, run, "deep")


@pytest.mark.parametrize(
    ("uri", "folder"),
    [
        ("/a b/c", "/a b/c"),
        ("file:///a%20b", "/a b"),
        ("file://localhost/a", "/a"),
        ("file://other/a", None),
        ("s3://b/c", None),
        ("mlflow-artifacts:/1/2", None),
        ("relative/x", None),
    ],
)
def test_addresses_of_artifacts(uri: str, folder: str | None) -> None:
    assert local_folder(uri) == (Path(folder) if folder else None)
