"""Keys and who may use them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from attesting import NOW, new_key
from reproof.attest.keys import (
    SigningKey,
    from_ssh,
    key_path,
    make_key,
    open_key,
    public_pem,
    read_note,
    ssh_text,
)
from reproof.attest.signers import by_public, line_for, read_signers
from reproof.errors import ReproofError, TrustError, UsageError
from reproof.model.statement import MEANINGS

Golden = Callable[[str, ReproofError | str], None]


def test_a_key_is_its_owners_alone(tmp_path: Path, key: SigningKey) -> None:
    place = tmp_path / "keys/ada.pem"
    assert place.stat().st_mode & 0o777 == 0o600
    assert place.parent.stat().st_mode & 0o777 == 0o700
    assert read_note(place).raw == key.public
    assert b"PRIVATE" in place.read_bytes()
    assert b"PRIVATE" not in place.with_suffix(".json").read_bytes()


def test_openssh_and_openssl_agree_on_the_public_key(tmp_path: Path, key: SigningKey) -> None:
    assert from_ssh(ssh_text(key.public).split()[1]) == key.public
    done = subprocess.run(
        ["openssl", "pkey", "-in", tmp_path / "keys/ada.pem", "-pubout"], capture_output=True, text=True
    )
    assert done.stdout == public_pem(key.public)


def test_a_passphrase(tmp_path: Path, golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "keys/eve.pem"
    made = new_key(tmp_path, "eve@example.org", "correct horse")
    assert b"ENCRYPTED" in place.read_bytes()
    with pytest.raises(TrustError) as caught:
        open_key(place)
    golden("attest/no_passphrase", caught.value)
    with pytest.raises(TrustError) as caught:
        open_key(place, "battery staple")
    golden("attest/wrong_passphrase", caught.value)
    monkeypatch.setenv("REPROOF_KEY_PASSPHRASE", "correct horse")
    assert open_key(place).id == made.id


def test_no_key(tmp_path: Path, golden: Golden) -> None:
    with pytest.raises(TrustError) as caught:
        open_key(tmp_path / "nobody.pem")
    golden("attest/no_key", caught.value)


def test_a_key_that_others_can_read(tmp_path: Path, key: SigningKey, golden: Golden) -> None:
    (tmp_path / "keys/ada.pem").chmod(0o640)
    with pytest.raises(TrustError) as caught:
        open_key(tmp_path / "keys/ada.pem")
    golden("attest/readable_key", caught.value)


def test_a_key_that_is_another_one(tmp_path: Path, key: SigningKey) -> None:
    new_key(tmp_path, "bob@example.org")
    (tmp_path / "keys/ada.pem").write_bytes((tmp_path / "keys/bob.pem").read_bytes())
    with pytest.raises(TrustError, match="another key"):
        open_key(tmp_path / "keys/ada.pem")
    (tmp_path / "keys/ada.pem").write_text("nonsense")
    with pytest.raises(TrustError, match="not a private key"):
        open_key(tmp_path / "keys/ada.pem")
    (tmp_path / "keys/ada.json").write_text("{}")
    with pytest.raises(TrustError, match="damaged"):
        open_key(tmp_path / "keys/ada.pem")


def test_a_key_is_never_overwritten(tmp_path: Path, key: SigningKey) -> None:
    with pytest.raises(TrustError, match="already"):
        make_key(tmp_path / "keys/ada.pem", "ada@example.org", "Ada", NOW, None)


@pytest.mark.parametrize("identity", ["", "two words", "a,b", 'a"b', "*@example.org", "a\nb"])
def test_identities_that_no_line_can_hold(identity: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        make_key(tmp_path / "x.pem", identity, "Ada", NOW, None)


def test_names_of_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert key_path().name == "default.pem"
    monkeypatch.setenv("REPROOF_KEY", "work")
    assert key_path().name == "work.pem"
    monkeypatch.setenv("REPROOF_KEY", str(tmp_path / "k.pem"))
    assert key_path() == tmp_path / "k.pem"
    with pytest.raises(UsageError):
        key_path("..")


def test_allowed_signers(key: SigningKey) -> None:
    line = line_for("ada@example.org", "Ada L.", key.public, meanings=("author", "reviewer"), after=NOW)
    (signer,) = read_signers(f"# who may sign\n\n{line}\nbob@example.org ssh-rsa AAAA\n")
    assert (signer.identity, signer.name, signer.public) == ("ada@example.org", "Ada L.", key.public)
    assert (signer.meanings, signer.after, signer.before) == (("author", "reviewer"), NOW, "")
    assert signer.trouble("ada@example.org", "author", NOW) is None
    assert "as approver" in str(signer.trouble("ada@example.org", "approver", NOW))
    assert "valid from" in str(signer.trouble("ada@example.org", "author", "2026-11-23T09:59:59.999Z"))
    assert "not of `bob" in str(signer.trouble("bob@example.org", "author", NOW))
    assert by_public((signer,)) == {key.public: (signer,)}


def test_lines_of_git_and_ssh(key: SigningKey) -> None:
    text = ssh_text(key.public)
    (plain,) = read_signers(f"ada@example.org {text}")
    assert plain.meanings == MEANINGS
    assert plain.name == "ada@example.org"
    assert read_signers(f'ada@example.org namespaces="git,file" {text}') == ()
    (until,) = read_signers(f'ada@example.org valid-before="20261123" {text} Ada')
    assert "expired" in str(until.trouble("ada@example.org", "author", NOW))


@pytest.mark.parametrize(
    "line", ["ada@example.org", "ada@example.org ssh-ed25519 AAAA", 'a valid-after="soon" ssh-ed25519 {key}']
)
def test_lines_that_cannot_be_understood(line: str, key: SigningKey) -> None:
    with pytest.raises(TrustError, match="line 1"):
        read_signers(line.replace("{key}", ssh_text(key.public).split()[1]))


@pytest.mark.needs("ssh-keygen")
def test_ssh_keygen_reads_the_line(tmp_path: Path, key: SigningKey) -> None:
    line = line_for("ada@example.org", "Ada L.", key.public, meanings=MEANINGS, after=NOW)
    (tmp_path / "allowed_signers").write_text(line + "\n")
    done = subprocess.run(
        ["ssh-keygen", "-Y", "match-principals", "-I", "ada@example.org", "-f", tmp_path / "allowed_signers"],
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "ada@example.org"
