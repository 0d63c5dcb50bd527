"""`audit report`: everything that is known about one run, for somebody who trusts nobody."""

from __future__ import annotations

from pathlib import Path

from reproof.attest.examine import examine
from reproof.attest.log import GitLog
from reproof.attest.signers import read_signers
from reproof.errors import TrustError
from reproof.model.audit import AuditReport, LogEntry
from reproof.model.event import Emit, silent
from reproof.report.checklists import Evidence, fill_in
from reproof.report.dossier import render_dossier
from reproof.store.records import RecordStore
from reproof.workflow.audit import AuditOptions, audit, committed_signers
from reproof.workflow.lookup import find_record, place_of


def report_on(
    reference: str, checklist: str | None = None, *, tracking: bool = True, emit: Emit = silent
) -> str:
    """The report on a run, as one self-contained HTML page.

    Args:
        reference: As for `verify`.
        checklist: ``neurips`` or ``annex-iv``, to be filled in.
        tracking: Compare with MLflow too.
        emit: Told about the work.

    Raises:
        RecordError: There is no such record.
    """
    found = find_record(reference)
    place = place_of(found)
    evidence = Evidence(
        identity=found.id,
        record=found.record,
        verdicts=RecordStore(place.own).verdicts(found.id),
        entries=_entries(place.top, found.id, found.record.nonce),
    )
    filled = fill_in(checklist, evidence) if checklist is not None else None
    return render_dossier(evidence, _audit(place.top, tracking, emit), filled)


def _audit(top: Path, tracking: bool, emit: Emit) -> AuditReport | None:
    try:
        return audit(AuditOptions(tracking=tracking), emit, directory=top)
    except TrustError:
        return None  # there is no log; the report says so


def _entries(top: Path, identity: str, nonce: str) -> tuple[LogEntry, ...]:
    content = GitLog(top).read()
    if content is None:
        return ()
    signers = read_signers(committed_signers(top).decode("utf-8", "replace"))
    examined = examine(content, signers, ())
    return tuple(each.shown() for each in examined.entries if each.record == identity or each.nonce == nonce)
