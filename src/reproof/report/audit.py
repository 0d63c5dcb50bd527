"""What an audit found, as text, JSON and one self-contained page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from reproof.model.audit import MEANINGS, AuditFinding, AuditReport, LogEntry
from reproof.report.forms import in_form
from reproof.report.page import render_page
from reproof.report.page_parts import Page
from reproof.report.protocol import Sides
from reproof.report.safe import json_text, plain
from reproof.report.terminal import Paint, wrapped
from reproof.report.words import date

_SHOWN = 200  # findings in a terminal


def render_audit(report: AuditReport, format: str, *, width: int = 100, color: bool = False) -> str:  # noqa: A002  # the word of the command line
    """An audit.

    Args:
        report: What was found.
        format: ``text``, ``json`` or ``html``.
        width: Columns, for text.
        color: ANSI colours, for text.

    Raises:
        UsageError: There is no such format.
    """
    return in_form(
        format,
        {
            "text": lambda: "\n".join(_lines(report, width, Paint(color=color))) + "\n",
            "json": lambda: json_text(json.dumps(_document(report), indent=1, ensure_ascii=False)) + "\n",
            "html": lambda: _page(report),
        },
    )


def headline(report: AuditReport) -> str:
    """The answer in a few words."""
    if report.errors:
        return f"{report.errors} {'finding' if report.errors == 1 else 'findings'}: this trail cannot be relied on"
    if not report.size:
        return "there is no log"
    if report.unchecked:
        return "nothing wrong was found, but not everything could be looked at"
    return "the trail is whole" if report.signed == report.size else "the trail is whole, and unsigned"


def _document(report: AuditReport) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(report)
    document["findings"] = [
        {**msgspec.to_builtins(each), "meaning": each.meaning, "severity": each.severity}
        for each in report.findings
    ]
    document.setdefault("unchecked", [])
    document |= {"sound": not report.errors, "errors": report.errors, "headline": headline(report)}
    return document


def _lines(report: AuditReport, width: int, paint: Paint) -> Iterator[str]:
    tone = (
        "bold red"
        if report.errors
        else "bold green"
        if report.size and not report.unchecked
        else "bold yellow"
    )
    yield f"{plain(report.project)}: {paint(headline(report), tone)}"
    for each in report.findings[:_SHOWN]:
        yield ""
        yield f"{_word(each, paint)}  {paint(each.name, 'bold')}  {plain(each.subject)}"
        for text in (each.summary, each.meaning):
            yield from wrapped(plain(text), width, 9)
    if len(report.findings) > _SHOWN:
        yield f"{len(report.findings) - _SHOWN:,} more: --output-format json has all"
    yield ""
    for label, text in _facts(report):
        yield f"{label:<12}{text}"
    for item in report.unchecked:
        yield from wrapped(f"not checked {plain(item.subject)}: {plain(item.reason)}", width, 0)


def _word(finding: AuditFinding, paint: Paint) -> str:
    bad = finding.severity == "error"
    return paint("error  " if bad else "warning", "red" if bad else "yellow")


def _facts(report: AuditReport) -> list[tuple[str, str]]:
    facts = [
        ("log", f"{plain(report.origin)}, {report.size:,} entries" if report.size else ""),
        ("root", report.root if report.size else ""),
        (
            "signed",
            f"{report.signed:,} of {report.size:,} entries, by somebody who may sign" if report.size else "",
        ),
        ("runs", f"{report.runs:,}" if report.size else ""),
        ("audited", f"{date(report.created)} by {plain(report.tool)}"),
    ]
    return [(label, text) for label, text in facts if text]


def _page(report: AuditReport) -> str:
    page = Page(Sides())
    findings = [
        {
            "tone": "bad" if each.severity == "error" else "unsure",
            "severity": each.severity,
            "name": each.name,
            "subject": plain(each.subject),
            "summary": plain(each.summary),
            "meaning": each.meaning,
        }
        for each in report.findings
    ]
    return render_page(
        "audit.html",
        page,
        title=f"audit of {plain(report.project)}: {headline(report)}",
        tone="bad" if report.errors else "good" if report.size and not report.unchecked else "unsure",
        project=plain(report.project),
        headline=headline(report),
        facts=_facts(report),
        findings=findings,
        unchecked=[(plain(each.subject), plain(each.reason)) for each in report.unchecked],
        entries=entry_rows(report.entries),
        checked=sorted(MEANINGS.items()),
        found={each.name for each in report.findings},
    )


def entry_rows(entries: Sequence[LogEntry]) -> list[dict[str, str]]:
    """Entries of a log as rows of a table, newest first."""
    return [
        {
            "sequence": str(each.sequence),
            "time": plain(date(each.time)),
            "kind": plain(each.kind),
            "subject": plain(each.subject[:12]),
            "said": plain(each.said, 120),
            "who": plain(f"{each.name} <{each.identity}>") if each.identity else "nobody",
            "meaning": plain(each.meaning) if each.identity else "",
            "tone": "good" if each.trusted else "unsure" if not each.identity else "bad",
            "trust": "signed" if each.trusted else "unsigned" if not each.identity else "not trusted",
        }
        for each in reversed(entries)
    ]
