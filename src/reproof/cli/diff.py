"""`reproof diff`: how two things differ, without running anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reproof.cli.options import Terminal, output, policy, shared


@click.command("diff", short_help="compare two records, runs, files or folders")
@click.argument("a")
@click.argument("b")
@policy
@output()
@shared
def command(
    a: str, b: str, *, terminal: Terminal, output_format: str, output: Path | None, **options: Any
) -> int:
    """Say how A and B differ: two files or folders, or two recorded runs.

    Exit status: 0 the same (under --accept), 1 different, 2 error, 3 could not be compared.
    """
    from reproof.cli.console import write_document
    from reproof.report import render_difference
    from reproof.workflow.diff import DiffOptions, diff, exit_status_of

    chosen = DiffOptions(**options)
    with terminal.console() as console:
        difference = diff(a, b, chosen, console.emit)
    write_document(render_difference(difference, output_format, **terminal.look(output)), output)
    return exit_status_of(difference, chosen)
