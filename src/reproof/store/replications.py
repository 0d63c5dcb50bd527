"""Plans of replications and what came of each run: written once, before and after, and never changed.

Layout below the folder (``.reproof/replications``)::

    plans/ID.json             a plan; ID is the sha256 of what is planned
    plans/ID.mlflow.json      its run in MLflow
    runs/KEY/SEED.json        what came of one seed; KEY stands for the record and the seed's parameter
    runs/KEY/SEED.record.json the record of that run

Several plans may share runs: a plan of twenty seeds goes on where one of ten ended.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from reproof.base.files import write_atomic
from reproof.errors import StoreError
from reproof.model.replication import Replicate, ReplicationPlan

T = TypeVar("T")


class ReplicationStore:
    """The replications of a project; `own` is its ``.reproof`` folder."""

    def __init__(self, own: Path) -> None:
        self._plans = own / "replications" / "plans"
        self._runs = own / "replications" / "runs"

    def keep_plan(self, plan: ReplicationPlan) -> ReplicationPlan:
        """Write a plan down, unless the same was planned before.

        Returns:
            The plan as it was written first: it says when.

        Raises:
            StoreError: It cannot be written.
        """
        known = self._read(self._plans / f"{plan.id}.json", ReplicationPlan)
        if known is not None and known.id == plan.id:
            return known
        self._write(self._plans / f"{plan.id}.json", msgspec.json.format(msgspec.json.encode(plan), indent=1))
        return plan

    def plans(self, record: str) -> tuple[ReplicationPlan, ...]:
        """All plans that a record is part of, the oldest first."""
        found = [self._read(place, ReplicationPlan) for place in self._plans.glob("?" * 64 + ".json")]
        named = [plan for plan in found if plan is not None and record in plan.records]
        return tuple(sorted(named, key=lambda plan: plan.created))

    def keep(self, record: str, parameter: str | None, replicate: Replicate, evidence: bytes | None) -> None:
        """Keep what came of one seed, and its record where there is one.

        Raises:
            StoreError: It cannot be written.
        """
        folder = self._runs / run_key(record, parameter)
        if evidence is not None:
            self._write(folder / f"{replicate.seed}.record.json", evidence)
        self._write(folder / f"{replicate.seed}.json", msgspec.json.encode(replicate))

    def result(self, record: str, parameter: str | None, seed: int) -> Replicate | None:
        """What came of one seed; None where it was not run, or what was kept cannot be read."""
        return self._read(self._runs / run_key(record, parameter) / f"{seed}.json", Replicate)

    def evidence(self, record: str, parameter: str | None, seed: int) -> bytes | None:
        """The record of the run of one seed; None where there is none."""
        try:
            return (self._runs / run_key(record, parameter) / f"{seed}.record.json").read_bytes()
        except OSError:
            return None

    def write_tracking(self, plan: str, facts: dict[str, Any]) -> None:
        """Say where a plan is in MLflow.

        Raises:
            StoreError: It cannot be written.
        """
        self._write(self._plans / f"{plan}.mlflow.json", msgspec.json.encode(facts))

    def read_tracking(self, plan: str) -> dict[str, Any]:
        """Where a plan is in MLflow; empty where it is not."""
        return self._read(self._plans / f"{plan}.mlflow.json", dict[str, Any]) or {}

    def has_plan(self, plan: str) -> bool:
        """Whether there is a plan with this id."""
        return (self._plans / f"{plan}.json").is_file()

    def _read(self, place: Path, kind: type[T]) -> T | None:
        try:
            return msgspec.json.decode(place.read_bytes(), type=kind)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None

    def _write(self, place: Path, data: bytes) -> None:
        try:
            write_atomic(place, data + b"\n" * (not data.endswith(b"\n")))
        except OSError as error:
            raise StoreError(
                f"cannot write `{place}`", details=[("reason", error.strerror or str(error))]
            ) from error


def run_key(record: str, parameter: str | None) -> str:
    """Stands for everything but the seed that decides what a run of a replication is."""
    return hashlib.sha256(f"{record}\n{parameter or ''}".encode()).hexdigest()[:20]
