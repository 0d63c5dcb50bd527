"""`reproof show`: a record, or where a model comes from, readable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reproof.cli.options import Terminal, output, shared
from reproof.errors import UsageError


@click.command("show", short_help="show a record and its verdicts")
@click.argument("run", default="last")
@click.option(
    "--tracking-uri",
    help="MLflow store of a model's address  [default: MLFLOW_TRACKING_URI, else MLflow's own]",
)
@click.option("--verdict", is_flag=True, help="show the newest verdict instead of the record")
@output()
@shared
def command(run: str, *, output_format: str, output: Path | None, terminal: Terminal, **options: Any) -> int:
    """Show what was recorded of RUN (default: the last one).

    Of a model (`models:/NAME@ALIAS`, `models:/NAME/VERSION`, a file or a folder): the run that made it, found by
    the content of its files, and the verdict on that run. Exit status: 0 made by a run that was
    verified, 1 not, 3 made by a run that nobody verified.
    """
    from reproof.cli.console import write_document
    from reproof.report import render_record, render_verdict
    from reproof.workflow.lookup import find_record, newest_verdict
    from reproof.workflow.origin import names_a_model

    if names_a_model(run):
        return _show_origin(run, options["tracking_uri"], output_format, output, terminal)
    found = find_record(run)
    look = terminal.look(output)
    if options["verdict"]:
        text = render_verdict(newest_verdict(found), found.record, output_format, **look)
    else:
        text = render_record(found.record, found.id, output_format, **look)
    write_document(text, output)
    return 0


def _show_origin(
    subject: str, tracking_uri: str | None, output_format: str, output: Path | None, terminal: Terminal
) -> int:
    from reproof.cli.console import write_document
    from reproof.report.origin import render_origin
    from reproof.workflow.origin import find_origin

    if output_format not in ("text", "json"):
        raise UsageError(
            f"cannot show a model as `{output_format}`", hint="pass `--output-format json`, or none for text"
        )
    with terminal.console() as console:
        origin = find_origin(subject, tracking_uri, console.emit)
    write_document(render_origin(origin, output_format, **terminal.look(output)), output)
    return origin.exit_status
