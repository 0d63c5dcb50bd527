"""What passes in and out of this layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from reproof.tracking.address import Address

#: Final statuses of an MLflow run.
Status = Literal["FINISHED", "FAILED", "KILLED"]

#: The artifact that says what a run was; never written twice with other content.
RECORD_ARTIFACT = "reproof/record.json"

#: The tag that names a nested run among those of its parent.
NESTED_KEY = "reproof.replicate"

#: The type of source that MLflow understands as a place in a file system.
SOURCE_TYPE = "local"


@dataclass(frozen=True)
class Access:
    """A store and everything needed to reach it; stays in memory, since it may hold secrets.

    Attributes:
        address: The store.
        environment: Variables that credentials are taken from (MLFLOW_TRACKING_USERNAME ...).
        directory: Working directory of the run; where MLflow puts the artifacts of new local stores.
        interpreters: Python programs that may have a fitting MLflow, the best first.
    """

    address: Address
    environment: Mapping[str, str] = field(repr=False)
    directory: Path
    interpreters: tuple[Path, ...] = ()


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run as a store describes it.

    Attributes:
        run_id: 32 hexadecimal digits, as a rule.
        artifact_uri: Root of its artifacts.
        status: ``RUNNING``, ``FINISHED``, ``FAILED``, ``KILLED`` or ``SCHEDULED``.
        started: Milliseconds since the epoch, as `ended`; 0 where the store does not say.
    """

    run_id: str
    experiment_id: str = ""
    experiment: str = ""
    name: str = ""
    status: str = ""
    artifact_uri: str = ""
    tags: dict[str, str] = {}
    parameters: dict[str, str] = {}
    started: int = 0
    ended: int = 0


class DatasetInput(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset to be shown as an input of a run.

    Attributes:
        name: At most 500 characters.
        digest: At most 36 characters.
        source: JSON: where it is.
        profile: JSON: its size.
        tags: Values of at most 500 characters.
    """

    name: str
    digest: str
    source: str
    profile: str = "{}"
    tags: dict[str, str] = {}


class Nested(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A run below another one, to be made and written as a whole.

    Attributes:
        key: Names it among those of its parent: where there is a run with this key, it is not made again.
        run_id: A run that the code made itself, to be put below the parent; None to make one.
        run_name: Its name.
        started: Milliseconds since the epoch, as `ended`.
        status: Its final status.
        metrics: Last value of each metric, as text: JSON knows neither NaN nor infinities.
        artifacts: Path below the run's artifacts to content.
    """

    key: str
    run_id: str | None = None
    run_name: str
    started: int
    ended: int
    status: Status
    parameters: dict[str, str] = {}
    tags: dict[str, str] = {}
    metrics: dict[str, str] = {}
    artifacts: dict[str, bytes] = {}


class Finish(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is to be written about a run; can be kept as JSON until a store can be reached.

    Attributes:
        record: Id of the record that it is about.
        uri: The store, without secrets.
        run_id: The run; None to make one.
        experiment: Name for a run to be made; MLflow's ``Default`` when None.
        experiment_id: The same by its id; wins over the name.
        run_name: Name for a run to be made.
        status: Given to the run if it is new or still said to be running.
        overrule: `status` counts also where the run is said to be finished: nobody but MLflow's own
            exit handler said so.
        started: Milliseconds since the epoch, for a run to be made.
        ended: Milliseconds since the epoch; now when None.
        parameters: Written where the run has no parameter of that name yet.
        tags: Written, over older values.
        artifacts: Path below the run's artifacts to content.
        inputs: Datasets that the run read.
        metrics: Value of each as text, written with the time `ended`.
        nested: Runs below this one.
    """

    record: str
    uri: str
    run_id: str | None = None
    experiment: str | None = None
    experiment_id: str | None = None
    run_name: str | None = None
    status: Status | None = None
    overrule: bool = False
    started: int | None = None
    ended: int | None = None
    parameters: dict[str, str] = {}
    tags: dict[str, str] = {}
    artifacts: dict[str, bytes] = {}
    inputs: tuple[DatasetInput, ...] = ()
    metrics: dict[str, str] = {}
    nested: tuple[Nested, ...] = ()


class Finished(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came of it.

    Attributes:
        status: ``written``, or ``deferred`` when the store could not be written now.
        uri: The store, without secrets.
        run_id: The run, where there is one.
        experiment_id: Its experiment.
        reason: Why it is deferred.
        nested: Ids of the runs below it, by key.
    """

    status: Literal["written", "deferred"]
    uri: str
    run_id: str | None = None
    experiment_id: str | None = None
    reason: str | None = None
    nested: dict[str, str] = {}
