"""`audit`: is the trail whole, and is what the store and MLflow show now what was signed then?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import msgspec

from reproof.attest.checkpoint import read as read_checkpoint
from reproof.attest.examine import Entry, examine
from reproof.attest.log import GitLog, LogContent, no_log, remember, remembered
from reproof.attest.signers import FILE, AllowedSigner, read_signers
from reproof.attest.story import check_story
from reproof.base import git
from reproof.base.digesting import digest_files
from reproof.base.locations import FOLDER
from reproof.errors import RecordError, TrustError
from reproof.model.audit import AuditFinding, AuditReport, Unchecked
from reproof.model.codec import decode_verdict
from reproof.model.event import Emit, Event, silent
from reproof.model.record import Record
from reproof.report.numbers import count_text
from reproof.store.directory import DirectoryStore
from reproof.store.records import RecordStore
from reproof.workflow.audit_tracking import check_tracking
from reproof.workflow.trail import MARKER, now

#: Exit statuses.
SOUND, UNSOUND, INCOMPLETE = 0, 1, 3


class AuditOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `audit` may be told.

    Attributes:
        signers: A file that says who may sign, instead of the one in the commit.
        checkpoints: Checkpoints of the log that were kept elsewhere.
        tracking: Compare with MLflow too.
    """

    signers: Path | None = None
    checkpoints: tuple[Path, ...] = ()
    tracking: bool = True


def audit(
    options: AuditOptions | None = None, emit: Emit = silent, *, directory: Path | None = None
) -> AuditReport:
    """Audit the project at `directory` (here by default).

    Returns:
        Everything that is wrong; nothing is changed, except that the newest checkpoint is remembered.

    Raises:
        TrustError: There is no log and never was one, or a file named in the options cannot be read.
        ProjectError: There is no repository here.
    """
    chosen = options or AuditOptions()
    top = git.require_top(directory or Path.cwd(), reading=True)
    own = top / FOLDER
    signers, findings = _signers(top, chosen.signers)
    emit(Event(kind="start", subject="audit", message="reading the log"))
    content = GitLog(top).read()
    report = AuditReport(project=top.name, created=now(), tool=f"reproof {version('reproof')}")
    if content is None:
        return msgspec.structs.replace(report, findings=(*findings, _gone(own)))
    examined = examine(content, signers, tuple(_witnesses(content, chosen.checkpoints)))
    records, more = _records(own, examined.entries)
    findings += [*examined.findings, *check_story(examined.entries), *more]
    findings += _content(records, own)
    unchecked: list[Unchecked] = []
    if chosen.tracking:
        found, unchecked = check_tracking(examined.entries, records, top, emit)
        findings += found
    emit(
        Event(
            kind="finish",
            subject="audit",
            message=f"audited {count_text(len(content.entries), 'entry', 'entries')}",
        )
    )
    report = msgspec.structs.replace(
        report,
        origin=examined.checkpoint.origin if examined.checkpoint else "",
        size=len(content.entries),
        root=examined.root.hex(),
        signed=sum(entry.trusted for entry in examined.entries),
        runs=len({entry.nonce for entry in examined.entries if entry.kind == "started"}),
        findings=tuple(sorted(findings, key=lambda each: each.severity != "error")),
        unchecked=tuple(unchecked),
        entries=tuple(entry.shown() for entry in examined.entries),
    )
    if report.origin and not any(each.name.startswith("log-") for each in report.findings):
        remember(report.origin, content.checkpoint)
    return report


def exit_status_of(report: AuditReport) -> int:
    """1 with any error, 3 where something could not be checked, else 0."""
    if report.errors:
        return UNSOUND
    return INCOMPLETE if report.unchecked else SOUND


def committed_signers(top: Path) -> bytes:
    """`allowed_signers` as the commit has it; empty where it has none."""
    done = git.git(top, "cat-file", "blob", f"HEAD:{FILE}")
    return done.stdout if done.ok else b""


def _signers(top: Path, named: Path | None) -> tuple[tuple[AllowedSigner, ...], list[AuditFinding]]:
    """Who may sign, by the commit (or a file of the auditor's own)."""
    if named is not None:
        try:
            return read_signers(named.read_text("utf-8"), where=str(named)), []
        except (OSError, UnicodeDecodeError) as error:
            raise TrustError(f"cannot read `{named}`", details=[("reason", str(error))]) from error
    committed = committed_signers(top)
    place = top / FILE
    here = place.read_bytes() if place.is_file() else b""
    findings = []
    if here != committed:
        findings.append(
            AuditFinding(
                name="signers-changed",
                severity="warning",
                subject=FILE,
                summary="the commit's counts; what stands in the work tree does not",
            )
        )
    return read_signers(committed.decode("utf-8", "replace")), findings


def _gone(own: Path) -> AuditFinding:
    try:
        origin = (own / MARKER).read_text("utf-8").strip()
    except OSError as error:
        raise no_log() from error
    return AuditFinding(name="log-gone", subject="log", summary=f"`{origin}` was here; its ref is not")


def _witnesses(content: LogContent, named: Sequence[Path]) -> Iterator[bytes]:
    """Checkpoints seen earlier: by this user, and those that the auditor brings."""
    try:
        seen = remembered(read_checkpoint(content.checkpoint, where="the last checkpoint").origin)
    except TrustError:
        seen = None
    if seen is not None:
        yield seen
    for place in named:
        try:
            yield place.read_bytes()
        except OSError as error:
            raise TrustError(f"cannot read `{place}`: {error.strerror}") from error


def _records(own: Path, entries: Sequence[Entry]) -> tuple[dict[str, Record], list[AuditFinding]]:
    """The records that the log names, by id, and what is wrong with those that are kept here."""
    store = RecordStore(own)
    wanted = {entry.record for entry in entries if entry.kind == "finished"}
    opened = next((entry.signer.time for entry in entries), "")
    found: dict[str, Record] = {}
    findings: list[AuditFinding] = []
    for identity in sorted(wanted):
        subject, place = f"record {identity[:12]}", own / "records" / f"{identity}.json"
        if not place.is_file():
            gone = f"`{place.name}` is not in `{FOLDER}/records`"
            findings.append(
                AuditFinding(name="record-gone", severity="warning", subject=subject, summary=gone)
            )
            continue
        try:
            found[identity] = store.read(identity).record
        except RecordError as error:
            findings.append(AuditFinding(name="record-changed", subject=subject, summary=error.message))
    known = wanted.union(*map(_stages, found.values()))
    findings += [
        AuditFinding(
            name="record-unlogged",
            subject=f"record {summary.id[:12]}",
            summary=f"made at {summary.created}, after the log was opened, and not in it",
        )
        for summary in store.list()
        if summary.id not in known and summary.created >= opened and summary.trouble is None
    ]
    return found, [*findings, *_verdicts(own / "records", entries, opened)]


def _stages(record: Record) -> set[str]:
    """The records of its stages, which the record of a pipeline names and so vouches for."""
    links = record.pipeline.stages if record.pipeline is not None else ()
    return {link.record for link in links if link.record}


def _verdicts(folder: Path, entries: Sequence[Entry], opened: str) -> Iterator[AuditFinding]:
    """Verdicts that are kept on records of the log, and that are not in it as they are."""
    known = {
        str(document.get("sha256"))
        for entry in entries
        if entry.kind == "verdict" and isinstance(document := entry.facts.get("document"), dict)
    }
    recorded = {entry.record for entry in entries if entry.kind == "finished"}
    for place in sorted(folder.glob("*.verdict-*.json")) if folder.is_dir() else ():
        identity = place.name.partition(".")[0]
        trouble = _verdict_trouble(place, known, opened) if identity in recorded else None
        if trouble is not None:
            yield AuditFinding(name="verdict-unlogged", subject=f"record {identity[:12]}", summary=trouble)


def _verdict_trouble(place: Path, known: set[str], opened: str) -> str | None:
    """Why a verdict that is kept here is not one that was entered; None where it is, or is older than the log."""
    try:
        data = place.read_bytes()
        verdict = decode_verdict(data, where=place.name)
    except (OSError, RecordError) as error:
        return f"`{place.name}`: {error}"
    if verdict.created < opened or hashlib.sha256(data).hexdigest() in known:
        return None
    return f"a verdict of {verdict.created}, *{verdict.word}*, is kept here and not in the log"


def _content(records: dict[str, Record], own: Path) -> list[AuditFinding]:
    """Hash the content of every product that the store says it keeps."""
    store = DirectoryStore(own)
    wanted = {
        str(store.path(artifact.digest)): (identity, artifact)
        for identity, record in records.items()
        for artifact in record.products
        if artifact.kept and artifact.digest is not None and artifact.digest.algorithm == "blake3"
    }
    findings = []
    for (identity, artifact), digests in zip(wanted.values(), digest_files(wanted), strict=True):
        if isinstance(digests, OSError):
            name, severity, summary = "content-gone", "warning", digests.strerror or "it cannot be read"
        elif digests["blake3"] != artifact.digests["blake3"]:
            name, severity, summary = "content-changed", "error", "the store has other content under its name"
        else:
            continue
        findings.append(
            AuditFinding(
                name=name,
                severity=severity,  # type: ignore[arg-type]
                subject=f"{artifact.name} of record {identity[:12]}",
                summary=summary,
            )
        )
    return findings
