"""Keys and statements for tests of signing, of the log and of bundles."""

from __future__ import annotations

from pathlib import Path

from reproof.attest.keys import SigningKey, make_key, open_key
from reproof.model.statement import STARTED, Position, Signer, Statement, Subject

NOW = "2026-11-23T10:00:00.000Z"


def new_key(folder: Path, identity: str, passphrase: str | None = None) -> SigningKey:
    place = folder / "keys" / f"{identity.partition('@')[0]}.pem"
    make_key(place, identity, identity.partition("@")[0].title(), NOW, passphrase)
    return open_key(place, passphrase)


def statement(position: Position | None = None, signer: Signer | None = None, **facts: object) -> Statement:
    return Statement(
        subject=(Subject(name="code", digest={"gitCommit": "1" * 40}),),
        predicate_type=STARTED,
        predicate={
            **facts,
            "reproof_signer": {"time": NOW, **({"identity": signer.identity} if signer else {})},
            "reproof_log": {
                "origin": position.origin,
                "sequence": position.sequence,
                "previous": position.previous,
            }
            if position
            else {"origin": "x", "sequence": 0},
        },
    )
