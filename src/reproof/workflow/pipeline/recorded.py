"""A pipeline that was run, as its caller gets it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from reproof.errors import ReproofError
from reproof.model.artifact import Artifact
from reproof.model.record import Record
from reproof.workflow.earlier_runs import split_address
from reproof.workflow.tracked import Tracked


class RecordedPipeline(msgspec.Struct, frozen=True, kw_only=True):
    """A run of a pipeline that was recorded.

    Attributes:
        id: Id of the parent record.
        record: The parent record.
        stages: The records of its stages, by address.
        folder: The `.reproof` folder.
        tracked: What came of writing it to MLflow.
        notes: Lines worth telling at the end.
        problem: Why a stage failed though its command did not.
    """

    id: str
    record: Record
    stages: dict[str, Record]
    folder: Path
    tracked: Tracked
    notes: tuple[str, ...] = ()
    problem: ReproofError | None = None

    @property
    def exit_status(self) -> int:
        """That of the stage that failed, else 0."""
        return self.record.byproducts.exit_status or 0

    @property
    def run_id(self) -> str | None:
        """The MLflow run of the whole, where there is one."""
        return self.tracked.run_id

    def summary(self) -> list[str]:
        """What a user wants to know at the end, a line each."""
        assert self.record.pipeline is not None
        counts: dict[str, list[str]] = {}
        for link in self.record.pipeline.stages:
            counts.setdefault(link.state, []).append(link.address)
        lines = [
            f"  {link.address}: {link.state}{f', {link.reason}' if link.reason else ''}"
            for link in self.record.pipeline.stages
        ]
        said = ", ".join(f"{len(names)} {state}" for state, names in counts.items())
        head = f"recorded {self.id[:12]}: exit status {self.exit_status}, {self.record.byproducts.seconds:.1f} s; stages: {said}"
        return [line for line in (head, *lines, self.tracked.summary(), *self.notes) if line]


def given_to(records: Sequence[Record]) -> tuple[Artifact, ...]:
    """What stages read that none of them made, as file or in MLflow."""
    own = {address for record in records if record.tracked is not None for address in record.tracked.own}
    return _merged(
        each
        for record in records
        for each in record.materials
        if each.origin != "stage" and split_address(each)[0] not in own
    )


def made_by(records: Sequence[Record]) -> tuple[Artifact, ...]:
    """The files that stages made."""
    return _merged(each for record in records for each in record.products if each.origin != "mlflow")


def _merged(artifacts: Iterable[Artifact]) -> tuple[Artifact, ...]:
    """One artifact for each name, sorted."""
    found: dict[str, Artifact] = {}
    for each in artifacts:
        found.setdefault(each.name, each)
    return tuple(found[name] for name in sorted(found))
