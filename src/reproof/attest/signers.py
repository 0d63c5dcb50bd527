"""Who may sign: `allowed_signers` in the format of OpenSSH (ssh-keygen(1), ALLOWED SIGNERS), kept in Git.

A line is ``IDENTITY OPTIONS ssh-ed25519 KEY NAME``. Roles are namespaces: ``reproof-author``,
``reproof-reviewer``, ``reproof-approver``; a line without namespaces has all of them. Keys of other
types and lines for other namespaces are Git's and SSH's business.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator

import msgspec

from reproof.attest.keys import from_ssh, key_id, ssh_text
from reproof.errors import TrustError
from reproof.model.statement import MEANINGS, Meaning

#: Name of the file, at the top of the repository.
FILE = "allowed_signers"

_LINE = re.compile(
    r"(?P<who>\S+)\s+(?:(?P<options>(?:[\w-]+(?:=\"[^\"]*\")?,?)+)\s+)?(?P<kind>(?:sk-)?(?:ssh|ecdsa)-[\w@.-]+)\s+(?P<key>[A-Za-z0-9+/=]+)(?:\s+(?P<name>.*))?"
)
_OPTION = re.compile(r"(?P<name>[\w-]+)(?:=\"(?P<value>[^\"]*)\")?")
_TIME = re.compile(r"(\d{8})(\d{4}(?:\d{2})?)?Z?")


class AllowedSigner(msgspec.Struct, frozen=True, kw_only=True):
    """One line: a key, whose it is, what it may stand for, and when.

    Attributes:
        identity: As in the statements.
        name: For people.
        public: The raw public key.
        meanings: What its signatures may mean.
        after: ISO 8601 in UTC; signatures made earlier do not count. Empty for no limit.
        before: The same for later ones: from this moment on the key is expired, or was revoked.
        line: Number of the line.
    """

    identity: str
    name: str
    public: bytes
    meanings: tuple[Meaning, ...]
    after: str = ""
    before: str = ""
    line: int = 0

    @property
    def id(self) -> str:
        """Id of the key."""
        return key_id(self.public)

    def trouble(self, identity: str, meaning: str, time: str) -> str | None:
        """Why this key may not have made such a signature at that time; None where it may."""
        if identity != self.identity:
            return f"the key is that of `{self.identity}`, not of `{identity}`"
        if meaning not in self.meanings:
            return f"`{self.identity}` may not sign as {meaning}"
        if self.after and time < self.after:
            return f"the key of `{self.identity}` is valid from {self.after} on"
        if self.before and time >= self.before:
            return f"the key of `{self.identity}` expired at {self.before}"
        return None


def read_signers(text: str, *, where: str = FILE) -> tuple[AllowedSigner, ...]:
    """Read the file; lines that have nothing to do with us are passed over.

    Raises:
        TrustError: A line with an ed25519 key has options or a key that cannot be understood.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise _wrong(where, number, "its form is not `IDENTITY OPTIONS ssh-ed25519 KEY NAME`")
        if match["kind"] != "ssh-ed25519":
            continue
        options = {
            each["name"].lower(): each["value"] or "" for each in _OPTION.finditer(match["options"] or "")
        }
        meanings = _meanings(options)
        if meanings and "cert-authority" not in options:
            found.append(_signer(match, options, meanings, where, number))
    return tuple(found)


def line_for(identity: str, name: str, public: bytes, *, meanings: tuple[Meaning, ...], after: str) -> str:
    """The line that allows a key, in the form of OpenSSH's ALLOWED SIGNERS (ssh-keygen(1)).

    Args:
        identity: Whom the key stands for, as by a mail address.
        name: What to call the key, at the end of the line.
        public: The raw ed25519 key, 32 bytes.
        meanings: What its signatures may mean.
        after: From when on it is valid, ISO 8601 in UTC.
    """
    roles = ",".join(f"reproof-{meaning}" for meaning in meanings)
    moment = after.replace("-", "").replace(":", "").replace("T", "")[:14]
    return f'{identity} namespaces="{roles}",valid-after="{moment}Z" {ssh_text(public)} {name}'


def _meanings(options: dict[str, str]) -> tuple[Meaning, ...]:
    if "namespaces" not in options:
        return MEANINGS
    named = {each.strip() for each in options["namespaces"].split(",")}
    return tuple(each for each in MEANINGS if f"reproof-{each}" in named)


def _signer(
    match: re.Match[str], options: dict[str, str], meanings: tuple[Meaning, ...], where: str, number: int
) -> AllowedSigner:
    try:
        public = from_ssh(match["key"])
        after, before = (_moment(options.get(name, "")) for name in ("valid-after", "valid-before"))
    except ValueError as error:
        raise _wrong(where, number, str(error)) from error
    return AllowedSigner(
        identity=match["who"],
        name=(match["name"] or "").strip() or match["who"],
        public=public,
        meanings=meanings,
        after=after,
        before=before,
        line=number,
    )


def _moment(text: str) -> str:
    """``YYYYMMDD[HHMM[SS]][Z]`` as ISO 8601; without Z it is read as UTC too, the same on every machine."""
    if not text:
        return ""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"`{text}` is not a time")
    clock = (match[2] or "").ljust(6, "0")
    parsed = dt.datetime.strptime(match[1] + clock, "%Y%m%d%H%M%S").replace(tzinfo=dt.UTC)
    return parsed.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _wrong(where: str, number: int, reason: str) -> TrustError:
    return TrustError(f"cannot read line {number} of `{where}`", details=[("reason", reason)])


def by_public(signers: tuple[AllowedSigner, ...]) -> dict[bytes, tuple[AllowedSigner, ...]]:
    """The lines for each key: one key may stand in several, with different times."""
    found: dict[bytes, list[AllowedSigner]] = {}
    for each in signers:
        found.setdefault(each.public, []).append(each)
    return {public: tuple(lines) for public, lines in found.items()}


def identities(signers: tuple[AllowedSigner, ...]) -> Iterator[str]:
    """Who may sign, in the order of the file, each once."""
    yield from dict.fromkeys(each.identity for each in signers)
