"""Records, lists of runs and findings as text."""

from __future__ import annotations

from collections.abc import Sequence

from reproof.model.finding import Finding
from reproof.model.record import Record
from reproof.report.essentials import artifact_text, essentials, metric_values
from reproof.report.numbers import seconds_text
from reproof.report.protocol import ListedRun
from reproof.report.safe import plain
from reproof.report.terminal import Paint, columns, flow, pad, pairs, wrapped
from reproof.report.words import date

_ITEMS = 50  # lines of one section


def record_text(record: Record, identity: str, width: int, paint: Paint) -> str:
    """Everything of a record that people ask for, section by section."""
    sections = essentials(record, identity)
    notes = sections.pop("not captured", [])
    tables = {
        "parameters": list(record.project.parameters.items()),
        "logged parameters": [(parameter.key, parameter.value) for parameter in record.parameters],
        "metrics": metric_values(record.metrics),
        "materials": [(artifact.name, artifact_text(artifact)) for artifact in record.materials],
        "products": [(artifact.name, artifact_text(artifact)) for artifact in record.products],
        "not captured": notes,
    }
    result: list[str] = []
    for title, items in {**sections, **tables}.items():
        if items:
            safe = [(plain(label), plain(text, 1000)) for label, text in items]
            result += _section(title, safe, width, paint)
    return "\n".join(result[1:]) + "\n"


def list_text(rows: Sequence[ListedRun], paint: Paint) -> str:
    """A table with one run on a line, in the order given; one line that says so when there is none."""
    if not rows:
        return "no runs recorded here\n"
    head = ("record", "made", "project", "entry point", "took", "state", "verdict", "MLflow run")
    cells = [head, *[_cells(row) for row in rows]]
    widths = [max(columns(line[number]) for line in cells) for number in range(len(head))]
    result = []
    for number, line in enumerate(cells):
        padded = [pad(cell, width) for cell, width in zip(line, widths, strict=True)]
        if number == 0:
            padded = [paint(cell, "bold") for cell in padded]
        elif (word := rows[number - 1].verdict) is not None:
            padded[6] = paint.verdict(word) + " " * (widths[6] - len(word))
        result.append("  ".join(padded).rstrip())
    return "\n".join(result) + "\n"


def findings_text(findings: Sequence[Finding], width: int, paint: Paint) -> str:
    """One line for each thing examined, and what follows where it is missing."""
    widest = max((columns(plain(finding.name)) for finding in findings), default=0)
    result: list[str] = []
    for finding in findings:
        word, style = ("ok", "green") if finding.ok else ("missing", "red" if finding.required else "yellow")
        head = f"{paint(word, style)}{' ' * (7 - len(word))}  {pad(plain(finding.name), widest)}  "
        result += flow(head, 7 + 2 + widest + 2, plain(finding.value), width)
        result += wrapped(plain(finding.meaning), width, 7 + 2 + widest + 2)
    return "\n".join(result) + "\n"


def _cells(row: ListedRun) -> tuple[str, ...]:
    return (
        plain(row.record[:12]),
        plain(date(row.created)),
        plain(row.project, 30),
        plain(row.entry_point, 30),
        seconds_text(row.seconds) if row.seconds else "",
        plain(row.state),
        row.verdict or "not verified",
        plain(row.run_id or ""),
    )


def _section(title: str, items: list[tuple[str, str]], width: int, paint: Paint) -> list[str]:
    count = f": {len(items):,}" if len(items) > _ITEMS else ""
    more = [f"  {len(items) - _ITEMS:,} more; `--output-format json` has all"] if len(items) > _ITEMS else []
    return ["", paint(title, "bold") + count, *pairs(items[:_ITEMS], width), *more]
