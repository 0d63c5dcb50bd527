"""Runs of an experiment, from a server and from files."""

from __future__ import annotations

import sqlite3
import tracemalloc
import uuid
from contextlib import closing
from pathlib import Path

import pytest

from reproof.errors import TrackingError
from reproof.tracking.address import parse
from reproof.tracking.experiments import (
    Experiment,
    children,
    find_experiment,
    is_deleted,
    logged_models,
    run_heads,
)
from reproof.tracking.lookup import find_run
from reproof.tracking.rest import RestClient
from reproof.tracking.values import Access
from servers import MLflowServer

MANY = 10_000
PAGES = 3_500  # of a thousand each


def access(uri: str) -> Access:
    return Access(address=parse(uri, Path.cwd()), environment={}, directory=Path.cwd())


def fill(database: Path, experiment: int, count: int) -> None:
    """Put runs into a database as MLflow's tables have them."""
    with closing(sqlite3.connect(database, timeout=30)) as store, store:
        rows = [
            (
                uuid.uuid4().hex,
                f"run {number}",
                "FINISHED",
                number,
                number,
                "deleted" if number == 7 else "active",
                experiment,
            )
            for number in range(1, count + 1)
        ]
        store.executemany(
            "INSERT INTO runs (run_uuid, name, status, start_time, end_time, lifecycle_stage, experiment_id,"
            " artifact_uri, user_id) VALUES (?, ?, ?, ?, ?, ?, ?, '', 'someone')",
            rows,
        )
        tags = [("mlflow.source.git.commit", "c" * 40, row[0]) for row in rows[:3]]
        tags += [("mlflow.parentRunId", rows[0][0], row[0]) for row in rows[4:6]]
        store.executemany("INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)", tags)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """The few tables of a store that are read."""
    path = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(path)) as store, store:
        store.executescript("""
            CREATE TABLE alembic_version (version_num);
            CREATE TABLE experiments (experiment_id INTEGER, name, lifecycle_stage);
            CREATE TABLE runs (run_uuid, name, status, start_time, end_time, lifecycle_stage,
                experiment_id INTEGER, artifact_uri, user_id);
            CREATE TABLE tags (key, value, run_uuid);
            CREATE TABLE params (key, value, run_uuid);
            INSERT INTO alembic_version VALUES ('x');
            INSERT INTO experiments VALUES (5, 'many', 'active');
        """)
    return path


def check(store: Access, experiment: Experiment, count: int) -> None:
    heads = run_heads(store, experiment)
    first = [next(heads) for _ in range(8)]
    assert [head.name for head in first] == [f"run {number}" for number in range(1, 9)]
    assert [head.commit for head in first[:4]] == ["c" * 40] * 3 + [""]
    assert [head.deleted for head in first] == [False] * 6 + [True, False]
    assert [head.nested for head in first[3:7]] == [False, True, True, False]
    assert sum(1 for _ in heads) == count - 8
    assert sum(1 for _ in run_heads(store, experiment, since=count - 9)) == 10
    assert is_deleted(store, first[6].run_id)
    assert not is_deleted(store, first[5].run_id)
    assert not is_deleted(store, "0" * 32)
    run = find_run(store, first[0].run_id)
    assert (run.started, run.ended) == (1, 1)
    assert [each.run_id for each in children(store, run)] == [first[4].run_id, first[5].run_id]
    assert logged_models(store, run) == []


def test_ten_thousand_runs_of_a_file(database: Path) -> None:
    fill(database, 5, MANY)
    store = access(f"sqlite:///{database}")
    check(store, find_experiment(store, "many"), MANY)
    assert find_experiment(store, "5").name == "many"


@pytest.mark.needs("mlflow")
def test_pages_of_a_server(mlflow_server: MLflowServer) -> None:
    store = access(mlflow_server.uri)
    made = RestClient(store.address, {}).experiment("many")
    fill(mlflow_server.folder / "mlflow.db", int(made), PAGES)
    experiment = find_experiment(store, "many")
    check(store, experiment, PAGES)
    tracemalloc.start()
    assert sum(1 for _ in run_heads(store, experiment)) == PAGES
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20  # one page, not all of them


def test_an_experiment_that_is_not_there(database: Path) -> None:
    fill(database, 5, 1)
    with pytest.raises(TrackingError, match="no experiment `other`") as caught:
        find_experiment(access(f"sqlite:///{database}"), "other")
    assert dict(caught.value.details)["there are"] == "many"


def test_a_store_that_only_its_server_reads() -> None:
    with pytest.raises(TrackingError, match="without its server"):
        find_experiment(access("postgresql://user:secret@host/db"), "x")


def test_a_folder(tmp_path: Path) -> None:
    def write(name: str, text: str) -> None:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    write("3/meta.yaml", "experiment_id: '3'\nname: flows\n")
    for run, started, stage in (("b" * 32, 20, "active"), ("a" * 32, 30, "deleted")):
        write(
            f"3/{run}/meta.yaml",
            f"run_id: {run}\nexperiment_id: '3'\nrun_name: n\nstart_time: {started}\nlifecycle_stage: {stage}\n",
        )
    write(f"3/{'b' * 32}/tags/mlflow.source.git.commit", "c" * 40)
    write("3/models/m-1/meta.yaml", f"name: clf\nsource_run_id: {'b' * 32}\ncreation_timestamp: 1\n")
    store = access(tmp_path.as_uri())
    heads = list(run_heads(store, find_experiment(store, "flows")))
    assert [(head.started, head.deleted, head.commit) for head in heads] == [
        (20, False, "c" * 40),
        (30, True, ""),
    ]
    model = logged_models(store, find_run(store, "b" * 32))
    assert [(each.model_id, each.name) for each in model] == [("m-1", "clf")]
