"""Setting up the log, entering what is missing, and answering for a record with one's name."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

import msgspec

from reproof.attest import claims
from reproof.attest.claims import Claim, TrackedRuns
from reproof.attest.examine import Entry, examine
from reproof.attest.keys import SigningKey
from reproof.attest.log import REF, GitLog, no_log
from reproof.attest.signers import FILE, read_signers
from reproof.base import git
from reproof.base.locations import own_folder
from reproof.errors import RecordError, TrustError, UsageError
from reproof.model.statement import Meaning
from reproof.store.records import Found, RecordStore
from reproof.workflow.audit import committed_signers
from reproof.workflow.lookup import find_record, place_of
from reproof.workflow.trail import Trail, finished_claim, now, refuse_clock, signing_key

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """A log that was set up.

    Attributes:
        origin: Its name.
        signed: Whether its first entry is signed.
        signers: Number of keys that the commit's `allowed_signers` names.
    """

    origin: str
    signed: bool
    signers: int


class Entered(msgspec.Struct, frozen=True, kw_only=True):
    """Entries that were made.

    Attributes:
        numbers: Their places in the log.
        subject: Record or run that they are about.
        name: Who signed; empty when nobody did.
        meaning: What the signature stands for.
    """

    numbers: tuple[int, ...]
    subject: str
    name: str = ""
    meaning: str = ""


def open_log(directory: Path | None = None) -> Opening:
    """Set up the log of the project at `directory`; from then on every run is entered.

    Raises:
        TrustError: There is one already, or the key cannot be opened.
        ProjectError: There is no repository here, or Git cannot write.
    """
    top = git.require_top(directory or Path.cwd())
    key = signing_key()
    signers = committed_signers(top)
    claim = claims.opened(top.name, git.head(top).commit, signers)
    origin = f"reproof/{_NOT_IN_A_NAME.sub('-', top.name) or 'project'}/{secrets.token_hex(8)}"
    trail = Trail(top=top, own=own_folder(top), log=GitLog(top), key=key)
    trail.enter(claim, "author", refuse_clock, origin=origin)
    known = read_signers(signers.decode("utf-8", "replace"))
    return Opening(origin=origin, signed=key is not None, signers=len(known))


def enter(reference: str) -> Entered:
    """Enter the end of a run whose record is here and not in the log.

    Raises:
        RecordError: There is no such record.
        TrustError: There is no log, or the record is in it already.
    """
    found = find_record(reference)
    trail = _trail(place_of(found).top, place_of(found).own, signing_key())
    if _entry_of(trail, found.id) is not None:
        raise TrustError(f"record `{found.id[:12]}` is in the log already")
    number = trail.enter(_finished(found, trail), "author", refuse_clock)
    return Entered(
        numbers=(number,), subject=found.id, name=trail.key.name if trail.key else "", meaning="author"
    )


def sign(reference: str, meaning: Meaning, reason: str, key: SigningKey) -> Entered:
    """Answer for a record, or say why a run that was started has no result.

    Args:
        reference: A record as for `verify`, or the beginning of the nonce of a run without a result.
        meaning: What the signature stands for.
        reason: In the signer's own words; goes into the log for good.
        key: Whose.

    Raises:
        RecordError: There is no such record or run.
        TrustError: There is no log; the clock is behind it; or the key may not sign so.
        UsageError: A run without a result needs a reason.
    """
    top = git.require_top(Path.cwd(), reading=True)
    _require_allowed(top, key, meaning)
    trail = _trail(top, own_folder(top), key)
    try:
        found = find_record(reference)
    except RecordError:
        start = _start_of(trail, reference)
        if start is None:
            raise
        if not reason:
            raise UsageError("say why this run has no result", hint='pass `--reason "..."`') from None
        claim = claims.accounted(start.nonce, start.opened.statement.subject[0].digest["gitCommit"], reason)
        number = trail.enter(claim, meaning, refuse_clock)
        return Entered(numbers=(number,), subject=start.nonce, name=key.name, meaning=meaning)
    numbers = []
    if _entry_of(trail, found.id) is None:
        numbers.append(trail.enter(_finished(found, trail), "author", refuse_clock))
    numbers.append(trail.enter(claims.approved(found.id, reason), meaning, refuse_clock))
    return Entered(numbers=tuple(numbers), subject=found.id, name=key.name, meaning=meaning)


def _trail(top: Path, own: Path, key: SigningKey | None) -> Trail:
    return Trail(top=top, own=own, log=GitLog(top), key=key)


def _require_allowed(top: Path, key: SigningKey, meaning: Meaning) -> None:
    """Refuse a signature that every audit would refuse."""
    signers = read_signers(committed_signers(top).decode("utf-8", "replace"))
    lines = [line for line in signers if line.public == key.public]
    if not signers:
        return  # nobody is named: an audit says that the log proves nothing
    if not lines:
        raise TrustError(
            f"cannot sign: the key of `{key.identity}` is not in the commit's `{FILE}`",
            details=[
                ("key", key.id[:12]),
                ("allowed", ", ".join(dict.fromkeys(each.identity for each in signers))),
            ],
            hint=f"run `reproof key show >> {FILE}`, and have it committed by whoever decides about it",
        )
    troubles = [line.trouble(key.identity, meaning, now()) for line in lines]
    if None not in troubles:
        raise TrustError(f"cannot sign: {troubles[0]}", details=[("file", f"`{FILE}`, line {lines[0].line}")])


def _finished(found: Found, trail: Trail) -> Claim:
    facts = RecordStore(trail.own).read_tracking(found.id) or {}
    runs = (facts["run_id"],) if facts.get("run_id") else ()
    return finished_claim(
        found.id, found.record, TrackedRuns(uri=str(facts.get("uri", "")), runs=runs), trail
    )


def _entries(trail: Trail) -> tuple[Entry, ...]:
    content = (trail.log or GitLog(trail.top)).read()
    if content is None:
        raise no_log()
    return examine(content, (), ()).entries


def _entry_of(trail: Trail, identity: str) -> Entry | None:
    ended = (entry for entry in _entries(trail) if entry.kind == "finished")
    return next((entry for entry in ended if entry.record == identity), None)


def _start_of(trail: Trail, nonce: str) -> Entry | None:
    """The one run without a result whose nonce begins so."""
    entries = _entries(trail)
    ended = {entry.nonce for entry in entries if entry.kind == "finished"}
    fitting = [
        entry
        for entry in entries
        if entry.kind == "started"
        and entry.nonce not in ended
        and len(nonce) >= 4
        and entry.nonce.startswith(nonce)
    ]
    if len(fitting) > 1:
        raise TrustError(
            f"`{nonce}` is the beginning of {len(fitting)} runs in `{REF}`", hint="give more characters"
        )
    return fitting[0] if fitting else None
