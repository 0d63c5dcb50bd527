"""`reproof list`: the recorded runs of this project."""

from __future__ import annotations

from pathlib import Path

import click

from reproof.cli.options import Terminal, output, shared


@click.command("list", short_help="list the recorded runs")
@click.option(
    "-n", "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="how many, newest first"
)
@output(("text", "json"))
@shared
def command(limit: int, *, output_format: str, output: Path | None, terminal: Terminal) -> int:
    """List the recorded runs of the project in this folder, newest first, with their verdicts."""
    from reproof.cli.console import write_document
    from reproof.report import render_list
    from reproof.workflow.lookup import list_records

    rows = list_records(Path.cwd(), limit)
    write_document(render_list(rows, output_format, **terminal.look(output)), output)
    return 0
