"""Why two runs came out differently: everything that differs, and what is proven to be the cause."""

from __future__ import annotations

from typing import Literal

import msgspec

SCHEMA = "reproof/explanation/1"

#: `proven`: shown by re-runs in both directions, and once more. `suspected`: candidates, in order of
#: likelihood, none of them shown. `not found`: there is no candidate, or nothing to explain.
ExplanationStatus = Literal["proven", "suspected", "not found"]

#: Kinds of factors, the likeliest cause first: the order in which suspects are named.
KINDS = (
    "parameter",
    "command",
    "code",
    "data",
    "seed",
    "package",
    "python",
    "environment",
    "image",
    "profile",
    "entropy",
    "threads",
    "variable",
    "isa",
    "native library",
    "hardware",
    "system",
)

#: What came of a re-run: the result of A, that of B, a third one, or none (it failed, or could not be made).
Came = Literal["A", "B", "other", "unresolved"]


class Factor(msgspec.Struct, frozen=True, kw_only=True, rename={"before": "from", "after": "to"}):
    """Something that differs between A and B.

    Attributes:
        kind: One of :data:`KINDS`.
        name: Its name: of a package, a parameter, a file, a variable.
        before: In A; None where A does not have it.
        after: In B.
        where: ``file:line``, or ``file:first-last`` for rows of data, where there is such a place.
        parts: Parts that can be swapped one by one: hunks of a file, blocks of a table.
        obstacle: Why it cannot be swapped here; None where it can.
    """

    kind: str
    name: str
    before: str | None = None
    after: str | None = None
    where: str | None = None
    parts: int = 1
    obstacle: str | None = None


class Attempt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One re-run of A with some factors swapped for those of B.

    Attributes:
        swapped: What was B's, for people.
        came: What came of it.
        summary: How it came out, or why it did not.
        seconds: Wall time of the command.
        again: Which repetition of the same thing it is; 0 for the first.
        remembered: It was made by an earlier call of the same question.
    """

    swapped: str
    came: Came
    summary: str = ""
    seconds: float = 0.0
    again: int = 0
    remembered: bool = False


class Explanation(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag=SCHEMA):
    """The answer to "why do A and B differ?".

    Attributes:
        a: Id of the record A; `b` that of B.
        project: Name of the project.
        created: ISO 8601 in UTC.
        status: What may be said.
        question: What is explained: the results that differ, or a metric.
        causes: Where proven: the smallest set that was found.
        suspects: Where it is not: what differs, the likeliest first.
        evidence: What was shown, a line each; where nothing is proven, why.
        reason: Why nothing is proven; empty where something is.
        subjects: Names of the results that are explained.
        aside: Results that differ too, and are not explained, each with the reason.
        factors: Everything that differs between the set-ups.
        attempts: All re-runs, in order.
        runs: Number of re-runs that the answer rests on.
        remembered: How many of them an earlier call had made.
        budget: What was allowed, as given; None for no bound.
        conditions: Name and value.
        comparable: False where there was nothing to compare.
        tool: Name and version of the program.
    """

    a: str
    b: str
    project: str = ""
    created: str = ""
    status: ExplanationStatus
    question: str = ""
    causes: tuple[Factor, ...] = ()
    suspects: tuple[Factor, ...] = ()
    evidence: tuple[str, ...] = ()
    reason: str = ""
    subjects: tuple[str, ...] = ()
    aside: tuple[tuple[str, str], ...] = ()
    factors: tuple[Factor, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    runs: int = 0
    remembered: int = 0
    budget: str | None = None
    conditions: tuple[tuple[str, str], ...] = ()
    comparable: bool = True
    tool: str = ""
