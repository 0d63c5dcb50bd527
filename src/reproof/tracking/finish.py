"""Writes what remains to be written about a run when the child has ended, and verdicts later."""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from reproof.errors import TrackingError
from reproof.tracking.agent import finish_by_agent
from reproof.tracking.lookup import local_folder
from reproof.tracking.values import NESTED_KEY, RECORD_ARTIFACT, Access, Finish, Finished, Run

if TYPE_CHECKING:
    from reproof.tracking.rest import RestClient

_OPEN = ("RUNNING", "SCHEDULED")


def finish(finish: Finish, access: Access) -> Finished:
    """Write parameters, tags, artifacts and the status of a run; a run is made where there is none.

    A server is written over REST; a local store or a database by the finishing agent, run by the
    first of `access.interpreters` whose MLflow has the very schema of the store: no store is ever
    migrated. Repeating the same call changes nothing.

    Args:
        finish: What to write.
        access: The store and the ways to it.

    Returns:
        Where it was written; or that it is deferred, with the reason and with the id of a run that
        was made on the way.

    Raises:
        TrackingError: It must not be written: the run is not in the store, or it holds another
            record already.
    """
    if access.address.kind == "rest":
        return _Server(finish, access).write()
    return finish_by_agent(finish, access)


class _RefusedError(TrackingError):
    """Trying again later would not help."""


class _Server:
    """One finish over REST."""

    def __init__(self, finish: Finish, access: Access) -> None:
        self._finish = finish
        self._access = access
        self._run: Run | None = None

    @cached_property
    def _client(self) -> RestClient:
        from reproof.tracking.rest import RestClient

        return RestClient(self._access.address, self._access.environment)

    def write(self) -> Finished:
        """Write what is to be written; what cannot be now is *deferred*, with its reason."""
        try:
            return self._write()
        except _RefusedError:
            raise
        except TrackingError as error:
            known = self._run.run_id if self._run else self._finish.run_id
            reason = "; ".join([error.message, *(text for _, text in error.details)])
            return Finished(status="deferred", uri=self._finish.uri, run_id=known, reason=reason)

    def _write(self) -> Finished:
        finish, client = self._finish, self._client
        run = self._run = self._existing(finish.run_id) if finish.run_id else self._new()
        # a run made just now has none; asking would fail first where they cannot be reached, before the tags
        artifacts = self._without_written(run) if finish.run_id else dict(finish.artifacts)
        missing = {key: value for key, value in finish.parameters.items() if key not in run.parameters}
        client.log(run.run_id, missing, finish.tags)
        if finish.inputs:
            client.log_inputs(run.run_id, finish.inputs)
        if artifacts and not self._takes_artifacts(run):
            return self._by_agent(run)
        for path, content in sorted(artifacts.items()):
            self._upload(run, path, content)
        client.log_metrics(run.run_id, finish.metrics, finish.ended or time.time_ns() // 1_000_000)
        nested = self._nest(run) if finish.nested else {}
        if finish.status and (run.status in _OPEN or (finish.overrule and run.status != finish.status)):
            client.terminate(run.run_id, finish.status, finish.ended or time.time_ns() // 1_000_000)
        return Finished(
            status="written",
            uri=finish.uri,
            run_id=run.run_id,
            experiment_id=run.experiment_id,
            nested=nested,
        )

    def _existing(self, run_id: str) -> Run:
        from reproof.tracking.rest import RestError

        try:
            return self._client.get_run(run_id)
        except RestError as error:
            if error.code != "RESOURCE_DOES_NOT_EXIST":
                raise
            raise _RefusedError(
                f"cannot write to the MLflow store: the store has no run {run_id}",
                details=[("store", self._finish.uri)],
            ) from error

    def _new(self) -> Run:
        finish = self._finish
        experiment = finish.experiment_id or (
            self._client.experiment(finish.experiment) if finish.experiment else "0"
        )
        started = finish.started or time.time_ns() // 1_000_000
        return self._client.create_run(experiment, finish.run_name, started)

    def _nest(self, parent: Run) -> dict[str, str]:
        """Make the runs below `parent` that are not there, or not finished, yet; ids of all of them by key."""
        client, ids = self._client, {}
        known = {child.tags.get(NESTED_KEY): child for child in client.children(parent)}
        for nested in self._finish.nested:
            run = known.get(nested.key)
            if run is None and nested.run_id is not None:
                run = self._existing(nested.run_id)
            elif run is None:
                run = client.create_run(parent.experiment_id, nested.run_name, nested.started)
            ids[nested.key] = run.run_id
            if nested.key in known and run.status not in _OPEN:
                continue
            tags = {"mlflow.parentRunId": parent.run_id, NESTED_KEY: nested.key, **nested.tags}
            missing = {k: v for k, v in nested.parameters.items() if k not in run.parameters}
            client.log(run.run_id, missing, tags)
            client.log_metrics(run.run_id, nested.metrics, nested.ended)
            for path, content in sorted(nested.artifacts.items()):
                self._upload(run, path, content)
            client.terminate(run.run_id, nested.status, nested.ended)
        return ids

    def _without_written(self, run: Run) -> dict[str, bytes]:
        """Leave out a record that is there already; another record is never replaced."""
        from reproof.tracking.lookup import read_artifact

        artifacts = dict(self._finish.artifacts)
        if RECORD_ARTIFACT in artifacts:
            there = read_artifact(self._access, run, RECORD_ARTIFACT)
            if there == artifacts[RECORD_ARTIFACT]:
                del artifacts[RECORD_ARTIFACT]
            elif there is not None:
                raise _RefusedError(
                    f"cannot write to the MLflow store: run {run.run_id} holds another record already",
                    details=[("store", self._finish.uri)],
                )
        return artifacts

    def _takes_artifacts(self, run: Run) -> bool:
        """Whether the server passes artifacts on, or shares a disk with us; a path alone says nothing."""
        folder = local_folder(run.artifact_uri)
        if folder is None:
            return run.artifact_uri.startswith("mlflow-artifacts:/")
        if not any(place.is_dir() for place in (folder, folder.parent, folder.parent.parent)):
            raise TrackingError(
                f"the artifacts of run `{run.run_id}` lie on the server's own disk",
                details=[("folder", str(folder))],
            )
        return True

    def _upload(self, run: Run, path: str, content: bytes) -> None:
        folder = local_folder(run.artifact_uri)
        if folder is None:
            self._client.upload(run, path, content)
            return
        # Server and client share a disk: MLflow's own client writes there, too.
        from reproof.base.files import write_atomic

        try:
            write_atomic(folder / path, content)
        except OSError as error:
            raise TrackingError(
                f"cannot write the artifacts of run `{run.run_id}`", details=[("reason", str(error))]
            ) from error

    def _by_agent(self, run: Run) -> Finished:
        """Artifacts lie in a place such as S3, which only a whole MLflow can write."""
        return finish_by_agent(msgspec.structs.replace(self._finish, run_id=run.run_id), self._access)
