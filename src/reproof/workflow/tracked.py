"""Writing about a run to MLflow: which store, which variables for the child, what is added at the end."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from reproof.errors import TrackingError
from reproof.model.codec import encode
from reproof.model.event import Emit, Event
from reproof.model.observation import RunOpened
from reproof.model.record import Record
from reproof.tracking import lookup
from reproof.tracking.address import Address, parse, resolve
from reproof.tracking.finish import finish
from reproof.tracking.installation import find_installation
from reproof.tracking.sync import write_pending
from reproof.tracking.values import RECORD_ARTIFACT, Access, Finish, Nested
from reproof.workflow.cached import mlflow_interpreters
from reproof.workflow.datasets import datasets_of, sampled_datasets
from reproof.workflow.prepare import Prepared


class Tracked(msgspec.Struct, frozen=True, kw_only=True):
    """What came of writing to MLflow.

    Attributes:
        status: ``written``, ``deferred``, ``failed`` (not even kept for later), or ``none`` when
            there is nothing to write to.
        uri: The store, without secrets.
        run_id: The run, where there is one.
        reason: Why it is not written.
        nested: Ids of the runs below it, by key.
    """

    status: str = "none"
    uri: str = ""
    run_id: str | None = None
    experiment_id: str | None = None
    reason: str | None = None
    nested: dict[str, str] = {}

    def facts(self) -> dict[str, Any]:
        """The sidecar of the record."""
        facts = msgspec.to_builtins(self)
        return {name: value for name, value in facts.items() if value and name != "nested"}

    def summary(self) -> str:
        """A line for people; empty when there is nothing to say."""
        if self.status == "written":
            return f"MLflow: run {self.run_id} in `{self.uri}`"
        if self.status == "deferred":
            return "MLflow: deferred; the record is complete here, and waits for `reproof sync`"
        return "MLflow: not written" if self.status == "failed" else ""

    def warn(self, what: str, emit: Emit) -> None:
        """Say that `what` is not in MLflow, and why, where that is so."""
        if self.status not in ("deferred", "failed"):
            return
        later = (
            "run `reproof sync` when the store can be written again" if self.status == "deferred" else None
        )
        message = f"{what} is not in MLflow: {self.reason}"
        emit(Event(kind="warning", subject="tracking", message=message, hint=later))


class Tracker(msgspec.Struct, frozen=True, kw_only=True):
    """The store of a run, as far as it is known.

    Attributes:
        address: The store; None when nothing is written.
        explicit: Somebody named the store.
        enabled: Whether anything is written by us.
        directory: The project's folder.
        pending: Folder for what waits.
        interpreters: The project's own, where it has MLflow.
    """

    address: Address | None
    explicit: bool
    enabled: bool
    directory: Path
    pending: Path
    interpreters: tuple[Path, ...] = ()

    @property
    def uri(self) -> str:
        """The store without secrets; empty without one."""
        return self.address.uri if self.address is not None else ""

    def with_installation(self, python: Path, *, has_mlflow: bool) -> Tracker:
        """The tracker, now that the project's interpreter is known: decides MLflow's own default."""
        installation = find_installation(python) if has_mlflow else None
        address = self.address
        if address is None and installation is not None:
            address = resolve(None, {}, self.directory, installation)
        return msgspec.structs.replace(
            self, address=address, interpreters=(python,) if installation is not None else ()
        )

    def variables(self, prepared: Prepared) -> dict[str, str]:
        """What the child's MLflow is told: store, experiment, name and tags of its first run."""
        variables = {"REPROOF_RUN_TAGS": json.dumps(_first_tags(prepared))}
        if self.address is not None:
            variables["MLFLOW_TRACKING_URI"] = self.address.access
        if prepared.project.experiment:
            variables["MLFLOW_EXPERIMENT_NAME"] = prepared.project.experiment
        if prepared.project.run_name:
            variables["REPROOF_RUN_NAME"] = prepared.project.run_name
        return variables

    def is_shared(self, primary: RunOpened | None) -> bool:
        """Whether other machines may read the store."""
        address = self._address_of(primary)
        return self.enabled and address is not None and address.kind not in ("sqlite", "file")

    def finish(  # noqa: PLR0913  # everything that is written about a run meets here
        self,
        identity: str,
        record: Record,
        primary: RunOpened | None,
        emit: Emit,
        enclosed: Mapping[str, bytes] | None = None,
        *,
        nested: tuple[Nested, ...] = (),
    ) -> Tracked:
        """Add the record, tags and parameters to the run; make a run where the code made none.

        A store that cannot be written now is no failure: what is to be written is kept. `enclosed`
        are artifacts beside the record, `nested` the runs below it.
        """
        address = self._address_of(primary)
        if not self.enabled or address is None or (primary is None and not self._wants_run(record, address)):
            return Tracked(status="none", uri=self.uri, run_id=primary.run if primary else None)
        emit(Event(kind="start", subject="tracking", message="adding the record to MLflow"))
        wanted = Finish(
            record=identity,
            uri=address.uri,
            run_id=primary.run if primary else None,
            experiment=record.project.experiment,
            run_name=record.project.run_name,
            status=_status(record),
            overrule=bool(record.runs) and record.runs[0].status is None,
            started=_milliseconds(record.byproducts.started),
            parameters=record.project.parameters,
            tags=_last_tags(identity, record),
            artifacts={RECORD_ARTIFACT: encode(record), **(enclosed or {})},
            inputs=datasets_of(record),
            nested=nested,
        )
        tracked = write_or_keep(wanted, self.access(address), self.pending)
        emit(Event(kind="finish", subject="tracking"))
        tracked.warn("the record", emit)
        return tracked

    def access(self, address: Address) -> Access:
        """Everything needed to reach a store."""
        return Access(
            address=address,
            environment=dict(os.environ),
            directory=self.directory,
            interpreters=mlflow_interpreters(*self.interpreters),
        )

    def _wants_run(self, record: Record, address: Address) -> bool:
        """Whether a run is made where the code made none.

        For an entry point always, as `mlflow run` does; for a plain command only in a store that
        somebody named or that is there already: no store appears in a project that has none.
        """
        exists = address.path is not None and address.path.exists()
        return bool(record.project.entry_point) or self.explicit or exists

    def _address_of(self, primary: RunOpened | None) -> Address | None:
        """Where the code really logged to; the code may have named a store of its own."""
        if primary is None or not primary.uri:
            return self.address
        if self.address is not None and self.address.uri == primary.uri:
            return self.address
        return parse(primary.uri, self.directory)


def nested_run(identity: str, record: Record, run_id: str | None) -> Nested:
    """The run of a stage, to be put below that of its pipeline.

    Args:
        identity: Id of the stage's record.
        record: The record.
        run_id: The run that the stage's code made; None to make one.
    """
    started = _milliseconds(record.byproducts.started) or 0
    return Nested(
        key=identity,
        run_id=run_id,
        run_name=record.project.run_name or "",
        started=started,
        ended=started + round(1000 * record.byproducts.seconds),
        status=_status(record),
        tags={**_last_tags(identity, record), "reproof.stage": record.stage.address if record.stage else ""},
        artifacts={RECORD_ARTIFACT: encode(record)},
    )


def open_tracker(prepared: Prepared, option: str | None, *, enabled: bool) -> Tracker:
    """Find the store that was named, if any, and make sure that it can be reached before anything runs.

    Raises:
        TrackingError: It cannot be reached.
    """
    named = option or os.environ.get("MLFLOW_TRACKING_URI")
    tracker = Tracker(
        address=resolve(option, os.environ, prepared.folder) if named else None,
        explicit=bool(named),
        enabled=enabled,
        directory=prepared.folder,
        pending=prepared.own / "pending",
    )
    if tracker.address is not None and enabled:
        try:
            lookup.check(tracker.access(tracker.address))
        except TrackingError as error:
            raise TrackingError(
                error.message,
                details=error.details,
                hint=", or ".join(filter(None, (error.hint, "pass `--no-log` to go on without it"))),
            ) from error
    return tracker


def write_or_keep(wanted: Finish, access: Access, pending: Path) -> Tracked:
    """Write to a store; what it does not take now is kept in the folder `pending`."""
    try:
        outcome = finish(wanted, access)
    except TrackingError as error:  # refused: trying again later would not help
        return Tracked(status="failed", uri=wanted.uri, run_id=wanted.run_id, reason=error.message)
    tracked = Tracked(
        status=outcome.status,
        uri=outcome.uri,
        run_id=outcome.run_id,
        experiment_id=outcome.experiment_id,
        reason=outcome.reason,
        nested=outcome.nested,
    )
    if outcome.status == "deferred":
        try:
            write_pending(pending, wanted, outcome)
        except OSError as error:
            reason = f"{outcome.reason}; nor could it be kept for later: {error.strerror}"
            return msgspec.structs.replace(tracked, status="failed", reason=reason)
    return tracked


def _first_tags(prepared: Prepared) -> dict[str, str]:
    """The tags that `mlflow run` gives a run."""
    section = prepared.project
    tags = {
        "mlflow.source.name": prepared.folder.as_uri(),
        "mlflow.source.type": "PROJECT" if section.entry_point else "LOCAL",
        "mlflow.source.git.commit": prepared.code_section.commit,
    }
    if section.entry_point:
        tags["mlflow.project.entryPoint"] = section.entry_point
        tags["mlflow.project.backend"] = "reproof"
    if prepared.code_section.branch:
        tags["mlflow.source.git.branch"] = prepared.code_section.branch
    if prepared.code_section.remote:
        tags["mlflow.source.git.repoURL"] = prepared.code_section.remote
    return tags


def _last_tags(identity: str, record: Record) -> dict[str, str]:
    tags = {
        "reproof.record": identity,
        "reproof.version": record.tool.version,
        "reproof.exit_status": str(record.byproducts.exit_status),
        "reproof.dirty": str(record.code.dirty).lower(),
    }
    if record.randomness.seed is not None:
        tags["reproof.seed"] = str(record.randomness.seed)
    if (sampled := sampled_datasets(record)) is not None:
        tags["reproof.sampled_datasets"] = sampled
    return tags


def _status(record: Record) -> Any:
    return {"finished": "FINISHED", "interrupted": "KILLED"}.get(record.state, "FAILED")


def _milliseconds(started: str) -> int | None:
    try:
        return int(dt.datetime.fromisoformat(started).timestamp() * 1000)
    except ValueError:
        return None
