"""`reproof show`: a record, readable."""

from __future__ import annotations

from pathlib import Path

import click

from reproof.cli.options import Terminal, output, shared


@click.command("show", short_help="show a record and its verdicts")
@click.argument("run", default="last")
@click.option("--verdict", is_flag=True, help="show the newest verdict instead of the record")
@output()
@shared
def command(run: str, *, verdict: bool, output_format: str, output: Path | None, terminal: Terminal) -> int:
    """Show what was recorded of RUN (default: the last one)."""
    from reproof.cli.console import write_document
    from reproof.report import render_record, render_verdict
    from reproof.workflow.lookup import find_record, newest_verdict

    found = find_record(run)
    look = terminal.look(output)
    if verdict:
        text = render_verdict(newest_verdict(found), found.record, output_format, **look)
    else:
        text = render_record(found.record, found.id, output_format, **look)
    write_document(text, output)
    return 0
