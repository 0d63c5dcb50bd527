"""What remains to be written is written by a fitting MLflow, or left for later: never by a migration."""

from __future__ import annotations

import hashlib
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from reproof.errors import TrackingError
from reproof.tracking.address import parse
from reproof.tracking.finish import finish
from reproof.tracking.lookup import artifact_paths, find_run, read_artifact
from reproof.tracking.sqlite import schema_of
from reproof.tracking.values import Access, Finish

pytestmark = pytest.mark.needs("mlflow")

HERE = Path(sys.executable)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def full(run_id: str | None, access: Access) -> Finish:
    return Finish(
        record="f" * 64,
        uri=access.address.uri,
        run_id=run_id,
        status="KILLED",
        ended=5000,
        parameters={"depth": "4", "rate": "0.1"} | {f"p{number}": "x" for number in range(120)},
        tags={"reproof.record": "f" * 64, "reproof.seed": "42", "own": "new"},
        artifacts={"reproof/record.json": b'{"a":1}', "reproof/deep/\xfc b.html": b"<p>", "empty": b""},
    )


def test_completes_a_run_that_was_left_running(store3: tuple[Path, str], access_to, tmp_path: Path) -> None:
    access = access_to(store3[0], HERE)
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database, database:
        database.execute("UPDATE runs SET artifact_uri = ?", (str(tmp_path / "artifacts"),))
    wanted = full(store3[1], access)
    done = finish(wanted, access)
    assert (done.status, done.run_id, done.experiment_id, done.reason) == ("written", store3[1], "1", None)
    run = find_run(access, store3[1])
    assert run.status == "KILLED"
    assert run.parameters == {**wanted.parameters, "depth": "3"}  # a parameter is never changed
    assert run.tags == {**wanted.tags, "mlflow.runName": "Training"}
    assert artifact_paths(access, run) == ["empty", "reproof/deep/\xfc b.html", "reproof/record.json"]
    assert read_artifact(access, run, "reproof/record.json") == b'{"a":1}'
    # Once more, as after a failure: nothing changes, and a final status stays.
    assert finish(msgspec.structs.replace(wanted, status="FAILED"), access).status == "written"
    assert find_run(access, store3[1]) == run
    verdict = Finish(
        record=wanted.record, uri=wanted.uri, run_id=store3[1],
        tags={"reproof.verdict": "reproduced"}, artifacts={"reproof/verdict.json": b"{}"},
    )  # fmt: skip
    assert finish(verdict, access).status == "written"
    assert find_run(access, store3[1]).tags["reproof.verdict"] == "reproduced"
    other = msgspec.structs.replace(verdict, artifacts={"reproof/record.json": b"other"}, tags={"x": "y"})
    with pytest.raises(TrackingError, match="holds another record"):
        finish(other, access)
    assert read_artifact(access, run, "reproof/record.json") == b'{"a":1}'
    assert "x" not in find_run(access, store3[1]).tags


@pytest.mark.parametrize("major", [3, pytest.param(2, marks=pytest.mark.slow)])
def test_makes_a_run_in_a_new_store(tmp_path: Path, major: int, request: pytest.FixtureRequest) -> None:
    python = HERE if major == 3 else request.getfixturevalue("mlflow2")
    access = Access(parse("sqlite:///new.db", tmp_path), {}, tmp_path, (tmp_path / "no-python", python))
    wanted = Finish(
        record="r", uri=access.address.uri, experiment="bikes", run_name="Training", status="FAILED",
        started=1000, ended=2000, artifacts={"reproof/record.json": b"{}"},
    )  # fmt: skip
    done = finish(wanted, access)
    assert done.status == "written", done.reason
    run = find_run(access, str(done.run_id))
    assert (run.name, run.experiment, run.status) == ("Training", "bikes", "FAILED")
    assert read_artifact(access, run, "reproof/record.json") == b"{}"
    assert (tmp_path / "mlruns").is_dir()  # where MLflow itself would put them
    with closing(sqlite3.connect(tmp_path / "new.db")) as database:
        assert database.execute("SELECT start_time, end_time FROM runs").fetchall() == [(1000, 2000)]


def test_writes_a_file_store(files3: tuple[Path, str], access_to) -> None:
    access = access_to(files3[0], HERE)
    wanted = msgspec.structs.replace(full(files3[1], access), artifacts={})
    assert finish(wanted, access).status == "written"
    run = find_run(access, files3[1])
    assert (run.status, run.parameters["rate"], run.tags["reproof.seed"]) == ("KILLED", "0.1", "42")


@pytest.mark.slow
def test_an_older_store_is_left_alone_until_its_own_mlflow_comes(
    store2: tuple[Path, str], access_to, mlflow2: Path, tmp_path: Path
) -> None:
    access = access_to(store2[0], HERE)
    path = tmp_path / "mlflow.db"
    before, schema = digest(path), schema_of(path)
    wanted = msgspec.structs.replace(full(store2[1], access), artifacts={})
    done = finish(wanted, access)
    assert (done.status, done.run_id) == ("deferred", store2[1])
    assert done.reason is not None
    assert f"the store has {schema}" in done.reason
    assert digest(path) == before
    both = Access(access.address, access.environment, access.directory, (HERE, mlflow2))
    assert finish(wanted, both).status == "written"
    assert schema_of(path) == schema


def test_a_schema_that_nobody_knows_defers(store3: tuple[Path, str], access_to, tmp_path: Path) -> None:
    access = access_to(store3[0], HERE)
    path = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = 'fromthefuture'")
    before = digest(path)
    done = finish(full(store3[1], access), access)
    assert done.status == "deferred"
    assert "fromthefuture" in str(done.reason)
    assert digest(path) == before


def test_no_interpreter_defers(store3: tuple[Path, str], access_to) -> None:
    access = access_to(store3[0])
    done = finish(full(store3[1], access), access)
    assert (done.status, done.reason) == ("deferred", "no interpreter with MLflow is known")


def test_a_locked_store_defers(store3: tuple[Path, str], access_to, tmp_path: Path) -> None:
    access = access_to(store3[0], HERE)
    with closing(sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        done = finish(full(store3[1], access), access)
    assert done.status == "deferred"
    assert "locked" in str(done.reason)


def test_a_run_that_is_not_there_is_an_error(store3: tuple[Path, str], access_to) -> None:
    access = access_to(store3[0], HERE)
    with pytest.raises(TrackingError, match="no run 0000"):
        finish(full("0" * 32, access), access)


def test_a_store_that_cannot_be_made_defers(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    access = Access(parse("sqlite:///file/x.db", tmp_path), {}, tmp_path, (HERE,))
    done = finish(full(None, access), access)
    assert done.status == "deferred"
    assert done.reason


def test_a_run_made_before_a_failure_is_gone_on_with(tmp_path: Path) -> None:
    access = Access(parse("sqlite:///new.db", tmp_path), {}, tmp_path, (HERE,))
    (tmp_path / "mlruns").touch()  # artifacts cannot be written
    done = finish(full(None, access), access)
    assert done.status == "deferred"
    assert done.run_id is not None
    (tmp_path / "mlruns").unlink()
    again = finish(msgspec.structs.replace(full(None, access), run_id=done.run_id), access)
    assert (again.status, again.run_id) == ("written", done.run_id)


def test_a_broken_mlflow_defers_with_its_own_words(
    store3: tuple[Path, str], access_to, tmp_path: Path
) -> None:
    fake = tmp_path / "python"
    fake.write_text(
        f'#!/bin/sh\ncase "$*" in *reproof_finish*) echo broken >&2; exit 3;; *) exec {HERE} "$@";; esac\n'
    )
    fake.chmod(0o755)
    access = access_to(store3[0], fake)
    done = finish(full(store3[1], access), access)
    assert done.status == "deferred"
    assert str(done.reason).endswith("broken")


@pytest.mark.slow
def test_a_new_store_is_not_given_the_schema_of_another_mlflow(tmp_path: Path, mlflow2: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text(
        f'#!/bin/sh\ncase "$*" in *reproof_finish*) echo broken >&2; exit 3;; *) exec {mlflow2} "$@";; esac\n'
    )
    broken.chmod(0o755)
    access = Access(parse("sqlite:///new.db", tmp_path), {}, tmp_path, (broken, HERE))
    done = finish(msgspec.structs.replace(full(None, access), artifacts={}), access)
    assert done.status == "deferred"
    assert "broken" in str(done.reason)
    assert "needs schema" in str(done.reason)
    assert not (tmp_path / "new.db").exists()


def test_an_mlflow_that_needs_its_large_packages_gets_them(tmp_path: Path) -> None:
    from uv import find_uv_bin

    place = tmp_path / "environment"
    subprocess.run([find_uv_bin(), "venv", "-q", "--python", sys.executable, place], check=True)
    (site,) = place.glob("lib/python*/site-packages")
    dev = next(path for path in sys.path if path.endswith("site-packages"))
    (site / "dev.pth").write_text(f"{dev}\nimport needy\n")
    (site / "needy.py").write_text("""
import sys

class Needy:
    def find_spec(self, name, path=None, target=None):
        if name == "mlflow.entities":
            print("lean" if sys.modules.get("numpy", 0) is None else "whole", file=open("seen", "a"))
            import numpy

sys.meta_path.insert(0, Needy())
""")
    access = Access(parse("sqlite:///new.db", tmp_path), {}, tmp_path, (place / "bin" / "python",))
    done = finish(full(None, access), access)
    assert done.status == "written", done.reason
    assert (tmp_path / "seen").read_text().split() == ["lean", "whole"]


def test_another_database_kind_needs_its_own_mlflow(tmp_path: Path) -> None:
    access = Access(parse("postgresql://me:secret@127.0.0.1:9/db", tmp_path), {}, tmp_path, (HERE,))
    done = finish(full(None, access), access)
    assert done.status == "deferred"
    assert "secret" not in str(done)
