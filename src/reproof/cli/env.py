"""`reproof env`: the environments of recorded runs."""

from __future__ import annotations

from pathlib import Path

import click

from reproof.cli.options import Terminal, offline, output, shared, to_file


@click.group("env", short_help="environments of recorded runs: show, create, diff, export")
def command() -> None:
    """Show, make again, compare and export the environment that a recorded run had.

    RUN is an MLflow run id, a record id, a unique prefix of either, `last`, or a record file.
    """


@command.command("show")
@click.argument("run", default="last")
@output(("text", "json"))
@shared
def show(run: str, *, terminal: Terminal, output_format: str, output: Path | None) -> int:
    """Show Python, packages, native libraries and variables of RUN."""
    from reproof.cli.console import write_document
    from reproof.report.environment import render_environment
    from reproof.workflow.lookup import find_record

    found = find_record(run)
    text = render_environment(found.id, found.record, output_format, **terminal.look(output))
    write_document(text, output)
    return 0


@command.command("create")
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("run", default="last")
@click.option("--trust", is_flag=True, help="build from source too, for a record that is not your own")
@offline
@shared
def create(folder: Path, run: str, *, trust: bool, offline: bool, terminal: Terminal) -> int:
    """Make the environment of RUN in FOLDER, every file required by hash; prints its interpreter."""
    from reproof.workflow.env import make

    with terminal.console() as console:
        made = make(run, folder, console.emit, offline=offline, trust=trust)
    for line in made.conditions:
        click.echo(f"not locked by hash: {line}", err=True)
    click.echo(made.environment.python)
    return 0


@command.command("diff")
@click.argument("a")
@click.argument("b")
@output()
@shared
def diff(a: str, b: str, *, terminal: Terminal, output_format: str, output: Path | None) -> int:
    """Say how the environments of runs A and B differ.

    Exit status: 0 the same, 1 different, 2 error.
    """
    from reproof.cli.console import write_document
    from reproof.report import render_difference
    from reproof.workflow.env import differences

    found = differences(a, b)
    write_document(render_difference(found, output_format, **terminal.look(output)), output)
    return 1 if found.children else 0


@command.command("export")
@click.argument("run", default="last")
@click.option(
    "--format",
    "form",
    type=click.Choice(["requirements", "pylock", "dockerfile", "cyclonedx"]),
    default="requirements",
    show_default=True,
    help="requirements with hashes, pylock.toml, a Dockerfile, or a bill of materials (CycloneDX 1.6)",
)
@click.option(
    "--base",
    metavar="IMAGE",
    help="image that the Dockerfile builds on  [default: that of the settings, else python:VERSION-slim]",
)
@to_file
@shared
def export(run: str, *, form: str, base: str | None, output: Path | None, terminal: Terminal) -> int:  # noqa: ARG001
    """Write the environment of RUN for another tool."""
    from reproof.cli.console import write_document
    from reproof.workflow.env import export as exported

    write_document(exported(run, form, base), output)
    return 0
