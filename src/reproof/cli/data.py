"""`reproof data`: is versioned data what it is said to be."""

from __future__ import annotations

from pathlib import Path

import click

from reproof.cli.options import Terminal, output, shared


@click.group("data", short_help="versioned data: status and check")
def command() -> None:
    """Look at the data that DVC tracks: in its place, in the cache, in the remote."""


@command.command("status")
@output(("text", "json"))
@shared
def status(*, output_format: str, output: Path | None, terminal: Terminal) -> int:
    """Say what is tracked, changed, missing, corrupted and not pushed.

    What did not change since it was last read is not read again.
    """
    from reproof.cli.console import write_document
    from reproof.report.data import render_data
    from reproof.workflow.data import data_status

    with terminal.console() as console:
        report = data_status(Path.cwd(), console.emit)
    write_document(render_data(report, output_format, **terminal.look(output)), output)
    return 0


@command.command("check")
@click.option(
    "--all", "every", is_flag=True, help="also what nothing here names, in a cache shared with others"
)
@output(("text", "json"))
@shared
def check(*, every: bool, output_format: str, output: Path | None, terminal: Terminal) -> int:
    """Read and hash everything that DVC tracks, and its cache.

    Exit status: 0 everything is what it is named, 1 something is changed, corrupted or missing,
    2 it could not be checked.
    """
    from reproof.cli.console import write_document
    from reproof.report.data import render_data
    from reproof.workflow.data import data_check

    with terminal.console() as console:
        report = data_check(Path.cwd(), console.emit, every=every)
    write_document(render_data(report, output_format, **terminal.look(output)), output)
    return 0 if report.is_sound else 1
