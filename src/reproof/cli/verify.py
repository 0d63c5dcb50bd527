"""`reproof verify`: a verdict, and an exit status that a script can trust."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reproof.cli.options import Terminal, isolation, offline, output, policy, shared, timeout


@click.command("verify", short_help="re-create and compare")
@click.argument("run", default="last")
@policy
@click.option(
    "--repeat",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="re-run N times; all must agree with the record",
)
@click.option(
    "--by-itself",
    is_flag=True,
    help="re-run once more without reproof's seed, to say whether the code repeats without it",
)
@click.option("--stage", metavar="NAME", help="of a pipeline: only this stage, on the recorded inputs")
@click.option("--keep", is_flag=True, help="leave the clean room in place and print its path")
@isolation
@timeout
@offline
@click.option(
    "--store",
    "stores",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="another project, its .reproof, or a DVC cache, to look for content in; repeatable",
)
@click.option(
    "--tracking-uri",
    help="MLflow server to find RUN on, where it was not recorded here  [default: MLFLOW_TRACKING_URI]",
)
@click.option(
    "--trust",
    is_flag=True,
    help="treat a record that was not made by you on this machine like your own; the verdict says so",
)
@click.option(
    "--allow-python",
    metavar="VERSION",
    help="where the recorded Python is missing, take one of these: `3.11.*`; the verdict says so",
)
@click.option("--no-log", is_flag=True, help="do not write the verdict to the MLflow run")
@output()
@shared
def command(run: str, *, terminal: Terminal, output_format: str, output: Path | None, **options: Any) -> int:
    """Re-create RUN from its record alone, compare every result, and say whether it came out the same.

    RUN is an MLflow run id, a record id, a unique prefix of either, `last`, or a record file. A run of
    another machine is found on the MLflow server; its code is cloned aside.
    """
    from reproof.cli.console import write_document
    from reproof.report import render_verdict
    from reproof.workflow.verify import VerifyOptions, exit_status_of, verify

    stores = tuple(str(store) for store in options.pop("stores"))
    chosen = VerifyOptions(stores=stores, log=not options.pop("no_log"), **options)
    with terminal.console() as console:
        verdict, record = verify(run, chosen, console.emit)
    write_document(render_verdict(verdict, record, output_format, **terminal.look(output)), output)
    return exit_status_of(verdict)
