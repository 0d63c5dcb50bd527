"""What makes one run differ from itself, or what its result depends on: asked by re-runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from reproof.errors import ProjectError
from reproof.model.explanation import ExplanationStatus, Factor
from reproof.model.stress import Exercise
from reproof.workflow.altering import Variation
from reproof.workflow.bench import Bench
from reproof.workflow.budget import SpentError
from reproof.workflow.exercises import SPENT, exercise_group
from reproof.workflow.judge import Side
from reproof.workflow.lanes import Lane, in_lanes
from reproof.workflow.many import Hands
from reproof.workflow.pinned import KIND_OF, Pin, in_order, kind_of
from reproof.workflow.pinning import Trial, Tried, confirmed, differing, most_runs, try_at_once, try_pin
from reproof.workflow.sites import Site, places, see_sites, sets_gone_through
from reproof.workflow.variations import select

_CONTROLS = 3
#: Runs that must agree: where all controls differ from each other, and where some of them agree by chance.
_AGREE, _AGREE_MORE = 3, 7
_LANE = 12  # re-runs that groups of circumstances may take, so that a budget is not divided into nothing
_SPENT = "not found within the budget"
#: Which pins are let go first, where fewer are enough.
_LET_GO = ("readdir", "process-id", "duration", "threads", "entropy", "clock", "memory", "aslr", "hash-seed")
_RARELY = "the run as recorded came out otherwise in the end: it varies by itself, rarely"
_NAMED = 4  # lines
#: What a cause was, and what the re-runs made of it.
_HELD = ("another in each run", "held fast")
_RECORDED = ("uncontrolled in the record", "not held fast")
_BY_SETS = ("hash-seed", "aslr")  # what decides the order of sets
_RANK = {"uncontrolled": 0, "harmless": 1, "controlled": 2}


class Answer(msgspec.Struct, kw_only=True):
    """What has been found out so far; the fields are those of an explanation."""

    status: ExplanationStatus = "not found"
    causes: list[Factor] = []
    suspects: list[Factor] = []
    evidence: list[str] = []
    aside: list[tuple[str, str]] = []
    subjects: tuple[str, ...] = ()
    question: str = ""
    reason: str = ""
    comparable: bool = True


class Inquiry:
    """One question, asked by re-runs on a bench; `vary` names circumstances, as ``--vary`` does.

    Where there are more hands than one, several pins, or groups of circumstances, are tried at the same time.
    """

    def __init__(self, bench: Bench, vary: str, hands: Hands = Hands()) -> None:  # noqa: B008 - it is frozen
        self._bench = bench
        self._wanted = vary
        self._hands = hands
        self._answer = Answer()
        self._agree = _AGREE
        self._status: int | None = None
        self._usable: list[Pin] = []
        self._found: list[tuple[str, str, str]] = []  # kind; what it was, and what it was made

    def answer(self) -> Answer:
        """Ask, as far as the budget goes."""
        answer = self._answer
        try:
            controls = self._controls()
            varying = self._differing(controls)
            answer.question = "why does the run differ from itself?" if varying else "what does it depend on?"
            if varying:
                self._pin(controls, varying)
            else:
                self._vary(controls)
        except SpentError:
            answer.reason = _SPENT
        self._name()
        return answer

    def _controls(self) -> list[Side]:
        first = self._bench.control()
        self._status = first.record.byproducts.exit_status
        recorded = self._bench.plan.record.byproducts.exit_status
        if self._status != recorded:
            raise ProjectError(
                "the re-run does not end as the recorded run did: there is nothing to explain by pins",
                details=[("recorded", f"exit status {recorded}"), ("re-run", f"exit status {self._status}")],
                hint="`reproof verify` shows why",
            )
        return [first, *(self._bench.run(()) for _ in range(_CONTROLS - 1))]

    def _differing(self, sides: Sequence[Side]) -> set[str]:
        """Results that are not the same in all of them."""
        return differing(self._bench, sides)

    # -- a run that varies by itself -----------------------------------------------------------------------------

    def _pin(self, controls: Sequence[Side], varying: set[str]) -> None:
        self._answer.subjects = tuple(sorted(varying))
        distinct = sum(self._is_new(side, controls[:at]) for at, side in enumerate(controls))
        self._agree = _AGREE if distinct == len(controls) else _AGREE_MORE
        self._say(f"as recorded: {len(controls)} runs, {distinct} different results")
        left = set(varying)
        for pin, tried in self._tried(in_order(self._bench.plan.record.randomness.unseeded), left):
            self._take(pin, tried, left)
            if not left:
                break
        if left:
            left -= self._try_together(left)
        if left and not self._answer.reason:
            self._answer.reason = (
                f"with all pins at once {', '.join(sorted(left))} still differ"
                if len(self._usable) > 1
                else "no pin could be applied here"
            )
        if self._found and not left:
            self._answer.status = "proven"

    def _is_new(self, side: Side, before: Sequence[Side]) -> bool:
        return all(self._bench.between(each, side) for each in before)

    def _tried(self, pins: Sequence[Pin], left: set[str]) -> Iterator[tuple[Pin, Tried]]:
        """What each pin alone does, in their order; as many at the same time as there are hands and budget for."""
        waiting = list(pins)
        while waiting:
            asked = Trial(
                plan=self._bench.plan,
                kind="",
                left=frozenset(left),
                agree=self._agree,
                status=self._status,
                budget=self._bench.budget_of(most_runs(self._agree)),
            )
            count = self._bench.fitting(most_runs(self._agree), self._hands.count)
            now, waiting = waiting[:count], waiting[count:]
            if len(now) == 1:
                yield now[0], try_pin(self._bench, now[0], asked)
                continue
            found = try_at_once(now, asked, self._hands, self._bench.emit)
            self._bench.runs += sum(each.runs for each in found)
            yield from zip(now, found, strict=True)

    def _take(self, pin: Pin, tried: Tried, left: set[str]) -> None:
        """Note what a pin does, and take what it makes repeat out of what is left."""
        if tried.spent:
            raise SpentError
        if tried.problem is not None:
            self._answer.aside.append((pin.kind, f"not pinned: {tried.problem}"))
            return
        self._usable.append(pin)
        solved = tried.solved & left
        if not solved:
            self._say(f"with {pin.kind} pinned: still different")
            return
        self._found.append((pin.kind, *_HELD))
        self._say(f"with {pin.kind} pinned: {tried.count} of {tried.count} runs equal{tried.elsewhere}")
        left -= solved

    def _try_together(self, left: set[str]) -> set[str]:
        """Which results several pins make repeat that none does alone; as few of them as it takes."""
        # Durations include the date, which the same shim holds.
        pins = (
            [pin for pin in self._usable if pin.kind != "clock"] if self._uses("duration") else self._usable
        )
        if len(pins) < 2:
            return set()
        solved = left - self._differing([self._run_with(pins) for _ in range(2)])
        if not solved:
            return set()
        for pin in sorted(pins, key=lambda pin: _LET_GO.index(pin.kind)):
            fewer = [each for each in pins if each is not pin]
            if fewer and not solved & self._differing([self._run_with(fewer) for _ in range(2)]):
                pins = fewer
        pins = self._narrower(pins, solved)
        values = [pin.value for pin in pins]
        wanted = (frozenset(solved), self._agree)
        held, count = confirmed(self._bench, values, [self._bench.run(values)], wanted)
        if held:
            for pin in sorted(pins, key=lambda pin: pin.kind in ("hash-seed", "entropy")):
                self._found.append((pin.kind, *_HELD))
            names = ", ".join(pin.kind for pin in pins)
            self._say(f"with {names} pinned together: {count} of {count} runs equal; with fewer: different")
        return set(held)

    def _narrower(self, pins: list[Pin], solved: set[str]) -> list[Pin]:
        """The same with the date alone held fast, where that is enough instead of all durations."""
        by_kind = {pin.kind: pin for pin in self._usable}
        if "clock" not in by_kind or all(pin.kind != "duration" for pin in pins):
            return pins
        other = [by_kind["clock"] if pin.kind == "duration" else pin for pin in pins]
        differs = solved & self._differing([self._run_with(other) for _ in range(2)])
        return pins if differs else other

    def _uses(self, kind: str) -> bool:
        return any(pin.kind == kind for pin in self._usable)

    def _run_with(self, pins: Sequence[Pin]) -> Side:
        return self._bench.run([pin.value for pin in pins])

    # -- a run that repeats --------------------------------------------------------------------------------------

    def _vary(self, controls: Sequence[Side]) -> None:
        self._say(f"as recorded: {len(controls)} of {len(controls)} runs equal")
        wanted = [each for each in select(self._wanted) if each.group not in ("repeat", "entropy")]
        exercises: list[Exercise] = []
        for found in self._exercised(wanted):
            exercises += found
            blamed = [each for each in found if each.outcome in ("differs", "fails")]
            if blamed:
                self._blame(blamed, controls[0])
                return
        left_out = [each for each in exercises if each.outcome != "same"]
        self._answer.aside += [(each.name, f"{each.outcome}: {each.reason}") for each in left_out]
        spent = any(SPENT in each.reason for each in exercises)
        if not self._answer.reason:
            self._answer.reason = _SPENT if spent else self._nothing(controls[0])

    def _exercised(self, wanted: Sequence[Variation]) -> Iterator[list[Exercise]]:
        """What comes of varying circumstances, group by group; at the same time, with hands and budget for that."""
        groups = dict.fromkeys(each.group for each in wanted)
        if self._bench.fitting(_LANE, self._hands.count) == 1:
            for group in groups:
                members = [each for each in wanted if each.group == group]
                yield exercise_group(self._bench.vary, self._bench.setting, members)
            return
        names = ",".join(each.name for each in wanted)
        lane = Lane(plan=self._bench.plan, vary=names, budget=self._bench.budget_of())
        done = in_lanes(lane, wanted, self._hands, self._bench.emit)
        self._bench.runs += done.runs
        repeat = done.exercises[0]
        if repeat.changes:
            self._answer.subjects = tuple(sorted(change.subject for change in repeat.changes))
            self._answer.reason = _RARELY
        for group in groups:
            yield [each for each in done.exercises if each.group == group]

    def _blame(self, blamed: Sequence[Exercise], control: Side) -> None:
        """Blame only what alters the result a second time, while one more run as recorded does not."""
        by_name = {each.name: each for each in select("all")}
        subjects = {change.subject for each in blamed for change in each.changes}
        self._answer.subjects = tuple(sorted(subjects))
        done: set[frozenset[str]] = set()
        for each in blamed:
            names = frozenset((each.name, *each.together_with))
            if names in done:
                continue
            done.add(names)
            again = self._bench.run([by_name[name] for name in sorted(names)])
            if not self._bench.between(control, again):
                self._say(f"with `{each.name}` varied: another result once, and not again")
                continue
            for name in sorted(names):
                self._found.append((KIND_OF.get(name, name), "as recorded", f"varied ({by_name[name].what})"))
            self._say(f"with `{'` and `'.join(sorted(names))}` varied: 2 of 2 runs different")
        late = self._bench.run(())
        if self._bench.between(control, late):
            self._answer.reason = _RARELY
        elif self._found:
            self._say("as recorded, once more: equal")
            self._answer.status = "proven"

    def _nothing(self, control: Side) -> str:
        """Why there is no cause."""
        recorded = Side(self._bench.plan.record, self._bench.plan.store)
        changed = self._bench.between(recorded, control)
        if not changed:
            self._answer.comparable = False
            return "the run repeats, and depends on nothing that was varied"
        self._answer.subjects = tuple(sorted(changed))
        return (
            "the re-runs agree with each other, not with the record, and nothing that was varied changes them: "
            "`reproof verify` and `reproof explain A B` say more"
        )

    # -- where ---------------------------------------------------------------------------------------------------

    def _name(self) -> None:
        """Put what was found, or what may be, into factors with their places."""
        if not self._found and not self._answer.subjects:
            return
        try:
            sites = see_sites(self._bench)
        except SpentError:
            sites = ()
        chosen = self._found
        if not chosen:
            draws = self._bench.plan.record.randomness.unseeded
            kinds = dict.fromkeys(kind_of(each) for each in draws if each.control == "uncontrolled")
            chosen = [(kind, *_RECORDED) for kind in kinds]
        factors = [self._factor(each, sites) for each in chosen]
        if self._answer.status == "proven":
            self._answer.causes = factors
        elif factors:
            self._answer.status, self._answer.suspects = "suspected", factors

    def _factor(self, found: tuple[str, str, str], sites: tuple[Site, ...]) -> Factor:
        """With the likeliest line: recorded draws, then what was seen under watch."""
        kind, before, after = found
        draws = [each for each in self._bench.plan.record.randomness.unseeded if kind_of(each) == kind]
        draws.sort(key=lambda each: _RANK[each.control])
        seen = [each.where for each in draws if each.where]
        seen += places(kind, sites)
        if not seen and kind in _BY_SETS:
            seen += sets_gone_through(self._bench.room.top)
            if seen:
                self._say("no call was seen that does it; a set is gone through, by the code as it reads")
        lines = [place.removeprefix("${PROJECT}/") for place in dict.fromkeys(seen)]
        if len(lines) > 1:
            self._say(
                f"{kind} comes in at {', '.join(lines[:_NAMED])}" + (" ..." if len(lines) > _NAMED else "")
            )
        where = lines[0] if lines else None
        return Factor(kind=kind, name=kind, before=before, after=after, where=where)

    def _say(self, text: str) -> None:
        self._answer.evidence.append(text)
