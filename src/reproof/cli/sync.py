"""`reproof sync`: what waits for MLflow."""

from __future__ import annotations

import click

from reproof.cli.options import Terminal, shared


@click.command("sync", short_help="push deferred records to MLflow")
@shared
def command(*, terminal: Terminal) -> int:
    """Push records and verdicts that could not be written to MLflow when they were made."""
    from reproof.workflow.sync import sync

    with terminal.console() as console:
        pushed, waiting = sync(console.emit)
    click.echo(f"{pushed} pushed, {waiting} still waiting")
    return 0 if not waiting else 2
