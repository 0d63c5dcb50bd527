"""`reproof status`: which stages are out of date, and why."""

from __future__ import annotations

from pathlib import Path

import click

from reproof.cli.options import Terminal, offline, output, shared


@click.command("status", short_help="which stages are out of date, and why")
@click.argument("directory", default=".", type=click.Path(exists=True, file_okay=False, path_type=Path))
@offline
@output(("text", "json"))
@shared
def command(
    directory: Path, *, offline: bool, output_format: str, output: Path | None, terminal: Terminal
) -> int:
    """Say which stages of dvc.yaml in DIRECTORY would run now, and why.

    A stage is up to date where its dependencies, parameters, command, environment and all that it
    really read are what they were, and its outputs are what it made.
    """
    from reproof.cli.console import write_document
    from reproof.report.dag import render_status
    from reproof.workflow.pipeline.status import pipeline_status

    with terminal.console() as console:
        graph = pipeline_status(directory, console.emit, offline=offline)
    write_document(render_status(graph, output_format, **terminal.look(output)), output)
    return 0
