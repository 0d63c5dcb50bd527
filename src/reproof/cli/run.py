"""`reproof run`: the options of `mlflow run`, and a record."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any

import click

from reproof.cli.options import Terminal, offline, shared, timeout
from reproof.errors import UsageError

if TYPE_CHECKING:
    from reproof.workflow.pipeline.run import PipelineOptions
from reproof.model.determinism import PROFILES


class CommandAfterDashes(click.Command):
    """A command whose words after ``--`` are another program's, untouched."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Set aside what follows the first ``--``, then parse the rest."""
        if "--" in args:
            cut = args.index("--")
            ctx.meta["reproof.command"] = tuple(args[cut + 1 :])
            return super().parse_args(ctx, args[:cut])
        words = list(args)  # which click takes apart
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            meant = _with_dashes(words)
            if meant is None:
                raise
            message = error.message[:1].lower() + error.message[1:].rstrip(".")
            raise UsageError(message, hint=f"a command comes after `--`: `{meant}`") from error


def _with_dashes(words: list[str]) -> str | None:
    """The call that was meant, where a program or a script of Python stands among the words and `--` is missing."""
    for place, word in enumerate(words):
        script = word.endswith(".py") and Path(word).is_file()
        if script or (not Path(word).exists() and not word.startswith("-") and which(word) is not None):
            command = ["python", *words[place:]] if script else words[place:]
            return shlex.join(["reproof", "run", *words[:place], "--", *command])
    return None


@click.command("run", cls=CommandAfterDashes, options_metavar="[OPTIONS]", short_help="run and record")
@click.argument("uri", default=".", required=False, metavar="[URI] [-- COMMAND ...]")
@click.option(
    "-e", "--entry-point", metavar="NAME", help="entry point of MLproject, or a script  [default: main]"
)
@click.option(
    "-P",
    "--param-list",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="a parameter of the entry point; repeatable",
)
@click.option("--experiment-name", "experiment", envvar="MLFLOW_EXPERIMENT_NAME", help="MLflow experiment")
@click.option("--run-name", help="name of the MLflow run")
@click.option(
    "--tracking-uri", help="MLflow store or server  [default: MLFLOW_TRACKING_URI, else MLflow's own]"
)
@click.option("--revision", metavar="REV", help="a commit, branch or tag, run in a clone aside")
@click.option("--seed", metavar="N|none", help="seed for the generators; a fresh one for each run by default")
@click.option(
    "--determinism",
    type=click.Choice(PROFILES),
    help="what is done beside the seed so that the run repeats; `strict` also makes keys and tokens predictable"
    "  [default: default]",
)
@click.option(
    "--entropy",
    type=click.Choice(["record", "control", "forbid"]),
    help="what is done about draws that no seed covers: note them, give them streams derived from the seed, "
    "or let the run fail  [default: control; record with `--seed none` or `--determinism off`]",
)
@click.option(
    "--env-manager",
    type=click.Choice(["uv", "docker", "local"]),
    help="make the environment with uv, run in a container image, or use the current environment  "
    "[default: what the project names]",
)
@click.option(
    "--pipeline", is_flag=True, help="run the stages of dvc.yaml  [default: without an entry point `main`]"
)
@click.option(
    "--stage",
    "targets",
    multiple=True,
    metavar="NAME",
    help="only this stage and what it depends on; repeatable",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="stages that may run at once",
)
@click.option("--force", is_flag=True, help="run stages that are unchanged, too")
@click.option(
    "--isolation",
    type=click.Choice(["none", "auto", "process", "bubblewrap", "docker"]),
    default="none",
    show_default=True,
    help="keep the run apart: variables and HOME of its own, and where it can be prevented no network and "
    "nothing but the project to write",
)
@click.option("--require-clean", is_flag=True, help="refuse a work tree with uncommitted changes")
@click.option("--no-log", is_flag=True, help="do not add the record to MLflow")
@offline
@timeout
@shared
@click.pass_context
def command(ctx: click.Context, /, uri: str, *, terminal: Terminal, **options: Any) -> int:
    """Run an MLflow Project in its folder, or any COMMAND, and record it.

    Code, data, environment, randomness and results go into one record below `.reproof/`; the exit
    status is that of the command (125: reproof itself failed).

    A folder with a dvc.yaml and no entry point `main` is a pipeline: its stages run in order, those
    that are unchanged are skipped, each has a record, and dvc.lock says what was there.
    """
    from reproof.workflow.begin import RunOptions
    from reproof.workflow.run import run
    from reproof.workflow.which import PipelineWishes, find_pipeline

    asked = PipelineWishes(**{name: options.pop(name) for name in PipelineWishes.__struct_fields__})
    wishes = RunOptions(
        uri=uri,
        command=ctx.meta.get("reproof.command", ()),
        parameters=_parse_parameters(options.pop("parameters")),
        seed=parse_seed(options.pop("seed")),
        log=not options.pop("no_log"),
        echo=True,
        terminal=sys.stdout.isatty(),
        **options,
    )
    pipeline = find_pipeline(wishes, asked)
    if pipeline is not None:
        return _run_pipeline(pipeline, terminal)
    with terminal.console(yields_to=("command",)) as console:
        recorded = run(wishes, console.emit)
        console.tell_recorded(recorded.summary())
    return recorded.exit_status


def _run_pipeline(options: PipelineOptions, terminal: Terminal) -> int:
    from reproof.workflow.pipeline.run import run_pipeline

    with terminal.console(yields_to=("command",)) as console:
        recorded = run_pipeline(options, console.emit)
        console.tell_recorded(recorded.summary())
    if recorded.problem is not None:
        raise recorded.problem
    return recorded.exit_status


def _parse_parameters(pairs: tuple[str, ...]) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError(
                f"cannot read the parameter `{pair}`: it has no `=`",
                hint=f"write `-P {name or 'NAME'}=VALUE`",
            )
        if name in parameters:
            raise UsageError(
                f"the parameter `{name}` is given twice",
                details=[("values", f"`{parameters[name]}` and `{value}`")],
            )
        parameters[name] = value
    return parameters


def parse_seed(text: str | None) -> int | str | None:
    """Read ``--seed``: a whole number of at most 64 bits, ``none``, or nothing.

    Raises:
        UsageError: Anything else.
    """
    if text is None or text == "none":
        return text
    if text.isascii() and text.isdigit() and int(text) < 2**64:
        return int(text)
    raise UsageError(
        f"cannot read the seed `{text}`: a whole number from 0 to 2^64-1, or `none`", hint="pass `--seed 42`"
    )
