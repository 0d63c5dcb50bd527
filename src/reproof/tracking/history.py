"""What an MLflow store says now about a run, every value of every metric included; writes nothing.

Tables as in mlflow/store/tracking/dbmodels/models.py (2.x and 3.x); files as in file_store.py; REST API 2.0.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from reproof.errors import TrackingError
from reproof.tracking.lookup import find_runs
from reproof.tracking.values import Access, Run

if TYPE_CHECKING:
    from reproof.tracking.rest import RestClient

#: What stores keep for infinity (mlflow/store/tracking/sqlalchemy_store.py).
_LARGEST = 1.7976931348623157e308


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One value of a metric, in the form of :func:`canonical`; `time` in milliseconds since the epoch."""

    key: str
    step: int
    value: str
    time: int = 0


class RunState(msgspec.Struct, frozen=True, kw_only=True):
    """A run as the store has it now.

    Attributes:
        run: Identity, tags, parameters.
        points: All values of all metrics.
        latest: The value that lists and plots show, by metric; only where the store keeps it apart.
        ended: Milliseconds since the epoch; None while it is said to run.
    """

    run: Run
    points: tuple[Point, ...] = ()
    latest: dict[str, str] = {}
    ended: int | None = None


class RegisteredVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version in the model registry, the run it is said to come from, and the one its files come from."""

    name: str
    version: str
    run_id: str
    source: str
    made_by: str | None = None


def canonical(value: float) -> str:
    """A number in the one form in which a record and a store agree: stores keep no -0.0 and no infinity."""
    if math.isnan(value):
        return "nan"
    if abs(value) >= _LARGEST:
        return "inf" if value > 0 else "-inf"
    return (value + 0.0).hex()


def read_state(access: Access, run_id: str) -> RunState | None:
    """Everything that the store says about a run; None when it has no such run.

    Raises:
        TrackingError: The store cannot be read from here.
    """
    found = [run for run in find_runs(access, run_id) if run.run_id == run_id]
    if not found:
        return None
    address = access.address
    if address.kind == "rest":
        return _from_server(_client(access), found[0])
    assert address.path is not None  # find_runs refuses what has none
    if address.kind == "sqlite":
        return _from_database(address.path, found[0])
    return _from_folder(address.path, found[0])


def runs_with_records(access: Access) -> dict[str, str]:
    """Every run that carries a record of ours: its id to the record's.

    Raises:
        TrackingError: The store cannot be read from here.
    """
    address = access.address
    if address.kind == "rest":
        wanted = "tags.`reproof.record` LIKE '%'"
        found = {
            run.run_id: run.tags.get("reproof.record", "") for run in _client(access).search_runs(wanted)
        }
        return {run: record for run, record in found.items() if record}
    if address.kind == "sqlite" and address.path is not None:
        query = (
            "SELECT tags.run_uuid, tags.value FROM tags JOIN runs ON runs.run_uuid = tags.run_uuid"
            " WHERE tags.key = 'reproof.record' AND runs.lifecycle_stage = 'active'"
        )
        return {str(run): str(record or "") for run, record in _query(address.path, query)}
    if address.kind == "file" and address.path is not None:
        tags = address.path.glob("*/*/tags/reproof.record")
        return {tag.parents[1].name: tag.read_text("utf-8", "replace") for tag in sorted(tags)}
    raise TrackingError(f"cannot read runs from `{address.uri}` without its server")


def model_folders(access: Access, models: tuple[str, ...]) -> dict[str, str]:
    """Addresses of the files of logged models, by id; those that are gone are left out.

    Raises:
        TrackingError: The store cannot be read from here.
    """
    if access.address.kind == "rest":
        return dict(_models_of_server(_client(access), models))
    path = access.address.path
    if access.address.kind == "sqlite" and path is not None and _has_table(path, "logged_models"):
        marks = ", ".join("?" * len(models))
        query = f"SELECT model_id, artifact_location FROM logged_models WHERE model_id IN ({marks})"  # noqa: S608
        return {str(model): str(place) for model, place in _query(path, query, models)}
    if access.address.kind == "file" and path is not None:
        places = {model: next(path.glob(f"*/models/{model}/artifacts"), None) for model in models}
        return {model: str(place) for model, place in places.items() if place is not None}
    return {}


def registered_versions(access: Access) -> tuple[RegisteredVersion, ...]:
    """What the model registry of a database says; empty for stores whose registry is not read from here."""
    path = access.address.path
    if access.address.kind != "sqlite" or path is None or not _has_table(path, "model_versions"):
        return ()
    rows = _query(
        path, "SELECT name, version, COALESCE(run_id, ''), COALESCE(source, '') FROM model_versions"
    )
    models = _sources_of_models(path)
    roots = {str(run): str(uri or "") for run, uri in _query(path, "SELECT run_uuid, artifact_uri FROM runs")}
    return tuple(
        RegisteredVersion(
            name=str(name),
            version=str(version),
            run_id=str(run),
            source=str(source),
            made_by=_maker(str(source), models, roots),
        )
        for name, version, run, source in rows
    )


def _maker(source: str, models: dict[str, tuple[str, str]], roots: dict[str, str]) -> str | None:
    """The run whose files a registered version really consists of."""
    if source.startswith("models:/"):
        return models.get(source.removeprefix("models:/"), ("", None))[1]
    if source.startswith("runs:/"):
        return source.split("/")[1]
    for place, run in (*models.values(), *((uri, run) for run, uri in roots.items())):
        if place and (source == place or source.startswith(place.rstrip("/") + "/")):
            return run
    return None


def _sources_of_models(path: Path) -> dict[str, tuple[str, str]]:
    if not _has_table(path, "logged_models"):
        return {}
    rows = _query(path, "SELECT model_id, artifact_location, COALESCE(source_run_id, '') FROM logged_models")
    return {str(model): (str(place), str(run)) for model, place, run in rows}


def _from_database(path: Path, run: Run) -> RunState:
    rows = _query(
        path, "SELECT key, step, value, is_nan, timestamp FROM metrics WHERE run_uuid = ?", (run.run_id,)
    )
    latest = _query(path, "SELECT key, value, is_nan FROM latest_metrics WHERE run_uuid = ?", (run.run_id,))
    ended = next(_query(path, "SELECT end_time FROM runs WHERE run_uuid = ?", (run.run_id,)))[0]
    return RunState(
        run=run,
        points=tuple(
            Point(key=key, step=step, value=_number(value, nan), time=time)
            for key, step, value, nan, time in rows
        ),
        latest={key: _number(value, nan) for key, value, nan in latest},
        ended=ended,
    )


def _number(value: Any, nan: Any) -> str:
    return canonical(math.nan if nan else float(value))


def _query(path: Path, query: str, values: tuple[str, ...] = ()) -> Iterator[tuple[Any, ...]]:
    try:
        address = f"file:{quote(str(path.absolute()))}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=5.0)) as database:
            yield from database.execute(query, values).fetchall()
    except sqlite3.Error as error:
        raise TrackingError(
            f"cannot read the MLflow database `{path}`", details=[("reason", str(error))]
        ) from error


def _has_table(path: Path, name: str) -> bool:
    query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    return any(True for _ in _query(path, query, (name,)))


def _from_folder(root: Path, run: Run) -> RunState:
    folder = next(root.glob(f"*/{run.run_id}"))
    points = []
    try:
        for file in sorted((folder / "metrics").rglob("*")):
            if file.is_file():
                key = file.relative_to(folder / "metrics").as_posix()
                points += [_line(key, line) for line in file.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise TrackingError(
            f"cannot read the metrics of run `{run.run_id}`", details=[("reason", str(error))]
        ) from error
    return RunState(run=run, points=tuple(points))


def _line(key: str, line: str) -> Point:
    """``TIME VALUE [STEP]``, as file_store.py writes it."""
    time, value, *step = line.split()
    return Point(key=key, step=int(step[0]) if step else 0, value=canonical(float(value)), time=int(time))


def _from_server(client: RestClient, run: Run) -> RunState:
    item = client.read("runs/get", {"run_id": run.run_id})["run"]
    latest = {
        each["key"]: canonical(float(each["value"])) for each in item.get("data", {}).get("metrics") or ()
    }
    points = []
    for key in latest:
        query = {"run_id": run.run_id, "metric_key": key}
        points += [_point(key, each) for each in client.read_pages("metrics/get-history", query, "metrics")]
    ended = item["info"].get("end_time")
    return RunState(run=run, points=tuple(points), latest=latest, ended=int(ended) if ended else None)


def _point(key: str, item: dict[str, Any]) -> Point:
    return Point(
        key=key,
        step=int(item.get("step", 0)),
        value=canonical(float(item.get("value", 0))),
        time=int(item.get("timestamp", 0)),
    )


def _models_of_server(client: RestClient, models: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for model in models:
        try:
            info = client.read(f"logged-models/{quote(model, safe='')}", {})["model"]["info"]
        except (TrackingError, KeyError):
            continue
        yield model, str(info.get("artifact_uri", ""))


def _client(access: Access) -> RestClient:
    from reproof.tracking import rest  # loads ssl and http: only for servers

    return rest.RestClient(access.address, access.environment)
