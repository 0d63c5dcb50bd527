"""`reproof store`: the content that records are made of."""

from __future__ import annotations

from pathlib import Path

import click

from reproof.cli.options import Terminal, output, shared


@click.group("store", short_help="the store of records: check and gc")
def command() -> None:
    """Look after the content that the records of this project are made of (`.reproof/objects`)."""


@command.command("check")
@output(("text", "json"))
@shared
def check(*, output_format: str, output: Path | None, terminal: Terminal) -> int:
    """Read and hash every object, and look for those that records say are kept.

    Exit status: 0 all is sound, 1 something is corrupted, missing or damaged, 2 it could not be checked.
    """
    from reproof.cli.console import write_document
    from reproof.report.data import render_store
    from reproof.workflow.store_care import check_store

    with terminal.console() as console:
        report = check_store(Path.cwd(), console.emit)
    write_document(render_store(report, output_format, **terminal.look(output)), output)
    return 0 if report.is_sound else 1


@command.command("gc")
@click.option("--dry-run", is_flag=True, help="say what would be removed, remove nothing")
@output(("text", "json"))
@shared
def collect(*, dry_run: bool, output_format: str, output: Path | None, terminal: Terminal) -> int:
    """Remove the objects that no record names; whatever a record names, of any age, stays."""
    from reproof.cli.console import write_document
    from reproof.report.data import render_store
    from reproof.workflow.store_care import collect_garbage

    with terminal.console() as console:
        report = collect_garbage(Path.cwd(), console.emit, dry_run=dry_run)
    write_document(render_store(report, output_format, **terminal.look(output)), output)
    return 0
