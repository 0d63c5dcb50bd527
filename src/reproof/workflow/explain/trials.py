"""Re-runs of mixed records, in clean rooms, and what came of each: its results beside those of A and of B."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import msgspec

from reproof.base.naming import Naming
from reproof.errors import EnvironmentBuildError, MaterialError, ProjectError, ReproofError
from reproof.model.codec import encode, record_id
from reproof.model.difference import Difference, Outcome
from reproof.model.event import Emit, Event
from reproof.model.policy import Policy
from reproof.model.recipe import Recipe
from reproof.model.record import Record
from reproof.model.verdict import accepted
from reproof.project.mlproject import parse_mlproject
from reproof.project.rendering import Places, render
from reproof.project.settings import read_settings
from reproof.store.directory import DirectoryStore
from reproof.workflow.explain.mixing import Mixed
from reproof.workflow.explain.packages import needs_of
from reproof.workflow.explain.values import values_of
from reproof.workflow.judge import Side, judge, last_lines
from reproof.workflow.room import Plan, Room, clean_room, refresh, rerun

#: The subject that is no result of its own.
STATUS = "exit status"


class Standing(msgspec.Struct, frozen=True):
    """How one result relates to that of A, and to that of B: whether it passes for it, and the outcome."""

    like_a: bool
    like_b: bool
    to_a: int
    to_b: int


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one re-run.

    Attributes:
        record: Id of its record; empty where there was no run.
        exit_status: Of its command; None where it could not be run.
        standings: Each result beside those of A and B.
        metrics: Numbers by name, as :func:`reproof.workflow.explain.values.values_of` gives them.
        problem: Why it failed, or could not be run: the end of what it said.
        seconds: Wall time of the command.
        isolation: The level that it had.
        evidence: The run's own record, where it was to be kept.
        needs: Of such a run: what the packages of its environment say that they need.
    """

    record: str = ""
    exit_status: int | None = None
    standings: dict[str, Standing] = {}
    metrics: dict[str, str] = {}
    problem: str = ""
    seconds: float = 0.0
    isolation: str = ""
    evidence: bytes | None = None
    needs: dict[str, tuple[str, ...]] = {}


class Yardstick(msgspec.Struct, frozen=True, kw_only=True):
    """What results are compared to: those of A and of B, under the project's rules."""

    a: Record
    b: Record
    store: Path
    policy: Policy

    def sides(self) -> tuple[Side, Side]:
        """Both, with the store that has their content."""
        store = DirectoryStore(self.store)
        return Side(self.a, store), Side(self.b, store)


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One re-run that is to be made; travels to workers.

    Attributes:
        plan: What its room is made from.
        mixed: The record, and what a record cannot say.
        yardstick: What its results are compared to.
        keep: Where its record and its content are kept; None for nowhere.
    """

    plan: Plan
    mixed: Mixed
    yardstick: Yardstick
    keep: Path | None = None


def carry_out_alone(task: Task) -> Facts:
    """Make one re-run in a room of its own; for workers.

    Raises:
        ReproofError: What is no property of the mixture: the isolation cannot be had, the disk is full.
    """
    with ExitStack() as stack:
        return Workshop(stack, _silent).carry_out(task)


class Workshop:
    """Makes re-runs one after the other; those with the same environment share a room, laid out anew each time."""

    def __init__(self, stack: ExitStack, emit: Emit) -> None:
        self._stack = stack
        self._emit = emit
        self._rooms: dict[str, Room] = {}
        self._used: dict[str, int] = {}

    def carry_out(self, task: Task) -> Facts:
        """Make one re-run; what does not fit together is told as a problem, not raised."""
        plan = msgspec.structs.replace(task.plan, record=task.mixed.record)
        try:
            room, number = self._room(plan)
            if task.mixed.parameters is not None:
                room = with_parameters(room, task.mixed.parameters)
        except (EnvironmentBuildError, MaterialError, ProjectError) as error:
            return Facts(problem=_words(error))
        cpus = task.mixed.cpus
        record, evidence = rerun(
            room, number, self._emit, laid_out=True, alter=lambda recipe: _with_cpus(recipe, cpus)
        )
        problem = evidence.execution.problem or ("its time was up" if evidence.execution.timed_out else "")
        if record.byproducts.exit_status:
            said = last_lines(Side(record, room.store))
            problem = (
                "\n".join(filter(None, (problem, *said))) or f"exit status {record.byproducts.exit_status}"
            )
        if task.keep is not None:
            _keep(record, room.store, task.keep)
        encoded = encode(record)
        return Facts(
            record=record_id(encoded),
            exit_status=record.byproducts.exit_status,
            standings=_standings(task.yardstick, Side(record, room.store), room.folder / "compare"),
            metrics=values_of(Side(record, room.store)),
            problem=problem,
            seconds=record.byproducts.seconds,
            isolation=room.choice.level,
            evidence=encoded if task.keep is not None else None,
            needs=needs_of(room.provision.environment.site_packages) if task.keep is not None else {},
        )

    def _room(self, plan: Plan) -> tuple[Room, int]:
        """A room with this environment, laid out for this record, and the number of the re-run in it."""
        section = plan.record.environment
        key = repr(
            (section.kind, section.python, section.lock, section.image, plan.record.project.subdirectory)
        )
        known = self._rooms.get(key)
        if known is None:
            room = self._stack.enter_context(clean_room(plan, keep=False, emit=self._emit))
            self._rooms[key], self._used[key] = room, 1
            return room, 1
        self._used[key] += 1
        room = msgspec.structs.replace(known, plan=plan)
        refresh(room, self._emit)
        settings = read_settings(room.project, room.top)  # what this mixture of files says
        plan = msgspec.structs.replace(plan, settings=settings)
        return msgspec.structs.replace(room, plan=plan), self._used[key]


def with_parameters(room: Room, values: Mapping[str, str]) -> Room:
    """A room whose command is rendered anew from its record's MLproject, with other values."""
    section = room.plan.record.project
    project = parse_mlproject(section.mlproject) if section.mlproject is not None else None
    home = room.folder / "home"
    places = Places(folder=room.project, top=room.top, cwd=room.project, home=home)
    invocation = render(project, section.entry_point or "main", values, places)
    command = Naming(top=str(room.top), home=str(home)).replace_in(invocation.command)
    changed = msgspec.structs.replace(
        section, parameters=invocation.parameters, command=command, argv=("bash", "-c", command)
    )
    record = msgspec.structs.replace(room.plan.record, project=changed)
    return msgspec.structs.replace(room, plan=msgspec.structs.replace(room.plan, record=record))


def _with_cpus(recipe: Recipe, cpus: int | None) -> Recipe:
    if cpus is None:
        return recipe
    chosen = sorted(os.sched_getaffinity(0))[:cpus]
    return recipe.wrapped("taskset", "--cpu-list", ",".join(map(str, chosen)))


def _standings(yardstick: Yardstick, actual: Side, scratch: Path) -> dict[str, Standing]:
    one, two = (
        {each.subject: each for each in judge(side, actual, yardstick.policy, scratch).differences}
        for side in yardstick.sides()
    )
    found = {}
    for subject in dict.fromkeys((*one, *two)):
        left, right = one.get(subject), two.get(subject)
        found[subject] = Standing(
            _passes(left, yardstick.policy), _passes(right, yardstick.policy), _outcome(left), _outcome(right)
        )
    return found


def _passes(difference: Difference | None, policy: Policy) -> bool:
    # a subject that only the other side has is absent from both here: the same
    return difference is None or accepted(difference, policy)


def _outcome(difference: Difference | None) -> int:
    return int(Outcome.IDENTICAL if difference is None else difference.outcome)


def _keep(record: Record, store: DirectoryStore, folder: Path) -> None:
    """Keep the content of a record's results, so that others can be compared to it."""
    target = DirectoryStore(folder)
    byproducts = record.byproducts
    for artifact in (*record.products, byproducts.stdout, byproducts.stderr):
        if artifact is not None and artifact.digest is not None and artifact.digest in store:
            target.put(store.path(artifact.digest))


def _words(error: ReproofError) -> str:
    reasons = [text for label, text in error.details if label in ("uv", "reason", "git")]
    return "\n".join([error.message, *reasons])


def _silent(event: Event) -> None:
    """Workers have nobody who listens."""
