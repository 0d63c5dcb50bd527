"""Examining a log that was read: structure, signatures, times, and the story that its entries tell."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import msgspec

from reproof.attest import checkpoint as notes
from reproof.attest.checkpoint import Checkpoint
from reproof.attest.claims import RECORD, TrackedRuns
from reproof.attest.dsse import Opened, unseal
from reproof.attest.keys import key_id
from reproof.attest.log import LogContent
from reproof.attest.merkle import leaf_hash, root_of
from reproof.attest.signers import AllowedSigner, by_public
from reproof.errors import TrustError
from reproof.model.audit import AuditFinding, LogEntry
from reproof.model.statement import (
    APPROVAL,
    OPENED,
    PLANNED,
    PROVENANCE,
    REPLICATED,
    STARTED,
    VERDICT,
    Signer,
)

#: Kinds of entries, by predicate type.
KINDS = {
    OPENED: "opened",
    STARTED: "started",
    PROVENANCE: "finished",
    VERDICT: "verdict",
    APPROVAL: "signature",
    PLANNED: "planned",
    REPLICATED: "replicated",
}


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry that could be read.

    Attributes:
        sequence: Where it stands.
        opened: The envelope.
        signer: Who says so.
        trusted: A valid signature by somebody who may sign so.
    """

    sequence: int
    opened: Opened
    signer: Signer
    trusted: bool

    @property
    def kind(self) -> str:
        """One of :data:`KINDS`, or the predicate type itself."""
        kind = self.opened.statement.predicate_type
        return KINDS.get(kind, kind)

    @property
    def facts(self) -> dict[str, Any]:
        """The predicate."""
        return self.opened.statement.predicate

    @property
    def nonce(self) -> str:
        """The run that it is about, while there is no record; empty for entries about a record."""
        if self.kind == "finished":
            return str(dig(self.facts, "runDetails", "metadata", "invocationId") or "")
        return str(self.facts.get("nonce", ""))

    @property
    def record(self) -> str:
        """Id of the record that it is about; empty before there is one."""
        for subject in self.opened.statement.subject:
            if subject.name == RECORD:
                return subject.digest.get("sha256", "")
        return ""

    @property
    def products(self) -> dict[str, dict[str, str]]:
        """Digests of the products that it names."""
        return {each.name: each.digest for each in self.opened.statement.subject if each.name != RECORD}

    @property
    def tracked(self) -> TrackedRuns:
        """Where the run is in MLflow."""
        value = dig(self.facts, "buildDefinition", "internalParameters", "mlflow")
        try:
            return msgspec.convert(value or {}, TrackedRuns)
        except msgspec.ValidationError:
            return TrackedRuns()

    def shown(self) -> LogEntry:
        """The entry for people."""
        said = {
            "finished": dig(self.facts, "reproof_result", "state"),
            "verdict": self.facts.get("result"),
            "signature": self.facts.get("reason"),
            "opened": self.facts.get("project"),
            "planned": _seeds_planned(self.facts),
            "replicated": self.facts.get("result"),
        }.get(self.kind)
        return LogEntry(
            sequence=self.sequence,
            kind=self.kind,
            subject=self.record or self.nonce,
            said=str(said or ""),
            time=self.signer.time,
            name=self.signer.name,
            identity=self.signer.identity,
            meaning=self.signer.meaning,
            trusted=self.trusted,
        )


def _seeds_planned(facts: dict[str, Any]) -> str:
    seeds = facts.get("seeds")
    return f"{len(seeds)} seeds" if isinstance(seeds, list) else ""


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """A log after examination: its readable entries, its checkpoint, what is wrong."""

    entries: tuple[Entry, ...]
    checkpoint: Checkpoint | None
    root: bytes
    findings: tuple[AuditFinding, ...]


def examine(
    content: LogContent, signers: tuple[AllowedSigner, ...], witnesses: tuple[bytes, ...]
) -> Examined:
    """Examine a whole log.

    Args:
        content: What was read.
        signers: Who may sign.
        witnesses: Checkpoints seen earlier, or kept elsewhere.
    """
    work = _Examination(signers)
    leaves = [leaf_hash(entry) for entry in content.entries]
    root = root_of(leaves)
    for number in content.missing:
        work.add("log-gap", f"entry {number}", "there is no such entry, although later ones are there")
    entries = tuple(work.entries(content))
    checkpoint = work.checkpoint(content, root)
    if checkpoint is not None:
        for witness in witnesses:
            work.compare(witness, checkpoint, leaves)
    work.tell_unsigned(entries)
    return Examined(entries=entries, checkpoint=checkpoint, root=root, findings=tuple(work.findings))


class _Examination:
    """Collects findings while the entries go by."""

    def __init__(self, signers: tuple[AllowedSigner, ...]) -> None:
        self.findings: list[AuditFinding] = []
        self._signers = by_public(signers)
        self._by_id = {key_id(public): public for public in self._signers}
        self._origin = ""
        self._previous = ""
        self._time = ""

    def add(self, name: str, subject: str, summary: str, **more: Any) -> None:
        """Note a finding."""
        self.findings.append(AuditFinding(name=name, subject=subject, summary=summary, **more))

    def entries(self, content: LogContent) -> Iterator[Entry]:
        """The entries that can be read, in order; everything else becomes findings."""
        present = (number for number in range(len(content.entries) + len(content.missing)))
        missing = set(content.missing)
        numbers = [number for number in present if number not in missing]
        for number, data in zip(numbers, content.entries, strict=True):
            subject = f"entry {number}"
            try:
                opened = unseal(data, where=subject)
            except TrustError as error:
                self.add("log-damaged", subject, dict(error.details).get("reason", error.message))
                self._previous = hashlib.sha256(data).hexdigest()
                continue
            self._check_order(number, opened, subject)
            self._previous = hashlib.sha256(data).hexdigest()
            signer = opened.signer
            if signer is None:
                self.add("log-damaged", subject, "it does not say who made it, and when")
                continue
            trusted = self._check_signature(opened, signer, subject)
            self._check_time(signer, subject)
            yield Entry(sequence=number, opened=opened, signer=signer, trusted=trusted)

    def _check_order(self, number: int, opened: Opened, subject: str) -> None:
        position = opened.position
        if position is None:
            self.add("log-order", subject, "it does not say where in a log it stands")
            return
        self._origin = self._origin or position.origin
        wrong = []
        if position.sequence != number:
            wrong.append(f"it is entry {position.sequence} by its own words")
        if position.origin != self._origin:
            wrong.append(f"it belongs to the log `{position.origin}`")
        if position.previous != self._previous:
            wrong.append("the entry before it is not the one that it names")
        if wrong:
            self.add("log-order", subject, "; ".join(wrong))

    def _check_signature(self, opened: Opened, signer: Signer, subject: str) -> bool:
        """Whether the entry is signed by somebody who may say so."""
        if not opened.is_signed:
            return False
        hinted = {self._by_id[keyid] for keyid, _ in opened.signatures if keyid in self._by_id}
        publics = opened.signed_by(hinted) or opened.signed_by(self._signers)
        if not publics:
            known = any(keyid in self._by_id for keyid, _ in opened.signatures)
            if known:
                self.add(
                    "signature-invalid",
                    subject,
                    f"the signature that claims to be by `{signer.identity}` does not fit",
                )
            else:
                who = signer.identity or "nobody"
                ids = ", ".join(keyid[:12] for keyid, _ in opened.signatures)
                self.add(
                    "signer-unknown",
                    subject,
                    f"signed as `{who}` by the key {ids}, which is not allowed here",
                )
            return False
        public = min(publics)
        if signer.key != key_id(public):
            self.add(
                "signer-mismatch",
                subject,
                f"it names the key {signer.key[:12]}, and is signed by {key_id(public)[:12]}",
            )
            return False
        troubles = [
            line.trouble(signer.identity, signer.meaning, signer.time) for line in self._signers[public]
        ]
        if None in troubles:
            return True
        self.add("signer-not-allowed", subject, str(troubles[0]))
        return False

    def _check_time(self, signer: Signer, subject: str) -> None:
        if signer.time < self._time:
            self.add("clock", subject, f"made at {signer.time}, after an entry of {self._time}")
        self._time = max(self._time, signer.time)

    def checkpoint(self, content: LogContent, root: bytes) -> Checkpoint | None:
        """The checkpoint of the log, compared to its entries."""
        try:
            found = notes.read(content.checkpoint, where="the last checkpoint")
        except TrustError as error:
            self.add("log-damaged", "checkpoint", error.message)
            return None
        if (found.size, found.root) != (len(content.entries), root):
            self.add(
                "log-root",
                "checkpoint",
                f"it stands for {found.size} entries, the log has {len(content.entries)}"
                if found.size != len(content.entries)
                else "the root over the entries is another one",
                expected=found.root.hex(),
                actual=root.hex(),
            )
        names = {public: lines[0].identity for public, lines in self._signers.items()}
        if names and not found.signed_by(names):
            self.add("checkpoint-unsigned", "checkpoint", "no signature on it is by somebody who may sign")
        return found

    def compare(self, witness: bytes, checkpoint: Checkpoint, leaves: list[bytes]) -> None:
        """Hold a checkpoint that was seen earlier against the log."""
        try:
            seen = notes.read(witness, where="a checkpoint seen earlier")
        except TrustError as error:
            self.add("log-damaged", "checkpoint seen earlier", error.message)
            return
        if seen.origin != checkpoint.origin:
            self.add(
                "log-forked",
                "log",
                f"it is the log `{checkpoint.origin}`; the checkpoint is of `{seen.origin}`",
            )
        elif seen.size > len(leaves):
            self.add(
                "log-truncated",
                "log",
                f"it had {seen.size} entries, and has {len(leaves)}",
                expected=str(seen.size),
                actual=str(len(leaves)),
            )
        elif root_of(leaves[: seen.size]) != seen.root:
            self.add(
                "log-forked",
                "log",
                f"its first {seen.size} entries are not those that were seen earlier",
                expected=seen.root.hex(),
                actual=root_of(leaves[: seen.size]).hex(),
            )

    def tell_unsigned(self, entries: tuple[Entry, ...]) -> None:
        """One finding for all entries without a signature: an error as soon as somebody is named who should sign."""
        bare = [entry.sequence for entry in entries if not entry.opened.is_signed]
        if bare:
            some = ", ".join(str(number) for number in bare[:5]) + (" ..." if len(bare) > 5 else "")
            self.add(
                "unsigned",
                "log",
                f"{len(bare)} of {len(entries)} entries are unsigned: {some}",
                severity="error" if self._signers else "warning",
            )


def dig(value: Any, *names: str) -> Any:
    """A value deep in a document of unknown form; None where it is not there."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value
