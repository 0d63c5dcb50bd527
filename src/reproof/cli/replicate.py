"""`reproof replicate`: other seeds, the same recipe, and what may be said of the result."""

from __future__ import annotations

import re
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


@click.command("replicate", short_help="run with other seeds, say whether the result stands")
@click.argument("run", default="last", metavar="[RUN|PROJECT]")
@click.option(
    "--seeds",
    required=True,
    metavar="N|S1,S2,...",
    help="how many seeds, derived from the master seed; or which ones",
)
@click.option(
    "--master-seed",
    "master",
    type=click.IntRange(min=0, max=2**63 - 1),
    metavar="N",
    help="what the seeds are derived from  [default: follows from the record]",
)
@click.option(
    "--seed-parameter",
    "parameter",
    metavar="NAME",
    help="parameter of the entry point that takes the seed, too",
)
@click.option("--against", metavar="RUN", help="another run: does what the two say of each other hold?")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="look at this metric only; repeatable  [default: all]",
)
@click.option(
    "--confidence",
    type=click.FloatRange(min=0.5, max=1, max_open=True),
    default=0.95,
    show_default=True,
    help="of intervals and conclusions",
)
@jobs
@isolation
@timeout
@offline
@stores
@trust
@click.option("--no-log", is_flag=True, help="do not write the runs to MLflow")
@output(("text", "json", "html"))
@shared
def command(run: str, *, terminal: Terminal, output_format: str, output: Path | None, **options: Any) -> int:
    """Run the recipe of RUN again with other seeds, each in a clean room, and say whether its result stands.

    The seeds are written down before the first result. Ended half-way and called again with the same
    words, it goes on with the same plan. This replicates; to re-create the very same result is what
    `verify` does.

    Exit status: 0 consistent, 1 not consistent, 3 too few runs.
    """
    from reproof.cli.console import write_document
    from reproof.report.replication import render_replication
    from reproof.workflow.replicate import ReplicateOptions, exit_status_of, replicate

    chosen = ReplicateOptions(
        seeds=parse_seeds(options.pop("seeds")),
        hands=hands(options),
        log=not options.pop("no_log"),
        **options,
    )
    with terminal.console() as console:
        replication = replicate(run, chosen, console.emit)
    write_document(render_replication(replication, output_format, **terminal.look(output)), output)
    return exit_status_of(replication)


def parse_seeds(text: str) -> int | tuple[int, ...]:
    """Read ``--seeds``: a number of seeds, or a list with commas.

    Raises:
        UsageError: It is neither.
    """
    if re.fullmatch(r"[0-9]{1,6}", text):
        return int(text)
    words = text.rstrip(",").split(",")
    if "," in text and all(re.fullmatch(r"\s*[0-9]{1,20}\s*", word) for word in words):
        return tuple(int(word) for word in words)
    raise UsageError(
        f"cannot read the seeds `{text}`: a number of seeds, or the seeds with commas between them",
        hint="pass `--seeds 10`, or `--seeds 1,2,3`",
    )
