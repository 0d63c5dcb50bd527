"""Checkpoints: size and root of a log, signed (C2SP tlog-checkpoint on signed-note, ed25519)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from reproof.errors import TrustError

if TYPE_CHECKING:
    from reproof.attest.keys import SigningKey

_SIGNATURE = re.compile("— (?P<name>[^ +\n]+) (?P<sig>[A-Za-z0-9+/=]+)")


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What a log was at one moment.

    Attributes:
        origin: Name of the log.
        size: Number of entries.
        root: Root of the tree over them.
        signatures: Name of the signer to signature (4 bytes of key hash, then 64 bytes).
        body: The signed text.
    """

    origin: str
    size: int
    root: bytes
    signatures: tuple[tuple[str, bytes], ...] = ()
    body: bytes = b""

    def signed_by(self, publics: Mapping[bytes, str]) -> frozenset[bytes]:
        """Which of the raw public keys (each with its signer's identity) made a valid signature."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        found = set()
        for name, sig in self.signatures:
            for public in publics:
                if sig[:4] != _key_hash(name, public):
                    continue
                try:
                    Ed25519PublicKey.from_public_bytes(public).verify(sig[4:], self.body)
                except InvalidSignature:
                    continue
                found.add(public)
        return frozenset(found)


def write(origin: str, size: int, root: bytes, key: SigningKey | None) -> bytes:
    """The text of a checkpoint, signed when there is a key.

    Args:
        origin: Name of the log, one line.
        size: Number of entries.
        root: The 32 bytes of the tree's root.
        key: Who signs; None for a checkpoint that nobody vouches for.
    """
    body = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n".encode()
    if key is None:
        return body + b"\n"
    name = key.identity.replace(" ", "_").replace("+", "_")
    sig = base64.b64encode(_key_hash(name, key.public) + key.sign(body)).decode()
    return body + f"\n— {name} {sig}\n".encode()


def read(data: bytes, *, where: str) -> Checkpoint:
    """Read a checkpoint; whose signatures hold is asked with :meth:`Checkpoint.signed_by`.

    Raises:
        TrustError: It is not a checkpoint.
    """
    try:
        body, gap, rest = data.decode("utf-8").partition("\n\n")
        origin, size, root = body.split("\n")
        _require(bool(gap) and size.isascii() and size.isdigit() and len(size) <= 18)
        lines = [_SIGNATURE.fullmatch(line) for line in rest.splitlines()]
        found = Checkpoint(
            origin=origin,
            size=int(size),
            root=base64.b64decode(root, validate=True),
            signatures=tuple(
                (line["name"], base64.b64decode(line["sig"], validate=True)) for line in lines if line
            ),
            body=f"{body}\n".encode(),
        )
        _require(len(found.root) == 32 and None not in lines)
    except (ValueError, binascii.Error) as error:
        raise TrustError(
            f"cannot read the checkpoint `{where}`: it is damaged or not a checkpoint"
        ) from error
    return found


def _require(sound: bool) -> None:
    if not sound:
        raise ValueError


def _key_hash(name: str, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n\x01" + public).digest()[:4]
