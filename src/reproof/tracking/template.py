"""The clean room's own MLflow store, copied from a template: laying one out takes MLflow seconds."""

from __future__ import annotations

import os
import re
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from reproof.base.files import copy_private, locked, remove_tree
from reproof.base.locations import cache_directory
from reproof.tracking.address import parse
from reproof.tracking.agent import run_agent
from reproof.tracking.installation import Installation, find_installation
from reproof.tracking.values import Access

#: Column that holds where artifacts lie, and what it is for a row in a store with artifacts at `?`.
_RELOCATE = "UPDATE experiments SET artifact_location = ? || '/' || experiment_id"


def prepare(python: Path, mlflow_version: str, target: Path) -> str:
    """Put an empty store for one re-run at `target`.

    The template is made once for each version of MLflow, by the room's own interpreter, and kept in
    the cache. Artifacts of the store lie in the folder ``artifacts`` beside `target`.

    Args:
        python: The room's interpreter, which has MLflow.
        mlflow_version: Its version.
        target: File to be made; it must not exist.

    Returns:
        The store's address: the SQLite file; or, where that MLflow cannot make databases (skinny,
        or no fitting SQLAlchemy), a folder beside `target`, which MLflow lays out in no time.

    Raises:
        OSError: The cache or the target cannot be written.
    """
    found = find_installation(python)
    template = _template(found, mlflow_version) if found is not None and found.databases else None
    target = target.absolute()
    if template is None:
        return (target.parent / f"{target.stem}-mlruns").as_uri()
    copy_private(template, target, mode=0o600)
    with closing(sqlite3.connect(target)) as database, database:
        database.execute(_RELOCATE, (str(target.parent / "artifacts"),))
    return f"sqlite:///{target}"


def room_environment(uri: str) -> dict[str, str]:
    """Variables for the child that lead all of its MLflow to the store at `uri` (see :func:`prepare`)."""
    return {
        "REPROOF_ROOM_TRACKING_URI": uri,
        "MLFLOW_TRACKING_URI": uri,
        "MLFLOW_REGISTRY_URI": uri,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ALLOW_FILE_STORE": "true",
    }


def _template(found: Installation, version: str) -> Path | None:
    """The template for a version, made when absent; None when its MLflow fails to make one."""
    folder = cache_directory() / "mlflow"
    name = re.sub(r"[^A-Za-z0-9.+-]", "_", f"{version}-{found.schema or 'unknown'}")
    template = folder / f"{name}.db"
    if template.exists():
        return template
    with locked(folder / f"{name}.lock"):
        if not template.exists():
            _make(found, template)
    return template if template.exists() else None


def _make(found: Installation, template: Path) -> None:
    place = Path(tempfile.mkdtemp(prefix=f".{template.name}.", dir=template.parent))
    try:
        new = place / "store.db"
        access = Access(parse(f"sqlite:///{new}", place), dict(os.environ), place)
        answer = run_agent(found, access, {"action": "create"})
        if answer["status"] == "written" and new.exists():
            new.replace(template)
    finally:
        remove_tree(place)
