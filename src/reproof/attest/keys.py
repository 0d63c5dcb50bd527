"""Signing keys: ed25519 in PKCS#8 PEM files outside any project, beside each a note of whose it is."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import stat
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from reproof.base.files import write_atomic
from reproof.base.locations import config_directory
from reproof.errors import TrustError, UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

#: Value of REPROOF_KEY that means: sign nothing.
NO_KEY = "none"
DEFAULT = "default"

_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,63}")
_IDENTITY = re.compile(r"[^\s,\"*?!+#]{1,128}")
_SPKI = bytes.fromhex("302a300506032b6570032100")  # RFC 8410: SubjectPublicKeyInfo of ed25519, then 32 bytes
_SSH = "ssh-ed25519"


class KeyNote(msgspec.Struct, frozen=True, kw_only=True):
    """What lies beside a key: nothing secret.

    Attributes:
        identity: As in `allowed_signers`.
        name: For people.
        public: The raw public key, base64.
        created: ISO 8601 in UTC.
        encrypted: A passphrase is needed.
    """

    identity: str
    name: str
    public: str
    created: str
    encrypted: bool = False

    @property
    def raw(self) -> bytes:
        """The raw public key, 32 bytes."""
        return base64.b64decode(self.public)


class SigningKey:
    """A private key that is ready to sign, and whose it is."""

    def __init__(self, private: Ed25519PrivateKey, note: KeyNote) -> None:
        self._private = private
        self.public = note.raw
        self.id = key_id(note.raw)
        self.identity = note.identity
        self.name = note.name

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of an ed25519 signature; the same message gives the same bytes."""
        return self._private.sign(message)


def key_id(public: bytes) -> str:
    """The id of a raw public key: sha256 of its SubjectPublicKeyInfo in DER, hexadecimal."""
    return hashlib.sha256(_SPKI + public).hexdigest()


def public_pem(public: bytes) -> str:
    """A raw public key as PEM, as `openssl` reads it."""
    text = base64.b64encode(_SPKI + public).decode()
    return f"-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n"


def ssh_text(public: bytes) -> str:
    """A raw public key as OpenSSH writes it: ``ssh-ed25519 AAAA...``."""
    kind = _SSH.encode()
    data = struct.pack(">I", len(kind)) + kind + struct.pack(">I", len(public)) + public
    return f"{_SSH} {base64.b64encode(data).decode()}"


def from_ssh(text: str) -> bytes:
    """The raw public key in the base64 part of an OpenSSH key.

    Raises:
        ValueError: It is not an ed25519 key.
    """
    data = base64.b64decode(text, validate=True)
    kind = _SSH.encode()
    head = struct.pack(">I", len(kind)) + kind + struct.pack(">I", 32)
    if not data.startswith(head) or len(data) != len(head) + 32:
        raise ValueError("not an ed25519 key")
    return data[len(head) :]


def keys_folder() -> Path:
    """Where keys are: outside every project."""
    return config_directory() / "keys"


def key_path(name: str | None = None) -> Path:
    """The file of the key `name`; by default the one that REPROOF_KEY names (a name or a path).

    Raises:
        UsageError: That cannot be the name of a key.
    """
    wanted = name or os.environ.get("REPROOF_KEY") or DEFAULT
    if "/" in wanted:
        return Path(wanted).expanduser().absolute()
    if not _NAME.fullmatch(wanted):
        raise UsageError(
            f"`{wanted}` cannot be the name of a key", hint="use letters, digits, `-`, `_` and `.`"
        )
    return keys_folder() / f"{wanted}.pem"


def make_key(place: Path, identity: str, name: str, created: str, passphrase: str | None) -> KeyNote:
    """Make a key, readable by its owner only, and the note beside it.

    Args:
        place: Its file, which must not exist.
        identity: An e-mail address, or another word without spaces.
        name: For people; one line.
        created: ISO 8601 in UTC.
        passphrase: Encrypts the file; None leaves it plain.

    Raises:
        UsageError: `identity` or `name` cannot be used.
        TrustError: There is a key already.
        OSError: The file cannot be written.
    """
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if not _IDENTITY.fullmatch(identity):
        raise UsageError(
            f"`{identity}` cannot be a signer's identity",
            hint="pass `--identity NAME@EXAMPLE.ORG`: no spaces, commas or quotes",
        )
    if not name.strip() or not name.isprintable():
        raise UsageError("a signer needs a name of printable characters", hint='pass `--name "FIRST LAST"`')
    if place.exists() or _note_path(place).exists():
        raise TrustError(
            f"there is a key at `{place}` already", hint="pass `--key NAME` to make another one beside it"
        )
    private = Ed25519PrivateKey.generate()
    raw = private.public_key().public_bytes(form.Encoding.Raw, form.PublicFormat.Raw)
    lock = form.BestAvailableEncryption(passphrase.encode()) if passphrase else form.NoEncryption()
    note = KeyNote(
        identity=identity,
        name=name.strip(),
        public=base64.b64encode(raw).decode(),
        created=created,
        encrypted=bool(passphrase),
    )
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    data = private.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, lock)
    write_atomic(_note_path(place), msgspec.json.format(msgspec.json.encode(note), indent=1) + b"\n")
    write_atomic(place, data, mode=0o600)
    return note


def read_note(place: Path) -> KeyNote:
    """Whose key it is; the key itself is not opened.

    Raises:
        TrustError: There is no key, or its note is damaged.
    """
    try:
        note = msgspec.json.decode(_note_path(place).read_bytes(), type=KeyNote)
        sound = len(note.raw) == 32
    except FileNotFoundError as error:
        raise TrustError(
            f"there is no signing key at `{place}`",
            hint='run `reproof key new --identity NAME@EXAMPLE.ORG --name "FIRST LAST"`',
        ) from error
    except (OSError, ValueError, msgspec.DecodeError) as error:
        raise _damaged_note(place, str(error)) from error
    if not sound:
        raise _damaged_note(place, "the public key has another length")
    return note


def _damaged_note(place: Path, reason: str) -> TrustError:
    return TrustError(f"cannot read `{_note_path(place)}`: it is damaged", details=[("reason", reason)])


def has_key(place: Path) -> bool:
    """Whether there is a key that could be opened."""
    return place.is_file()


def open_key(place: Path, passphrase: str | None = None) -> SigningKey:
    """Open a key for signing.

    Args:
        place: Its file.
        passphrase: Of an encrypted one; REPROOF_KEY_PASSPHRASE by default.

    Raises:
        TrustError: There is none, others may read it, the passphrase is missing or wrong, or it
            is not the key that its note says.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        load_pem_private_key,
    )

    note = read_note(place)
    data = _read_private(place)
    word = passphrase or os.environ.get("REPROOF_KEY_PASSPHRASE") or None
    if note.encrypted and word is None:
        raise TrustError(
            f"cannot sign: the key `{place}` needs its passphrase",
            hint="set `REPROOF_KEY_PASSPHRASE`, or `REPROOF_KEY=none` to go on unsigned",
        )
    try:
        private = load_pem_private_key(data, word.encode() if note.encrypted and word else None)
    except (ValueError, TypeError) as error:
        if note.encrypted:
            raise TrustError(f"cannot sign: wrong passphrase for the key `{place}`") from error
        raise TrustError(
            f"cannot sign: `{place}` is not a private key", details=[("reason", str(error)[:120])]
        ) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise TrustError(f"cannot sign: `{place}` is not an ed25519 key")
    if private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw) != note.raw:
        raise TrustError(f"cannot sign: `{place}` is another key than `{_note_path(place).name}` says")
    return SigningKey(private, note)


def _read_private(place: Path) -> bytes:
    try:
        mode = place.stat().st_mode
        data = place.read_bytes()
    except OSError as error:
        raise TrustError(f"cannot read the key `{place}`: {error.strerror}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise TrustError(
            f"cannot sign: others can read the key `{place}`",
            details=[("mode", f"{stat.S_IMODE(mode):04o}")],
            hint=f"run `chmod 600 {place}`",
        )
    return data


def _note_path(place: Path) -> Path:
    return place.with_suffix(".json")
