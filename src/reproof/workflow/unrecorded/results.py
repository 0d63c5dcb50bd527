"""The results of a run as only MLflow has them, in the terms of a record."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath

import msgspec

from reproof.capture.secrets import conceal_value
from reproof.errors import MissingError, TrackingError
from reproof.model.artifact import Artifact
from reproof.model.event import Emit, Event
from reproof.model.record import LoggedRun, Metric, Omission, Parameter
from reproof.store.directory import DirectoryStore
from reproof.tracking import experiments, lookup, registry
from reproof.tracking.history import read_state
from reproof.tracking.values import Access, Run
from reproof.workflow.logged import SYSTEM_METRICS

_OURS = "reproof/"
#: How names of artifacts and of models begin.
ARTIFACTS, MODELS = "mlflow/artifacts/", "mlflow/models/"


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """What MLflow has of a run and those below it, in the terms of a record; number 0 is the run itself."""

    runs: tuple[LoggedRun, ...]
    metrics: tuple[Metric, ...]
    parameters: tuple[Parameter, ...]
    products: tuple[Artifact, ...]
    omissions: tuple[Omission, ...] = ()


def fetch_results(access: Access, run: Run, store: DirectoryStore, limit: int, emit: Emit) -> Results:
    """Everything that the store has of a run.

    Args:
        access: The store.
        run: The run.
        store: Receives the content of artifacts and models.
        limit: Bytes of artifacts that are fetched; of what is beyond, the verdict says that it was not compared.
        emit: Told about the work.

    Raises:
        MissingError: The run has not ended, or is part of another.
        TrackingError: The store cannot be read.
    """
    _require_whole(run)
    emit(Event(kind="start", subject="results", message="fetching what MLflow has of the run"))
    below = experiments.children(access, run)
    keeper = _Keeper(access, store, limit)
    runs, metrics, parameters = [], [], []
    for number, each in enumerate((run, *below)):
        state = read_state(access, each.run_id)
        points = sorted(state.points if state is not None else (), key=lambda point: (point.step, point.time))
        metrics += [
            Metric(run=number, key=point.key, step=point.step, value=point.value)
            for point in points
            if not point.key.startswith(SYSTEM_METRICS)
        ]
        parameters += [
            Parameter(run=number, key=key, value=conceal_value(key, value))
            for key, value in each.parameters.items()
        ]
        runs.append(LoggedRun(name=each.name or None, parent=None if number == 0 else 0))
        keeper.keep_artifacts(each, number)
    keeper.keep_models((run, *below))
    emit(Event(kind="finish", subject="results"))
    return Results(
        runs=tuple(runs),
        metrics=tuple(metrics),
        parameters=tuple(parameters),
        products=tuple(sorted(keeper.products, key=lambda artifact: artifact.name)),
        omissions=tuple(keeper.omissions),
    )


def _require_whole(run: Run) -> None:
    if run.status in ("RUNNING", "SCHEDULED"):
        raise MissingError(
            "run",
            f"run `{run.run_id}` has not ended: its status is {run.status}",
            details=[("started", iso(run.started))],
            hint="wait for its end; if it was killed, set its status first",
        )
    if run.status == "KILLED":
        raise MissingError("run", f"run `{run.run_id}` was killed: there is no whole result to compare")
    parent = run.tags.get("mlflow.parentRunId")
    if parent:
        raise MissingError(
            "run",
            f"run `{run.run_id}` is part of run `{parent}`, whose command made it",
            hint=f"run `reproof verify {parent}`, which compares the runs below it too",
        )


def iso(milliseconds: int) -> str:
    """A time as records have it; empty for none."""
    if not milliseconds:
        return ""
    time = dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC)
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")


class _Keeper:
    """Fetches artifacts and models into a store, as far as they can be read and there is room."""

    def __init__(self, access: Access, store: DirectoryStore, limit: int) -> None:
        self._access, self._store, self._room = access, store, limit
        self.products: list[Artifact] = []
        self.omissions: list[Omission] = []

    def keep_artifacts(self, run: Run, number: int) -> None:
        """The artifacts of one run."""
        base = "mlflow/artifacts" if number == 0 else f"mlflow/run-{number}/artifacts"
        try:
            paths = lookup.artifact_paths(self._access, run)
        except TrackingError as error:
            self._unread("artifacts", error)
            return
        for path in paths:
            if path.startswith(_OURS):
                continue
            self._keep(
                f"{base}/{path}",
                lambda path=path: lookup.read_artifact(self._access, run, path, listed=True),  # type: ignore[misc]
            )

    def keep_models(self, runs: Iterable[Run]) -> None:
        """The models that runs logged (MLflow 3): of one name several are numbered, as in a record."""
        try:
            models = [each for run in runs for each in experiments.logged_models(self._access, run)]
        except TrackingError as error:
            self._unread("models", error)
            return
        seen: dict[str, int] = {}
        for model in models:
            name = model.name or "model"
            seen[name] = seen.get(name, 0) + 1
            folder = name if seen[name] == 1 else f"{name}-{seen[name]}"
            version = registry.ModelVersion(name=model.model_id, source=model.source)
            try:
                for path, content in registry.read_files(self._access, version):
                    data = content if isinstance(content, bytes) else content.read_bytes()
                    self._keep(f"{MODELS}{folder}/{path}", lambda data=data: data)  # type: ignore[misc]
            except (TrackingError, OSError) as error:
                if not model.failed:  # else there was nothing to compare with from the first
                    self._unread(f"{MODELS}{folder}", error)

    def _keep(self, name: str, read: Callable[[], bytes | None]) -> None:
        """Put the content of a product into the store; whatever keeps it out is an omission that hides results."""
        if ".." in PurePosixPath(name).parts or "\0" in name or "//" in name:
            reason = "its name leads out of the artifacts"
            self.omissions.append(Omission(subject=name, reason=reason, hides_results=True))
            return
        if self._room <= 0:
            reason = "not fetched: `max-kept-bytes` are used up"
            self.omissions.append(Omission(subject=name, reason=reason, hides_results=True))
            return
        try:
            data = read()
        except TrackingError as error:
            self._unread(name, error)
            return
        if data is None:
            self.omissions.append(Omission(subject=name, reason="gone from the store", hides_results=True))
            return
        self._room -= len(data)
        digest = self._store.put_bytes(data)
        self.products.append(
            Artifact(
                name=name,
                digests={digest.algorithm: digest.value},
                size=len(data),
                origin="mlflow",
                kept=True,
            )
        )

    def _unread(self, subject: str, error: TrackingError | OSError) -> None:
        message = error.message if isinstance(error, TrackingError) else str(error)
        facts = "; ".join(f"{label}: {text}" for label, text in getattr(error, "details", ())[:2])
        reason = f"{message} ({facts})" if facts else message
        self.omissions.append(Omission(subject=subject, reason=reason, hides_results=True))
