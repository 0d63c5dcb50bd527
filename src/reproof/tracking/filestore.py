"""Reads MLflow's file store: the folder ``mlruns``, one folder for each experiment and run.

Layout: ``<experiment id>/meta.yaml`` and ``<experiment id>/<run id>/{meta.yaml,tags/*,params/*}``,
as in mlflow/store/tracking/file_store.py, 2.x and 3.x; logged models in ``<experiment id>/models/<model id>``,
registered ones in ``models/<name>/{version-<number>/meta.yaml,aliases/<alias>}``
(mlflow/store/model_registry/file_store.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reproof.errors import TrackingError
from reproof.tracking.values import Run

#: RunStatus of MLflow's protocol, by number.
_STATUSES = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}


def find_runs(root: Path, prefix: str) -> list[Run]:
    """All runs whose id begins with `prefix`, ordered by id; runs in the trash are left out.

    Raises:
        TrackingError: A file of a matching run cannot be read.
    """
    found = []
    for meta in sorted(root.glob("*/*/meta.yaml")):
        experiment, run = meta.parent.parent, meta.parent
        if run.name.startswith(prefix) and experiment.name not in (".trash", "models", "traces"):
            document = read_document(meta)
            if "run_id" in document or "run_uuid" in document:
                found.append(_run(run, document, experiment / "meta.yaml"))
    return sorted(found, key=lambda item: item.run_id)


def logged_model(root: Path, model_id: str) -> dict[str, Any] | None:
    """MLflow's facts of a logged model (since MLflow 3); None where there is none.

    Raises:
        TrackingError: Its file cannot be read.
    """
    for meta in root.glob("*/models/*/meta.yaml"):
        if meta.parent.name == model_id:
            return read_document(meta)
    return None


def model_versions(root: Path, name: str) -> list[dict[str, Any]]:
    """MLflow's facts of each version of a registered model, with their aliases, by number.

    Raises:
        TrackingError: A file of it cannot be read.
    """
    folder = next((meta.parent for meta in root.glob("models/*/meta.yaml") if meta.parent.name == name), None)
    if folder is None:
        return []
    aliases = _pairs(folder / "aliases")
    found = [read_document(meta) for meta in folder.glob("version-*/meta.yaml")]
    for each in found:
        number = str(each.get("version"))
        each["aliases"] = [alias for alias, version in aliases.items() if version.strip() == number]
    return sorted(found, key=lambda each: int(each.get("version") or 0))


def _run(folder: Path, document: dict[str, Any], experiment: Path) -> Run:
    return Run(
        run_id=str(document.get("run_id") or document["run_uuid"]),
        experiment_id=str(document.get("experiment_id", "")),
        experiment=str(read_document(experiment).get("name", "")) if experiment.exists() else "",
        name=str(document.get("run_name") or ""),
        status=_STATUSES.get(document.get("status", 0), ""),
        artifact_uri=str(document.get("artifact_uri") or ""),
        tags=_pairs(folder / "tags"),
        parameters=_pairs(folder / "params"),
        started=int(document.get("start_time") or 0),
        ended=int(document.get("end_time") or 0),
    )


def _pairs(folder: Path) -> dict[str, str]:
    """Files below a folder; a name with slashes is a file in folders."""
    try:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_text("utf-8", "replace") for path in files}
    except OSError as error:
        raise _unreadable(folder, error) from error


def read_document(path: Path) -> dict[str, Any]:
    """A YAML file of the store. Raises TrackingError where it is damaged."""
    import yaml

    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise _unreadable(path, error) from error
    if not isinstance(document, dict):
        raise _unreadable(path, ValueError("not a mapping"))
    return document


def _unreadable(path: Path, error: Exception) -> TrackingError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return TrackingError(f"cannot read the MLflow store: `{path}` is damaged", details=[("reason", reason)])
