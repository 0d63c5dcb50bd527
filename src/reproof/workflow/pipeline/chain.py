"""The stages of a recorded pipeline re-run one after the other in one room, and each one judged.

Two things are asked of a stage. Did it come out the same, with everything re-made from the raw data?
And where an earlier stage did not: does it come out the same on the *recorded* inputs, so by itself?
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from reproof.base.digesting import digest_file
from reproof.errors import MaterialError
from reproof.model.artifact import Artifact
from reproof.model.difference import Difference, Outcome
from reproof.model.event import Emit, Event
from reproof.model.pipeline import is_within
from reproof.model.policy import Policy
from reproof.model.record import Record
from reproof.model.stages import StageLink, StageState
from reproof.model.verdict import Stability
from reproof.report.numbers import count_text
from reproof.store.directory import DirectoryStore
from reproof.store.dvc_put import measure_as
from reproof.store.records import Found
from reproof.workflow.earlier_runs import Shelf
from reproof.workflow.judge import Judgement, Side, judge
from reproof.workflow.pipeline.places import put_outs, remove_outs
from reproof.workflow.pipeline.shelves import Shelves
from reproof.workflow.room import Room, rerun
from reproof.workflow.verdicts import choose_stability, decided, rejected


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """A stage that was re-run.

    Attributes:
        link: The stage.
        found: Its record.
        record: The record of its re-run on what earlier stages made in the room.
        judgement: That re-run compared with the recorded run.
        alone: The re-run on the recorded inputs compared with it; None where those are the same bytes.
        stability: Whether it agrees with itself, where it differs by itself.
        sources: The stages whose products it read that were not the recorded ones.
        redirected: MLflow stores that its code named.
        shelf: What its MLflow store started from.
    """

    link: StageLink
    found: Found
    record: Record
    judgement: Judgement
    alone: Judgement | None = None
    stability: Stability = "not tried"
    sources: tuple[str, ...] = ()
    redirected: tuple[str, ...] = ()
    shelf: Shelf = Shelf()

    def state(self, policy: Policy) -> StageState:
        """How it came out."""
        own = self.alone if self.alone is not None else self.judgement
        if self.alone is None and self.sources and rejected(own.differences, policy):
            return "inherited"
        if rejected(own.differences, policy):
            return "differs"
        return "inherited" if rejected(self.judgement.differences, policy) else "same"


class Expectations(msgspec.Struct, frozen=True, kw_only=True):
    """What re-runs are compared with.

    Attributes:
        records: The records of the stages, by address.
        store: Holds their content.
        measure: Adds to the record of a re-run what the comparison needs: digests of another kind.
        decide: Changes what a comparison says.
    """

    records: dict[str, Found]
    store: DirectoryStore
    measure: Callable[[Found, Record], Record] = lambda _, record: record
    decide: Callable[[Found, Judgement], Judgement] = lambda _, judgement: judgement


class Chain:
    """Re-runs stages in order; what earlier ones made stays in the room.

    Args:
        room: Laid out with what no stage makes.
        policy: What passes.
        expected: What re-runs are compared with.
        emit: Told about the work.
    """

    def __init__(self, room: Room, policy: Policy, expected: Expectations, emit: Emit) -> None:
        self._room = room
        self._expected = expected
        self._policy = policy
        self._records = expected.records
        self._emit = emit
        self._made: dict[str, Record] = {}
        self._rejected: set[str] = set()
        self._number = 0
        self._shelves = Shelves(room, expected.records)

    def run(self, link: StageLink) -> Tried:
        """Re-run a stage and judge it.

        Raises:
            KeyboardInterrupt: Ctrl-C.
        """
        found = self._records[link.address]
        self._emit(Event(kind="note", subject=link.address, message=f"stage `{link.address}`"))
        sources = tuple(self._sources(found.record))
        shelf = self._shelves.current
        record, judgement, redirected = self._once(found, shelf)
        self._shelves.set_aside()
        self._made[link.address] = record
        sources = tuple(dict.fromkeys((*sources, *self._shelves.others(found.record, record))))
        bad = bool(rejected(judgement.differences, self._policy))
        alone: Judgement | None = None
        stability: Stability = "not tried"
        if sources and (bad or self._rejected & set(sources)) and self._has_inputs(found.record):
            alone, stability = self._alone(link, found)
        elif bad and decided(rejected(judgement.differences, self._policy)):
            stability = self._again(found, record, shelf)
            self._restore_made(link.address)
        self._shelves.pass_on(found.record)
        if bad:
            self._rejected.add(link.address)
        return Tried(
            link=link,
            found=found,
            record=record,
            judgement=judgement,
            alone=alone,
            stability=stability,
            sources=sources,
            redirected=redirected,
            shelf=shelf,
        )

    def _once(self, found: Found, shelf: Shelf) -> tuple[Record, Judgement, tuple[str, ...]]:
        self._number += 1
        plan = msgspec.structs.replace(self._room.plan, record=found.record)
        room = msgspec.structs.replace(self._room, plan=plan, shelf=shelf)
        assert found.record.stage is not None
        remove_outs(room.top, found.record.stage.removed)
        record, evidence = rerun(room, self._number, self._emit, laid_out=True)
        record = self._expected.measure(found, record)
        expected, actual = Side(found.record, self._expected.store), Side(record, self._room.store)
        judgement = judge(expected, actual, self._policy, self._room.folder / "compare")
        return record, self._expected.decide(found, judgement), evidence.redirected

    def _sources(self, record: Record) -> Iterator[str]:
        """The stages that made something that `record` read, and that is other bytes in the room."""
        found: dict[str, None] = {}
        for material in record.materials:
            if material.origin == "stage" and material.source and not self._is_here(material):
                found[material.source] = None
        yield from found

    def _is_here(self, material: Artifact) -> bool:
        algorithm = next(iter(material.digests), "blake3")
        place = self._room.top / material.name
        try:
            if material.kind == "directory":  # of a claim: DVC's id is all that is known of it
                content = measure_as(place, "md5" if algorithm == "md5" else "md5-dos2unix")
                return content is not None and content.md5 == material.digests[algorithm]
            return digest_file(place, (algorithm,))[algorithm] == material.digests.get(algorithm)
        except (OSError, MaterialError):
            return False

    def _has_inputs(self, record: Record) -> bool:
        """Whether the recorded products that a stage read were kept."""
        read = [each for each in record.materials if each.origin == "stage"]
        read += self._shelves.read_by(record)
        return all(each.digest is not None and each.digest in self._expected.store for each in read)

    def _alone(self, link: StageLink, found: Found) -> tuple[Judgement, Stability]:
        """The stage on the recorded products of the stages before it."""
        self._emit(
            Event(
                kind="note",
                subject=link.address,
                message=f"stage `{link.address}` again, on the recorded inputs",
            )
        )
        makers = {each.source for each in found.record.materials if each.origin == "stage" and each.source}
        for maker in makers & self._records.keys():
            recorded = self._records[maker].record
            put_outs(self._room.top, _outs(recorded), recorded.products, self._expected.store)
        shelf = self._shelves.recorded
        record, judgement, _ = self._once(found, shelf)
        stability: Stability = "not tried"
        if decided(rejected(judgement.differences, self._policy)):
            stability = self._again(found, record, shelf)
        for maker in (*(makers & self._made.keys()), link.address):
            self._restore_made(maker)
        return judgement, stability

    def _again(self, found: Found, first: Record, shelf: Shelf) -> Stability:
        """Whether a stage that differs agrees with itself."""
        second, _, _ = self._once(found, shelf)
        between = judge(
            Side(first, self._room.store),
            Side(second, self._room.store),
            self._policy,
            self._room.folder / "compare",
        )
        return choose_stability(rejected(between.differences, self._policy), self._policy, tried=True)

    def _restore_made(self, address: str) -> None:
        """Put back what a stage made in this room, for those after it."""
        made = self._made[address]
        put_outs(self._room.top, _outs(self._records[address].record), made.products, self._room.store)


def stage_difference(tried: Tried, policy: Policy) -> Difference:
    """One difference for a stage, with those of its results below it."""
    state = tried.state(policy)
    differences = tried.judgement.differences
    outcome = Outcome.worst(each.outcome for each in differences)
    summary = {
        "same": f"{count_text(len(differences), 'result')} came out the same",
        "differs": f"differs by itself{_stability(tried)}",
        "inherited": "inherited from "
        + ", ".join(f"`{each}`" for each in tried.sources)
        + (
            ": on the recorded inputs it comes out the same"
            if tried.alone is not None
            else ", or its own: the recorded inputs are not here to try it on"
        ),
        "not tried": "",
    }[state]
    if state == "differs" and tried.alone is not None:
        summary += "; its inputs differ too"
        outcome = max(outcome, Outcome.worst(each.outcome for each in tried.alone.differences))
    shown = differences
    if state == "differs" and tried.alone is not None and not rejected(differences, policy):
        shown = tried.alone.differences
    children = tuple(each for each in shown if each.outcome > Outcome.IDENTICAL) or shown
    return Difference(
        subject=f"stage {tried.link.address}",
        outcome=outcome,
        kind="stage",
        summary=summary,
        evidence={"state": state, "record": tried.found.id, "stability": tried.stability},
        children=tuple(sorted(children, key=lambda each: -each.outcome)),
    )


def _stability(tried: Tried) -> str:
    return {
        "varies": ": it varies from run to run",
        "consistent": ": each re-run gives the same other result",
    }.get(tried.stability, "")


def _outs(record: Record) -> tuple[str, ...]:
    """The outputs of a stage, by place: those that DVC names, without one within another."""
    assert record.stage is not None
    places = dict.fromkeys((*(out.place for out in record.stage.outs), *record.stage.removed))
    return tuple(
        place for place in places if not any(other != place and is_within(place, other) for other in places)
    )
