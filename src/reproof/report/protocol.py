"""What every renderer gets and gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import msgspec

from reproof.model.difference import Difference, Outcome
from reproof.model.finding import Finding
from reproof.model.record import Record
from reproof.model.verdict import Verdict, Word


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """How the outcome of rendering is to look, where the format leaves a choice.

    Attributes:
        width: Columns of the terminal or page of text; longer names and paths are never cut.
        color: Whether text may hold ANSI colours.
        accept: The worst outcome of a difference that counts as the same.
    """

    width: int = 100
    color: bool = False
    accept: Outcome = Outcome.EQUIVALENT


class Sides(msgspec.Struct, frozen=True):
    """What the two sides of a difference are called: ``recorded`` and ``re-run``, ``A`` and ``B``."""

    expected: str = "recorded"
    actual: str = "re-run"


class ListedRun(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the list of runs.

    Attributes:
        record: Id of the record.
        run_id: MLflow run id, None where the run has none.
        created: When the run was recorded, ISO 8601 in UTC.
        project: Name of the project.
        entry_point: Entry point, or the command where there is none.
        state: State of the record: ``finished``, ``failed``, ``interrupted``, ``unfinished``.
        seconds: Wall time of the run.
        verdict: Word of the last verdict, None while it was never verified.
        verified: When that verdict was given, ISO 8601 in UTC.
    """

    record: str
    run_id: str | None = None
    created: str = ""
    project: str = ""
    entry_point: str = ""
    state: str = ""
    seconds: float = 0.0
    verdict: Word | None = None
    verified: str | None = None


class Renderer(Protocol):
    """Renders verdicts and differences; made with a :class:`Look`.

    Everything returned ends with exactly one newline.
    """

    def verdict(self, verdict: Verdict, record: Record | None) -> str:
        """The verdict; `record` adds what it was about, where it is at hand."""
        ...

    def difference(self, difference: Difference, sides: Sides) -> str:
        """A difference that belongs to no verdict (of `reproof diff`)."""
        ...


@runtime_checkable
class Display(Protocol):
    """A renderer that also shows records, lists of them and findings; results of tests have no place for those."""

    def record(self, record: Record, identity: str) -> str:
        """The record with the id `identity`."""
        ...

    def rows(self, rows: Sequence[ListedRun]) -> str:
        """A list of runs, in the order given."""
        ...

    def findings(self, findings: Sequence[Finding]) -> str:
        """What a machine offers, in the order given."""
        ...
