"""`reproof demo`: the whole loop in one command."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

import click

from reproof.cli.options import Terminal, isolation, offline, shared

#: What to try next: command, and what it is for.
NEXT = (
    ("reproof show", "what was recorded of the run"),
    ("reproof verify --output-format html -o verdict.html", "the same verdict, as a page"),
    (
        (
            "sed -i 's/min_samples_leaf: 6/min_samples_leaf: 3/' confs/training.yaml && "
            "reproof run -P conf_file=confs/training.yaml . ; reproof diff last~1 last"
        ),
        "what a change of one hyper-parameter moves",
    ),
)


#: The same after a pipeline.
PIPELINE_NEXT = (
    ("reproof dag", "how each step came out"),
    ("reproof verify --stage train", "one step alone, on the recorded inputs"),
    (
        "sed -i 's/repeats: 3/repeats: 5/' confs/pipeline/explanations.yaml && reproof run --pipeline",
        "only the steps that depend on a changed setting run",
    ),
)


@click.command("demo", short_help="the whole loop on a real project")
@click.argument("directory", default="reproof-demo", type=click.Path(path_type=Path))
@click.option(
    "--pipeline", is_flag=True, help="every step of dvc.yaml, from the raw data to a promoted model"
)
@offline
@isolation
@shared
def command(directory: Path, *, pipeline: bool, offline: bool, isolation: str, terminal: Terminal) -> int:
    """Write a bike-sharing project into DIRECTORY, train and record it, re-create the run, compare."""
    from reproof.report import render_verdict
    from reproof.workflow.demo import demo
    from reproof.workflow.verify import exit_status_of

    with terminal.console() as console:
        verdict, record = demo(
            directory, console.emit, offline=offline, isolation=isolation, pipeline=pipeline
        )
    click.echo(render_verdict(verdict, record, "text", **terminal.look(None)))
    click.echo(f"Next, after `cd {directory}`:")
    for words, purpose in PIPELINE_NEXT if pipeline else NEXT:
        click.echo(f"  {words.replace('reproof ', f'{_program()} ')}\n      {purpose}")
    return exit_status_of(verdict)


def _program() -> str:
    """How this program can be called: by its name where it is on PATH, else by its place."""
    place = Path(sys.argv[0]).absolute()
    if place.suffix == ".py":  # `python -m`
        return shlex.join([sys.executable, "-m", "reproof.cli.main"])
    found = shutil.which("reproof")
    return "reproof" if found and Path(found).samefile(place) else shlex.quote(str(place))
