"""Checklists that outsiders ask for, filled in with what the evidence supports, and no further."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from reproof.model.audit import LogEntry
from reproof.model.record import Record
from reproof.model.verdict import Verdict
from reproof.report.numbers import seconds_text, size_text

NOT_CAPTURED = "not captured"


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What a checklist is filled in from.

    Attributes:
        identity: Id of the record.
        record: The record.
        verdicts: On it, oldest first.
        entries: Entries of the log that are about it, oldest first.
    """

    identity: str
    record: Record
    verdicts: tuple[Verdict, ...] = ()
    entries: tuple[LogEntry, ...] = ()

    @property
    def signatures(self) -> tuple[LogEntry, ...]:
        """Entries that are signed by somebody who may sign so."""
        return tuple(each for each in self.entries if each.trusted)


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a checklist.

    Attributes:
        number: Where the source has it.
        question: What is asked, in our own short words.
        answer: What the evidence says; :data:`NOT_CAPTURED` where there is none.
    """

    number: str
    question: str
    answer: str

    @property
    def captured(self) -> bool:
        """Whether there is any evidence."""
        return self.answer != NOT_CAPTURED


class Checklist(msgspec.Struct, frozen=True, kw_only=True):
    """A checklist that was filled in: its title, a word on what it is, its items."""

    title: str
    note: str
    items: tuple[Item, ...]


Answer = Callable[[Evidence], str]


def _none(evidence: Evidence) -> str:  # noqa: ARG001  # all answers look alike
    return NOT_CAPTURED


def _code(evidence: Evidence) -> str:
    code = evidence.record.code
    state = "with uncommitted changes, which are kept" if code.dirty else "without uncommitted changes"
    remote = f" of {code.remote}" if code.remote else ""
    return f"commit {code.commit}{remote}, {state}"


def _command(evidence: Evidence) -> str:
    return (
        f"`{evidence.record.project.command}`; `reproof verify {evidence.identity[:12]}` carries it out again"
    )


def _data(evidence: Evidence) -> str:
    data = [each for each in evidence.record.materials if each.origin != "git"]
    if not data:
        return NOT_CAPTURED
    named = ", ".join(
        f"{each.name} ({each.digest.short if each.digest else 'no digest'})" for each in data[:5]
    )
    return f"{len(data)} inputs by digest, {size_text(sum(each.size for each in data))}: {named}" + (
        " ..." if len(data) > 5 else ""
    )


def _parameters(evidence: Evidence) -> str:
    record = evidence.record
    count = len(record.project.parameters) + len(record.parameters)
    seed = f"seed {record.randomness.seed}" if record.randomness.seed is not None else "no seed applied"
    unseeded = len(record.randomness.unseeded)
    return f"{count} parameters in the record; {seed}, {unseeded} unseeded draws seen"


def _software(evidence: Evidence) -> str:
    environment = evidence.record.environment
    if environment.python is None:
        return NOT_CAPTURED
    lock = f"locked by `{environment.lock.source}`" if environment.lock else "without a lock"
    return (
        f"Python {environment.python.version}, {len(environment.distributions)} packages, {lock}; "
        f"{len(environment.native)} native libraries"
    )


def _hardware(evidence: Evidence) -> str:
    machine = evidence.record.hardware
    if not machine.cpu_model and not machine.gpus:
        return NOT_CAPTURED
    parts = [
        machine.cpu_model,
        f"{machine.affinity or machine.cpus} CPUs",
        size_text(machine.memory),
        *machine.gpus,
    ]
    return ", ".join(part for part in parts if part)


def _resources(evidence: Evidence) -> str:
    spent = evidence.record.byproducts
    return (
        f"{_hardware(evidence)}; {seconds_text(spent.seconds)} wall time, {seconds_text(spent.cpu_seconds)} CPU time, "
        f"at most {size_text(spent.peak_memory)} of memory"
    )


def _metrics(evidence: Evidence) -> str:
    names = list(dict.fromkeys(each.key for each in evidence.record.metrics))
    if not names:
        return NOT_CAPTURED
    return f"{len(evidence.record.metrics)} values of {', '.join(names[:8])}" + (
        " ..." if len(names) > 8 else ""
    )


def _verified(evidence: Evidence) -> str:
    if not evidence.verdicts:
        return NOT_CAPTURED
    last = evidence.verdicts[-1]
    where = {each.name: each.value for each in last.conditions}
    return (
        f"{len(evidence.verdicts)} re-runs from the record alone; the last, of {last.created}: {last.word} "
        f"(isolation {where.get('isolation', 'unknown')}, host {where.get('host', 'unknown')})"
    )


def _signed_reports(evidence: Evidence) -> str:
    if not evidence.signatures:
        return NOT_CAPTURED
    said = [f"{each.name} as {each.meaning} at {each.time} ({each.kind})" for each in evidence.signatures]
    return f"{len(said)} signed entries: " + "; ".join(said[:6]) + (" ..." if len(said) > 6 else "")


def _life_cycle(evidence: Evidence) -> str:
    if not evidence.entries:
        return NOT_CAPTURED
    return f"{len(evidence.entries)} entries of an append-only log are about this run"


_NEURIPS: Sequence[tuple[str, str, Answer]] = (
    ("1", "Claims match the results", _none),
    ("2", "Limitations are discussed", _none),
    ("3", "Theory: assumptions and proofs", _none),
    ("4", "The main results can be reproduced", _verified),
    ("5", "Open access to data and code, with the exact command", _command),
    ("5", "The version of the code", _code),
    ("5", "The data", _data),
    ("6", "Experimental setting: splits, hyper-parameters, how they were chosen", _parameters),
    ("7", "Error bars or other information about statistical significance", _none),
    ("8", "Compute resources: workers, memory, time", _resources),
    ("9", "Code of ethics", _none),
    ("10", "Broader impacts", _none),
    ("11", "Safeguards", _none),
    ("12", "Licences of existing assets", _none),
    ("13", "New assets are documented", _none),
    ("14", "Crowdsourcing and human subjects", _none),
    ("15", "Approval of a review board", _none),
    ("16", "Declaration of the use of language models", _none),
)
_ANNEX_IV: Sequence[tuple[str, str, Answer]] = (
    ("1(a)", "Intended purpose, provider, version", _none),
    ("1(c)", "Versions of relevant software", _software),
    ("1(e)", "Hardware on which the system is intended to run", _none),
    ("2(a)", "Methods and steps of development; pre-trained parts", _command),
    ("2(a)", "The version of the code", _code),
    ("2(b)", "Design specifications, key design choices", _none),
    ("2(c)", "Computational resources used to develop, train, test and validate", _resources),
    ("2(d)", "Training data: what it is, by digest", _data),
    ("2(d)", "Training data: provenance, scope, selection, labelling, cleaning", _none),
    ("2(e)", "Human oversight", _none),
    ("2(f)", "Pre-determined changes", _none),
    ("2(g)", "Validation and testing: metrics", _metrics),
    ("2(g)", "Validation and testing: how it was checked", _verified),
    ("2(g)", "Test reports, dated and signed by the responsible persons", _signed_reports),
    ("2(h)", "Cybersecurity measures", _none),
    ("3", "Monitoring, functioning, control; degrees of accuracy", _none),
    ("4", "Appropriateness of the performance metrics", _none),
    ("5", "Risk management system", _none),
    ("6", "Changes made through the life cycle", _life_cycle),
    ("7", "Harmonised standards applied", _none),
    ("8", "EU declaration of conformity", _none),
    ("9", "Post-market monitoring plan", _none),
)

#: Name on the command line to (title, note, items).
CHECKLISTS: dict[str, tuple[str, str, Sequence[tuple[str, str, Answer]]]] = {
    "neurips": (
        "NeurIPS paper checklist",
        "A draft for the authors: what the evidence of this one run supports. Everything else is theirs to answer.",
        _NEURIPS,
    ),
    "annex-iv": (
        "AI Act, Annex IV: technical documentation",
        "What the evidence of this one run supports. It is no conformity assessment.",
        _ANNEX_IV,
    ),
}


def fill_in(name: str, evidence: Evidence) -> Checklist:
    """The checklist `name` (a key of :data:`CHECKLISTS`), as far as the evidence goes."""
    title, note, items = CHECKLISTS[name]
    return Checklist(
        title=title,
        note=note,
        items=tuple(
            Item(number=number, question=question, answer=answer(evidence))
            for number, question, answer in items
        ),
    )
