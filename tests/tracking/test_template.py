"""The room's store: laid out once, then copied, relocated, and never shared."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from reproof.tracking.installation import find_installation
from reproof.tracking.sqlite import schema_of
from reproof.tracking.template import prepare

pytestmark = pytest.mark.needs("mlflow")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REPROOF_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "mlflow"


def test_is_laid_out_once_and_relocated(cache: Path, tmp_path: Path) -> None:
    python = Path(sys.executable)
    with ThreadPoolExecutor(4) as pool:
        targets = [tmp_path / f"room {number}%" / "mlflow.db" for number in range(4)]
        uris = list(pool.map(lambda target: prepare(python, "3.x/y", target), targets))
    assert uris == [f"sqlite:///{target}" for target in targets]
    installation = find_installation(python)
    assert installation is not None
    (template,) = cache.glob("*.db")
    assert template.name == f"3.x_y-{installation.schema}.db"
    assert sorted(path.name for path in cache.iterdir()) == [
        template.name,
        template.name.replace(".db", ".lock"),
    ]
    for target in targets:
        assert schema_of(target) == installation.schema
        with closing(sqlite3.connect(target)) as database:
            rows = database.execute("SELECT experiment_id, artifact_location FROM experiments").fetchall()
        assert rows == [(0, f"{target.parent}/artifacts/0")]
    before = template.read_bytes()
    targets[0].write_bytes(b"")
    assert template.read_bytes() == before
    with pytest.raises(FileExistsError):
        prepare(python, "3.x/y", targets[1])


def test_without_databases_the_room_gets_a_folder(cache: Path, tmp_path: Path) -> None:
    # An MLflow that fails, as one does that finds no SQLAlchemy it can use.
    failing = tmp_path / "python"
    failing.write_text(
        f'#!/bin/sh\ncase "$*" in *reproof_finish*) exit 3;; *) exec {sys.executable} "$@";; esac\n'
    )
    failing.chmod(0o755)
    for python in (failing, Path(shutil.which("true") or "/bin/true")):
        uri = prepare(python, "9", tmp_path / "room" / "mlflow.db")
        assert uri == f"file://{tmp_path}/room/mlflow-mlruns"
    assert list(cache.glob("*.db")) == []
    assert not any(cache.glob(".*"))
