"""Puts earlier runs, logged models and registered models into the clean room's own store.

Done with SQL in the SQLite database that the room was given (see :mod:`reproof.tracking.template`): ids
and version numbers must be those that were recorded, and MLflow's own functions choose new ones. The
tables are those of mlflow/store/{tracking,model_registry}/dbmodels; columns that a version does not have
are left out, those that it has besides get their default.
"""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from reproof.errors import TrackingError
from reproof.model.tracked import ReadModel, ReadRun, ReadVersion, TrackedSection

_STATES = {"UNSPECIFIED": 0, "PENDING": 1, "READY": 2, "FAILED": 3}
_LARGEST = 1.7976931348623157e308  # what MLflow stores for infinity


def add_to_store(database: Path, section: TrackedSection, files: Path, known: frozenset[str]) -> None:
    """Add what `section` names to a database; what is there already stays as it is.

    Args:
        database: The room's SQLite file.
        section: What was read of earlier runs.
        files: Folder that :func:`place_of` is below, with the files.
        known: Addresses of what must not be added: the room makes it itself.

    Raises:
        TrackingError: The tables are not those that are known.
    """
    try:
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("PRAGMA trusted_schema = OFF")
            rows = _Rows(connection)
            for run in section.runs:
                if f"runs:/{run.run}" not in known:
                    _add_run(rows, run, files)
            for model in section.models:
                if f"models:/{model.model}" not in known:
                    _add_model(rows, model, files)
            for version in section.versions:
                if f"models:/{version.name}/{version.version}" not in known:
                    _add_version(rows, version, files)
            _add_numbers(rows, section, known)
    except sqlite3.Error as error:
        raise TrackingError(
            "cannot put the recorded models and runs into the clean room's MLflow store",
            details=[("store", str(database)), ("reason", str(error))],
        ) from error


def place_of(root: str, files: Path) -> Path:
    """Where the files of ``runs:/ID``, ``models:/m-ID`` or ``models:/NAME/VERSION`` are, below `files`.

    Raises:
        TrackingError: It is no such address.
    """
    kind, _, rest = root.partition(":/")
    parts = rest.split("/")
    if kind not in ("runs", "models") or not all(parts) or any(part in (".", "..") for part in parts):
        raise TrackingError(f"`{root}` is no address of a run or model")
    return files.joinpath(kind, *parts, "artifacts")


class _Rows:
    """Inserts rows by the names of their columns, as far as the tables have them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._columns: dict[str, dict[str, tuple[str, bool]]] = {}

    def add(self, table: str, **values: Any) -> None:
        """Insert a row unless its key is taken."""
        columns = self._of(table)
        if not columns:
            return  # an MLflow that knows no such thing
        row = {name: value for name, value in values.items() if name in columns}
        for name, (kind, needed) in columns.items():
            if needed and name not in row:
                row[name] = "" if "CHAR" in kind or "TEXT" in kind else 0
        names = ", ".join(row)
        marks = ", ".join("?" for _ in row)
        query = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})"  # noqa: S608  # names of columns that the table has
        self.connection.execute(query, tuple(row.values()))

    def one(self, query: str, *values: object) -> Any:
        """The first value of the first row; None without one."""
        row = self.connection.execute(query, values).fetchone()
        return None if row is None else row[0]

    def _of(self, table: str) -> dict[str, tuple[str, bool]]:
        if table not in self._columns:
            found = self.connection.execute(f"PRAGMA table_info({table})").fetchall()
            self._columns[table] = {
                name: (kind.upper(), bool(needed) and default is None)
                for _, name, kind, needed, default, _ in found
            }
        return self._columns[table]


def _experiment(rows: _Rows, name: str, identity: str) -> int:
    """The number of an experiment; made under its recorded one where that is free."""
    found = rows.one("SELECT experiment_id FROM experiments WHERE name = ?", name)
    if found is not None:
        return int(found)
    number = int(identity) if identity.isdigit() and len(identity) < 19 else 1
    if rows.one("SELECT 1 FROM experiments WHERE experiment_id = ?", number) is not None:
        number = int(rows.one("SELECT max(experiment_id) FROM experiments")) + 1
    pattern = rows.one("SELECT artifact_location FROM experiments ORDER BY experiment_id") or ""
    location = f"{pattern.rpartition('/')[0]}/{number}"
    rows.add(
        "experiments",
        experiment_id=number,
        name=name,
        artifact_location=location,
        lifecycle_stage="active",
    )
    return number


def _add_run(rows: _Rows, run: ReadRun, files: Path) -> None:
    rows.add(
        "runs",
        run_uuid=run.run,
        name=run.name,
        source_type="UNKNOWN",
        source_name="",
        source_version="",
        entry_point_name="",
        user_id="",
        status=run.status or "FINISHED",
        start_time=run.started,
        end_time=run.ended,
        lifecycle_stage="active",
        artifact_uri=str(place_of(f"runs:/{run.run}", files)),
        experiment_id=_experiment(rows, run.experiment or "Default", run.experiment_id),
    )
    for key, value in run.tags.items():
        rows.add("tags", key=key, value=value, run_uuid=run.run)
    for key, value in run.parameters.items():
        rows.add("params", key=key, value=value, run_uuid=run.run)
    for each in run.metrics:
        number, is_nan = _stored(each.value)
        fact = {"key": each.key, "value": number, "timestamp": each.time, "step": each.step}
        for table in ("metrics", "latest_metrics"):
            rows.add(table, **fact, is_nan=is_nan, run_uuid=run.run)


def _stored(value: str) -> tuple[float, int]:
    """A metric as MLflow keeps it in a database, and whether it is no number."""
    if value.startswith("nan"):
        return 0.0, 1
    number = float.fromhex(value)
    return (math.copysign(_LARGEST, number) if math.isinf(number) else number), 0


def _add_model(rows: _Rows, model: ReadModel, files: Path) -> None:
    number = _experiment(rows, model.experiment or "Default", model.experiment_id)
    rows.add(
        "logged_models",
        model_id=model.model,
        experiment_id=number,
        name=model.name or "model",
        artifact_location=str(place_of(f"models:/{model.model}", files)),
        creation_timestamp_ms=model.created,
        last_updated_timestamp_ms=model.created,
        status=_STATES.get(model.status.rpartition(".")[2], 2),
        lifecycle_stage="active",
        model_type=model.type,
        source_run_id=model.run,
    )
    for key, value in model.tags.items():
        rows.add(
            "logged_model_tags", model_id=model.model, experiment_id=number, tag_key=key, tag_value=value
        )
    for key, value in model.parameters.items():
        rows.add(
            "logged_model_params",
            model_id=model.model,
            experiment_id=number,
            param_key=key,
            param_value=value,
        )


def _add_version(rows: _Rows, version: ReadVersion, files: Path) -> None:
    place = str(place_of(f"models:/{version.name}/{version.version}", files))
    _add_number(rows, version.name, int(version.version), version.created)
    taken = rows.connection.execute(
        "UPDATE model_versions SET description = ?, current_stage = ?, source = ?, run_id = ?, status = ?, "
        "storage_location = ? WHERE name = ? AND version = ?",
        (
            version.description or None,
            version.stage or "None",
            version.source if version.source.startswith(("models:/", "runs:/")) else place,
            version.run,
            version.status,
            place,
            version.name,
            int(version.version),
        ),
    )
    assert taken.rowcount == 1
    for key, value in version.tags.items():
        rows.add("model_version_tags", name=version.name, version=int(version.version), key=key, value=value)
    for alias in version.aliases:
        rows.add("registered_model_aliases", name=version.name, alias=alias, version=int(version.version))


def _add_number(rows: _Rows, name: str, number: int, created: int) -> None:
    """A registered model and a version of it, without anything in it."""
    rows.add("registered_models", name=name, creation_time=created, last_updated_time=created)
    rows.add(
        "model_versions",
        name=name,
        version=number,
        creation_time=created,
        last_updated_time=created,
        current_stage="None",
        status="READY",
        source="",
    )


def _add_numbers(rows: _Rows, section: TrackedSection, known: frozenset[str]) -> None:
    """Let versions that are made in the room get the numbers that the recorded ones got.

    MLflow counts on from the highest there is: where the first of the run's own had number 8, there was a 7.
    """
    first: dict[str, int] = {}
    for each in section.own_versions:
        if each.version.isdigit():
            first[each.name] = min(int(each.version), first.get(each.name, int(each.version)))
    for name, number in first.items():
        if number > 1 and f"models:/{name}/{number - 1}" not in known:
            _add_number(rows, name, number - 1, 0)
