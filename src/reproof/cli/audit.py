"""`reproof audit`: the log of a project: set up, add to, check, tell an outsider."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from reproof.cli.options import Terminal, output, shared, to_file


@click.group("audit", short_help="check the signed log", invoke_without_command=True)
@click.option(
    "--signers",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="who may sign: a file of your own, instead of `allowed_signers` in the commit",
)
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="a checkpoint that you kept elsewhere; repeatable",
)
@click.option("--no-tracking", is_flag=True, help="do not compare with MLflow")
@output(("text", "json", "html"))
@shared
@click.pass_context
def command(  # noqa: PLR0913  # one name for each option
    context: click.Context,
    *,
    signers: Path | None,
    checkpoints: tuple[Path, ...],
    no_tracking: bool,
    output_format: str,
    output: Path | None,
    terminal: Terminal,
) -> int:
    """Check the log, the signatures, the content, and what MLflow shows now against what was signed.

    Exit status: 0 all is whole, 1 with every finding named, 2 it could not be audited, 3 nothing wrong
    was found but something could not be looked at.
    """
    if context.invoked_subcommand is not None:
        return 0
    from reproof.cli.console import write_document
    from reproof.report.audit import render_audit
    from reproof.workflow.audit import AuditOptions, audit, exit_status_of

    options = AuditOptions(signers=signers, checkpoints=checkpoints, tracking=not no_tracking)
    with terminal.console() as console:
        report = audit(options, console.emit)
    write_document(render_audit(report, output_format, **terminal.look(output)), output)
    return exit_status_of(report)


@command.command("init")
@shared
def init(*, terminal: Terminal) -> int:  # noqa: ARG001  # the options that all verbs have
    """Set up the log: from now on every run of this project is entered when it starts and when it ends."""
    from reproof.workflow.signing import open_log

    opening = open_log()
    click.echo(f"opened the log {opening.origin}, {'signed' if opening.signed else 'unsigned'}")
    if not opening.signed:
        click.echo(
            'unsigned: run `reproof key new --identity NAME@EXAMPLE.ORG --name "FIRST LAST"`', err=True
        )
    if not opening.signers:
        click.echo(
            "nobody is named yet who may sign: run `reproof key show >> allowed_signers`, and commit that file",
            err=True,
        )
    return 0


@command.command("enter")
@click.argument("run", default="last")
@shared
def enter(run: str, *, terminal: Terminal) -> int:  # noqa: ARG001
    """Enter the end of RUN, where that was not possible when it ended."""
    from reproof.workflow.signing import enter as enter_run

    done = enter_run(run)
    click.echo(
        f"entered {done.subject[:12]} as entry {done.numbers[-1]}" + ("" if done.name else ", unsigned")
    )
    return 0


@command.command("sign")
@click.argument("run", default="last")
@click.option(
    "--as",
    "meaning",
    required=True,
    type=click.Choice(["author", "reviewer", "approver"]),
    help="what your signature stands for",
)
@click.option("--reason", default="", help="in your own words; stays in the log for good")
@click.option("--key", "key", metavar="NAME", help="name of the key  [default: default, or REPROOF_KEY]")
@shared
def sign(
    run: str,
    *,
    meaning: Literal["author", "reviewer", "approver"],
    reason: str,
    key: str | None,
    terminal: Terminal,  # noqa: ARG001
) -> int:
    """Answer for RUN with your name; or, for a run that has no result, say why (RUN is its number then)."""
    from reproof.attest.keys import key_path, open_key, read_note
    from reproof.cli.key import passphrase_for
    from reproof.workflow.signing import sign as sign_run

    place = key_path(key)
    private = open_key(place, passphrase_for(read_note(place).encrypted))
    done = sign_run(run, meaning, reason, private)
    click.echo(f"signed {done.subject[:12]} as {done.meaning}: {done.name}, entry {done.numbers[-1]}")
    return 0


@command.command("report")
@click.argument("run", default="last")
@click.option(
    "--checklist", type=click.Choice(["neurips", "annex-iv"]), help="fill in what the evidence supports"
)
@click.option("--no-tracking", is_flag=True, help="do not compare with MLflow")
@to_file
@shared
def report(
    run: str, *, checklist: str | None, no_tracking: bool, output: Path | None, terminal: Terminal
) -> int:
    """Write all that is known about RUN as one HTML page, for an outsider; a browser prints it as PDF."""
    from reproof.cli.console import write_document
    from reproof.workflow.dossier import report_on

    with terminal.console() as console:
        text = report_on(run, checklist, tracking=not no_tracking, emit=console.emit)
    write_document(text, output)
    return 0
