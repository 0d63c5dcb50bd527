"""The MLflow that an interpreter has, found out without importing it: that would cost seconds."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from reproof.base.programs import call
from reproof.errors import ExecutionError

#: Prints where `mlflow` lies and whether it can open databases; imports neither.
_LOOK = """
import importlib.metadata, importlib.util, json
spec = importlib.util.find_spec("mlflow")
place = list(spec.submodule_search_locations)[0] if spec and spec.submodule_search_locations else None
version = None
for name in ("mlflow", "mlflow-skinny", "mlflow-tracing"):
    try:
        version = importlib.metadata.version(name)
        break
    except importlib.metadata.PackageNotFoundError:
        pass
both = all(importlib.util.find_spec(name) for name in ("sqlalchemy", "alembic"))
print(json.dumps([place, version, both]))
"""

_REVISION = re.compile(r"^revision\s*(?::[^=]+)?=\s*[\"'](?P<id>\w+)[\"']", re.MULTILINE)
_DOWN = re.compile(r"^down_revision\s*(?::[^=]+)?=\s*(?P<ids>\([^)]*\)|.*)$", re.MULTILINE)
_DEFAULT = re.compile(r"^DEFAULT_TRACKING_URI\s*=\s*[\"'](?P<uri>[^\"']+)[\"']", re.MULTILINE)


class Installation(msgspec.Struct, frozen=True):
    """MLflow as installed for one interpreter.

    Attributes:
        python: The interpreter.
        version: MLflow's version.
        package: Folder of the package.
        databases: Whether it can open databases (mlflow-skinny alone cannot).
    """

    python: Path
    version: str
    package: Path
    databases: bool

    @property
    def schema(self) -> str | None:
        """The revision of the database schema that this version works with; None if it cannot be told."""
        return head_revision(self.package / "store" / "db_migrations" / "versions")

    @property
    def default_store(self) -> str | None:
        """The default address, ``sqlite:///mlflow.db``; None where it is the folder ``mlruns``."""
        try:
            text = (self.package / "store" / "tracking" / "__init__.py").read_text("utf-8")
        except OSError:
            return None
        match = _DEFAULT.search(text)
        return match["uri"] if match else None


def find_installation(python: Path) -> Installation | None:
    """The MLflow of an interpreter, or None when it has none or cannot be started.

    Costs one start of the interpreter (about 50 ms).
    """
    try:
        done = call([python, "-I", "-c", _LOOK], env=clean_environment(os.environ), timeout=60)
        place, version, databases = json.loads(done.text) if done.ok else (None, None, False)
    except (ExecutionError, ValueError):
        return None
    if place is None or version is None:
        return None
    return Installation(python, version, Path(place), databases)


def head_revision(versions: Path) -> str | None:
    """The one revision of Alembic's migration scripts in a folder that no other builds upon.

    Returns:
        Its id, or None when there is not exactly one.
    """
    known: set[str] = set()
    built_upon: set[str] = set()
    for revision, below in _revisions(versions):
        known.add(revision)
        built_upon.update(below)
    heads = known - built_upon
    return heads.pop() if len(heads) == 1 else None


def clean_environment(environment: dict[str, str] | os._Environ[str]) -> dict[str, str]:
    """Variables for MLflow programs of our own: nothing watches them, nothing is reported anywhere."""
    kept = {name: value for name, value in environment.items() if not name.startswith("REPROOF_")}
    for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID", "PYTHONPATH"):
        kept.pop(name, None)
    kept.update(
        REPROOF_DISABLE="1", MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true", GIT_PYTHON_REFRESH="quiet"
    )
    return kept


def _revisions(versions: Path) -> Iterator[tuple[str, list[str]]]:
    for script in versions.glob("*.py"):
        text = script.read_text("utf-8", "replace")
        revision, down = _REVISION.search(text), _DOWN.search(text)
        if revision:
            yield revision["id"], re.findall(r"[\"'](\w+)[\"']", down["ids"]) if down else []
