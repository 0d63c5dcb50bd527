"""Starts the finishing agent with an interpreter whose MLflow fits the store."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from reproof.base.programs import call
from reproof.errors import ReproofError, TrackingError
from reproof.tracking import sqlite
from reproof.tracking.address import without_secrets
from reproof.tracking.installation import Installation, clean_environment, find_installation
from reproof.tracking.values import Access, Finish, Finished

_AGENT = Path(__file__).resolve().parents[1] / "injected" / "agent" / "reproof_finish.py"
#: What goes wrong when a package is missed that a lean MLflow leaves out.
_NEEDS_MORE = ("ImportError", "ModuleNotFoundError", "AttributeError", "TypeError", "NameError")
_TIMEOUT = 600.0  # seconds; importing MLflow alone can take a minute on a busy machine


def finish_by_agent(finish: Finish, access: Access) -> Finished:
    """Write through the MLflow of the first interpreter that fits; see :func:`reproof.tracking.finish.finish`.

    Raises:
        TrackingError: The run is not in the store, or holds another record.
    """
    address = access.address
    try:
        schema = sqlite.schema_of(address.path) if address.kind == "sqlite" and address.path else None
    except TrackingError as error:
        return _deferred(finish, error.message)
    reasons: list[str] = []
    for installation in _fitting(access, schema, reasons):
        answer = run_agent(installation, access, {"action": "finish", "finish": _plain(finish)})
        run_id = answer.get("run_id")
        if answer["status"] == "written":
            return Finished(
                status="written",
                uri=finish.uri,
                run_id=run_id,
                experiment_id=answer.get("experiment_id"),
                nested=answer.get("nested") or {},
            )
        if answer["status"] == "refused":
            raise TrackingError(
                f"cannot write to the MLflow store: {answer['reason']}", details=[("store", finish.uri)]
            )
        reason = without_secrets(answer["reason"])
        reasons.append(f"mlflow {installation.version} of `{installation.python}`: {reason}")
        if run_id and not finish.run_id:
            # A run was made before it failed: whoever goes on must not make another one.
            finish = msgspec.structs.replace(finish, run_id=run_id)
    return _deferred(finish, "; ".join(reasons) or "no interpreter with MLflow is known")


def run_agent(installation: Installation, access: Access, request: dict[str, Any]) -> dict[str, Any]:
    """One request to the agent, at first with a lean MLflow, then with a whole one if that would not do.

    Args:
        installation: Whose interpreter runs it.
        access: The store; the environment it gives is the agent's, without reproof's own variables.
        request: ``action`` and what belongs to it.

    Returns:
        The answer: ``status`` (``written``, ``refused``, ``unfit``, ``failed``), ``reason``, ids. A
        program that could not be started, or said nothing, counts as ``failed``.
    """
    environment = clean_environment(dict(access.environment))
    environment.update(MLFLOW_ALLOW_FILE_STORE="true", MLFLOW_TRACKING_URI=access.address.access)
    environment.pop("MLFLOW_REGISTRY_URI", None)
    by_database = access.address.kind in ("sqlite", "database")
    schema = installation.schema if by_database else None
    body: dict[str, Any] = {**request, "uri": access.address.access, "schema": schema}
    answer = _ask(installation, access, environment, {**body, "lean": True})
    if answer["status"] == "failed" and str(answer["reason"]).partition(":")[0] in _NEEDS_MORE:
        if answer.get("run_id") and "finish" in body:
            body["finish"] = {**body["finish"], "run_id": answer["run_id"]}
        answer = _ask(installation, access, environment, body)
    return answer


def _ask(
    installation: Installation, access: Access, environment: dict[str, str], body: dict[str, Any]
) -> dict[str, Any]:
    try:
        done = call(
            [installation.python, "-I", _AGENT],
            cwd=access.directory,
            env=environment,
            stdin=msgspec.json.encode(body),
            timeout=_TIMEOUT,
        )
        answer: dict[str, Any] = msgspec.json.decode(done.stdout, type=dict[str, Any])
    except msgspec.DecodeError:
        last = done.complaint.splitlines()[-1:] or [f"exit status {done.status}"]
        return {"status": "failed", "reason": last[0]}
    except ReproofError as error:
        return {"status": "failed", "reason": error.message}
    return answer


def _fitting(access: Access, schema: str | None, reasons: list[str]) -> Iterator[Installation]:
    """Interpreters whose MLflow may open the store, one by one; why others may not goes to `reasons`."""
    for python in dict.fromkeys(access.interpreters):
        found = find_installation(python)
        if found is None:
            continue
        problem = _problem(found, access, schema)
        if problem is None:
            if access.address.kind == "sqlite":
                # A store that is not there yet gets the schema of the first, the project's own, or
                # of none: it would be of no use to the project in that of another version.
                schema = found.schema
            yield found
        else:
            reasons.append(f"mlflow {found.version} of `{python}` {problem}")


def _problem(found: Installation, access: Access, schema: str | None) -> str | None:
    if access.address.kind not in ("sqlite", "database"):
        return None
    if not found.databases:
        return "cannot open databases"
    if found.schema is None:
        return "does not tell its schema"
    if schema is not None and schema != found.schema:
        return f"needs schema {found.schema}, the store has {schema}"
    return None


def _plain(finish: Finish) -> dict[str, Any]:
    value: dict[str, Any] = msgspec.to_builtins(finish)
    value["artifacts"] = {path: base64.b64encode(data).decode() for path, data in finish.artifacts.items()}
    return value


def _deferred(finish: Finish, reason: str) -> Finished:
    return Finished(status="deferred", uri=finish.uri, run_id=finish.run_id, reason=reason)
