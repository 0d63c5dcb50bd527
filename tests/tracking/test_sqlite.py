"""A database of any version is read, and not a byte of it changes."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from reproof.errors import TrackingError
from reproof.tracking.installation import find_installation
from reproof.tracking.lookup import check, find_run, read_artifact
from reproof.tracking.sqlite import find_runs, schema_of

pytestmark = pytest.mark.needs("mlflow")


def content(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.is_file()
    }


@pytest.mark.parametrize("major", [3, pytest.param(2, marks=pytest.mark.slow)])
def test_reading_changes_nothing(major: int, request: pytest.FixtureRequest, access_to) -> None:
    store, run_id = request.getfixturevalue(f"store{major}")
    access = access_to(store)
    folder = access.directory
    before = content(folder)
    check(access)
    run = find_run(access, run_id[:6])
    assert find_run(access, run_id) == run
    assert (run.run_id, run.name, run.experiment, run.status) == (run_id, "Training", "bikes", "RUNNING")
    assert run.parameters == {"depth": "3"}
    assert run.tags["own"] == "tag"
    assert run.artifact_uri == f"{store.parent}/mlruns/1/{run_id}/artifacts"
    assert read_artifact(access, run, "reproof/record.json") is None
    python = Path(sys.executable) if major == 3 else request.getfixturevalue("mlflow2")
    installation = find_installation(python)
    assert installation is not None
    assert schema_of(folder / "mlflow.db") == installation.schema
    assert content(folder) == before
    assert set(before) == {"mlflow.db"}


def test_a_read_only_database_in_a_read_only_folder_is_read(store3: tuple[Path, str], tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    shutil.copy(store3[0], folder / "m.db")
    (folder / "m.db").chmod(0o444)
    folder.chmod(0o555)
    try:
        assert [run.run_id for run in find_runs(folder / "m.db", store3[1][:4])] == [store3[1]]
    finally:
        folder.chmod(0o755)


def test_deleted_runs_are_not_found(store3: tuple[Path, str], tmp_path: Path) -> None:
    shutil.copy(store3[0], tmp_path / "m.db")
    with closing(sqlite3.connect(tmp_path / "m.db")) as database, database:
        database.execute("UPDATE runs SET lifecycle_stage = 'deleted'")
    assert find_runs(tmp_path / "m.db", store3[1]) == []


@pytest.mark.parametrize("prefix", ["%", "_", "'", "' OR 1=1 --"])
def test_prefixes_are_letters_not_patterns(store3: tuple[Path, str], prefix: str) -> None:
    assert find_runs(store3[0], prefix) == []


def test_a_locked_database_is_said_to_be(store3: tuple[Path, str], tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    shutil.copy(store3[0], path)
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TrackingError, match="is locked by another program") as caught:
            schema_of(path, wait=0.05)
    assert caught.value.hint is not None
    assert str(path) in caught.value.hint


@pytest.mark.parametrize("data", [b"not a database, " * 100, b"SQLite format 3\0" + b"\0" * 200])
def test_what_is_no_database_is_said_to_be_none(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "m.db"
    path.write_bytes(data)
    with pytest.raises(TrackingError, match=r"MLflow database") as caught:
        find_runs(path, "a")
    assert str(path) in caught.value.message


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE users (id)")
    with pytest.raises(TrackingError, match="is not an MLflow database") as caught:
        schema_of(path)
    assert ("tables", "users") in caught.value.details


def test_nothing_and_empty_have_no_schema(tmp_path: Path) -> None:
    assert schema_of(tmp_path / "absent.db") is None
    (tmp_path / "empty.db").touch()
    assert schema_of(tmp_path / "empty.db") is None
    assert find_runs(tmp_path / "absent.db", "a") == []
    assert not (tmp_path / "absent.db").exists()


def test_a_damaged_page_is_an_error_not_a_crash(store3: tuple[Path, str], tmp_path: Path) -> None:
    data = bytearray(store3[0].read_bytes())
    for start in range(4096, len(data), 4096):
        data[start : start + 64] = b"\xff" * 64
    (tmp_path / "m.db").write_bytes(data)
    with pytest.raises(TrackingError):
        find_runs(tmp_path / "m.db", store3[1])
