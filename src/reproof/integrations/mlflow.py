"""The project backend of MLflow: ``mlflow run -b reproof`` does what ``reproof run`` does.

MLflow finds it by the entry point `mlflow.project_backend`
(https://mlflow.org/docs/latest/ml/plugins/). It passes no run name and does not wait for a backend,
so this one waits itself and takes the name from MLflow's own command line.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from reproof.errors import ReproofError
from reproof.integrations.apart import is_another_mlflow, store_apart, take_over
from reproof.model.event import Event
from reproof.tracking.address import resolve
from reproof.workflow.run import RecordedRun, RunOptions, run

if TYPE_CHECKING:
    from collections.abc import Mapping


class ReproofBackend:
    """Runs projects with a record; the interface is `mlflow.projects.backend.AbstractBackend`."""

    def run(  # noqa: PLR0913, PLR0917  # MLflow calls it so
        self,
        project_uri: str,
        entry_point: str,
        params: Mapping[str, str],
        version: str | None,
        backend_config: Mapping[str, Any],
        tracking_uri: str,
        experiment_id: str,
    ) -> SubmittedRun:
        """Run a project to its end and record it.

        Args:
            project_uri: Folder or Git address.
            entry_point: Name in MLproject, or a script.
            params: Values as given on the command line.
            version: Branch, tag or commit.
            backend_config: MLflow's own choices; `ENV_MANAGER` is looked at.
            tracking_uri: The store of the outer MLflow.
            experiment_id: Experiment of the run.

        Raises:
            mlflow.exceptions.ExecutionException: The run cannot be made, or its command failed.
        """
        from mlflow.exceptions import ExecutionException
        from mlflow.tracking import MlflowClient

        options = RunOptions(
            uri=project_uri,
            entry_point=entry_point,
            parameters={name: str(value) for name, value in params.items()},
            revision=version,
            experiment=MlflowClient(tracking_uri).get_experiment(experiment_id).name,
            run_name=_asked_for("run_name"),
            env_manager="local" if backend_config.get("ENV_MANAGER") == "local" else None,
            tracking_uri=resolve(tracking_uri, {}, Path.cwd()).access,
            echo=True,
            terminal=sys.stdout.isatty(),
        )
        try:
            recorded = _run(options, experiment_id)
        except ReproofError as error:
            raise ExecutionException(_words(error)) from error
        for line in recorded.summary():
            sys.stderr.write(f"reproof: {line}\n")
        if recorded.run_id is None:
            raise ExecutionException(f"The run is recorded as {recorded.id}, but {recorded.tracked.reason}")
        submitted = SubmittedRun(recorded)
        if not submitted.wait():
            raise ExecutionException(
                f"Run (ID '{recorded.run_id}') failed: exit status {recorded.exit_status}"
            )
        return submitted


class SubmittedRun:
    """A run that has ended; the interface is `mlflow.projects.SubmittedRun`.

    Args:
        recorded: The run, with its record.
    """

    def __init__(self, recorded: RecordedRun) -> None:
        self._recorded = recorded

    @property
    def run_id(self) -> str | None:
        """Id of the MLflow run."""
        return self._recorded.run_id

    def wait(self) -> bool:
        """Whether the command ended with status 0."""
        return self._recorded.exit_status == 0

    def get_status(self) -> str:
        """MLflow's word for how it ended."""
        return "FINISHED" if self.wait() else "FAILED"

    def cancel(self) -> None:
        """Nothing is left to be cancelled."""


def _run(options: RunOptions, experiment_id: str) -> RecordedRun:
    """Run the project; where its MLflow may be another one, in a store apart, whose runs we take over."""
    outer = options.tracking_uri or ""
    if not is_another_mlflow(outer, local=options.env_manager == "local"):
        return run(options, _tell)
    with store_apart() as inner:
        recorded = run(msgspec.structs.replace(options, tracking_uri=inner), _tell)
        return take_over(recorded, inner, outer, experiment_id)


def _asked_for(name: str) -> str | None:
    """An option of the command `mlflow run` that MLflow does not pass on."""
    import click

    context = click.get_current_context(silent=True)
    value = context.params.get(name) if context is not None else None
    return value if isinstance(value, str) else None


def _tell(event: Event) -> None:
    if event.kind in ("warning", "note"):
        hint = f" ({event.hint})" if event.hint else ""
        sys.stderr.write(f"reproof: {event.message}{hint}\n")


def _words(error: ReproofError) -> str:
    lines = [error.message, *(f"  {label}  {value}" for label, value in error.details)]
    return "\n".join([*lines, f"hint: {error.hint}"] if error.hint else lines)
