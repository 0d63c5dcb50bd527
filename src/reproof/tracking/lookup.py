"""Finds runs in a store and reads their artifacts; writes nothing, whatever the store's version."""

from __future__ import annotations

import difflib
import http
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from reproof.errors import TrackingError
from reproof.tracking import filestore, sqlite
from reproof.tracking.values import Access, Run

if TYPE_CHECKING:
    from reproof.tracking.rest import RestClient

_SCHEMES = ("http", "https", "sqlite", "file", "postgresql", "mysql", "mssql", "databricks")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,255}")


def check(access: Access) -> None:
    """Make sure that a store can be reached, before anything is run.

    Only what costs little is asked: a server whether it is there and accepts our credentials, a
    database file whether it is one.

    Raises:
        TrackingError: It cannot; the message names the address.
    """
    address = access.address
    if address.kind == "rest":
        _client(access).check()
    elif address.kind == "sqlite" and address.path is not None:
        sqlite.schema_of(address.path)
    elif address.kind == "other":
        _check_scheme(address.uri)


def _check_scheme(uri: str) -> None:
    """Refuse a scheme that is nearly one of MLflow's own; all others may be a plugin's."""
    scheme = uri.partition(":")[0].lower()
    close = difflib.get_close_matches(scheme, _SCHEMES, 1, 0.8)
    if close and close[0] != scheme:
        raise TrackingError(
            f"cannot use the MLflow store `{uri}`: MLflow has no scheme `{scheme}`",
            hint=f"pass `--tracking-uri {close[0]}{uri[len(scheme) :]}`",
        )


def find_run(access: Access, prefix: str) -> Run:
    """The one run whose id is, or begins with, `prefix`.

    Raises:
        TrackingError: There is none, or more than one, or the store cannot be read.
    """
    found = find_runs(access, prefix)
    exact = [run for run in found if run.run_id == prefix]
    if len(exact or found) == 1:
        return (exact or found)[0]
    where = access.address.uri
    if not found:
        raise TrackingError(
            f"no run `{prefix}` in `{where}`", hint="pass `--tracking-uri` if it is in another store"
        )
    some = ", ".join(run.run_id for run in found[:5])
    raise TrackingError(
        f"`{prefix}` is the beginning of {len(found)} runs in `{where}`",
        details=[("runs", some + (" ..." if len(found) > 5 else ""))],
        hint="give more digits of the run id",
    )


def find_runs(access: Access, prefix: str) -> list[Run]:
    """All runs whose id begins with `prefix`, which holds at least one letter or digit.

    Raises:
        TrackingError: `prefix` cannot begin a run id, or the store cannot be read from here.
    """
    if not _ID.fullmatch(prefix):
        raise TrackingError(f"`{prefix}` cannot be a run id", details=[("store", access.address.uri)])
    address = access.address
    if address.kind == "rest":
        return _client(access).find_runs(prefix)
    if address.path is None:
        raise TrackingError(
            f"cannot read runs from `{address.uri}` without its server",
            hint="name a server, a SQLite file or a folder with `--tracking-uri`",
        )
    if address.kind == "sqlite":
        return sqlite.find_runs(address.path, prefix)
    return filestore.find_runs(address.path, prefix)


def artifact_paths(access: Access, run: Run) -> list[str]:
    """Paths of all artifacts of a run, in order.

    Raises:
        TrackingError: They cannot be listed from here.
    """
    folder = local_folder(run.artifact_uri)
    if folder is not None and (folder.is_dir() or access.address.kind != "rest"):
        return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    with _artifacts_of(run):
        return _server(access, run).artifact_paths(run)


def read_artifact(access: Access, run: Run, path: str, *, listed: bool = False) -> bytes | None:
    """The content of one artifact of a run, or None when there is no such artifact.

    With `listed` it is known from :func:`artifact_paths` to be there, and a server is not asked again.

    Raises:
        TrackingError: It cannot be read from here.
    """
    folder = local_folder(run.artifact_uri)
    if folder is not None and (folder.is_dir() or access.address.kind != "rest"):
        try:
            return (folder / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise TrackingError(
                f"cannot read the artifact `{path}` of run `{run.run_id}`", details=[("reason", str(error))]
            ) from error
    client = _server(access, run)
    with _artifacts_of(run):
        there = listed or path in client.artifact_paths(run, path.rpartition("/")[0])
        return client.download(run, path) if there else None


@contextmanager
def _artifacts_of(run: Run) -> Iterator[None]:
    """Say of a server that fails over artifacts that it is their store which it does not reach."""
    from reproof.tracking.rest import RestError

    try:
        yield
    except RestError as error:
        if error.status < http.HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        raise TrackingError(
            f"the server cannot read the artifacts of run `{run.run_id}`",
            details=[("artifacts", run.artifact_uri), *error.details],
            hint="see that the server reaches this place; its own log says more",
        ) from error


def local_folder(artifact_uri: str) -> Path | None:
    """The folder that an artifact address names on this machine; None for a remote one."""
    parts = urlsplit(artifact_uri)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(unquote(parts.path))
    return Path(artifact_uri) if artifact_uri.startswith("/") else None


def _server(access: Access, run: Run) -> RestClient:
    if access.address.kind != "rest":
        raise TrackingError(
            f"cannot read the artifacts of run `{run.run_id}` from here",
            details=[("artifacts", run.artifact_uri)],
        )
    return _client(access)


def _client(access: Access) -> RestClient:
    from reproof.tracking import rest  # loads ssl and http: only for servers

    return rest.RestClient(access.address, access.environment)
