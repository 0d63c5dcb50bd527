"""`reproof doctor`: what this machine offers."""

from __future__ import annotations

from pathlib import Path

import click

from reproof.cli.options import Terminal, output, shared


@click.command("doctor", short_help="what this machine offers")
@output(("text", "json"))
@shared
def command(*, output_format: str, output: Path | None, terminal: Terminal) -> int:
    """Say which programs and abilities are here, and what each missing one means for a verdict."""
    from reproof.cli.console import write_document
    from reproof.report import render_findings
    from reproof.workflow.doctor import examine

    findings = examine()
    write_document(render_findings(findings, output_format, **terminal.look(output)), output)
    return 0 if all(finding.ok or not finding.required for finding in findings) else 2
