"""What a machine offers, as a table or as JSON."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from reproof.model.finding import Finding
from reproof.report.safe import plain
from reproof.report.terminal import Paint


def render_findings(
    findings: Sequence[Finding], format: str, *, width: int = 100, color: bool = False
) -> str:  # noqa: A002, ARG001
    """The findings of `reproof doctor`, in the order given.

    Args:
        findings: What was examined.
        format: ``text`` or ``json``.
        width: Columns; lines are not wrapped, whatever it is.
        color: ANSI colours, for text.
    """
    if format == "json":
        return (
            msgspec.json.format(msgspec.json.encode({"findings": list(findings)}), indent=2).decode() + "\n"
        )
    paint = Paint(color=color)
    gutter = max(len(finding.name) for finding in findings) + 2
    rows = []
    for finding in findings:
        mark = (
            paint("ok", "green") if finding.ok else paint("--", "bold red" if finding.required else "yellow")
        )
        rows.append(f"{mark}  {finding.name:{gutter}}{plain(finding.value)}")
        if finding.meaning:
            rows.append(f"    {'':{gutter}}{plain(finding.meaning)}")
    return "\n".join(rows) + "\n"
