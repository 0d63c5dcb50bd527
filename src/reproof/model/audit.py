"""What an audit found: each finding by its name, and what was looked at."""

from __future__ import annotations

from typing import Literal

import msgspec

SCHEMA = "reproof/audit/1"

#: Every way in which a trail can fail, by name, and what it means. The documentation lists the same.
MEANINGS: dict[str, str] = {
    "log-gone": "the project had a log, and has none now",
    "log-damaged": "an entry or the checkpoint cannot be read",
    "log-gap": "the log lacks an entry",
    "log-order": "an entry does not follow the one before it: changed, inserted, moved or taken from elsewhere",
    "log-root": "the entries are not those that the checkpoint stands for",
    "log-truncated": "a checkpoint seen earlier has more entries: some were taken away",
    "log-forked": "a checkpoint seen earlier stands for other entries: the log was rewritten",
    "checkpoint-unsigned": "nobody who may sign vouches for the last state of the log",
    "unsigned": "entries have no signature: anyone could have written them",
    "signature-invalid": "a signature does not fit its statement",
    "signer-unknown": "a signature is by a key that is not allowed here",
    "signer-not-allowed": "the key is known, but not for this purpose or not at that time",
    "signer-mismatch": "the statement names another signer than the key that signed it",
    "clock": "an entry says that it was made before the one that precedes it",
    "time-mismatch": "the times of a record do not lie between its entries in the log",
    "run-unfinished": "a run was started, and how it ended is not in the log",
    "run-unstarted": "a result was entered whose start was not",
    "run-repeated": "the same run was entered again",
    "run-copied": "somebody else entered the same run, or the same products, before",
    "replication-unfinished": "seeds were planned, and what came of them is not in the log",
    "replication-unplanned": "results over seeds were entered whose seeds were not planned before",
    "replication-incomplete": "runs of planned seeds are missing from the results over seeds",
    "record-gone": "a record that the log names is not here",
    "record-changed": "a record is not the one that was entered",
    "record-unlogged": "a record was made after the log was opened, and is not in it",
    "verdict-unlogged": "a verdict that is kept here was never entered, or was changed afterwards",
    "content-gone": "the content of a product is not in the store any more",
    "content-changed": "the content of a product in the store is not what was signed",
    "run-removed": "the MLflow run is gone",
    "run-attached": "an MLflow run carries the record of another run",
    "metric-changed": "MLflow shows another value than the signed one",
    "metric-added": "MLflow has a value that the run did not log",
    "metric-removed": "a logged value is no longer in MLflow",
    "parameter-changed": "MLflow shows another parameter than the signed one",
    "parameter-added": "MLflow has a parameter that the run did not log",
    "parameter-removed": "a logged parameter is no longer in MLflow",
    "tag-changed": "a tag that the run set has another value now",
    "tag-added": "MLflow has a tag that the run did not set",
    "artifact-changed": "an artifact in MLflow is not what was signed",
    "artifact-removed": "an artifact is no longer in MLflow",
    "artifact-added": "MLflow has an artifact that the run did not log",
    "model-misattributed": "a registered model version names another run than the one that made its files",
    "signers-changed": "`allowed_signers` in the work tree is not what the commit has",
}

Severity = Literal["error", "warning"]


class AuditFinding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is not as it should be.

    Attributes:
        name: A key of :data:`MEANINGS`.
        severity: A warning alone does not fail an audit.
        subject: What it is about: ``entry 12``, ``run 4f2a...``, ``metric rmse``.
        summary: A sentence for people.
        expected: What was signed, where that is a value.
        actual: What is there now.
    """

    name: str
    severity: Severity = "error"
    subject: str
    summary: str
    expected: str | None = None
    actual: str | None = None

    @property
    def meaning(self) -> str:
        """What a finding of this name means."""
        return MEANINGS[self.name]


class Unchecked(msgspec.Struct, frozen=True):
    """Something that could not be looked at, and why."""

    subject: str
    reason: str


class LogEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entry for people.

    Attributes:
        sequence: Its number.
        kind: ``opened``, ``started``, ``finished``, ``verdict``, ``signature``, ``planned``, ``replicated``.
        subject: Record or run that it is about.
        said: What it says: a state, a word, a reason.
        time: By its signer's clock, ISO 8601 in UTC.
        name: Of the signer; empty when unsigned.
        identity: Of the signer.
        meaning: What the signature stands for.
        trusted: The signature is valid and by somebody who may sign so.
    """

    sequence: int
    kind: str
    subject: str = ""
    said: str = ""
    time: str = ""
    name: str = ""
    identity: str = ""
    meaning: str = ""
    trusted: bool = False


class AuditReport(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="schema", tag=SCHEMA
):
    """The result of an audit.

    Attributes:
        project: Name of the project's folder.
        created: When it was made, ISO 8601 in UTC.
        origin: Name of the log; empty without one.
        size: Number of entries.
        root: Root of the tree over them, hexadecimal.
        signed: Entries with a trusted signature.
        runs: Runs that the log knows.
        findings: What is wrong, errors first.
        unchecked: What could not be looked at.
        entries: The log for people, oldest first.
        tool: Name and version of the program.
    """

    project: str
    created: str
    origin: str = ""
    size: int = 0
    root: str = ""
    signed: int = 0
    runs: int = 0
    findings: tuple[AuditFinding, ...] = ()
    unchecked: tuple[Unchecked, ...] = ()
    entries: tuple[LogEntry, ...] = ()
    tool: str = ""

    @property
    def errors(self) -> int:
        """Number of findings that fail the audit."""
        return sum(each.severity == "error" for each in self.findings)
