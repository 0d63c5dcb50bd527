"""What is in an experiment: its runs, deleted ones included, the runs below a run, and the models it logged.

Reads only, and page by page: an experiment may have tens of thousands of runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from reproof.errors import TrackingError
from reproof.tracking import filestore, sqlite
from reproof.tracking.lookup import find_runs
from reproof.tracking.values import Access, Run

if TYPE_CHECKING:
    from reproof.tracking.rest_models import ModelsClient

_PAGE = 1000  # runs a page; servers accept up to 50,000
_DELETED = "deleted"
_UPLOAD_FAILED = 3  # LoggedModelStatus of MLflow's protocol
_TAGS = _PARENT, _COMMIT, _RECORD = "mlflow.parentRunId", "mlflow.source.git.commit", "reproof.record"
_HEADS = """
SELECT runs.run_uuid, runs.name, runs.start_time, runs.lifecycle_stage, parent.value, code.value, record.value
FROM runs
LEFT JOIN tags parent ON parent.run_uuid = runs.run_uuid AND parent.key = ?
LEFT JOIN tags code ON code.run_uuid = runs.run_uuid AND code.key = ?
LEFT JOIN tags record ON record.run_uuid = runs.run_uuid AND record.key = ?
WHERE runs.experiment_id = ? AND COALESCE(runs.start_time, 0) >= ?
ORDER BY runs.start_time, runs.run_uuid
"""


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment by its id and name."""

    experiment_id: str
    name: str


class RunHead(msgspec.Struct, frozen=True, kw_only=True):
    """What a list needs of a run.

    Attributes:
        started: Milliseconds since the epoch.
        deleted: It lies in the bin.
        nested: It is part of another run.
        commit: The Git commit that it names; empty for none.
        recorded: It carries a record of ours.
    """

    run_id: str
    name: str = ""
    started: int = 0
    deleted: bool = False
    nested: bool = False
    commit: str = ""
    recorded: bool = False


class LoggedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a run logged (since MLflow 3), and where its files are; of one that `failed` there may be none."""

    model_id: str
    name: str
    source: str
    failed: bool = False


def find_experiment(access: Access, name: str) -> Experiment:
    """The experiment with this name, or else with this id.

    Raises:
        TrackingError: There is none; or the store cannot be read from here.
    """
    for found in _experiments(access):
        if found.name == name or (found.experiment_id == name and name.isdigit()):
            return found
    known = sorted(each.name for each in _experiments(access))
    raise TrackingError(
        f"no experiment `{name}` in `{access.address.uri}`",
        details=[("there are", ", ".join(known[:10]) + (" ..." if len(known) > 10 else "") or "none")],
        hint="pass `--tracking-uri` if it is in another store",
    )


def run_heads(access: Access, experiment: Experiment, since: int = 0) -> Iterator[RunHead]:
    """The runs of an experiment that started at `since` (milliseconds) or later, the oldest first.

    Raises:
        TrackingError: The store cannot be read from here.
    """
    address = access.address
    if address.kind == "rest":
        body = {
            "experiment_ids": [experiment.experiment_id],
            "filter": f"attributes.start_time >= {since}" if since else "",
            "run_view_type": "ALL",
            "max_results": _PAGE,
            "order_by": ["attributes.start_time ASC", "attributes.run_id ASC"],
        }
        for item in _client(access).search("runs/search", body, "runs"):
            yield _head(item)
    elif address.path is not None and address.kind == "sqlite":
        for row in sqlite.every(address.path, _HEADS, (*_TAGS, int(experiment.experiment_id), since)):
            yield RunHead(
                run_id=row[0],
                name=row[1] or "",
                started=row[2] or 0,
                deleted=row[3] == _DELETED,
                nested=row[4] is not None,
                commit=row[5] or "",
                recorded=row[6] is not None,
            )
    else:
        yield from _heads_of_folder(_folder(access) / experiment.experiment_id, since)


def is_deleted(access: Access, run_id: str) -> bool:
    """Whether the store has a run with exactly this id, in its bin.

    Raises:
        TrackingError: The store cannot be read.
    """
    address = access.address
    if address.kind == "rest":
        info = _client(access).run_info(run_id)
        return info is not None and info.get("lifecycle_stage") == _DELETED
    if address.kind == "sqlite" and address.path is not None:
        row = sqlite.one(address.path, "SELECT lifecycle_stage FROM runs WHERE run_uuid = ?", (run_id,))
        return row is not None and row[0] == _DELETED
    return False


def children(access: Access, run: Run) -> list[Run]:
    """The runs below a run, in the order in which they were started.

    Raises:
        TrackingError: The store cannot be read.
    """
    address = access.address
    if address.kind == "rest":
        found = _client(access).children(run)
    elif address.kind == "sqlite" and address.path is not None:
        query = "SELECT run_uuid FROM tags WHERE key = 'mlflow.parentRunId' AND value = ?"
        ids = [str(row[0]) for row in sqlite.every(address.path, query, (run.run_id,))]
        found = [each for run_id in ids for each in find_runs(access, run_id)]
    else:
        tags = _folder(access).glob("*/*/tags/mlflow.parentRunId")
        ids = [tag.parents[1].name for tag in tags if tag.read_text("utf-8", "replace") == run.run_id]
        found = [each for run_id in ids for each in find_runs(access, run_id)]
    return sorted(found, key=lambda each: (each.started, each.run_id))


def logged_models(access: Access, run: Run) -> list[LoggedModel]:
    """The models that a run logged, in the order in which they were made; none before MLflow 3.

    Raises:
        TrackingError: The store cannot be read.
    """
    address = access.address
    if address.kind == "rest":
        return _models_of_server(_client(access), run)
    if address.kind == "sqlite" and address.path is not None:
        query = (
            "SELECT model_id, name, artifact_location, status FROM logged_models WHERE source_run_id = ?"
            " AND lifecycle_stage = 'active' ORDER BY creation_timestamp_ms, model_id"
        )
        rows = sqlite.every(address.path, query, (run.run_id,))
        return [
            LoggedModel(model_id=row[0], name=row[1] or "", source=row[2], failed=row[3] == _UPLOAD_FAILED)
            for row in rows
        ]
    return list(_models_of_folder(_folder(access) / run.experiment_id / "models", run))


def _experiments(access: Access) -> Iterator[Experiment]:
    address = access.address
    if address.kind == "rest":
        body = {"max_results": _PAGE, "view_type": "ACTIVE_ONLY"}
        for item in _client(access).search("experiments/search", body, "experiments"):
            yield Experiment(experiment_id=str(item["experiment_id"]), name=item["name"])
    elif address.path is not None and address.kind == "sqlite":
        query = "SELECT experiment_id, name FROM experiments WHERE lifecycle_stage = 'active'"
        for row in sqlite.every(address.path, query, ()):
            yield Experiment(experiment_id=str(row[0]), name=str(row[1]))
    else:
        for meta in sorted(_folder(access).glob("*/meta.yaml")):
            document = filestore.read_document(meta)
            if "experiment_id" in document:
                yield Experiment(
                    experiment_id=str(document["experiment_id"]), name=str(document.get("name", ""))
                )


def _head(item: dict[str, Any]) -> RunHead:
    info = item["info"]
    tags = {each["key"]: each.get("value", "") for each in (item.get("data") or {}).get("tags") or ()}
    return RunHead(
        run_id=info["run_id"],
        name=info.get("run_name") or "",
        started=int(info.get("start_time") or 0),
        deleted=info.get("lifecycle_stage") == _DELETED,
        nested=_PARENT in tags,
        commit=tags.get(_COMMIT, ""),
        recorded=_RECORD in tags,
    )


def _heads_of_folder(folder: Path, since: int) -> Iterator[RunHead]:
    heads = []
    for meta in sorted(folder.glob("*/meta.yaml")):
        document = filestore.read_document(meta)
        if "run_id" in document or "run_uuid" in document:
            tags = meta.parent / "tags"
            code = tags / _COMMIT
            heads.append(
                RunHead(
                    run_id=meta.parent.name,
                    name=str(document.get("run_name") or ""),
                    started=int(document.get("start_time") or 0),
                    deleted=document.get("lifecycle_stage") == _DELETED,
                    nested=(tags / _PARENT).exists(),
                    commit=code.read_text("utf-8", "replace").strip() if code.exists() else "",
                    recorded=(tags / _RECORD).exists(),
                )
            )
    yield from sorted((h for h in heads if h.started >= since), key=lambda h: (h.started, h.run_id))


def _models_of_server(client: ModelsClient, run: Run) -> list[LoggedModel]:
    models = []
    for model_id in client.outputs_of(run.run_id):
        info = client.logged_model(model_id)
        if info is not None:
            when = int(info.get("creation_timestamp_ms") or 0)
            model = LoggedModel(model_id=model_id, name=info.get("name") or "", source=info["artifact_uri"])
            models.append((when, model))
    return [model for _, model in sorted(models, key=lambda pair: (pair[0], pair[1].model_id))]


def _models_of_folder(folder: Path, run: Run) -> Iterator[LoggedModel]:
    found = []
    for meta in sorted(folder.glob("*/meta.yaml")):
        document = filestore.read_document(meta)
        if document.get("source_run_id") == run.run_id:
            name = str(document.get("name") or "")
            model = LoggedModel(
                model_id=meta.parent.name,
                name=name,
                source=(meta.parent / "artifacts").as_uri(),
                failed=document.get("status") == _UPLOAD_FAILED,
            )
            found.append((int(document.get("creation_timestamp") or 0), model))
    yield from (model for _, model in sorted(found, key=lambda pair: (pair[0], pair[1].model_id)))


def _folder(access: Access) -> Path:
    if access.address.kind != "file" or access.address.path is None:
        raise TrackingError(
            f"cannot read runs from `{access.address.uri}` without its server",
            hint="name a server, a SQLite file or a folder with `--tracking-uri`",
        )
    return access.address.path


def _client(access: Access) -> ModelsClient:
    from reproof.tracking import rest_models  # loads ssl and http: only for servers

    return rest_models.ModelsClient(access.address, access.environment)
