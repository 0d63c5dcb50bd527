"""`reproof export`: one file that outlives the machine."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from reproof.cli.options import Terminal, shared


@click.command("export", short_help="write a bundle")
@click.argument("run", default="last")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="the bundle: a zip file",
)
@click.option(
    "--level",
    type=click.Choice(["record", "code", "data"]),
    default="data",
    show_default=True,
    help="record and proofs alone; with code and lock; with data, products and packages too",
)
@click.option("--no-check", is_flag=True, help="do not re-create the run from the new bundle")
@shared
def command(
    run: str, *, output: Path, level: Literal["record", "code", "data"], no_check: bool, terminal: Terminal
) -> int:
    """Write RUN with all that is needed to verify it into one file: an RO-Crate in a zip.

    Made twice, it is the same to the byte. With `--level data` the run is re-created from it at once, in an
    empty place without network. Exit status: 0 it is written and holds, 1 the re-run from it came out
    otherwise, 2 it could not be made.
    """
    from reproof.report.numbers import size_text
    from reproof.workflow.export import ExportOptions, export

    options = ExportOptions(output=output, level=level, check=not no_check)
    with terminal.console() as console:
        done = export(run, options, console.emit)
    click.echo(f"wrote {done.path}: record {done.record[:12]}, level {done.level}, {size_text(done.size)}")
    for line in done.missing:
        click.echo(f"missing: {line}")
    for name in done.secrets:
        click.echo(f"may hold a secret of yours: {name}", err=True)
    click.echo(
        "files of yours are in it as they are; what reproof itself wrote holds no secret that it knows",
        err=True,
    )
    if done.checked is None or done.checked.word is None:
        click.echo("not re-created from: " + ("--no-check" if no_check else f"level {level}"), err=True)
        return 0
    click.echo(f"checked: {done.checked.word} from the bundle alone ({done.checked.place})")
    return 0 if done.checked.word in ("reproduced", "repeated") else 1
