"""The report for an outsider: one page on one run, self-contained, with a style for print."""

from __future__ import annotations

from reproof.model.audit import AuditReport
from reproof.model.verdict import Verdict
from reproof.report.audit import entry_rows, headline
from reproof.report.checklists import Checklist, Evidence
from reproof.report.essentials import artifact_text, essentials, metric_values
from reproof.report.page import render_page
from reproof.report.page_parts import Page
from reproof.report.protocol import Sides
from reproof.report.safe import plain
from reproof.report.words import EXIT_STATUS, date, sentence

_TONES = {0: "good", 1: "bad", 3: "unsure"}


def render_dossier(evidence: Evidence, audit: AuditReport | None, checklist: Checklist | None) -> str:
    """The report on one run, as HTML.

    Args:
        evidence: The record, the verdicts on it, the entries about it.
        audit: What an audit of the whole log found; None where the project has no log.
        checklist: To be filled in at the end.
    """
    record, last = evidence.record, evidence.verdicts[-1] if evidence.verdicts else None
    page = Page(Sides())
    tables = {
        "parameters": [
            *record.project.parameters.items(),
            *((each.key, each.value) for each in record.parameters),
        ],
        "metrics": metric_values(record.metrics),
        "inputs": [(each.name, artifact_text(each)) for each in record.materials],
        "products": [(each.name, artifact_text(each)) for each in record.products],
        "packages": [(each.name, each.version) for each in record.environment.distributions],
    }
    return render_page(
        "dossier.html",
        page,
        title=f"report on run {plain(evidence.identity[:12])} of {plain(record.project.name)}",
        tone=_TONES[EXIT_STATUS[last.word]] if last else "unsure",
        project=plain(record.project.name),
        identity=plain(evidence.identity),
        word=last.word if last else "never verified",
        sentence=sentence(last) if last else "nobody has re-created this run from its record",
        signed=_signed(evidence),
        sections=essentials(record, evidence.identity),
        tables={title: page.items(items, title) for title, items in tables.items() if items},
        verdicts=[_verdict(each) for each in reversed(evidence.verdicts)],
        unverified=page.items(_unverified(evidence, last), "unverified"),
        entries=entry_rows(evidence.entries),
        audit=_audit(audit),
        findings=[
            {
                "tone": "bad" if each.severity == "error" else "unsure",
                "name": each.name,
                "subject": plain(each.subject),
                "summary": plain(each.summary),
            }
            for each in (audit.findings if audit else ())
        ],
        checklist=_checklist(checklist),
    )


def _signed(evidence: Evidence) -> str:
    """The line on who answers for it; said aloud when nobody does."""
    names = [f"{each.name} ({each.meaning})" for each in evidence.signatures]
    return (
        plain("signed by " + ", ".join(dict.fromkeys(names)))
        if names
        else "unsigned: nobody answers for this run with a name"
    )


def _verdict(verdict: Verdict) -> dict[str, object]:
    return {
        "word": verdict.word,
        "tone": _TONES[EXIT_STATUS[verdict.word]],
        "made": plain(date(verdict.created)),
        "outcome": verdict.outcome.word,
        "compared": f"{len(verdict.differences):,}",
        "unchecked": f"{len(verdict.not_checked):,}",
        "conditions": [
            (plain(each.name), plain(each.value + (f" ({each.note})" if each.note else "")))
            for each in verdict.conditions
        ],
        "tool": plain(verdict.tool),
    }


def _unverified(evidence: Evidence, last: Verdict | None) -> list[tuple[str, str]]:
    """Everything that nobody compared, or that was not captured to begin with."""
    found = [(each.subject, each.reason) for each in (last.not_checked if last else ())]
    known = set(found)
    found += [
        (each.subject, f"not captured: {each.reason}")
        for each in evidence.record.omissions
        if (each.subject, each.reason) not in known
    ]
    return found if last else [("everything", "the run was never re-created from its record"), *found]


def _audit(audit: AuditReport | None) -> list[tuple[str, str]]:
    if audit is None:
        return [("log", "the project has none")]
    facts = [
        ("outcome", headline(audit)),
        ("log", f"{audit.origin}, {audit.size:,} entries, {audit.signed:,} signed by somebody who may"),
        ("root", audit.root),
        ("made", f"{date(audit.created)} by {audit.tool}"),
        *((f"not checked: {each.subject}", each.reason) for each in audit.unchecked),
    ]
    return [(plain(label), plain(text)) for label, text in facts]


def _checklist(checklist: Checklist | None) -> dict[str, object] | None:
    if checklist is None:
        return None
    return {
        "title": checklist.title,
        "note": checklist.note,
        "captured": sum(each.captured for each in checklist.items),
        "total": len(checklist.items),
        "rows": [
            {
                "number": each.number,
                "question": each.question,
                "answer": plain(each.answer),
                "captured": each.captured,
            }
            for each in checklist.items
        ],
    }
