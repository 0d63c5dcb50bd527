"""The re-runs of one stress: each with some circumstances varied, compared to the control."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from reproof.execute import locales, shims
from reproof.model.difference import Difference
from reproof.model.event import Emit, Event
from reproof.model.policy import Policy
from reproof.model.recipe import Recipe
from reproof.model.record import Record
from reproof.workflow.altering import Setting, Variation, apply_all, ineffective, shims_of
from reproof.workflow.budget import Budget
from reproof.workflow.judge import Side, judge
from reproof.workflow.room import Plan, Room, clean_room, refresh, rerun
from reproof.workflow.rows import shuffle_tables
from reproof.workflow.variations import LOCALE, ROW_ORDER
from reproof.workflow.verdicts import decided, rejected

#: The subject that is no result of its own.
STATUS = "exit status"

_FILE_TIME = 1_000_000_000  # 2001-09-09, for every file that a control sees
_OTHER_TIME = 1_300_000_017

#: What differs, by subject: how, for people.
Changes = dict[str, str]


class Bench:
    """Makes the re-runs of one stress: one after the other, in one room, or in another for the path.

    Attributes:
        plan: What its rooms are made from.
        emit: Told about the work.
        runs: Re-runs that were made.
        policy: What counts as the same.
        unstable: Results that vary by themselves.
        inactive: Why variations had no effect, though they were applied: their shim was not loaded.
        latest: Folder of the latest re-run's logs.
    """

    def __init__(self, plan: Plan, stack: ExitStack, budget: Budget, emit: Emit) -> None:
        self.plan = plan
        self.runs = 0
        self.inactive: dict[str, str] = {}
        self.latest = Path()
        self.policy: Policy = plan.settings.policy
        self.unstable: set[str] = set()
        self._stack = stack
        self._budget = budget
        self.emit = emit
        self._rooms: dict[bool, Room] = {}
        self._used: dict[bool, int] = {}
        self._known: dict[frozenset[str], Changes] = {}
        self._control: Side | None = None

    @property
    def room(self) -> Room:
        """The room of the controls."""
        return self._room(elsewhere=False)

    @property
    def setting(self) -> Setting:
        """What variations may look at."""
        return self._setting(self.room)

    def fitting(self, most: int, hands: int) -> int:
        """How many pieces of work, of so many re-runs at most each, may go on at the same time; one at least."""
        if self._budget.runs is None:
            return max(hands, 1)
        return max(min(hands, (self._budget.runs - self.runs) // most), 1)

    def budget_of(self, most: int | None = None) -> Budget:
        """What a piece of work of so many re-runs at most may use; of all that is left without a number."""
        if self._budget.runs is None:
            return self._budget
        left = self._budget.runs - self.runs
        return msgspec.structs.replace(self._budget, runs=left if most is None else min(most, left))

    def control(self) -> Side:
        """Run the recipe as it was recorded; the first time this is what all others are compared to."""
        side = self.run(())
        if self._control is None:
            self._control = side
        return side

    def repeat(self) -> Changes:
        """Run the control again: what differs varies by itself, and is no longer looked at."""
        found = self._compare(self.run(()))
        self.unstable |= found.keys()
        return found

    def vary(self, variations: Sequence[Variation]) -> Changes:
        """What differs under `variations` from the control, but for what varies by itself; asked twice, run once."""
        key = frozenset(each.name for each in variations)
        if key not in self._known:
            self._known[key] = self._compare(self.run(variations))
        return {name: how for name, how in self._known[key].items() if name not in self.unstable}

    def subjects(self) -> tuple[str, ...]:
        """Names of all results of the control."""
        assert self._control is not None
        found = judge(self._control, self._control, self.policy, self.room.folder / "compare")
        return tuple(each.subject for each in found.differences if each.subject not in (STATUS, "results"))

    def between(self, one: Side, other: Side) -> Changes:
        """What is known to differ between two re-runs."""
        found = judge(one, other, self.policy, self.room.folder / "compare")
        return {each.subject: _say(each) for each in decided(rejected(found.differences, self.policy))}

    def run(self, variations: Sequence[Variation]) -> Side:
        """Make one re-run under `variations`, and see whether they had any effect.

        Raises:
            SpentError: The budget does not allow it.
        """
        self._budget.require(self.runs)
        self.runs += 1
        names = {each.name for each in variations}
        elsewhere = "path" in names
        room = self._room(elsewhere=elsewhere)
        what = ", ".join(each.name for each in variations) or "nothing"
        self.emit(Event(kind="start", subject="variation", message=f"varying {what}", done=self.runs))
        if self._used[elsewhere]:
            refresh(room, self.emit)
        self._used[elsewhere] += 1
        number = self._used[elsewhere]
        if ROW_ORDER in names:
            shuffle_tables(room.top, self.plan.record)
        _date_files(room.top, _OTHER_TIME if "file-times" in names else _FILE_TIME)
        (room.folder / "home/elsewhere").mkdir(exist_ok=True)
        place = self.latest = room.folder / f"run-{number}"

        def alter(recipe: Recipe) -> Recipe:
            return apply_all(recipe, variations, self._prepared(room, place, variations))

        record, _ = rerun(room, number, self.emit, laid_out=True, alter=alter)
        self._note(variations, record, place)
        self.emit(Event(kind="finish", subject="variation"))
        return Side(record, room.store)

    def _compare(self, side: Side) -> Changes:
        assert self._control is not None
        return self.between(self._control, side)

    def _setting(self, room: Room) -> Setting:
        return Setting(
            record=self.plan.record,
            home=room.folder / "home",
            locale=locales.other_locale(),
            shims=shims.provide(),
        )

    def _prepared(self, room: Room, place: Path, variations: Sequence[Variation]) -> Setting:
        """The setting of one re-run, with the shims that it loads, and its locale, in a folder that its room shows."""
        setting = self._setting(room)
        locale = setting.locale
        if locale is not None and any(each.name == LOCALE for each in variations):
            locale = locales.lay_out(locale, place / "locales")
        names = shims_of(variations)
        libraries = shims.lay_out(setting.shims, names, place / "shims") if names else {}
        return msgspec.structs.replace(setting, locale=locale, libraries=libraries, log=place / "shims.log")

    def _note(self, variations: Sequence[Variation], record: Record, place: Path) -> None:
        if not shims_of(variations):
            return
        log = shims.read_log(place / "shims.log")
        processes = [each.pid for each in record.byproducts.processes if each.reached]
        for each in variations:
            problem = ineffective(each, log, processes)
            if problem is not None:
                self.inactive.setdefault(each.name, problem)

    def _room(self, *, elsewhere: bool) -> Room:
        if elsewhere not in self._rooms:
            assert self.plan.rooms is not None
            parent = self.plan.rooms / "another/folder" if elsewhere else self.plan.rooms
            plan = msgspec.structs.replace(self.plan, rooms=parent)
            room = self._stack.enter_context(clean_room(plan, keep=False, emit=self.emit))
            self._rooms[elsewhere], self._used[elsewhere] = room, 0
        return self._rooms[elsewhere]


def _date_files(top: Path, stamp: int) -> None:
    """Give every file and folder of a project the same time."""
    for folder, folders, files in os.walk(top, topdown=False):
        if ".git" in folders:
            folders.remove(".git")
        for name in (*files, *folders):
            os.utime(Path(folder, name), (stamp, stamp), follow_symlinks=False)


def _say(difference: Difference) -> str:
    if difference.expected is not None and difference.actual is not None and not difference.summary:
        return f"{difference.expected} -> {difference.actual}"
    return difference.summary
