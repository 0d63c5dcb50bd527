"""Envelopes: what verifies, with whose program, and what does not."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope as TheirEnvelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey

from reproof.attest.dsse import pae, seal, strict_json, unseal
from reproof.attest.keys import SigningKey, public_pem
from reproof.errors import TrustError
from reproof.model.statement import PAYLOAD_TYPE, Statement

Make = Callable[..., Statement]


def theirs(key: SigningKey) -> SSlibKey:
    return SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(key.public), keyid=key.id)


def test_the_encoding_is_that_of_the_specification() -> None:
    assert (
        pae("http://example.com/HelloWorld", b"hello world")
        == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_the_same_statement_gives_the_same_envelope(key: SigningKey, make_statement: Make) -> None:
    assert seal(make_statement(), key) == seal(make_statement(), key)
    opened = unseal(seal(make_statement(a=1.5), key), where="x")
    assert opened.statement == make_statement(a=1.5)
    assert opened.signed_by([key.public]) == {key.public}


def test_unsigned_is_called_unsigned(make_statement: Make, key: SigningKey) -> None:
    opened = unseal(seal(make_statement(), None), where="x")
    assert not opened.is_signed
    assert opened.signed_by([key.public]) == frozenset()


def test_securesystemslib_verifies_ours(key: SigningKey, make_statement: Make) -> None:
    envelope = TheirEnvelope.from_dict(json.loads(seal(make_statement(), key)))
    assert set(envelope.verify([theirs(key)], threshold=1)) == {key.id}
    other = CryptoSigner.generate_ed25519().public_key
    with pytest.raises(VerificationError):
        envelope.verify([other], threshold=1)


def test_we_verify_securesystemslibs(make_statement: Make, key: SigningKey) -> None:
    signer = CryptoSigner.generate_ed25519()
    payload = unseal(seal(make_statement(), None), where="x").payload
    envelope = TheirEnvelope(payload, PAYLOAD_TYPE, {})
    envelope.sign(signer)
    opened = unseal(json.dumps(envelope.to_dict()).encode(), where="x")
    public = bytes.fromhex(signer.public_key.keyval["public"])
    assert opened.signed_by([public, key.public]) == {public}


@pytest.mark.needs("openssl")
def test_openssl_verifies_ours(key: SigningKey, make_statement: Make, tmp_path: Path) -> None:
    envelope = json.loads(seal(make_statement(), key))
    payload = base64.b64decode(envelope["payload"])
    (tmp_path / "key.pem").write_text(public_pem(key.public))
    (tmp_path / "sig").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))

    def verify(message: bytes) -> int:
        (tmp_path / "message").write_bytes(message)
        command = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "key.pem"]
        command += ["-in", "message", "-sigfile", "sig"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True).returncode

    assert verify(pae(PAYLOAD_TYPE, payload)) == 0
    assert verify(pae(PAYLOAD_TYPE, payload + b" ")) != 0


def test_one_key_under_two_ids_counts_once(key: SigningKey, make_statement: Make) -> None:
    envelope = json.loads(seal(make_statement(), key))
    envelope["signatures"].append({**envelope["signatures"][0], "keyid": "another"})
    opened = unseal(json.dumps(envelope).encode(), where="x")
    assert opened.signed_by([key.public, key.public]) == {key.public}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda e: {**e, "payloadType": "text/plain"},
        lambda e: {**e, "payload": e["payload"][:-8]},
        lambda e: {**e, "payload": "not base64!"},
        lambda e: {"payload": e["payload"]},
        lambda e: {**e, "payload": base64.b64encode(b'{"_type":"x","_type":"y"}').decode()},
        lambda e: {**e, "payload": base64.b64encode(b'{"_type":NaN}').decode()},
        lambda e: [e],
    ],
)
def test_what_is_no_envelope_is_refused(
    spoil: Callable[..., object], key: SigningKey, make_statement: Make
) -> None:
    envelope = json.loads(seal(make_statement(), key))
    with pytest.raises(TrustError, match="not an envelope"):
        unseal(json.dumps(spoil(envelope)).encode(), where="x")


def test_another_payload_or_type_does_not_verify(key: SigningKey, make_statement: Make) -> None:
    envelope = json.loads(seal(make_statement(metric="1"), key))
    envelope["payload"] = base64.b64encode(
        base64.b64decode(envelope["payload"]).replace(b'"metric":"1"', b'"metric":"2"')
    ).decode()
    assert unseal(json.dumps(envelope).encode(), where="x").signed_by([key.public]) == frozenset()


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_or_read(data: bytes) -> None:
    with pytest.raises(TrustError):
        unseal(data, where="x")


def test_nesting_does_not_exhaust_the_stack() -> None:
    with pytest.raises(TrustError):
        unseal(b"[" * 100_000, where="x")


def test_a_name_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="`a` stands twice"):
        strict_json(b'{"a": 1, "b": {}, "a": 2}')
