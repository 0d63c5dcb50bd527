"""One run of a recorded recipe with another seed, in a clean room of its own."""

from __future__ import annotations

import msgspec

from reproof.base.naming import Naming
from reproof.compare.metrics import last_values
from reproof.errors import UsageError
from reproof.model.codec import encode, record_id
from reproof.model.event import Event
from reproof.model.record import Record
from reproof.model.replication import Replicate
from reproof.project.mlproject import parse_mlproject
from reproof.project.rendering import Places, render
from reproof.workflow.judge import Side, last_lines
from reproof.workflow.observe import Evidence
from reproof.workflow.parcel import settle
from reproof.workflow.room import Plan, Room, clean_room, rerun


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What one worker is to do.

    Attributes:
        plan: What its room is made from.
        seed: The seed that takes the place of the recorded one.
        parameter: Parameter of the entry point that takes the seed, too.
    """

    plan: Plan
    seed: int
    parameter: str | None = None


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it.

    Attributes:
        replicate: For the replication.
        evidence: The bytes of the run's own record.
        warnings: What the user should see.
    """

    replicate: Replicate
    evidence: bytes
    warnings: tuple[Event, ...] = ()


def try_seed(trial: Trial) -> Tried:
    """Carry out one trial; runs in a worker.

    Raises:
        ReproofError: The room cannot be made, or the command cannot be watched.
        KeyboardInterrupt: It was ended.
    """
    warnings: list[Event] = []

    def emit(event: Event) -> None:
        if event.kind == "warning":
            warnings.append(event)

    plan = settle(trial.plan)
    plan = msgspec.structs.replace(plan, record=with_seed(plan.record, trial.seed))
    with clean_room(plan, keep=False, emit=emit) as room:
        if trial.parameter is not None:
            room = with_parameter(room, trial.parameter, str(trial.seed))  # noqa: PLW2901
        record, evidence = rerun(room, 1, emit)
        replicate = _replicate(trial, room, record, evidence)
    return Tried(replicate=replicate, evidence=encode(record), warnings=tuple(warnings))


def with_seed(record: Record, seed: int) -> Record:
    """The recipe of a record with another seed for all that reproof seeds."""
    chance = msgspec.structs.replace(record.randomness, seed=seed, seed_source="replication")
    return msgspec.structs.replace(record, randomness=chance)


def with_parameter(room: Room, name: str, value: str) -> Room:
    """A room whose recipe has another value of one parameter: the command is rendered anew."""
    section = room.plan.record.project
    project = parse_mlproject(section.mlproject) if section.mlproject is not None else None
    places = Places(folder=room.project, top=room.top, cwd=room.project, home=room.folder / "home")
    invocation = render(project, section.entry_point or "main", {**section.parameters, name: value}, places)
    command = Naming(top=str(room.top), home=str(room.folder / "home")).replace_in(invocation.command)
    changed = msgspec.structs.replace(
        section, parameters=invocation.parameters, command=command, argv=("bash", "-c", command)
    )
    record = msgspec.structs.replace(room.plan.record, project=changed)
    return msgspec.structs.replace(room, plan=msgspec.structs.replace(room.plan, record=record))


def require_parameter(record: Record, name: str) -> None:
    """Make sure that the recipe of a record takes a parameter of this name.

    Raises:
        UsageError: It does not.
    """
    section = record.project
    if section.entry_point is None:
        raise UsageError(
            f"cannot set the parameter `{name}`: the run was a plain command, which has none",
            details=[("command", section.command)],
            hint="give the project an MLproject with a parameter for the seed, and record it with `reproof run`",
        )
    points = parse_mlproject(section.mlproject).entry_points if section.mlproject is not None else {}
    point = points.get(section.entry_point)
    declared = point.parameters if point is not None else {}
    if point is None or name in declared or name in section.parameters:
        if name in declared and declared[name].type in ("path", "uri"):
            raise UsageError(f"the parameter `{name}` takes a {declared[name].type}, which a seed is not")
        return
    raise UsageError(
        f"entry point `{section.entry_point}` has no parameter `{name}`",
        details=[("known", ", ".join(f"`{each}`" for each in declared) or "none")],
    )


def _replicate(trial: Trial, room: Room, record: Record, evidence: Evidence) -> Replicate:
    status = record.byproducts.exit_status
    failed = status != trial.plan.record.byproducts.exit_status
    problem = None
    if failed:
        said = last_lines(Side(record, room.store))
        reason = evidence.execution.problem or (
            "ended because its time was up" if evidence.execution.timed_out else ""
        )
        problem = "\n".join(filter(None, (reason, *said))) or f"ended with exit status {status}"
    return Replicate(
        seed=trial.seed,
        state="failed" if failed else "finished",
        record=record_id(encode(record)),
        exit_status=status,
        started=record.byproducts.started,
        seconds=record.byproducts.seconds,
        metrics=last_values(record.metrics),
        parameters={each.key: each.value for each in record.parameters if each.run == 0},
        problem=problem,
        isolation=room.choice.level,
    )
