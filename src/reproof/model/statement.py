"""What is signed: in-toto statements, and the small facts about who signs and where it stands in the log.

Formats: in-toto Attestation Framework v1 (Statement), SLSA provenance v1, DSSE v1.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"

#: Predicate types: the end of a run is SLSA's own, the others are ours.
PROVENANCE = "https://slsa.dev/provenance/v1"
OPENED = "urn:reproof:log-opened:1"
STARTED = "urn:reproof:run-started:1"
VERDICT = "urn:reproof:verdict:1"
APPROVAL = "urn:reproof:approval:1"
PLANNED = "urn:reproof:replication-planned:1"
REPLICATED = "urn:reproof:replication:1"

#: How a run of reproof came about, in the terms of SLSA provenance.
BUILD_TYPE = "urn:reproof:run:1"

#: What a signature means; FDA 21 CFR 11.50 asks for it.
Meaning = Literal["author", "reviewer", "approver"]
MEANINGS: tuple[Meaning, ...] = ("author", "reviewer", "approver")


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """A thing that a statement is about: its name, and algorithm to hexadecimal digest."""

    name: str
    digest: dict[str, str]


class Signer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who makes a statement, inside the signed bytes.

    Attributes:
        name: For people.
        identity: As in `allowed_signers`: an e-mail address as a rule. Empty when nobody signs.
        key: Id of the key: sha256 of its public part (SubjectPublicKeyInfo, DER). Empty unsigned.
        meaning: What the signature stands for.
        time: When it was made by the signer's clock, ISO 8601 in UTC.
    """

    name: str = ""
    identity: str = ""
    key: str = ""
    meaning: Meaning = "author"
    time: str


class Position(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a statement stands in a log.

    Attributes:
        origin: Name of the log.
        sequence: Number of the entry, from 0.
        previous: sha256 of the entry before it; empty for the first.
    """

    origin: str
    sequence: int
    previous: str = ""


class Statement(
    msgspec.Struct, frozen=True, kw_only=True, rename={"type": "_type", "predicate_type": "predicateType"}
):
    """An in-toto statement; `predicate` holds ``reproof_signer`` and ``reproof_log`` beside its own facts."""

    type: str = STATEMENT_TYPE
    subject: tuple[Subject, ...]
    predicate_type: str
    predicate: dict[str, Any]


class Signature(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One signature of an envelope, base64; `keyid` is a hint and never proof."""

    keyid: str = ""
    sig: str


class Envelope(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A DSSE envelope: `payload` is base64; no signature at all means unsigned."""

    payload: str
    payload_type: str
    signatures: tuple[Signature, ...]
