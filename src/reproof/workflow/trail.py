"""Entering runs and verdicts into the project's log, where one was set up."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from reproof.attest import claims
from reproof.attest.claims import Claim, TrackedRuns
from reproof.attest.dsse import seal
from reproof.attest.keys import NO_KEY, SigningKey, has_key, key_path, open_key
from reproof.attest.log import REF, GitLog
from reproof.attest.signers import FILE
from reproof.base.digesting import digest_file
from reproof.base.files import write_atomic
from reproof.errors import ProjectError, StoreError, TrustError
from reproof.model.artifact import Artifact
from reproof.model.event import Emit, Event
from reproof.model.record import Record
from reproof.model.replication import Replication, ReplicationPlan
from reproof.model.statement import Meaning, Position, Signer
from reproof.model.verdict import Verdict
from reproof.store.directory import DirectoryStore

#: In `.reproof`: name of the log that this project has, so that its loss is seen.
MARKER = "log"


class Trail(msgspec.Struct, frozen=True, kw_only=True):
    """The log of a project and whoever signs; does nothing where there is no log.

    Attributes:
        top: Top of the repository.
        own: The `.reproof` folder.
        log: None where no log was set up.
        key: None where entries stay unsigned.
    """

    top: Path
    own: Path
    log: GitLog | None = None
    key: SigningKey | None = None

    def start(self, record: Record, emit: Emit) -> None:
        """Enter that a run begins.

        Raises:
            TrustError: The log is damaged.
            ProjectError: Git cannot write.
        """
        if self.log is not None:
            self.enter(claims.started(record), "author", warn_of_clock(emit))

    def finish(self, identity: str, record: Record, tracked: TrackedRuns, emit: Emit) -> None:
        """Enter how a run ended; where that fails it is only told: the result is there all the same."""
        if self.log is None:
            return
        try:
            self.enter(finished_claim(identity, record, tracked, self), "author", warn_of_clock(emit))
        except (TrustError, ProjectError, OSError) as error:
            emit(
                Event(
                    kind="warning",
                    subject="log",
                    message=f"the end of the run is not in the log: {error}",
                    hint=f"run `reproof audit enter {identity[:12]}`",
                )
            )

    def verified(self, verdict: Verdict, emit: Emit) -> None:
        """Enter a verdict; where that fails it is only told."""
        if self.log is None:
            return
        try:
            self.enter(claims.verified(verdict), "author", warn_of_clock(emit))
        except (TrustError, ProjectError, OSError) as error:
            emit(Event(kind="warning", subject="log", message=f"the verdict is not in the log: {error}"))

    def planned(self, plan: ReplicationPlan, emit: Emit) -> None:
        """Enter which seeds are going to be run.

        Raises:
            TrustError: The log is damaged.
            ProjectError: Git cannot write.
        """
        if self.log is not None:
            self.enter(claims.planned(plan), "author", warn_of_clock(emit))

    def replicated(self, replication: Replication, emit: Emit) -> None:
        """Enter what came of planned seeds; where that fails it is only told."""
        if self.log is None:
            return
        try:
            self.enter(claims.replicated(replication), "author", warn_of_clock(emit))
        except (TrustError, ProjectError, OSError) as error:
            emit(Event(kind="warning", subject="log", message=f"the replication is not in the log: {error}"))

    def enter(
        self, claim: Claim, meaning: Meaning, clock: Callable[[str, str], None], *, origin: str = ""
    ) -> int:
        """Add a claim to the log, signed where there is a key.

        Args:
            claim: What is said.
            meaning: What the signature stands for.
            clock: Told the time of the entry before and of this one, when it lies before that.
            origin: Sets up a log of this name.

        Returns:
            The number of the entry.

        Raises:
            TrustError: The log is damaged, or there is none.
            ProjectError: Git cannot write.
        """
        time = now()

        def make(position: Position, previous: str) -> tuple[bytes, str]:
            if previous and time < previous:
                clock(previous, time)
            signer = signer_of(self.key, meaning, time)
            return seal(claim.stated(signer, position), self.key), time

        number, _ = (self.log or GitLog(self.top)).append(make, self.key, origin=origin)
        return number


def open_trail(top: Path, own: Path, emit: Emit) -> Trail:
    """The log of the project at `top`, ready for entries; without one nothing will be entered.

    Raises:
        TrustError: The log is damaged, or the key cannot be opened.
    """
    log = GitLog(top)
    state = log.state()
    if state is None:
        _tell_of_absence(top, own, emit)
        return Trail(top=top, own=own)
    _mark(own, state.origin)
    return Trail(top=top, own=own, log=log, key=signing_key())


def signing_key(name: str | None = None, passphrase: str | None = None) -> SigningKey | None:
    """The key that signs: the one named, REPROOF_KEY's, or the default one; None where there is none.

    Raises:
        TrustError: It cannot be opened, or the one that was named is not there.
    """
    named = name or os.environ.get("REPROOF_KEY")
    if named == NO_KEY:
        return None
    place = key_path(name)
    return open_key(place, passphrase) if named or has_key(place) else None


def signer_of(key: SigningKey | None, meaning: Meaning, time: str) -> Signer:
    """Who signs, as it stands inside the signed bytes."""
    if key is None:
        return Signer(meaning=meaning, time=time)
    return Signer(name=key.name, identity=key.identity, key=key.id, meaning=meaning, time=time)


def finished_claim(identity: str, record: Record, tracked: TrackedRuns, trail: Trail) -> Claim:
    """What is said of a run that has ended; reads its products once more, for their sha256."""
    store = DirectoryStore(trail.own)
    hashes = {each.name: digest for each in record.products if (digest := _sha256(each, store, trail.top))}
    return claims.finished(identity, record, hashes, tracked)


def warn_of_clock(emit: Emit) -> Callable[[str, str], None]:
    """Tells that the clock is behind; the entry says the time that the clock said."""

    def tell(previous: str, time: str) -> None:
        emit(
            Event(
                kind="warning",
                subject="log",
                message=f"the clock says {time}, but the last entry of the log was made at {previous}",
                hint="set the clock; `reproof audit` will name this entry",
            )
        )

    return tell


def refuse_clock(previous: str, time: str) -> None:
    """Refuses to sign with a clock that is behind.

    Raises:
        TrustError: Always.
    """
    raise TrustError(
        "cannot sign: the clock is behind the log",
        details=[("clock", time), ("last entry", previous)],
        hint="set the clock of this machine",
    )


def now() -> str:
    """The time, ISO 8601 in UTC, to the millisecond."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _sha256(artifact: Artifact, store: DirectoryStore, top: Path) -> str | None:
    """sha256 of a product: recorded, or read from the store, or where it lies."""
    if "sha256" in artifact.digests or artifact.kind != "file":
        return artifact.digests.get("sha256")
    digest = artifact.digest
    try:
        if digest is not None and digest in store:
            return digest_file(store.path(digest), ("sha256",))["sha256"]
        found = digest_file(top / artifact.name, ("sha256", "blake3"))
    except (OSError, StoreError):
        return None
    return found["sha256"] if digest is not None and found["blake3"] == digest.value else None


def _tell_of_absence(top: Path, own: Path, emit: Emit) -> None:
    """A log that should be there and is not: lost here, or not fetched into this clone."""
    if (own / MARKER).exists() or (top / FILE).exists():
        message = f"`{REF}` is not in this repository: the run is not logged"
        hint = f"run `git fetch origin {REF}:{REF}`"
        if (own / MARKER).exists() or "reproof-" in _text(top / FILE):
            emit(Event(kind="warning", subject="log", message=message, hint=hint))


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _mark(own: Path, origin: str) -> None:
    place = own / MARKER
    try:
        if _text(place) != f"{origin}\n":
            write_atomic(place, f"{origin}\n".encode(), durable=False)
    except OSError:
        pass  # it is a reminder; the log itself is what counts
