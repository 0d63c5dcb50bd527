"""Finding records by what a user types, and the places that they belong to."""

from __future__ import annotations

from pathlib import Path

import msgspec

from reproof.base import git
from reproof.base.locations import FOLDER, own_folder
from reproof.errors import ProjectError, RecordError
from reproof.model.verdict import Verdict
from reproof.report.protocol import ListedRun
from reproof.store.directory import DirectoryStore
from reproof.store.records import Found, RecordStore, Summary


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a record lives.

    Attributes:
        top: Top of the repository that it speaks of.
        own: The `.reproof` folder.
    """

    top: Path
    own: Path

    @property
    def store(self) -> DirectoryStore:
        """Content of the records."""
        return DirectoryStore(self.own)


def find_record(reference: str, directory: Path | None = None) -> Found:
    """The record that `reference` names, in the project at `directory` (here by default).

    ``last~N`` is the N-th record before the last.

    Raises:
        RecordError: Nothing, or more than one record, fits; or it cannot be trusted.
        ProjectError: There is no repository here, and `reference` is not a file.
    """
    if reference.endswith(".json") and Path(reference).is_file():
        return RecordStore(Path(reference).absolute().parent.parent).find(str(Path(reference).absolute()))
    records = _records_at(directory or Path.cwd())
    head, tilde, back = reference.partition("~")
    if head == "last" and tilde and back.isdigit():
        rows = records.list()
        if int(back) >= len(rows):
            count = "1 run is" if len(rows) == 1 else f"{len(rows)} runs are"
            raise RecordError(
                f"there is no `{reference}`: {count} recorded here", hint="`reproof list` shows all"
            )
        return records.read(rows[int(back)].id)
    return records.find(reference)


def _records_at(directory: Path) -> RecordStore:
    return RecordStore(git.require_top(directory, reading=True) / FOLDER)


def place_of(found: Found) -> Place:
    """The repository and the folder of a record that was found.

    A record file outside any `.reproof` folder belongs to the repository of the current folder.

    Raises:
        ProjectError: There is no repository to take the code from.
    """
    own = found.path.parent.parent
    if own.name == FOLDER:
        top = git.find_top(own.parent)
        if top is not None:
            return Place(top=top, own=own)
    top = git.find_top(Path.cwd())
    if top is None:
        raise ProjectError(
            f"cannot find the code of record `{found.id[:12]}`: this is not a Git repository",
            details=[("commit", found.record.code.commit)],
            hint="go to a clone of the project",
        )
    return Place(top=top, own=own_folder(top))


def newest_verdict(found: Found) -> Verdict:
    """The last verdict on a record.

    Raises:
        RecordError: It was never verified.
    """
    verdicts = RecordStore(place_of(found).own).verdicts(found.id)
    if not verdicts:
        raise RecordError(
            f"record `{found.id[:12]}` was never verified", hint=f"run `reproof verify {found.id[:12]}`"
        )
    return verdicts[-1]


def list_records(directory: Path, limit: int) -> list[ListedRun]:
    """The newest records of the project at `directory`, with their last verdicts.

    Raises:
        ProjectError: There is no repository here.
    """
    records = _records_at(directory)
    return [_row(records, summary) for summary in records.list()[:limit]]


def _row(records: RecordStore, summary: Summary) -> ListedRun:
    """One record for a list; one that cannot be used is in the list too, and says why."""
    if summary.trouble is not None:
        return ListedRun(record=summary.id, created=summary.created, state=summary.trouble)
    try:
        found = records.read(summary.id)
        verdicts = records.verdicts(summary.id)
    except RecordError as error:
        trouble = error.message.rpartition("`: ")[2]
        return ListedRun(record=summary.id, created=summary.created, state=trouble)
    last = verdicts[-1] if verdicts else None
    return ListedRun(
        record=summary.id,
        run_id=summary.run_id,
        created=summary.created,
        project=summary.project,
        entry_point=summary.entry_point or found.record.project.command,
        state=summary.state,
        seconds=found.record.byproducts.seconds,
        verdict=last.word if last else None,
        verified=last.created if last else None,
    )


def is_served(found: Found, place: Place) -> bool:
    """Whether the run was logged to a tracking server: it names runs itself, a local store has the process draw."""
    facts = RecordStore(place.own).read_tracking(found.id) or {}
    return str(facts.get("uri", "")).startswith(("http://", "https://"))
