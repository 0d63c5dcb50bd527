"""`reproof verify`: a verdict, and an exit status that a script can trust."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reproof.cli.options import Terminal, hands, isolation, jobs, offline, output, policy, shared, timeout
from reproof.errors import UsageError

if TYPE_CHECKING:
    from reproof.model.record import Record
    from reproof.model.verdict import Verdict
    from reproof.workflow.verify_options import VerifyOptions


@click.command("verify", short_help="re-create and compare")
@click.argument("run", default="last")
@click.argument("words", nargs=-1, metavar="[-- COMMAND...]")
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
@click.option(
    "--code",
    metavar="REV|PATH",
    help="the recorded run with the code of another commit: does that alter the result? kept nowhere. "
    "Of a run that reproof did not record: a clone that has its commit",
)
@click.option(
    "--data",
    multiple=True,
    metavar="[NAME=]PATH",
    help="the recorded run with other data: a file, or a folder with files of the same names; repeatable. "
    "Of a run that reproof did not record: the data that neither Git nor DVC has",
)
@click.option(
    "--env",
    metavar="LOCK|PROJECT",
    help="the recorded run with other packages: of a lock or requirements file, or a project's folder",
)
@click.option(
    "-e",
    "--entry-point",
    metavar="NAME",
    help="of a run that reproof did not record: what was run, as `train.py`",
)
@click.option(
    "--against",
    metavar="DVC.LOCK",
    help="verify what this dvc.lock claims, with no record at all; RUN is then a folder or Git address",
)
@click.option("--revision", metavar="REV", help="with --against: a commit, branch or tag")
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
@click.option("--all", "every", is_flag=True, help="verify all runs of an experiment: a row for each")
@click.option("--experiment", metavar="NAME", help="with --all: which one")
@click.option("--since", metavar="DATE", help="with --all: runs that started then or later (UTC)")
@click.option("--again", is_flag=True, help="with --all: also runs that have a verdict from an earlier call")
@jobs
@output()
@shared
def command(
    run: str,
    words: tuple[str, ...],
    *,
    terminal: Terminal,
    output_format: str,
    output: Path | None,
    **options: Any,
) -> int:
    """Re-create RUN from its record alone, compare every result, and say whether it came out the same.

    RUN is an MLflow run id, a record id, a unique prefix of either, `last`, a record file, or a bundle of
    `reproof export`. A run of
    another machine is found on the MLflow server; its code is cloned aside. A run of MLflow that reproof did not
    record is put together from its Git commit and what MLflow has of it; every assumption is stated, and where
    MLflow does not know how it was called, COMMAND does.

    With --all every run of an experiment is verified, whoever recorded it: a row for each, with its verdict or with
    what is missing. Called again it goes on with the runs that have no verdict. Exit status: 0 all came out the
    same, 1 one did not, 3 none of this, or nothing could be compared.
    """
    from reproof.cli.console import write_document
    from reproof.report import render_verdict
    from reproof.workflow.verify import VerifyOptions, exit_status_of, verify

    stores = tuple(str(store) for store in options.pop("stores"))
    against, revision = options.pop("against"), options.pop("revision")
    survey = {
        "hands": hands(options),
        **{name: options.pop(name) for name in ("every", "experiment", "since", "again")},
    }
    if survey["every"]:
        if run != "last" or words or against is not None:
            raise UsageError(
                "`--all` is about an experiment, not about one run", hint="pass `--experiment NAME`"
            )
        chosen = VerifyOptions(stores=stores, log=not options.pop("no_log"), **options)
        return _verify_experiment(terminal, survey, chosen, (output_format, output))
    if survey["experiment"] or survey["since"] or survey["again"]:
        raise UsageError("`--experiment`, `--since` and `--again` belong to `--all`", hint="add `--all`")
    if against is not None:
        place = {"uri": "." if run == "last" else run, "revision": revision, "stores": stores}
        verdict, record = _verify_claim(terminal, against, {**options, **place})
        write_document(render_verdict(verdict, record, output_format, **terminal.look(output)), output)
        return exit_status_of(verdict)
    chosen = VerifyOptions(stores=stores, log=not options.pop("no_log"), command=words, **options)
    with terminal.console() as console:
        if run.endswith(".zip"):
            from reproof.workflow.bundle import verify_bundle

            verdict, record = verify_bundle(Path(run), chosen, console.emit)
        else:
            verdict, record = verify(run, chosen, console.emit)
    write_document(render_verdict(verdict, record, output_format, **terminal.look(output)), output)
    return exit_status_of(verdict)


def _verify_experiment(
    terminal: Terminal, words: dict[str, Any], options: VerifyOptions, document: tuple[str, Path | None]
) -> int:
    """All runs of an experiment."""
    from reproof.cli.console import write_document
    from reproof.model.survey import exit_status_of
    from reproof.report.survey import FORMATS, render_survey
    from reproof.workflow.verify_all import SurveyOptions, verify_all

    output_format, output = document
    if not words["experiment"]:
        raise UsageError("`--all` needs an experiment", hint="add `--experiment NAME`")
    if output_format not in FORMATS:
        raise UsageError(
            f"`{output_format}` cannot show an experiment",
            hint="pass `--output-format text`, `json` or `html`",
        )
    wanted = SurveyOptions(
        experiment=words["experiment"],
        since=words["since"],
        again=words["again"],
        hands=words["hands"],
        options=options,
    )
    with terminal.console() as console:
        survey = verify_all(wanted, console.emit)
    write_document(render_survey(survey, output_format, **terminal.look(output)), output)
    return exit_status_of(survey)


def _verify_claim(terminal: Terminal, lock: str, options: dict[str, Any]) -> tuple[Verdict, Record]:
    """What a dvc.lock claims, re-created; options that need a record are refused."""
    from reproof.workflow.pipeline.against import AgainstOptions, verify_against

    taken = {name: options[name] for name in AgainstOptions.__struct_fields__ if name in options}
    given = {
        name for name, value in options.items() if value not in (None, False, 1, ()) and name not in taken
    }
    if refused := given - {"no_log", "trust"}:
        name = min(refused).replace("_", "-")
        raise UsageError(f"`--{name}` needs a record, and `--against` has none")
    chosen = AgainstOptions(lock=lock, **taken)
    with terminal.console() as console:
        return verify_against(chosen, console.emit)
