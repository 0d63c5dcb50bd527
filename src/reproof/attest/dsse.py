"""DSSE envelopes with ed25519 signatures (DSSE protocol v1; RFC 8032 keys through `cryptography`).

The signed bytes are exactly those that are kept: nothing is ever serialised again to be checked.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from reproof.errors import TrustError
from reproof.model.statement import (
    PAYLOAD_TYPE,
    STATEMENT_TYPE,
    Envelope,
    Position,
    Signature,
    Signer,
    Statement,
)

if TYPE_CHECKING:
    from reproof.attest.keys import SigningKey

Part = TypeVar("Part", Signer, Position)

#: A statement names each product: a run with a hundred thousand of them has one of about 20 MB.
MAX_BYTES = 64 << 20


def pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: the bytes that are signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def seal(statement: Statement, key: SigningKey | None) -> bytes:
    """The envelope of a statement as one line of JSON; without a key it has no signature."""
    payload = msgspec.json.encode(statement)
    signatures: tuple[Signature, ...] = ()
    if key is not None:
        sig = base64.b64encode(key.sign(pae(PAYLOAD_TYPE, payload))).decode()
        signatures = (Signature(keyid=key.id, sig=sig),)
    envelope = Envelope(
        payload=base64.b64encode(payload).decode(), payload_type=PAYLOAD_TYPE, signatures=signatures
    )
    return msgspec.json.encode(envelope) + b"\n"


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """An envelope whose form is sound; whether its signatures are is asked with :meth:`signed_by`."""

    payload: bytes
    payload_type: str
    signatures: tuple[tuple[str, bytes], ...]
    statement: Statement

    @property
    def is_signed(self) -> bool:
        """Whether there is any signature, valid or not."""
        return bool(self.signatures)

    @property
    def signer(self) -> Signer | None:
        """Who says so, inside the payload; None where that is missing or malformed."""
        return _part(self.statement.predicate.get("reproof_signer"), Signer)

    @property
    def position(self) -> Position | None:
        """Where in a log it says it stands."""
        return _part(self.statement.predicate.get("reproof_log"), Position)

    def signed_by(self, publics: Iterable[bytes]) -> frozenset[bytes]:
        """Which of the raw public keys made a valid signature: distinct keys, whatever their ids."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        message = pae(self.payload_type, self.payload)
        found = set()
        for public in set(publics):
            for _, sig in self.signatures:
                try:
                    Ed25519PublicKey.from_public_bytes(public).verify(sig, message)
                except InvalidSignature:
                    continue
                found.add(public)
        return frozenset(found)


def unseal(data: bytes, *, where: str) -> Opened:
    """Read an envelope and the statement in it, strictly: no name twice, nothing of unknown form.

    Raises:
        TrustError: It is not an envelope with an in-toto statement.
    """
    if len(data) > MAX_BYTES:
        raise TrustError(
            f"cannot read `{where}`: it is larger than any statement",
            details=[("size", f"{len(data):,} bytes")],
        )
    try:
        envelope = msgspec.convert(strict_json(data), Envelope)
        payload = base64.b64decode(envelope.payload, validate=True)
        signatures = tuple(
            (each.keyid, base64.b64decode(each.sig, validate=True)) for each in envelope.signatures
        )
        _require(envelope.payload_type == PAYLOAD_TYPE, f"payloadType is `{envelope.payload_type[:80]}`")
        statement = msgspec.convert(strict_json(payload), Statement)
        _require(statement.type == STATEMENT_TYPE, f"_type is `{statement.type[:80]}`")
    except (ValueError, msgspec.ValidationError, RecursionError, binascii.Error) as error:
        raise TrustError(
            f"cannot read `{where}`: it is not an envelope with a statement",
            details=[("reason", str(error)[:200])],
        ) from error
    return Opened(
        payload=payload, payload_type=envelope.payload_type, signatures=signatures, statement=statement
    )


def strict_json(data: bytes) -> Any:
    """A JSON document in which no object has a name twice.

    Raises:
        ValueError: It is not JSON, or a name stands twice: readers would disagree about its meaning.
    """
    return json.loads(data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name `{twice[:40]}` stands twice in one object")
    return found


def _no_constant(word: str) -> Any:
    raise ValueError(f"`{word}` is not JSON")


def _require(sound: bool, otherwise: str) -> None:
    if not sound:
        raise ValueError(otherwise)


def _part(value: Any, kind: type[Part]) -> Part | None:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return None
