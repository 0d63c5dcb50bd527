"""The MLflow store of a clean room: one for each re-run, always in the same place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from reproof.base.files import remove_tree
from reproof.model.event import Emit, Event
from reproof.tracking.template import prepare, room_environment
from reproof.workflow.earlier_runs import copy_tree, lay_out_earlier

if TYPE_CHECKING:
    from reproof.workflow.room import Room


def store_folder(folder: Path) -> Path:
    """Where the store of a re-run is, in the room at `folder`.

    Its tables hold absolute paths: what an earlier stage left there must come back to the same place.
    """
    return folder / "mlflow" / "store"


def lay_out_store(room: Room, emit: Emit) -> dict[str, str]:
    """Make the store of a re-run, with what the recorded run read of earlier ones.

    Args:
        room: The room, made from the record in question.
        emit: Told about the work.

    Returns:
        Variables that lead MLflow to it; none where the environment has no MLflow.

    Raises:
        MaterialError, TrackingError: What was read cannot be put there.
    """
    packages = {item.name: item.version for item in room.provision.section.distributions}
    if "mlflow" not in packages and "mlflow-skinny" not in packages:
        return {}
    folder = store_folder(room.folder)
    # Seconds, when it is the first time for this MLflow.
    emit(Event(kind="start", subject="store", message="laying out an MLflow store for the re-run"))
    remove_tree(folder)
    if room.shelf.carried is not None:
        copy_tree(room.shelf.carried, folder)
    else:
        folder.mkdir(parents=True)
    uri = _address(room, folder, packages.get("mlflow") or packages["mlflow-skinny"])
    lay_out_earlier(room.plan.record, room.plan.store, uri, folder, room.shelf.made)
    emit(Event(kind="finish", subject="store"))
    variables = {**room_environment(uri), "REPROOF_ROOM": str(room.folder)}
    if room.plan.served:
        variables["REPROOF_SERVED"] = "1"
    section = room.plan.record.project
    if section.experiment:
        variables["MLFLOW_EXPERIMENT_NAME"] = section.experiment
    if section.run_name:
        variables["REPROOF_RUN_NAME"] = section.run_name
    return variables


def _address(room: Room, folder: Path, version: str) -> str:
    """The store's address; it is made where it is not there yet."""
    database = folder / "mlflow.db"
    # Asking that MLflow to make a database would run a stranger's code out here, or is not possible.
    if room.plan.trust == "none" or room.provision.contained is not None:
        return (folder / "mlruns").as_uri()
    if database.exists():
        return f"sqlite:///{database}"
    return prepare(room.provision.environment.python, version, database)
