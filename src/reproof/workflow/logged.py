"""What the code logged to MLflow, from the lines of the child: runs, parameters, metrics, artifacts.

Runs are numbered in the order in which they were opened; number 0 is the primary one.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import msgspec

from reproof.base.naming import Naming
from reproof.capture.secrets import conceal_value
from reproof.errors import StoreError
from reproof.model.artifact import Artifact
from reproof.model.observation import (
    AnyObservation,
    ArtifactLogged,
    ArtifactRead,
    DatasetLogged,
    MetricLogged,
    ModelCreated,
    ParameterLogged,
    RunClosed,
    RunOpened,
    TagSet,
)
from reproof.model.record import LoggedRun, Metric, Omission, Parameter
from reproof.store.directory import DirectoryStore

#: Metrics of this family measure the machine, not the result.
SYSTEM_METRICS = "system/"


class Logged(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was logged. `primary` is the line that opened run 0, None without a run.

    `ids` are MLflow's ids of the runs, by number; `models` the names of logged models, by MLflow's ids, and
    `makers` the ids of the runs that logged them.
    """

    runs: tuple[LoggedRun, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    metrics: tuple[Metric, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    primary: RunOpened | None = None
    omissions: tuple[Omission, ...] = ()
    ids: tuple[str, ...] = ()
    models: dict[str, str] = {}
    makers: dict[str, str] = {}


def gather_logged(
    lines: list[AnyObservation], scratch: Path, store: DirectoryStore, naming: Naming
) -> Logged:
    """Turn the child's lines into numbered runs with what each one logged.

    Args:
        lines: All observations, in the order in which they were written.
        scratch: The folder that the child kept copies of logged files in.
        store: Receives the content of logged files.
        naming: Replaces this machine's paths in parameters and tags.
    """
    numbers = _number_runs(lines)
    metrics, omissions = _metrics(lines, numbers)
    artifacts, more = _artifacts(lines, numbers, scratch, store)
    opened = [line for line in lines if isinstance(line, RunOpened)]
    primary = next((line for line in opened if line.primary), opened[0] if opened else None)
    return Logged(
        runs=_runs(lines, numbers, naming),
        parameters=tuple(
            Parameter(
                run=numbers.get(line.run, 0),
                key=line.key,
                value=conceal_value(line.key, naming.replace_in(line.value)),
            )
            for line in lines
            if isinstance(line, ParameterLogged)
        ),
        metrics=metrics,
        artifacts=artifacts,
        primary=primary,
        omissions=(*omissions, *more),
        ids=tuple(numbers),
        models=_name_models(lines),
        makers={line.model: line.run for line in lines if isinstance(line, ModelCreated)},
    )


def _number_runs(lines: list[AnyObservation]) -> dict[str, int]:
    """Numbers by run id: the primary run first, then in the order of their opening."""
    opened = [line for line in lines if isinstance(line, RunOpened)]
    numbers: dict[str, int] = {}
    for line in sorted(opened, key=lambda line: not line.primary):
        numbers.setdefault(line.run, len(numbers))
    return numbers


def _runs(lines: list[AnyObservation], numbers: dict[str, int], naming: Naming) -> tuple[LoggedRun, ...]:
    opened: dict[str, RunOpened] = {}
    tags: dict[str, dict[str, str]] = {run: {} for run in numbers}
    datasets: dict[str, list[str]] = {run: [] for run in numbers}
    status: dict[str, str] = {}
    for line in lines:
        match line:
            case RunOpened():
                opened.setdefault(line.run, line)
            case TagSet() if line.run in tags:
                tags[line.run][line.key] = conceal_value(line.key, naming.replace_in(line.value))
            case DatasetLogged() if line.run in datasets:
                datasets[line.run].append(f"{line.name} {line.digest}")
            case RunClosed() if not line.at_exit:
                status[line.run] = line.status
            case _:
                pass
    return tuple(
        LoggedRun(
            name=opened[run].name,
            experiment=opened[run].experiment or None,
            parent=numbers.get(opened[run].parent or ""),
            tags=tags[run],
            status=status.get(run),
            datasets=tuple(datasets[run]),
        )
        for run in numbers
    )


def _metrics(
    lines: list[AnyObservation], numbers: dict[str, int]
) -> tuple[tuple[Metric, ...], tuple[Omission, ...]]:
    metrics = []
    skipped = set()
    for line in lines:
        if not isinstance(line, MetricLogged):
            continue
        if line.key.startswith(SYSTEM_METRICS):
            skipped.add(line.key)
            continue
        metrics.append(Metric(run=numbers.get(line.run, 0), key=line.key, step=line.step, value=line.value))
    omissions = [Omission(subject=f"metric:{key}", reason="measures the machine") for key in sorted(skipped)]
    return tuple(metrics), tuple(omissions)


def _artifacts(
    lines: list[AnyObservation], numbers: dict[str, int], scratch: Path, store: DirectoryStore
) -> tuple[tuple[Artifact, ...], tuple[Omission, ...]]:
    models = _name_models(lines)
    artifacts: dict[str, Artifact] = {}
    omissions: list[Omission] = []
    for line in lines:
        if not isinstance(line, ArtifactLogged):
            continue
        name = _artifact_name(line, numbers, models)
        try:
            artifacts[name] = keep_copy(line, name, scratch, store)
        except (OSError, StoreError) as error:
            reason = f"the logged file could not be kept: {error}"
            omissions.append(Omission(subject=name, reason=reason, hides_results=True))
    return tuple(artifacts[name] for name in sorted(artifacts)), tuple(omissions)


def _name_models(lines: list[AnyObservation]) -> dict[str, str]:
    """Logged models by id: their name, numbered from the second of the same name on."""
    names: dict[str, str] = {}
    seen: dict[str, int] = {}
    for line in lines:
        if isinstance(line, ModelCreated) and line.model not in names:
            name = line.name or "model"
            seen[name] = seen.get(name, 0) + 1
            names[line.model] = name if seen[name] == 1 else f"{name}-{seen[name]}"
    return names


def _artifact_name(line: ArtifactLogged, numbers: dict[str, int], models: dict[str, str]) -> str:
    place = PurePosixPath(line.path)
    if line.model is not None:
        return str(PurePosixPath("mlflow/models", models.get(line.model, "model"), place))
    number = numbers.get(line.run, 0)
    folder = "mlflow/artifacts" if number == 0 else f"mlflow/run-{number}/artifacts"
    return str(PurePosixPath(folder, place))


def keep_copy(
    line: ArtifactLogged | ArtifactRead, name: str, scratch: Path, store: DirectoryStore
) -> Artifact:
    """Keep the copy that the child made of a file as it was logged, or read.

    Raises:
        OSError: The copy is not where it has to be.
        StoreError: It cannot be kept.
    """
    if not line.copy:
        digests = {"sha256": line.sha256} if line.sha256 else {}
        return Artifact(name=name, digests=digests, size=line.size, origin="mlflow", note="too large to keep")
    path = scratch / line.copy
    if path.is_symlink() or not path.resolve().is_relative_to(scratch.resolve()) or not path.is_file():
        raise OSError("its copy is not where it has to be")  # the child said where: a stranger's may lie
    digest = store.put(path)
    return Artifact(
        name=name, digests={"blake3": digest.value}, size=path.stat().st_size, origin="mlflow", kept=True
    )
