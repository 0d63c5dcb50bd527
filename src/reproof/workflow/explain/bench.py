"""The re-runs of one explanation: each mixture once, within a budget, remembered for the next call."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from reproof.base.files import write_atomic
from reproof.errors import EnvironmentBuildError, MaterialError, ProjectError, ReproofError
from reproof.model.event import Emit, Event
from reproof.model.explanation import Attempt, Came
from reproof.workflow.budget import Budget
from reproof.workflow.explain.mixing import Mixer
from reproof.workflow.explain.question import Question
from reproof.workflow.explain.trials import Facts, Task, Workshop, Yardstick, carry_out_alone
from reproof.workflow.many import Batch, Hands, results_of
from reproof.workflow.needs import needs_of
from reproof.workflow.room import Plan

#: A mixture (ids of what is B's), and which repetition of it.
Asked = tuple[frozenset[str], int]

_LATEST = 3  # re-runs by which it is judged how long the next ones take


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """What all re-runs of an explanation share.

    Attributes:
        plan: What rooms are made from.
        memory: Folder that remembers what came of re-runs.
        budget: What is allowed.
        hands: Who does the work.
    """

    plan: Plan
    memory: Path
    budget: Budget
    hands: Hands


class Bench:
    """Makes re-runs of mixtures, and says whose result each has.

    Attributes:
        mixer: Makes the mixtures.
        question: Judges what came of them.
        yardstick: What results are compared to.
        attempts: All that was asked, in order.
    """

    def __init__(
        self, mixer: Mixer, frame: Frame, yardstick: Yardstick, stack: ExitStack, emit: Emit
    ) -> None:
        self.mixer = mixer
        self.yardstick = yardstick
        self.question = Question(a=yardstick.a, b=yardstick.b)
        self._frame = frame
        self._emit = emit
        self._workshop = Workshop(stack, emit)
        self._known: dict[Asked, Facts] = {}
        self._remembered = _Memory(frame.memory)
        self._made = 0
        self._reserved = 0
        self._took: deque[float] = deque(maxlen=_LATEST)  # seconds, rooms and environments included
        self._order: list[tuple[Asked, Facts, bool]] = []

    @property
    def runs(self) -> int:
        """Re-runs that the answer rests on."""
        return len(self._order)

    @property
    def remembered(self) -> int:
        """Those of them that an earlier call had made."""
        return sum(old for _, _, old in self._order)

    @property
    def width(self) -> int:
        """How many may go on at the same time."""
        return self._frame.hands.count

    @property
    def runs_left(self) -> int | None:
        """Re-runs that the budget still allows; None where it does not number them."""
        allowed = self._frame.budget.runs
        return None if allowed is None else allowed - self._made - self._reserved

    @contextmanager
    def reserving(self, count: int) -> Iterator[None]:
        """Meanwhile so many re-runs of the budget, or the time they take, are kept for what comes after.

        Without them it counts as spent.
        """
        self._reserved += count
        try:
            yield
        finally:
            self._reserved -= count

    @property
    def left(self) -> str | None:
        """What is left of the budget, as the command line takes it."""
        budget = self._frame.budget
        return budget.text if budget.runs is None else str(max(budget.runs - self._made, 2))

    @property
    def budget(self) -> Budget:
        """What is allowed."""
        return self._frame.budget

    def conditions(self) -> tuple[tuple[str, str], ...]:
        """Under what the answer holds: name and value."""
        levels = sorted({facts.isolation for _, facts, _ in self._order if facts.isolation})
        found = [("isolation", ", ".join(levels))] if levels else []
        return (
            *found,
            ("environment", "the one that is cached for each lock, checked by the state of its files"),
            ("controls", "A and B made again as recorded, before anything was swapped"),
        )

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """What was tried, and what came of it."""
        return tuple(self._attempt(asked, facts, old) for asked, facts, old in self._order)

    def use(self, question: Question, yardstick: Yardstick | None = None) -> None:
        """Ask this from now on; with another yardstick, what was made before is only remembered as made."""
        self.question = question
        if yardstick is not None:
            self.yardstick = yardstick
            self._known.clear()

    def came(self, swapped: AbstractSet[str], again: int = 0) -> Came:
        """Whose result a mixture has.

        Raises:
            SpentError: The budget does not allow another run.
        """
        return self.question.came(self.facts(swapped, again))

    def known(self, swapped: AbstractSet[str]) -> Came | None:
        """Whose result a mixture has; None where it was never made."""
        found = self._known.get((frozenset(swapped), 0))
        return None if found is None else self.question.came(found)

    def facts(self, swapped: AbstractSet[str], again: int = 0, keep: Path | None = None) -> Facts:
        """What came of a mixture; asked twice, run once."""
        self.ask([(frozenset(swapped), again)], keep)
        return self._known[frozenset(swapped), again]

    def ask(self, wanted: Sequence[Asked], keep: Path | None = None) -> None:
        """See that these are known, made at the same time where that is allowed.

        Raises:
            SpentError: The budget does not allow all of them.
        """
        missing = [asked for asked in dict.fromkeys(wanted) if asked not in self._known]
        for asked in list(missing):
            found = self._remembered.get(self._key(asked))
            if found is not None:
                self._note(asked, found, old=True)
                missing.remove(asked)
        if not missing:
            return
        if len(missing) > 1 and (self.width > 1 or self._frame.hands.cluster is not None):
            self._make_at_once(missing, keep)
            return
        for asked in missing:
            self._make(asked, keep)

    def _make(self, asked: Asked, keep: Path | None) -> None:
        self._spend(1)
        what = self.name(asked[0])
        self._emit(Event(kind="start", subject="swap", message=f"swapping {what}", done=self._made))
        begun = time.monotonic()
        task = self._task(asked, keep)
        facts = task if isinstance(task, Facts) else self._workshop.carry_out(task)
        self._took.append(time.monotonic() - begun)
        self._keep(asked, facts)
        self._emit(Event(kind="finish", subject="swap", message=f"{what}: {self.question.say(facts)}"))

    def _make_at_once(self, missing: Sequence[Asked], keep: Path | None) -> None:
        """Make several re-runs, each kept as soon as it is there: an interruption loses only what was going on."""
        self._spend(len(missing))
        begun = time.monotonic()
        tasks: dict[str, Task] = {}
        by_name: dict[str, Asked] = {}
        for number, asked in enumerate(missing, 1):
            task = self._task(asked, keep)
            if isinstance(task, Facts):
                self._keep(asked, task)
                continue
            name = f"swap {number}: {self.name(asked[0])}"
            tasks[name], by_name[name] = task, asked

        def told(name: str, result: Facts | ReproofError) -> None:
            if isinstance(result, Facts):
                self._keep(by_name[name], result)

        plan, hands = self._frame.plan, self._frame.hands
        batch = Batch(
            tasks=tasks,
            work=carry_out_alone,
            told=told,
            title="re-running with factors swapped",
            needs=needs_of(plan.record, plan.settings.resources, hands.resources),
        )
        try:
            results_of(batch, hands, self._emit)
        finally:
            self._took.append(time.monotonic() - begun)

    def _task(self, asked: Asked, keep: Path | None) -> Task | Facts:
        try:
            mixed = self.mixer.mix(asked[0])
        except (ProjectError, MaterialError, EnvironmentBuildError) as error:
            return Facts(problem=error.message)
        return Task(plan=self._frame.plan, mixed=mixed, yardstick=self.yardstick, keep=keep)

    def _spend(self, count: int) -> None:
        kept = self._reserved * max(self._took, default=0.0)
        self._frame.budget.require(self._made + self._reserved + count - 1, kept)
        self._made += count

    def _keep(self, asked: Asked, facts: Facts) -> None:
        self._note(asked, facts, old=False)
        self._remembered.put(self._key(asked), facts)

    def _note(self, asked: Asked, facts: Facts, *, old: bool) -> None:
        self._known[asked] = facts
        self._order.append((asked, facts, old))

    def _key(self, asked: Asked) -> str:
        return "\n".join(
            [repr((self.yardstick.a.nonce, self.yardstick.b.nonce, asked[1])), *sorted(asked[0])]
        )

    def name(self, swapped: AbstractSet[str]) -> str:
        """A mixture, for people."""
        if not swapped:
            return "nothing"
        if swapped == self.mixer.swappable:
            return "everything"
        return name_units(self.mixer, swapped)

    def _attempt(self, asked: Asked, facts: Facts, old: bool) -> Attempt:
        return Attempt(
            swapped=self.name(asked[0]),
            came=self.question.came(facts),
            summary=self.question.say(facts),
            seconds=facts.seconds,
            again=asked[1],
            remembered=old,
        )


def name_units(mixer: Mixer, swapped: Iterable[str]) -> str:
    """What is swapped, by its units: ``numpy, 3 of 12 parts of train.py``."""
    wanted = set(swapped)
    units: dict[str, list[str]] = {}
    names = {}
    for atom in mixer.atoms:
        units.setdefault(atom.unit, []).append(atom.id)
        names[atom.unit] = atom.name
    walked = sorted(unit for unit in units if unit.startswith("commit:") and unit in wanted)
    parts = [f"the code up to {names[walked[-1]]}"] if walked else []
    for unit, members in units.items():
        count = len(wanted.intersection(members))
        if not count or unit in walked:
            continue
        whole = count == len(members)
        parts.append(names[unit] if whole else f"{count} of {len(members)} parts of {names[unit]}")
    shown = parts if len(parts) <= 4 else [*parts[:3], f"{len(parts) - 3} more"]
    return ", ".join(shown)


class _Memory:
    """What came of re-runs, in one file of a folder."""

    def __init__(self, folder: Path) -> None:
        self._place = folder / "runs.json"
        try:
            self._known = msgspec.json.decode(self._place.read_bytes(), type=dict[str, Facts])
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            self._known = {}

    def get(self, key: str) -> Facts | None:
        """What came of a re-run; None where it was not made."""
        return self._known.get(key)

    def put(self, key: str, facts: Facts) -> None:
        """Keep what came of a re-run."""
        self._known[key] = facts
        try:
            write_atomic(self._place, msgspec.json.encode(self._known), durable=False)
        except OSError:
            pass  # making it again costs time, not truth
