"""The re-runs of one stress: each with some circumstances varied, compared to the control."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from reproof.model.difference import Difference
from reproof.model.event import Emit, Event
from reproof.model.policy import Policy
from reproof.model.record import Record
from reproof.workflow.judge import Side, judge
from reproof.workflow.room import Plan, Room, clean_room, refresh, rerun
from reproof.workflow.variations import Setting, Variation, apply_all
from reproof.workflow.verdicts import decided, rejected

#: The subject that is no result of its own.
STATUS = "exit status"

_FILE_TIME = 1_000_000_000  # 2001-09-09, for every file that a control sees
_OTHER_TIME = 1_300_000_017

#: What differs, by subject: how, for people.
Changes = dict[str, str]


class SpentError(Exception):
    """The budget does not allow another run."""


class Bench:
    """Makes the re-runs of one stress: one after the other, in one room, or in another for the path."""

    def __init__(self, plan: Plan, stack: ExitStack, budget: int | None, emit: Emit) -> None:
        self.plan = plan
        self.runs = 0
        self.policy: Policy = plan.settings.policy
        self.unstable: set[str] = set()
        self._stack = stack
        self._budget = budget
        self._emit = emit
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
        return Setting(record=self.plan.record, home=self.room.folder / "home")

    def control(self) -> Record:
        """Run the recipe as it was recorded; the first time this is what all others are compared to."""
        side = self._run(())
        if self._control is None:
            self._control = side
        return side.record

    def repeat(self) -> Changes:
        """Run the control again: what differs varies by itself, and is no longer looked at."""
        found = self._compare(self._run(()))
        self.unstable |= found.keys()
        return found

    def vary(self, variations: Sequence[Variation]) -> Changes:
        """What differs under `variations` from the control, but for what varies by itself; asked twice, run once."""
        key = frozenset(each.name for each in variations)
        if key not in self._known:
            self._known[key] = self._compare(self._run(variations))
        return {name: how for name, how in self._known[key].items() if name not in self.unstable}

    def subjects(self) -> tuple[str, ...]:
        """Names of all results of the control."""
        assert self._control is not None
        found = judge(self._control, self._control, self.policy, self.room.folder / "compare")
        return tuple(each.subject for each in found.differences if each.subject not in (STATUS, "results"))

    def _compare(self, side: Side) -> Changes:
        assert self._control is not None
        found = judge(self._control, side, self.policy, self.room.folder / "compare")
        return {each.subject: _say(each) for each in decided(rejected(found.differences, self.policy))}

    def _run(self, variations: Sequence[Variation]) -> Side:
        if self._budget is not None and self.runs >= self._budget:
            raise SpentError
        self.runs += 1
        names = {each.name for each in variations}
        elsewhere = "path" in names
        room = self._room(elsewhere=elsewhere)
        what = ", ".join(each.name for each in variations) or "nothing"
        self._emit(Event(kind="start", subject="variation", message=f"varying {what}", done=self.runs))
        if self._used[elsewhere]:
            refresh(room, self._emit)
        self._used[elsewhere] += 1
        _date_files(room.top, _OTHER_TIME if "file-times" in names else _FILE_TIME)
        (room.folder / "home/elsewhere").mkdir(exist_ok=True)
        setting = Setting(record=self.plan.record, home=room.folder / "home")
        record, _ = rerun(
            room,
            self._used[elsewhere],
            self._emit,
            laid_out=True,
            alter=lambda recipe: apply_all(recipe, variations, setting),
        )
        self._emit(Event(kind="finish", subject="variation"))
        return Side(record, room.store)

    def _room(self, *, elsewhere: bool) -> Room:
        if elsewhere not in self._rooms:
            assert self.plan.rooms is not None
            parent = self.plan.rooms / "another/folder" if elsewhere else self.plan.rooms
            plan = msgspec.structs.replace(self.plan, rooms=parent)
            room = self._stack.enter_context(clean_room(plan, keep=False, emit=self._emit))
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
