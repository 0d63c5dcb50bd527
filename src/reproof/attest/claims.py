"""What each kind of entry says: a subject, a predicate type and the facts, ready to be signed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from reproof.model.artifact import Artifact
from reproof.model.codec import encode
from reproof.model.record import Record
from reproof.model.replication import Replication, ReplicationPlan
from reproof.model.statement import (
    APPROVAL,
    BUILD_TYPE,
    OPENED,
    PLANNED,
    PROVENANCE,
    REPLICATED,
    STARTED,
    VERDICT,
    Meaning,
    Position,
    Signer,
    Statement,
    Subject,
)
from reproof.model.verdict import Verdict

#: Name of the record among the subjects of a statement.
RECORD = "reproof/record.json"

#: Inputs that a statement names itself; all of them are in the record, which it names by digest.
_NAMED_INPUTS = 1000


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A statement without its signer and its place in the log."""

    subject: tuple[Subject, ...]
    predicate_type: str
    predicate: dict[str, Any]

    def stated(self, signer: Signer, position: Position) -> Statement:
        """The statement that `signer` makes at this place of a log."""
        own = {
            "reproof_signer": msgspec.to_builtins(signer),
            "reproof_log": msgspec.to_builtins(position),
        }
        return Statement(
            subject=self.subject, predicate_type=self.predicate_type, predicate={**self.predicate, **own}
        )


class TrackedRuns(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a run is in MLflow.

    Attributes:
        uri: The store, without secrets.
        runs: Run ids; the index is the number that the record gives a run.
        models: Ids of logged models, each with the name that the record gives it.
    """

    uri: str = ""
    runs: tuple[str, ...] = ()
    models: dict[str, str] = {}


def opened(project: str, commit: str, signers: bytes) -> Claim:
    """The first entry: which project, and who was allowed to sign then."""
    return Claim(
        subject=(Subject(name="code", digest={"gitCommit": commit}),),
        predicate_type=OPENED,
        predicate={"project": project, "allowedSigners": hashlib.sha256(signers).hexdigest()},
    )


def started(record: Record) -> Claim:
    """A run that begins: everything that is decided before there is a result."""
    return Claim(
        subject=(Subject(name="code", digest={"gitCommit": record.code.commit}),),
        predicate_type=STARTED,
        predicate={
            "nonce": record.nonce,
            "created": record.created,
            "parameters": _parameters(record),
            "dirty": record.code.dirty,
            "tool": msgspec.to_builtins(record.tool),
        },
    )


def finished(identity: str, record: Record, hashes: Mapping[str, str], tracked: TrackedRuns) -> Claim:
    """A run that has ended, as SLSA provenance.

    Args:
        identity: Id of its record.
        record: The record.
        hashes: sha256 of products by name, as far as it could be had.
        tracked: Where it is in MLflow.
    """
    subjects = [Subject(name=RECORD, digest={"sha256": identity})]
    subjects += [
        Subject(name=each.name, digest=digest)
        for each in record.products
        if (digest := _digest(each, hashes.get(each.name)))
    ]
    times = record.byproducts
    return Claim(
        subject=tuple(subjects),
        predicate_type=PROVENANCE,
        predicate={
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": _parameters(record),
                "internalParameters": {"mlflow": msgspec.to_builtins(tracked)},
                "resolvedDependencies": _dependencies(record),
            },
            "runDetails": {
                "builder": {"id": "urn:reproof:tool", "version": {record.tool.name: record.tool.version}},
                "metadata": {"invocationId": record.nonce, "startedOn": times.started or record.created},
                "byproducts": [{"name": RECORD, "digest": {"sha256": identity}}],
            },
            "reproof_result": {
                "record": identity,
                "state": record.state,
                "exitStatus": times.exit_status,
                "seconds": times.seconds,
                "metrics": len(record.metrics),
            },
        },
    )


def verified(verdict: Verdict) -> Claim:
    """A verdict: the word, how it came about, and the digest of the whole document."""
    return Claim(
        subject=(Subject(name=RECORD, digest={"sha256": verdict.record}),),
        predicate_type=VERDICT,
        predicate={
            "verifier": verdict.tool,
            "timeVerified": verdict.created,
            "record": verdict.record,
            "result": verdict.word,
            "outcome": verdict.outcome.word,
            "stability": verdict.stability,
            "accepted": verdict.policy.accept.word,
            "conditions": {each.name: each.value for each in verdict.conditions},
            "notChecked": len(verdict.not_checked),
            "document": {"sha256": verdict_digest(verdict)},
        },
    )


def verdict_digest(verdict: Verdict) -> str:
    """sha256 of a verdict as it is kept."""
    return hashlib.sha256(encode(verdict)).hexdigest()


def planned(plan: ReplicationPlan) -> Claim:
    """A replication before its first result: all its seeds, so that none can be left out afterwards."""
    return Claim(
        subject=_records(plan),
        predicate_type=PLANNED,
        predicate={
            "plan": plan.id,
            "created": plan.created,
            "records": list(plan.records),
            "master": plan.master,
            "seeds": list(plan.seeds),
            "parameter": plan.parameter,
            "metrics": list(plan.metrics),
            "confidence": plan.confidence,
        },
    )


def replicated(replication: Replication) -> Claim:
    """What came of each planned seed, the word, and the digest of each run's record."""
    return Claim(
        subject=_records(replication.plan),
        predicate_type=REPLICATED,
        predicate={
            "plan": replication.id,
            "result": replication.word,
            "runs": [
                {"record": arm.record, "seed": each.seed, "state": each.state, "evidence": each.record}
                for arm in replication.arms
                for each in arm.replicates
            ],
        },
    )


def _records(plan: ReplicationPlan) -> tuple[Subject, ...]:
    return tuple(
        Subject(name=RECORD if number == 0 else f"{RECORD} {number + 1}", digest={"sha256": identity})
        for number, identity in enumerate(plan.records)
    )


def approved(identity: str, reason: str) -> Claim:
    """Somebody answers for a record."""
    return Claim(
        subject=(Subject(name=RECORD, digest={"sha256": identity}),),
        predicate_type=APPROVAL,
        predicate={"record": identity, "reason": reason},
    )


def accounted(nonce: str, commit: str, reason: str) -> Claim:
    """Somebody says why a run that was started has no result."""
    return Claim(
        subject=(Subject(name="code", digest={"gitCommit": commit}),),
        predicate_type=APPROVAL,
        predicate={"nonce": nonce, "reason": reason},
    )


def signed(signer: Signer, meaning: Meaning, time: str) -> Signer:
    """The same signer at another time, for another purpose."""
    return msgspec.structs.replace(signer, meaning=meaning, time=time)


def _parameters(record: Record) -> dict[str, Any]:
    section = record.project
    return {
        "project": section.name,
        "subdirectory": section.subdirectory,
        "entryPoint": section.entry_point,
        "parameters": dict(section.parameters),
        "command": section.command,
        "seed": record.randomness.seed,
    }


def _dependencies(record: Record) -> list[dict[str, Any]]:
    """What went in, except for what the commit names anyway."""
    code: dict[str, Any] = {"name": "code", "digest": {"gitCommit": record.code.commit}}
    if record.code.remote:
        code["uri"] = f"git+{record.code.remote}"
    found = [code]
    lock = record.environment.lock
    inputs: Iterable[Artifact] = (
        *([lock.artifact] if lock is not None else []),
        *([record.code.patch] if record.code.patch is not None else []),
        *(each for each in record.materials if each.origin != "git"),
    )
    found += [{"name": each.name, "digest": digest} for each in inputs if (digest := _digest(each, None))]
    return found[:_NAMED_INPUTS]


def _digest(artifact: Artifact, sha256: str | None) -> dict[str, str]:
    """An in-toto digest set; DVC's ids of folders are no digests of bytes."""
    known = {name: value for name, value in artifact.digests.items() if not value.endswith(".dir")}
    return {**({"sha256": sha256} if sha256 else {}), **known}
