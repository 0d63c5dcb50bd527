"""`reproof dag`: how stages depend on each other, and how they came out."""

from __future__ import annotations

from pathlib import Path

import click

from reproof.cli.options import Terminal, output, shared


@click.command("dag", short_help="how stages depend on each other, and how they came out")
@click.argument("directory", default=".", type=click.Path(exists=True, file_okay=False, path_type=Path))
@output(("text", "mermaid", "html", "json"))
@shared
def command(directory: Path, *, output_format: str, output: Path | None, terminal: Terminal) -> int:
    """Show the stages of dvc.yaml in DIRECTORY, with the outcome of each in the last verdict on them."""
    from reproof.cli.console import write_document
    from reproof.report.dag import render_graph
    from reproof.workflow.pipeline.status import pipeline_graph

    graph = pipeline_graph(directory)
    write_document(render_graph(graph, output_format, **terminal.look(output)), output)
    return 0
