"""Writing a replication to MLflow: one parent run that holds the plan, and a run below it for each seed."""

from __future__ import annotations

import datetime as dt
import os
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from reproof.compare.metrics import number_of
from reproof.model.event import Emit, Event
from reproof.model.replication import Arm, Replicate, Replication, ReplicationPlan, Spread
from reproof.report.replication import render_replication
from reproof.store.replications import ReplicationStore
from reproof.tracking.address import parse, resolve
from reproof.tracking.values import RECORD_ARTIFACT, Access, Finish, Nested
from reproof.workflow.cached import mlflow_interpreters
from reproof.workflow.tracked import Tracked, write_or_keep

_PLAN = "reproof/replication-plan.json"
_NAME = re.compile(r"[^\w.: /-]")  # what a metric's name may not hold


class ReplicationLog(msgspec.Struct, frozen=True, kw_only=True):
    """The MLflow store of the recorded run, to which its replicates are written.

    Attributes:
        facts: Where the recorded run is: ``uri``, ``run_id``, ``experiment_id``.
        store: Where the replication is kept here.
        top: Top of the repository.
        own: Its ``.reproof``.
        plan: The plan.
        name: Of the parent run.
    """

    facts: dict[str, Any]
    store: ReplicationStore
    top: Path
    own: Path
    plan: ReplicationPlan
    name: str

    def begin(self, emit: Emit) -> None:
        """Make the parent run with the plan, before the first result; one that was made before is kept."""
        known = self.store.read_tracking(self.plan.id)
        if known.get("run_id"):
            return
        wanted = Finish(
            record=self.plan.id,
            uri=self.facts["uri"],
            experiment_id=self.facts.get("experiment_id"),
            run_name=self.name,
            started=_milliseconds(self.plan.created),
            parameters=_parameters(self.plan),
            tags=_tags(self.plan),
            artifacts={_PLAN: msgspec.json.format(msgspec.json.encode(self.plan), indent=1)},
        )
        self._write(wanted, "the plan", emit)

    def finish(self, replication: Replication, emit: Emit) -> Tracked:
        """Write all runs that are there, what is said of them, and the end of the parent where it has come."""
        complete = all(each.state != "missing" for arm in replication.arms for each in arm.replicates)
        wanted = Finish(
            record=self.plan.id,
            uri=self.facts["uri"],
            run_id=self.store.read_tracking(self.plan.id).get("run_id"),
            experiment_id=self.facts.get("experiment_id"),
            run_name=self.name,
            status="FINISHED" if complete else None,
            started=_milliseconds(self.plan.created),
            ended=int(time.time() * 1000),
            parameters=_parameters(self.plan),
            tags={
                **_tags(self.plan),
                "reproof.replicated": replication.word,
                "reproof.replicated_at": replication.created,
            },
            metrics=dict(_summary(replication.arms)),
            artifacts={
                _PLAN: msgspec.json.format(msgspec.json.encode(self.plan), indent=1),
                "reproof/replication.json": render_replication(replication, "json").encode(),
                "reproof/replication.html": render_replication(replication, "html").encode(
                    "utf-8", "surrogateescape"
                ),
            },
            nested=tuple(self._nested(replication.arms)),
        )
        return self._write(wanted, "the replication", emit)

    def _nested(self, arms: Sequence[Arm]) -> Iterator[Nested]:
        for arm in arms:
            for each in arm.replicates:
                if each.state != "missing":
                    yield self._child(arm, each, of_many=len(arms) > 1)

    def _child(self, arm: Arm, replicate: Replicate, *, of_many: bool) -> Nested:
        started = _milliseconds(replicate.started)
        evidence = self.store.evidence(arm.record, self.plan.parameter, replicate.seed)
        return Nested(
            key=f"{self.plan.id[:12]}/{arm.label}/{replicate.seed}",
            run_name=f"{arm.label} seed {replicate.seed}" if of_many else f"seed {replicate.seed}",
            started=started,
            ended=started + round(replicate.seconds * 1000),
            status="FINISHED" if replicate.state == "finished" else "FAILED",
            parameters=replicate.parameters,
            tags={
                "reproof.seed": str(replicate.seed),
                "reproof.replicates": arm.record,
                "reproof.exit_status": str(replicate.exit_status),
                **({"reproof.record": replicate.record} if replicate.record else {}),
            },
            metrics={name: repr(number_of(value)) for name, value in replicate.metrics.items()},
            artifacts={RECORD_ARTIFACT: evidence} if evidence is not None else {},
        )

    def _write(self, wanted: Finish, what: str, emit: Emit) -> Tracked:
        emit(Event(kind="start", subject="tracking", message=f"adding {what} to MLflow"))
        named = resolve(None, os.environ, self.top)
        access = Access(
            address=named if named.uri == wanted.uri else parse(wanted.uri, self.top),
            environment=dict(os.environ),
            directory=self.top,
            interpreters=mlflow_interpreters(),
        )
        tracked = write_or_keep(wanted, access, self.own / "pending")
        emit(Event(kind="finish", subject="tracking"))
        tracked.warn(what, emit)
        if tracked.run_id:
            self.store.write_tracking(self.plan.id, tracked.facts())
        return tracked


def _parameters(plan: ReplicationPlan) -> dict[str, str]:
    return {
        "seeds": ", ".join(map(str, plan.seeds)),
        "master_seed": str(plan.master) if plan.master is not None else "listed",
        "confidence": str(plan.confidence),
        **({"seed_parameter": plan.parameter} if plan.parameter else {}),
    }


def _tags(plan: ReplicationPlan) -> dict[str, str]:
    return {"reproof.replication": plan.id, "reproof.replicates": " ".join(plan.records)}


def _summary(arms: Sequence[Arm]) -> Iterator[tuple[str, str]]:
    """Mean, standard deviation and interval of each metric, for the table of runs."""
    for arm in arms:
        prefix = f"{arm.label}/" if len(arms) > 1 else ""
        for spread in arm.spreads:
            yield from ((_NAME.sub("_", prefix + name), text) for name, text in _numbers(spread))


def _numbers(spread: Spread) -> Iterator[tuple[str, str]]:
    if spread.mean is None:
        return
    yield f"{spread.metric}/mean", repr(spread.mean)
    if spread.sd is not None:
        yield f"{spread.metric}/sd", repr(spread.sd)
    if spread.interval is not None:
        yield f"{spread.metric}/low", repr(spread.interval.low)
        yield f"{spread.metric}/high", repr(spread.interval.high)


def _milliseconds(stamp: str) -> int:
    try:
        return int(dt.datetime.fromisoformat(stamp).timestamp() * 1000)
    except ValueError:
        return int(time.time() * 1000)
