"""`reproof explain`: which factor makes two runs differ?"""

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
from reproof.errors import UsageError


@click.command("explain", short_help="find the cause of a difference, by swapping one factor after the other")
@click.argument("a")
@click.argument("b", required=False)
@click.option("--metric", metavar="NAME", help="explain this metric, instead of all results that differ")
@click.option(
    "--worse-than", metavar="SHARE", help="with --metric: what it may be worse by than in A, as 0.5%"
)
@click.option("--budget", metavar="N|TIME", help="make at most N re-runs, or begin none after this time: 30m")
@click.option("--force", is_flag=True, help="explain runs of different projects all the same")
@isolation
@timeout
@offline
@stores
@trust
@jobs
@output(("text", "json", "html"))
@shared
def command(
    a: str, b: str | None, *, terminal: Terminal, output_format: str, output: Path | None, **options: Any
) -> int:
    """Find what makes the recorded run B differ from A: swap factors between them and re-run, in clean rooms.

    First A and B as they were; then groups of factors (parameters, code, data, packages, variables ...), then
    the factors within. What is called proven turned A into B twice, and B back into A. Ended half-way and
    called again with the same words, it goes on.

    With A alone: what makes it differ from itself, or what circumstance its result depends on. Entropy, clock,
    addresses, threads and the like are held fast, one after the other, until re-runs are equal.

    Exit status: 0 proven, 1 only suspected or not found, 3 nothing to compare.
    """
    from reproof.cli.console import write_document
    from reproof.report.explanation import render_explanation
    from reproof.workflow.explain.explain import ExplainOptions, exit_status_of, explain

    workers = hands(options, on_cluster=1)
    if b is None:
        return _alone(a, terminal, output_format, output, {**options, "hands": workers})
    chosen = ExplainOptions(hands=workers, **options)
    with terminal.console() as console:
        explanation = explain(a, b, chosen, console.emit)
    write_document(render_explanation(explanation, output_format, **terminal.look(output)), output)
    return exit_status_of(explanation)


def _alone(
    run: str, terminal: Terminal, output_format: str, output: Path | None, options: dict[str, Any]
) -> int:
    """Why one run does not repeat."""
    from reproof.cli.console import write_document
    from reproof.report.explanation import render_explanation
    from reproof.workflow.explain.explain import exit_status_of
    from reproof.workflow.pins import explain_alone
    from reproof.workflow.stress import StressOptions

    if options["hands"].cluster is not None:
        raise UsageError(
            "one run is explained on this machine, not on a cluster",
            hint="leave `--on` and `REPROOF_ON` out, and pass `--jobs N` for several re-runs at once",
        )
    for name in ("metric", "worse_than", "force"):
        if options.pop(name):
            raise UsageError(
                f"`--{name.replace('_', '-')}` needs two runs", hint="pass a second run to compare it with"
            )
    with terminal.console() as console:
        explanation = explain_alone(run, StressOptions(**options), console.emit)
    write_document(render_explanation(explanation, output_format, **terminal.look(output)), output)
    return exit_status_of(explanation)
