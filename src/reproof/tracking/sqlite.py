"""Reads MLflow's SQLite databases of any version without changing a byte, and without MLflow.

MLflow itself migrates a database by merely opening it with a newer version. Here the file is opened
with ``mode=ro``; the tables used are the same in 2.x and 3.x (mlflow/store/tracking/dbmodels).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from reproof.errors import TrackingError
from reproof.tracking.values import Run

_WAIT = 5.0  # seconds to wait for a writer that holds the database

_RUNS = """
SELECT runs.run_uuid, runs.experiment_id, experiments.name, runs.name, runs.status, runs.artifact_uri,
    runs.start_time, runs.end_time
FROM runs LEFT JOIN experiments ON experiments.experiment_id = runs.experiment_id
WHERE substr(runs.run_uuid, 1, ?) = ? AND runs.lifecycle_stage = 'active'
ORDER BY runs.run_uuid
"""


def schema_of(path: Path, *, wait: float = _WAIT) -> str | None:
    """The revision of a database's schema.

    Args:
        path: The file.
        wait: Seconds to wait for a writer.

    Returns:
        Alembic's revision; None for a database that holds no tables yet, or does not exist.

    Raises:
        TrackingError: Not an MLflow database, locked, or not readable.
    """
    if not path.exists() or path.stat().st_size == 0:
        return None
    with _open(path, wait) as database:
        tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not tables:
            return None
        if "alembic_version" not in tables or "runs" not in tables:
            raise TrackingError(f"`{path}` is not an MLflow database", details=[("tables", _some(tables))])
        row = database.execute("SELECT version_num FROM alembic_version").fetchone()
        return None if row is None else str(row[0])


def find_runs(path: Path, prefix: str, *, wait: float = _WAIT) -> list[Run]:
    """All runs whose id begins with `prefix`, with their tags and parameters, ordered by id.

    Raises:
        TrackingError: As :func:`schema_of`.
    """
    if schema_of(path, wait=wait) is None:
        return []
    with _open(path, wait) as database:
        rows = database.execute(_RUNS, (len(prefix), prefix)).fetchall()
        return [
            Run(
                run_id=row[0],
                experiment_id=str(row[1]),
                experiment=row[2] or "",
                name=row[3] or "",
                status=row[4] or "",
                artifact_uri=row[5] or "",
                tags=_pairs(database, "tags", row[0]),
                parameters=_pairs(database, "params", row[0]),
                started=row[6] or 0,
                ended=row[7] or 0,
            )
            for row in rows
        ]


def one(path: Path, query: str, values: tuple[object, ...], *, wait: float = _WAIT) -> tuple[Any, ...] | None:
    """The first row of a query; None without one, or in a database that has no such table yet.

    Raises:
        TrackingError: As :func:`schema_of`.
    """
    if schema_of(path, wait=wait) is None:
        return None
    with _open(path, wait) as database:
        try:
            row: tuple[Any, ...] | None = database.execute(query, values).fetchone()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return None
            raise
    return row


def every(
    path: Path, query: str, values: tuple[object, ...], *, wait: float = _WAIT
) -> list[tuple[Any, ...]]:
    """All rows of a query; none in a database that has no such table yet.

    Raises:
        TrackingError: As :func:`schema_of`.
    """
    if schema_of(path, wait=wait) is None:
        return []
    with _open(path, wait) as database:
        try:
            return database.execute(query, values).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return []
            raise


def _pairs(database: sqlite3.Connection, table: str, run_id: str) -> dict[str, str]:
    query = f"SELECT key, value FROM {table} WHERE run_uuid = ? ORDER BY key"  # noqa: S608 - our own words
    return {key: value or "" for key, value in database.execute(query, (run_id,))}


@contextmanager
def _open(path: Path, wait: float) -> Iterator[sqlite3.Connection]:
    try:
        address = f"file:{quote(str(path.absolute()))}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=wait)) as database:
            yield database
    except sqlite3.Error as error:
        raise _explained(path, error) from error


def _explained(path: Path, error: sqlite3.Error) -> TrackingError:
    reason = str(error)
    if "locked" in reason or "busy" in reason:
        return TrackingError(
            f"the MLflow database `{path}` is locked by another program",
            details=[("reason", reason)],
            hint=f"`fuser {path}` shows which program holds it",
        )
    if "not a database" in reason:
        return TrackingError(f"`{path}` is not an MLflow database", details=[("reason", reason)])
    return TrackingError(f"cannot read the MLflow database `{path}`", details=[("reason", reason)])


def _some(names: set[str]) -> str:
    return ", ".join(sorted(names)[:6])
