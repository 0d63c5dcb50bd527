"""The answer to "did it come out the same?", with everything that limits the answer."""

from __future__ import annotations

from typing import Literal

import msgspec

from reproof.model.difference import Difference, Outcome
from reproof.model.policy import Policy
from reproof.model.randomness import EntropyDraw
from reproof.model.stages import StageOutcome

SCHEMA = "reproof/verdict/1"

#: `varies`: the re-run differs from itself; `consistent`: it agrees with itself, not with the
#: record; `not tried`: nothing differed, or a second re-run was not possible.
Stability = Literal["varies", "consistent", "not tried"]

#: Whether the code repeats without reproof's seed and its control of entropy.
ByItself = Literal["yes", "no", "not tried"]

#: `reproduced`: everything was re-created from the record. `repeated`: something of the original
#: set-up was used again. `not reproduced`, `inconclusive`: what they say. `same result`, `other result`:
#: something was replaced on purpose, so that nothing is said of the record itself. `reconstructed`: the run came out
#: the same, but its record was put together from what MLflow and Git know; nobody recorded it.
Word = Literal[
    "reproduced",
    "repeated",
    "reconstructed",
    "not reproduced",
    "inconclusive",
    "same result",
    "other result",
]

#: The words that say that everything came out the same, as far as accepted.
SAME: tuple[Word, ...] = ("reproduced", "repeated", "reconstructed", "same result")


class Condition(msgspec.Struct, frozen=True, omit_defaults=True):
    """One circumstance under which the verdict holds: ``isolation``: ``bubblewrap``."""

    name: str
    value: str
    note: str | None = None


class NotChecked(msgspec.Struct, frozen=True):
    """Something that was not compared, and why."""

    subject: str
    reason: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="schema", tag=SCHEMA):
    """The result of comparing a record with its re-run (or one record with another).

    Attributes:
        record: Id of the record that was verified.
        run_id: MLflow run id of the record, where it has one.
        project: Name of the project, for people.
        created: When, ISO 8601 in UTC.
        outcome: The worst outcome of all differences.
        word: What may be said of it.
        reproduced: Whether every difference is within what its policy accepts.
        stability: Whether the re-run agrees with itself.
        by_itself: Whether the code repeats without reproof's seed.
        covered: What was drawn and repeats only because of reproof, for people.
        draws: Where not reproduced: draws of entropy that may be why, uncontrolled ones first.
        policy: What was accepted.
        differences: One for each metric, parameter, artifact and the exit status.
        conditions: Under which equality the verdict holds.
        not_checked: What was not compared, and why.
        factors: Where `consistent`: what differs between the recorded and the re-made set-up.
        seconds: Wall time of the recorded run, the environment and each re-run.
        tool: Name and version of the program that decided.
        room: Where the clean room was left (``--keep``).
        replaced: What was replaced on purpose before the re-run, for people.
        stages: Of a pipeline: how each stage came out, in order.
        first: Of a pipeline: the first stage that differs by itself.
    """

    record: str
    run_id: str | None = None
    project: str = ""
    created: str
    outcome: Outcome
    word: Word
    reproduced: bool
    stability: Stability = "not tried"
    by_itself: ByItself = "not tried"
    covered: tuple[str, ...] = ()
    draws: tuple[EntropyDraw, ...] = ()
    policy: Policy = Policy()
    differences: tuple[Difference, ...] = ()
    conditions: tuple[Condition, ...] = ()
    not_checked: tuple[NotChecked, ...] = ()
    factors: tuple[Difference, ...] = ()
    seconds: dict[str, float] = {}
    tool: str = ""
    room: str | None = None
    replaced: tuple[str, ...] = ()
    stages: tuple[StageOutcome, ...] = ()
    first: str | None = None


def accepted(difference: Difference, policy: Policy) -> bool:
    """Whether `difference` passes under the rule for its subject."""
    limit = policy.rule_for(difference.subject).accept
    return difference.outcome <= (policy.accept if limit is None else limit)
