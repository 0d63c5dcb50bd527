"""`verify --all`: every run of an experiment, whoever recorded it; one row for each, kept as it comes."""

from __future__ import annotations

import datetime as dt
import os
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from reproof.base import git
from reproof.base.locations import data_directory, own_folder
from reproof.errors import (
    EnvironmentBuildError,
    ExecutionError,
    MaterialError,
    MissingError,
    RecordError,
    ReproofError,
    TrackingError,
    UsageError,
)
from reproof.model.difference import Difference, Outcome
from reproof.model.event import Emit, Event, silent
from reproof.model.survey import Survey, SurveyRow
from reproof.model.verdict import SAME, Verdict, accepted
from reproof.project.settings import Settings, read_settings
from reproof.store.surveys import SurveyStore
from reproof.tracking import experiments
from reproof.tracking.address import resolve
from reproof.tracking.experiments import Experiment, RunHead
from reproof.tracking.values import Access
from reproof.workflow.cached import mlflow_interpreters
from reproof.workflow.many import Batch, Hands, carry_out
from reproof.workflow.needs import needs_of
from reproof.workflow.run import now
from reproof.workflow.unrecorded.results import iso
from reproof.workflow.verify import verify
from reproof.workflow.verify_options import VerifyOptions

#: What is missing, by the error that says so.
_INGREDIENTS: tuple[tuple[type[ReproofError], str], ...] = (
    (MaterialError, "data"),
    (EnvironmentBuildError, "environment"),
    (ExecutionError, "isolation"),
    (TrackingError, "store"),
    (RecordError, "record"),
)
_NO_COMMIT = "it has no Git commit: MLflow notes one for a script in a Git repository"
_LONGEST = 160  # characters of a detail


class SurveyOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What is verified, and how.

    Attributes:
        experiment: Name or id.
        since: Only runs that started at this date or time (ISO 8601, UTC) or later; None for all.
        again: Also runs that have a verdict from an earlier call.
        hands: Who does the re-runs; one at a time by default, since they share the machine.
        options: As for a single run.
    """

    experiment: str
    since: str | None = None
    again: bool = False
    hands: Hands = Hands()
    options: VerifyOptions = VerifyOptions()


class _Task(msgspec.Struct, frozen=True):
    """One run for a worker."""

    head: RunHead
    options: VerifyOptions


def verify_all(wanted: SurveyOptions, emit: Emit = silent) -> Survey:
    """Verify every run of an experiment; rows of an earlier call that decided are taken as they are.

    Args:
        wanted: What.
        emit: Told about the work, and of each row.

    Raises:
        TrackingError: The store cannot be read, or has no such experiment.
        UsageError: The date is none.
        KeyboardInterrupt: Ctrl-C; the rows so far are kept.
    """
    since = _milliseconds(wanted.since)
    access = _access(wanted.options.tracking_uri)
    emit(Event(kind="start", subject="runs", message=f"listing the runs of `{wanted.experiment}`"))
    experiment = experiments.find_experiment(access, wanted.experiment)
    heads = list(experiments.run_heads(access, experiment, since))
    emit(Event(kind="finish", subject="runs"))
    whole = [head for head in heads if not head.nested or head.recorded]
    store = SurveyStore(_folder(), _words(access, wanted.options))
    rows = _rows_without(whole, wanted, store)
    kept = len(rows)
    rows |= {head.run_id: row for head in whole if (row := _hopeless(head, wanted.options)) is not None}
    options = msgspec.structs.replace(wanted.options, tracking_uri=access.address.access)
    tasks = {
        head.run_id: _Task(head, _as_recorded(options) if head.recorded else options)
        for head in whole
        if head.run_id not in rows
    }

    def told(name: str, result: SurveyRow | ReproofError) -> None:
        row = result if isinstance(result, SurveyRow) else _row_of_error(tasks[name].head, result)
        rows[name] = row
        store.write(row)
        said = row.word or f"missing: {row.missing}"
        emit(Event(kind="note", subject="run", message=f"{name[:12]}: {said}"))

    if tasks:
        batch = Batch(
            tasks=tasks,
            work=_verify_one,
            told=told,
            title="verifying the runs",
            total=len(whole),
            needs=needs_of(None, _settings().resources, wanted.hands.resources),
        )
        carry_out(batch, wanted.hands, emit)
    return _survey(wanted, access, experiment, [rows[head.run_id] for head in whole], kept, len(heads))


def _as_recorded(options: VerifyOptions) -> VerifyOptions:
    """Without what is supplied for runs that lack it: a record lacks nothing, and there it would replace what is recorded."""
    return msgspec.structs.replace(options, code=None, data=(), env=None, entry_point=None, command=())


def _survey(  # noqa: PLR0913, PLR0917  # what a survey is made of
    wanted: SurveyOptions,
    access: Access,
    experiment: Experiment,
    rows: list[SurveyRow],
    kept: int,
    found: int,
) -> Survey:
    return Survey(
        experiment=experiment.name,
        store=access.address.uri,
        since=wanted.since or "",
        created=now(),
        rows=tuple(rows),
        kept=kept,
        nested=found - len(rows),
    )


def _milliseconds(since: str | None) -> int:
    if since is None:
        return 0
    try:
        time = dt.datetime.fromisoformat(since)
    except ValueError:
        raise UsageError(
            f"`{since}` is no date", hint="pass `--since 2026-01-31`, or a time as `2026-01-31T12:00`"
        ) from None
    return int((time if time.tzinfo is not None else time.replace(tzinfo=dt.UTC)).timestamp() * 1000)


def _access(tracking_uri: str | None) -> Access:
    here = Path.cwd()
    return Access(
        address=resolve(tracking_uri, os.environ, here),
        environment=dict(os.environ),
        directory=here,
        interpreters=mlflow_interpreters(),
    )


def _folder() -> Path:
    """Where rows are kept: the repository here, else the user's data folder."""
    top = git.find_top(Path.cwd())
    return own_folder(top) if top is not None else data_directory()


def _settings() -> Settings:
    """Of the project here; of all runs of an experiment no other can be asked before each is found."""
    return read_settings(Path.cwd(), git.find_top(Path.cwd()))


def _words(access: Access, options: VerifyOptions) -> tuple[str, ...]:
    return (access.address.uri, str(options.accept), str(options.rtol), str(options.atol))


def _rows_without(
    heads: Iterable[RunHead], wanted: SurveyOptions, store: SurveyStore
) -> dict[str, SurveyRow]:
    """Rows of an earlier call that need no work now."""
    if wanted.again:
        return {}
    found = ((head.run_id, store.read(head.run_id)) for head in heads if not head.deleted)
    return {run_id: row for run_id, row in found if row is not None and row.decided}


def _hopeless(head: RunHead, options: VerifyOptions) -> SurveyRow | None:
    """The row of a run that nothing has to be tried for."""
    if head.deleted:
        way = f"run `mlflow runs restore --run-id {head.run_id}`"
        return _row(head, missing="run", reason="it was deleted", hint=way)
    if not head.commit and not head.recorded and options.code is None:
        return _row(
            head, missing="code", reason=_NO_COMMIT, hint="pass `--code REVISION`, if you know which it was"
        )
    return None


def _row(head: RunHead, **facts: object) -> SurveyRow:
    row = SurveyRow(
        run_id=head.run_id,
        name=head.name,
        started=iso(head.started),
        kind="recorded" if head.recorded else "reconstructed" if head.commit else "unknown",
        commit=head.commit,
    )
    return msgspec.structs.replace(row, **facts)


def _verify_one(task: _Task) -> SurveyRow:
    """In a worker: verify one run; whatever prevents it is a row too."""
    started = time.monotonic()
    try:
        verdict, record = verify(task.head.run_id, task.options)
    except ReproofError as error:
        row = _row_of_error(task.head, error)
    except Exception as error:  # a defect of ours over one run is no reason to lose the others
        row = _row(task.head, missing="reproof", reason=_cut(f"reproof itself failed: {error!r}"))
    else:
        row = _row(
            task.head,
            word=verdict.word,
            stability=verdict.stability,
            detail=_detail(verdict),
            commit=record.code.commit,
        )
    return msgspec.structs.replace(row, seconds=round(time.monotonic() - started, 2), verified=now())


def _row_of_error(head: RunHead, error: ReproofError) -> SurveyRow:
    if isinstance(error, MissingError):
        missing = error.ingredient
    else:
        missing = next((word for kind, word in _INGREDIENTS if isinstance(error, kind)), "code")
    return _row(head, missing=missing, reason=_cut(error.message), hint=error.hint, verified=now())


def _detail(verdict: Verdict) -> str:
    """Why it is not reproduced, or not decided, in a line."""
    if verdict.word in SAME:
        return ""
    bad = [each for each in verdict.differences if not accepted(each, verdict.policy)]
    bad.sort(key=lambda each: (each.outcome is not Outcome.DIFFERENT, each.kind != "omission"))
    said = _said(bad[0]) if bad else ""
    more = f"; {len(bad) - 1:,} more" if len(bad) > 1 else ""
    by_itself = "varies by itself; " if verdict.stability == "varies" else ""
    return _cut(f"{by_itself}{said}{more}")


def _said(difference: Difference) -> str:
    logs = [child.summary for child in difference.children if child.kind == "log"]
    last = f": {logs[-1]}" if logs else ""
    return f"{difference.subject}: {difference.summary}{last}"


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."
