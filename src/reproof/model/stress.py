"""What a result depends on: each variation of a re-run's circumstances, and what it changed."""

from __future__ import annotations

from typing import Literal

import msgspec

SCHEMA = "reproof/stress/1"

#: `unresolved`: it was varied together with others, something changed, and the budget was spent.
StressOutcome = Literal["same", "differs", "fails", "unresolved", "not exercised"]

#: From the weakest to the strongest; each includes those before it.
Level = Literal[
    "varies by itself",
    "repeats",
    "independent of circumstances",
    "independent of threads",
    "independent of CPU type",
]
LEVELS: tuple[Level, ...] = (
    "varies by itself",
    "repeats",
    "independent of circumstances",
    "independent of threads",
    "independent of CPU type",
)


class Change(msgspec.Struct, frozen=True):
    """One result that came out otherwise: its name, and how."""

    subject: str
    summary: str


class Exercise(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One variation and what came of it.

    Attributes:
        name: Its name, ``time-zone``.
        group: ``repeat``, ``circumstances``, ``one-cpu``, ``threads``, ``isa``, ``entropy``, or
            ``informative``: what a result may well depend on, and is not blamed for.
        what: What is another.
        outcome: What came of it.
        changes: What differs from the control, besides what varies by itself.
        together_with: Other variations without which it changes nothing.
        reason: Why it was not exercised, or not resolved.
        remedy: What to do about a dependence.
    """

    name: str
    group: str
    what: str = ""
    outcome: StressOutcome
    changes: tuple[Change, ...] = ()
    together_with: tuple[str, ...] = ()
    reason: str = ""
    remedy: str = ""


class StressReport(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="schema", tag=SCHEMA
):
    """What a run depends on, as far as it was exercised.

    Attributes:
        record: Id of the record.
        project: Name of the project.
        created: ISO 8601 in UTC.
        level: What may be said; None where not even a repetition was possible.
        exercises: One for each variation, the strategy's order.
        subjects: Results that were compared.
        runs: Re-runs that were made; `budget` how many were allowed.
        conditions: Name and value.
        tool: Name and version of the program.
    """

    record: str
    project: str = ""
    created: str = ""
    level: Level | None = None
    exercises: tuple[Exercise, ...] = ()
    subjects: tuple[str, ...] = ()
    runs: int = 0
    budget: int | None = None
    conditions: tuple[tuple[str, str], ...] = ()
    tool: str = ""

    @property
    def dependences(self) -> tuple[Exercise, ...]:
        """The variations that changed something, but for those that are only told."""
        bad = ("differs", "fails", "unresolved")
        return tuple(each for each in self.exercises if each.outcome in bad and each.group != "informative")
