"""The command line: a table of verbs, and the one place where failures become exit statuses."""

from __future__ import annotations

import errno
import os
import sys
from enum import IntEnum
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from reproof.errors import ReproofError

if TYPE_CHECKING:
    from collections.abc import Sequence


class ExitStatus(IntEnum):
    """What the exit status of every verb but `run` means; `run` passes on the child's own."""

    REPRODUCED = 0
    NOT_REPRODUCED = 1
    UNDECIDED = 2
    INCONCLUSIVE = 3
    RUN_FAILED = 125
    INTERRUPTED = 130


#: Errors of the file system that are nobody's defect: full, over a limit, read-only.
_OF_THE_MACHINE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})

#: Verb to (module, one line of help); a module is imported when its verb is used.
VERBS = {
    "run": ("run", "run a project; record code, data, environment, randomness and results"),
    "verify": ("verify", "re-create a recorded run in a clean room, compare, give a verdict"),
    "replicate": ("replicate", "run with other seeds, say whether the result stands"),
    "stress": ("stress", "re-run under variations, say what the result depends on"),
    "explain": ("explain", "find the cause of a difference between two runs, by swapping factors"),
    "diff": ("diff", "say how two records, runs, files or folders differ; runs nothing"),
    "build": ("build", "build wheel and sdist twice, the second time varied, and compare the bytes"),
    "show": ("show", "show a record, or the verdicts on it"),
    "list": ("listing", "list the recorded runs of this project"),
    "demo": ("demo", "all of it on a real project: write, run, record, re-create, compare"),
    "doctor": ("doctor", "what this machine offers, and what each missing thing means"),
    "env": ("env", "show, make, compare and export the environment of a recorded run"),
    "keep": ("keep", "put data that neither Git nor DVC has into the store"),
    "store": ("store", "check the content of records, remove what no record names"),
    "status": ("status", "which stages of dvc.yaml are out of date, and why"),
    "dag": ("dag", "how stages depend on each other, and how they came out"),
    "data": ("data", "versioned data: what is changed, missing, corrupted, not pushed; read it all"),
    "audit": ("audit", "check the signed log, and MLflow against it; sign; report to an outsider"),
    "export": ("export", "write a run with all that it takes to verify it into one file"),
    "key": ("key", "make and show the key that signs for you"),
    "sync": ("sync", "push what could not be written to MLflow at the time of the run"),
}


class Verbs(click.Group):
    """A group that knows its verbs by name and imports only the one that is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The verbs in the order of the table."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The verb's command, imported now; None if there is no such verb."""
        if cmd_name not in VERBS:
            return None
        command: click.Command = import_module(f"reproof.cli.{VERBS[cmd_name][0]}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The table of verbs, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(verb, text) for verb, (_, text) in VERBS.items()])


def _show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:  # noqa: ARG001
    if value:
        from importlib.metadata import version

        click.echo(f"reproof {version('reproof')}")
        ctx.exit()


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="show the version",
)
def program() -> None:
    """Re-create a machine-learning result from its record alone, and prove whether it came out the same.

    Exit status: 0 reproduced, 1 not reproduced, 2 nothing decided (usage, project or internal
    error), 3 inconclusive, 130 interrupted. `run` passes the status of your command through.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program and exit with its status.

    Args:
        arguments: Words after the program's name; those of the process by default.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(_status_of(words))


def _status_of(words: list[str]) -> int:
    failed = ExitStatus.RUN_FAILED if words[:1] == ["run"] else ExitStatus.UNDECIDED
    try:
        result = program.main(words, prog_name="reproof", standalone_mode=False)
    except ReproofError as error:
        return _complain(error, failed, words)
    except click.exceptions.Abort:
        return ExitStatus.INTERRUPTED
    except click.ClickException as error:
        error.show()
        return failed
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        return ExitStatus.INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitStatus.UNDECIDED
    except OSError as error:
        if error.errno not in _OF_THE_MACHINE:
            return _complain_of_defect(error, failed, words)
        return _complain(_of_the_machine(error), failed, words)
    except Exception as error:  # a defect of ours still deserves one clear line
        return _complain_of_defect(error, failed, words)
    return int(result or 0)


def _complain(error: ReproofError, status: ExitStatus, words: list[str]) -> int:
    from reproof.cli.console import render_error, wants_color

    if _is_verbose(words):
        _show_traceback(error)
    click.echo(render_error(error, color=wants_color(words)), err=True)
    return status


def _of_the_machine(error: OSError) -> ReproofError:
    """What the file system refused, wherever that happened."""
    from reproof.errors import StoreError

    place = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    return StoreError(
        f"cannot write `{place}`" if place else "cannot write a file",
        details=[("reason", error.strerror or str(error))],
    )


def _complain_of_defect(error: Exception, status: ExitStatus, words: list[str]) -> int:
    from reproof.cli.console import render_error, wants_color
    from reproof.errors import InternalError

    if _is_verbose(words):
        _show_traceback(error)
    defect = InternalError(
        f"reproof itself failed: {type(error).__name__}: {error}",
        hint="run the same command with `-v` for the traceback, and report it",
    )
    click.echo(render_error(defect, color=wants_color(words)), err=True)
    return status


def _show_traceback(error: Exception) -> None:
    import traceback

    click.echo("".join(traceback.format_exception(error)), err=True)


def _is_verbose(words: list[str]) -> bool:
    ours: list[Any] = words[: words.index("--")] if "--" in words else words
    return any(word in {"-v", "-vv", "--verbose"} for word in ours)


if __name__ == "__main__":
    main()
