"""Models in a registry of MLflow: which version a name stands for, and where its files are. Reads only.

Addresses are those of MLflow: ``models:/NAME/VERSION``, ``models:/NAME@ALIAS``, ``models:/NAME/latest``,
``models:/NAME/STAGE`` and, since MLflow 3, ``models:/m-ID`` (https://mlflow.org/docs/latest/ml/model-registry/).
As in MLflow, what is no number and not ``latest`` is a stage: it stands for the newest version in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import msgspec

from reproof.errors import TrackingError
from reproof.tracking import filestore, sqlite
from reproof.tracking.lookup import local_folder
from reproof.tracking.values import Access

if TYPE_CHECKING:
    from reproof.tracking.rest_models import ModelsClient

SCHEME = "models:/"
#: The stage of versions that were deleted: the file stays where it was (mlflow/entities/model_registry).
_DELETED = "Deleted_Internal"
_ADDRESS = re.compile(
    r"models:/+(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>[^/@]+))?/?", re.IGNORECASE
)


class ModelVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A model that is registered, or was logged.

    Attributes:
        name: Its name in the registry; the id of a logged model.
        version: Its version there; empty for a logged model.
        run_id: The run that it comes from, where MLflow knows it.
        source: Address of its files.
    """

    name: str
    version: str = ""
    run_id: str | None = None
    source: str


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What an address asks for: an alias, a version (number, ``latest`` or a stage), or a logged model."""

    name: str
    alias: str | None = None
    version: str | None = None

    @property
    def is_logged(self) -> bool:
        """Whether `name` is the id of a logged model."""
        return self.alias is None and self.version is None and self.name.startswith("m-")

    @property
    def stage(self) -> str | None:
        """The stage that is asked for, in small letters."""
        word = (self.version or "").lower()
        return word if word and word != "latest" and not word.isdigit() else None


def parse_address(text: str) -> Wanted:
    """Read ``models:/...``.

    Raises:
        TrackingError: It is not such an address.
    """
    match = _ADDRESS.fullmatch(text)
    wanted = (
        Wanted(**{key: unquote(value) for key, value in match.groupdict().items() if value})
        if match
        else None
    )
    if wanted is None or not (wanted.alias or wanted.version or wanted.is_logged):
        raise TrackingError(
            f"cannot read the model address `{text}`",
            hint="write `models:/NAME@ALIAS`, `models:/NAME/VERSION`, `models:/NAME/STAGE` or `models:/m-ID`",
        )
    return wanted


def find_model(access: Access, text: str) -> ModelVersion:
    """The model that an address stands for now.

    Args:
        access: The store; registry and runs are taken to be in one.
        text: ``models:/...``.

    Raises:
        TrackingError: There is none, or the registry cannot be read from here.
    """
    wanted = parse_address(text)
    address = access.address
    if address.kind == "rest":
        found = _by_rest(_client(access), wanted)
    elif address.kind == "sqlite" and address.path is not None:
        found = _by_sqlite(address.path, wanted)
    elif address.kind == "file" and address.path is not None:
        found = _by_files(address.path, wanted)
    else:
        raise TrackingError(
            f"cannot read a model registry in `{address.uri}`",
            hint="name a server, a SQLite file or a folder `mlruns` with `--tracking-uri`",
        )
    if found is None:
        raise TrackingError(f"no model `{text}` in `{address.uri}`")
    if found.source.lower().startswith(SCHEME):  # a registered model whose files are those of a logged one
        inner = find_model(access, found.source)
        return msgspec.structs.replace(found, source=inner.source, run_id=found.run_id or inner.run_id)
    return found


def read_files(access: Access, model: ModelVersion) -> Iterator[tuple[str, Path | bytes]]:
    """The files of a model: path below it, and the file here or its content from the server.

    Raises:
        TrackingError: They cannot be read from here.
    """
    folder = local_folder(model.source)
    if folder is not None and folder.is_dir():
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield path.relative_to(folder).as_posix(), path
        return
    parts = urlsplit(model.source)
    if access.address.kind != "rest" or parts.scheme != "mlflow-artifacts":
        raise TrackingError(
            f"cannot read the files of model `{model.name}` from here", details=[("files", model.source)]
        )
    client = _client(access)
    root = parts.path.strip("/")
    for name in client.served_paths(root):
        yield name, client.served(f"{root}/{name}")


def _by_rest(client: ModelsClient, wanted: Wanted) -> ModelVersion | None:
    if wanted.is_logged:
        info = client.logged_model(wanted.name)
        return (
            ModelVersion(
                name=wanted.name, run_id=info.get("source_run_id") or None, source=info["artifact_uri"]
            )
            if info
            else None
        )
    item = (
        client.newest_in_stage(wanted.name, wanted.stage)
        if wanted.stage is not None
        else client.model_version(wanted.name, wanted.alias, wanted.version or "")
    )
    if not item:
        return None
    return ModelVersion(
        name=wanted.name,
        version=str(item.get("version", "")),
        run_id=item.get("run_id") or None,
        source=item.get("source") or "",
    )


def _by_sqlite(path: Path, wanted: Wanted) -> ModelVersion | None:
    if wanted.is_logged:
        row = sqlite.one(
            path,
            "SELECT artifact_location, source_run_id FROM logged_models WHERE model_id = ?",
            (wanted.name,),
        )
        return ModelVersion(name=wanted.name, run_id=row[1], source=row[0]) if row else None
    version = wanted.version
    if wanted.alias is not None:
        row = sqlite.one(
            path,
            "SELECT version FROM registered_model_aliases WHERE name = ? AND alias = ?",
            (wanted.name, wanted.alias),
        )
        if row is None:
            return None
        version = str(row[0])
    query = (
        "SELECT version, run_id, source, storage_location FROM model_versions"
        " WHERE name = ? AND COALESCE(current_stage, '') != ?"
    )
    known = (wanted.name, _DELETED)
    if version is not None and version.lower() == "latest":
        row = sqlite.one(path, f"{query} ORDER BY version DESC", known)
    elif wanted.stage is not None:
        query += " AND LOWER(COALESCE(current_stage, 'None')) = ? ORDER BY version DESC"
        row = sqlite.one(path, query, (*known, wanted.stage))
    else:
        row = sqlite.one(path, f"{query} AND version = ?", (*known, version))
    if row is None:
        return None
    return ModelVersion(name=wanted.name, version=str(row[0]), run_id=row[1], source=row[3] or row[2])


def _by_files(root: Path, wanted: Wanted) -> ModelVersion | None:
    if wanted.is_logged:
        facts = filestore.logged_model(root, wanted.name)
        return (
            ModelVersion(
                name=wanted.name,
                run_id=facts.get("source_run_id"),
                source=str(facts.get("artifact_location")),
            )
            if facts
            else None
        )
    found = [
        each
        for each in filestore.model_versions(root, wanted.name)
        if each.get("current_stage") != _DELETED and _is_asked_for(each, wanted)
    ]
    return (
        ModelVersion(
            name=wanted.name,
            version=str(found[-1]["version"]),
            run_id=found[-1].get("run_id") or None,
            source=str(found[-1].get("storage_location") or found[-1].get("source") or ""),
        )
        if found
        else None
    )


def _is_asked_for(version: dict[str, Any], wanted: Wanted) -> bool:
    if wanted.alias is not None:
        return wanted.alias in version["aliases"]
    if wanted.stage is not None:
        return str(version.get("current_stage")).lower() == wanted.stage
    return (wanted.version or "").lower() in ("latest", str(version.get("version")))


def _client(access: Access) -> ModelsClient:
    from reproof.tracking import rest_models  # loads ssl and http: only for servers

    return rest_models.ModelsClient(access.address, access.environment)
