"""`reproof stress`: what does a result depend on?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reproof.cli.options import (
    Terminal,
    hands,
    isolation,
    jobs,
    offline,
    output,
    shared,
    stores,
    timeout,
    trust,
)


def _list(ctx: click.Context, param: click.Parameter, value: bool) -> None:  # noqa: ARG001
    if value:
        from reproof.report.terminal import pairs
        from reproof.workflow.variations import describe_all

        rows = [
            (f"{name} ({group})" if group != name else name, what) for name, group, what in describe_all()
        ]
        click.echo("\n".join(pairs(rows, 100, 0)))
        ctx.exit()


@click.command("stress", short_help="re-run under variations, say what the result depends on")
@click.argument("run", default="last", metavar="[RUN|PROJECT]")
@click.option(
    "--vary",
    default="all",
    show_default=True,
    metavar="NAMES",
    help="variations and groups with commas; a minus leaves one out: all,-threads",
)
@click.option(
    "--list", is_flag=True, is_eager=True, expose_value=False, callback=_list, help="name all variations"
)
@click.option("--budget", metavar="N|TIME", help="make at most N re-runs, or begin none after this time: 10m")
@jobs
@isolation
@timeout
@offline
@stores
@trust
@output(("text", "json", "html"))
@shared
def command(run: str, *, terminal: Terminal, output_format: str, output: Path | None, **options: Any) -> int:
    """Re-run RUN in clean rooms with one circumstance after the other varied, and say what its result depends on.

    First the same again; then hash seed, time zone, path and the like, all at once, told apart only
    where something changes; then one CPU, threads, instruction sets.

    Exit status: 0 independent of all that was exercised, 1 it depends on something, 3 nothing of what was asked for was exercised.
    """
    from reproof.cli.console import write_document
    from reproof.report.stress import render_stress
    from reproof.workflow.stress import StressOptions, exit_status_of, stress

    chosen = StressOptions(hands=hands(options), **options)
    with terminal.console() as console:
        report = stress(run, chosen, console.emit)
    write_document(render_stress(report, output_format, **terminal.look(output)), output)
    return exit_status_of(report, chosen.vary)
