"""Runs below another one: made whole, and never twice, in a local store and by a server."""

from __future__ import annotations

import math
import os
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from reproof.tracking.address import parse
from reproof.tracking.finish import finish
from reproof.tracking.lookup import find_run, read_artifact
from reproof.tracking.values import NESTED_KEY, Access, Finish, Nested

pytestmark = pytest.mark.needs("mlflow")


def nested(number: int) -> Nested:
    return Nested(
        key=f"plan/A/{number}",
        run_name=f"seed {number}",
        started=1000,
        ended=3000,
        status="FINISHED" if number else "FAILED",
        parameters={"depth": str(number)},
        tags={"reproof.seed": str(number)},
        metrics={"loss": repr(0.1 + number), "odd": "nan", "far": "-inf"},
        artifacts={"reproof/record.json": b'{"seed":%d}' % number},
    )


def write_and_look(access: Access, database: Path) -> None:
    start = Finish(record="p" * 64, uri=access.address.uri, run_name="replicate", tags={"plan": "p"})
    parent = finish(start, access)
    assert parent.status == "written", parent.reason
    wanted = msgspec.structs.replace(
        start,
        run_id=parent.run_id,
        status="FINISHED",
        ended=4000,
        metrics={"loss/mean": "0.25"},
        nested=(nested(0), nested(1)),
    )
    ids = []
    for _ in range(2):  # once more, as after a failure
        outcome = finish(wanted, access)
        assert outcome.status == "written"
        ids.append(outcome.nested)
    assert ids[0] == ids[1]
    with closing(sqlite3.connect(database)) as store:
        find = "SELECT run_uuid FROM tags WHERE key = ? AND value = ?"
        children = store.execute(find, ("mlflow.parentRunId", parent.run_id)).fetchall()
        assert len(children) == 2
        for number in range(2):
            ((run,),) = store.execute(find, (NESTED_KEY, f"plan/A/{number}")).fetchall()
            found = find_run(access, run)
            assert ids[0][f"plan/A/{number}"] == run
            assert (found.name, found.status) == (nested(number).run_name, nested(number).status)
            assert found.parameters == {"depth": str(number)}
            assert found.tags["reproof.seed"] == str(number)
            assert read_artifact(access, found, "reproof/record.json") == b'{"seed":%d}' % number
            values = store.execute(
                "SELECT key, value, is_nan, timestamp FROM metrics WHERE run_uuid = ? ORDER BY key", (run,)
            ).fetchall()
            assert [(key, stamp) for key, _, _, stamp in values] == [
                ("far", 3000),
                ("loss", 3000),
                ("odd", 3000),
            ]
            assert values[0][1] < -1e300  # the store has no infinities
            assert values[1][1] == 0.1 + number
            assert values[2][2] == 1
        ((mean,),) = store.execute("SELECT value FROM metrics WHERE key = 'loss/mean'").fetchall()
    assert mean == 0.25
    assert not math.isnan(mean)
    assert find_run(access, str(parent.run_id)).status == "FINISHED"


def test_in_a_local_store(store3: tuple[Path, str], access_to: Callable[..., Access], tmp_path: Path) -> None:
    access = access_to(store3[0], Path(sys.executable))
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database, database:
        database.execute("UPDATE experiments SET artifact_location = ?", (str(tmp_path / "artifacts"),))
    write_and_look(access, tmp_path / "mlflow.db")


def test_by_a_server(mlflow_server, tmp_path: Path) -> None:
    access = Access(parse(mlflow_server.uri, tmp_path), dict(os.environ), tmp_path)
    write_and_look(access, mlflow_server.folder / "mlflow.db")
