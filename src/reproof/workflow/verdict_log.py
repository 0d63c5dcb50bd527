"""Writing a verdict to the MLflow run that it is about; what was recorded is never overwritten."""

from __future__ import annotations

import os
from pathlib import Path

from reproof.model.codec import encode
from reproof.model.event import Emit, Event
from reproof.model.record import Record
from reproof.model.verdict import Verdict
from reproof.report import render_verdict
from reproof.store.records import Found, RecordStore
from reproof.tracking.address import parse, resolve
from reproof.tracking.values import Access, Finish
from reproof.workflow.cached import mlflow_interpreters
from reproof.workflow.lookup import Place
from reproof.workflow.tracked import write_or_keep


def log_verdict(verdict: Verdict, found: Found, place: Place, python: Path | None, emit: Emit) -> None:
    """Add tags and the verdict (JSON and HTML) to the run of `found`, where it has one.

    A store that cannot be written now is no failure: `reproof sync` does it later.

    Args:
        verdict: What to write.
        found: The record and its MLflow run.
        place: Where the record lives.
        python: An interpreter with the MLflow of the recorded environment; None where it may not be run.
        emit: Told about the work and about what has to wait.
    """
    facts = RecordStore(place.own).read_tracking(found.id)
    if not facts or not facts.get("run_id") or not facts.get("uri"):
        return
    send_verdict(verdict, found.record, (facts["uri"], facts["run_id"]), place, python, emit)


def send_verdict(  # noqa: PLR0913, PLR0917  # a verdict, where it goes, and who takes it there
    verdict: Verdict, record: Record, to: tuple[str, str], place: Place, python: Path | None, emit: Emit
) -> None:
    """Add a verdict to the run `to`, by address of its store and id; see :func:`log_verdict`."""
    uri, run_id = to
    emit(Event(kind="start", subject="tracking", message="adding the verdict to MLflow"))
    stamp = verdict.created.replace(":", "").replace("-", "")
    wanted = Finish(
        record=verdict.record,
        uri=uri,
        run_id=run_id,
        tags={
            "reproof.verdict": verdict.word,
            "reproof.verified_at": verdict.created,
            "reproof.stability": verdict.stability,
        },
        artifacts={
            f"reproof/verdict-{stamp}.json": encode(verdict),
            f"reproof/verdict-{stamp}.html": render_verdict(verdict, record, "html").encode(
                "utf-8", "surrogateescape"
            ),
        },
    )
    named = resolve(None, os.environ, place.top)
    address = named if named.uri == wanted.uri else parse(wanted.uri, place.top)
    access = Access(
        address=address,
        environment=dict(os.environ),
        directory=place.top,
        interpreters=mlflow_interpreters(*([python] if python is not None else [])),
    )
    outcome = write_or_keep(wanted, access, place.own / "pending")
    emit(Event(kind="finish", subject="tracking"))
    outcome.warn("the verdict", emit)
