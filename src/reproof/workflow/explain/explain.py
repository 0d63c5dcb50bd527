"""`explain A B`: from two records to what is proven, or suspected, to be why they differ."""

from __future__ import annotations

import hashlib
import secrets
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

import msgspec

from reproof.base import git
from reproof.base.files import remove_tree
from reproof.base.locations import cache_directory
from reproof.compare.metrics import number_of
from reproof.errors import ProjectError, UsageError
from reproof.execute.select import Isolation
from reproof.model.event import Emit, silent
from reproof.model.explanation import Explanation, ExplanationStatus, Factor
from reproof.model.record import Record
from reproof.project.settings import Settings, read_settings
from reproof.store.records import Found
from reproof.workflow.budget import Budget, SpentError
from reproof.workflow.concealed import require_nothing_concealed
from reproof.workflow.earlier_runs import require_kept
from reproof.workflow.explain.atoms import Atom, as_factors
from reproof.workflow.explain.bench import Bench, Frame
from reproof.workflow.explain.controls import Controls, control
from reproof.workflow.explain.loan import Loan
from reproof.workflow.explain.mixing import Mixer
from reproof.workflow.explain.proof import Proof, Prover
from reproof.workflow.explain.question import Question, choose_subjects, parse_share, worsening
from reproof.workflow.explain.trials import Yardstick
from reproof.workflow.explain.values import values_of
from reproof.workflow.fetch import fetch_content, places_of
from reproof.workflow.judge import Side, judge, last_lines
from reproof.workflow.lookup import Place, find_record, is_served, place_of
from reproof.workflow.many import Hands
from reproof.workflow.pins import explain_alone
from reproof.workflow.room import Plan
from reproof.workflow.run import now
from reproof.workflow.stress import StressOptions
from reproof.workflow.trust import is_own
from reproof.workflow.verdicts import decided, rejected


class ExplainOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `explain` may be told.

    Attributes:
        metric: A metric to be explained instead of all results that differ.
        worse_than: What it may be worse by, as on the command line: ``0.5%``.
        budget: A number of re-runs, or a time such as ``30m``; None for no bound.
        force: Compare records of different projects.
        hands: How many re-runs at once, and where.
        isolation: How the runs are kept apart.
        timeout: Seconds for one run.
        offline: Take packages from the cache alone.
        stores: Further folders to look for content in.
        trust: Treat records that were not made here as if they were.
    """

    metric: str | None = None
    worse_than: str | None = None
    budget: str | None = None
    force: bool = False
    hands: Hands = Hands()
    isolation: Isolation = "auto"
    timeout: float | None = None
    offline: bool = False
    stores: tuple[str, ...] = ()
    trust: bool = False


class _Pair(msgspec.Struct, frozen=True, kw_only=True):
    """A and B, found."""

    a: Found
    b: Found
    place: Place
    settings: Settings

    @property
    def records(self) -> tuple[Record, Record]:
        """The records of both."""
        return self.a.record, self.b.record


def explain(one: str, two: str, options: ExplainOptions | None = None, emit: Emit = silent) -> Explanation:
    """Find what makes two recorded runs differ, by re-running mixtures of them in clean rooms.

    First A and B as they were: where these come out otherwise than recorded, what varies by itself is left
    out. Then groups of factors are swapped, then factors within them. What is called proven turned A into B
    twice, and B back into A.

    Args:
        one: A, as for `verify`.
        two: B.
        options: What is explained, and how many re-runs it may take.
        emit: Told about the work.

    Raises:
        UsageError: The records are of different projects, or what is asked for does not fit them.
        RecordError: There is no such record, or it cannot be trusted.
        ProjectError: A run has not ended, or the repository does not have its commit.
        MaterialError, EnvironmentBuildError, ExecutionError: Nothing can be re-run.
        KeyboardInterrupt: Ctrl-C; what was made is remembered for the next call.
    """
    chosen = options or ExplainOptions()
    budget = Budget.parse(chosen.budget)
    pair = _find(one, two, chosen)
    scratch = cache_directory() / "rooms" / f"explain-{secrets.token_hex(6)}"
    scratch.mkdir(parents=True, mode=0o700)
    try:
        with ExitStack() as stack:
            loan = Loan(pair.place.own)
            stack.callback(loan.end)
            mixer = Mixer(pair.records, loan, pair.place.top, scratch)
            yardstick = Yardstick(
                a=pair.a.record, b=pair.b.record, store=pair.place.own, policy=pair.settings.policy
            )
            frame = Frame(
                plan=_plan(pair, chosen, scratch), memory=_memory(pair), budget=budget, hands=chosen.hands
            )
            bench = Bench(mixer, frame, yardstick, stack, emit)
            return _explain(pair, bench, chosen, frame, emit)
    finally:
        remove_tree(scratch)


def exit_status_of(explanation: Explanation) -> int:
    """0 the cause is proven, 1 it is not found or only suspected, 3 there was nothing to compare."""
    if explanation.status == "proven":
        return 0
    return 1 if explanation.comparable else 3


def _explain(pair: _Pair, bench: Bench, options: ExplainOptions, frame: Frame, emit: Emit) -> Explanation:
    asked = _question(pair, bench, options)
    if isinstance(asked, str):
        return _answer(pair, bench, Proof(reason=asked), comparable=False)
    question, aside = asked
    bench.use(question)
    if not bench.mixer.atoms and options.metric is None:
        return _by_itself(pair, bench, options, "the set-ups of A and B do not differ", emit)
    if not bench.mixer.swappable:
        reason = "nothing that differs can be swapped here"
        return _answer(pair, bench, Proof(narrowed=bench.mixer.atoms, reason=reason), aside=aside)
    prover = Prover(bench)
    try:
        found = control(bench, frame.memory)
        if found.left == "nothing" and found.reason and options.metric is None:
            return _by_itself(pair, bench, options, found.reason, emit)
        if found.reason:
            proof = Proof(narrowed=_left(bench, found), reason=found.reason, evidence=found.evidence)
        else:
            proof = prover.prove()
            proof = msgspec.structs.replace(proof, evidence=(*found.evidence, *proof.evidence))
    except SpentError:
        proof = _spent(bench, prover, frame)
        found = Controls()
    return _answer(pair, bench, proof, aside=(*aside, *found.aside))


def _spent(bench: Bench, prover: Prover, frame: Frame) -> Proof:
    """What the budget was enough for: what is left in question still turns A into B, all of it together."""
    left = tuple(each for each in bench.mixer.atoms if each.id in prover.narrowed)
    evidence: tuple[str, ...] = ()
    if prover.narrowed != bench.mixer.swappable:
        evidence = (f"swapping {bench.name(prover.narrowed)} together reproduces B (1 of 1 run)",)
    words = f"{frame.budget.runs} re-runs" if frame.budget.runs is not None else frame.budget.text
    reason = f"not found within the budget of {words}"
    return Proof(narrowed=left, evidence=evidence, reason=reason)


def _left(bench: Bench, found: Controls) -> tuple[Atom, ...]:
    """What stays in question where the controls allow no search."""
    if found.left == "nothing":
        return ()
    return tuple(
        each for each in bench.mixer.atoms if found.left == "everything" or each.obstacle is not None
    )


def _by_itself(pair: _Pair, bench: Bench, options: ExplainOptions, reason: str, emit: Emit) -> Explanation:
    """Where nothing that was swapped can be why: what makes A alone differ, or what circumstance it depends on."""
    asked = StressOptions(
        budget=bench.left,
        isolation=options.isolation,
        timeout=options.timeout,
        offline=options.offline,
        stores=options.stores,
        trust=options.trust,
        hands=Hands(count=options.hands.count, resources=options.hands.resources),
    )
    alone = explain_alone(str(pair.a.path), asked, emit)
    own = _answer(pair, bench, Proof(reason=reason))
    return msgspec.structs.replace(
        own,
        status=alone.status,
        question=alone.question,
        causes=alone.causes,
        suspects=alone.suspects,
        evidence=(f"{reason}: what follows is about A alone", *alone.evidence),
        reason="" if alone.status == "proven" else "; ".join(filter(None, (reason, alone.reason))),
        subjects=alone.subjects or own.subjects,
        aside=alone.aside,
        runs=own.runs + alone.runs,
        conditions=tuple(dict.fromkeys((*own.conditions, *alone.conditions))),
    )


def _question(
    pair: _Pair, bench: Bench, options: ExplainOptions
) -> tuple[Question, tuple[tuple[str, str], ...]] | str:
    """What is to be explained, and what is left aside; or why there is nothing."""
    one, two = pair.records
    base = Question(a=one, b=two)
    sides = bench.yardstick.sides()
    if options.metric is not None:
        return _metric_question(base, options, sides)
    if options.worse_than is not None:
        raise UsageError("`--worse-than` needs a metric", hint="pass `--metric NAME` besides")
    policy = pair.settings.policy
    with tempfile.TemporaryDirectory(prefix="reproof-explain-") as folder:
        differences = rejected(judge(*sides, policy, Path(folder)).differences, policy)
    known = decided(differences)
    if not known:
        return (
            "the results of A and B could not be compared: "
            + ", ".join(each.subject for each in differences[:3])
            if differences
            else "the results of A and B do not differ: there is nothing to explain"
        )
    subjects, aside = choose_subjects(known)
    complaints = tuple("\n".join(last_lines(side)) for side in sides)
    return msgspec.structs.replace(base, subjects=subjects, complaints=complaints), aside


def _metric_question(
    base: Question, options: ExplainOptions, sides: tuple[Side, Side]
) -> tuple[Question, tuple[tuple[str, str], ...]] | str:
    name = str(options.metric)
    values = [values_of(side) for side in sides]
    for label, found in zip("AB", values, strict=True):
        if name not in found:
            raise UsageError(
                f"{label} has no metric `{name}`",
                details=[("known", ", ".join(f"`{each}`" for each in list(found)[:20]) or "none")],
            )
    limit = parse_share(options.worse_than or "0")
    one, two = (number_of(found[name]) for found in values)
    if not worsening(one, two, upwards=two > one) > limit:
        return f"`{name}` is {one:.6g} in A and {two:.6g} in B: it does not differ by more than {100 * limit:g} %"
    subjects = (name if ":" in name else f"metric:{name}",)
    return msgspec.structs.replace(base, metric=name, limit=limit, values=(one, two), subjects=subjects), ()


def _find(one: str, two: str, options: ExplainOptions) -> _Pair:
    """Both runs with all their content; whatever keeps them from being mixed is an error, before anything runs."""
    a, b = find_record(one), find_record(two)
    if a.id == b.id:
        raise UsageError(
            f"cannot explain the run `{a.id[:12]}` by itself", hint=f"run `reproof explain {a.id[:12]}`"
        )
    for found in (a, b):
        if found.record.state == "unfinished":
            raise ProjectError("cannot re-run a run that has not ended", details=[("record", found.id[:12])])
        if found.record.pipeline is not None:
            stages = [
                f"{each.address} {each.record[:12]}" for each in found.record.pipeline.stages if each.record
            ]
            raise UsageError(
                "a pipeline is explained stage by stage",
                details=[("stages", ", ".join(stages))],
                hint="pass the records of one stage",
            )
        require_kept(found.record, place_of(found).store)
        require_nothing_concealed(found.record)
    place = place_of(a)
    _require_one_project(a, b, place, options)
    top = git.require_top(place.top)
    other = place_of(b).own
    places = (*places_of(options.stores), *((str(other),) if other != place.own else ()))
    for found in (a, b):
        if not git.has_commit(top, found.record.code.commit):
            raise ProjectError(
                "the repository does not have the commit of one of the runs",
                details=[("commit", found.record.code.commit), ("repository", str(top))],
                hint="fetch it there",
            )
        fetch_content(found.record, place.store, top, places)
    settings = read_settings(place.top / a.record.project.subdirectory, place.top)
    return _Pair(a=a, b=b, place=place, settings=settings)


def _require_one_project(a: Found, b: Found, place: Place, options: ExplainOptions) -> None:
    one, two = a.record.project, b.record.project
    same = one.name == two.name and one.subdirectory == two.subdirectory
    if options.force or (same and git.has_commit(place.top, b.record.code.commit)):
        return
    raise UsageError(
        "A and B are runs of different projects",
        details=[
            ("A", f"`{one.name}` in `{one.subdirectory or '.'}`"),
            ("B", f"`{two.name}` in `{two.subdirectory or '.'}`"),
        ],
        hint="pass `--force` to compare them all the same",
    )


def _plan(pair: _Pair, options: ExplainOptions, scratch: Path) -> Plan:
    own = is_own(pair.a.id) and is_own(pair.b.id)
    return Plan(
        record=pair.a.record,
        source=git.require_top(pair.place.top),
        store=pair.place.store,
        settings=pair.settings,
        isolation=options.isolation,
        timeout=options.timeout,
        offline=options.offline,
        stores=places_of(options.stores),
        trust="own" if own else "given" if options.trust else "none",
        cached=True,
        rooms=scratch if options.hands.cluster is None else None,
        served=all(is_served(each, place_of(each)) for each in (pair.a, pair.b)),
    )


def _memory(pair: _Pair) -> Path:
    facts = "\n".join((pair.a.id, pair.b.id, version("reproof"), repr(pair.settings.policy)))
    return pair.place.own / "explanations" / hashlib.sha256(facts.encode()).hexdigest()[:20]


def _answer(
    pair: _Pair, bench: Bench, proof: Proof, *, aside: Sequence[tuple[str, str]] = (), comparable: bool = True
) -> Explanation:
    suspects: tuple[Factor, ...] = () if proof.causes else as_factors(proof.narrowed)
    status: ExplanationStatus = "proven" if proof.causes else "suspected" if suspects else "not found"
    return Explanation(
        a=pair.a.id,
        b=pair.b.id,
        project=pair.a.record.project.name,
        created=now(),
        status=status,
        question=_say(bench.question),
        causes=proof.causes,
        suspects=suspects,
        evidence=proof.evidence,
        reason=proof.reason,
        subjects=bench.question.subjects,
        aside=tuple(aside),
        factors=as_factors(bench.mixer.atoms),
        attempts=bench.attempts,
        runs=bench.runs,
        remembered=bench.remembered,
        budget=bench.budget.text,
        conditions=bench.conditions(),
        comparable=comparable,
        tool=f"reproof {version('reproof')}",
    )


def _say(question: Question) -> str:
    if question.metric is None:
        return "which factor makes the results differ"
    one, two = question.values
    return f"what makes `{question.metric}` worse by more than {100 * question.limit:g} % ({one:.6g} -> {two:.6g})"
