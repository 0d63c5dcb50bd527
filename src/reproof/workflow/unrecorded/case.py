"""A run that reproof did not record, with every ingredient that was found; and the re-run for which none is missing."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import msgspec

from reproof.capture import observations
from reproof.errors import MissingError
from reproof.model.event import Emit
from reproof.model.verdict import Condition
from reproof.tracking.values import Access, Run
from reproof.workflow.judge import Side, last_lines
from reproof.workflow.prepare import Prepared
from reproof.workflow.provision import Provision
from reproof.workflow.rerunning import Aim, Rerun, rerun_once
from reproof.workflow.room import Room, Trust
from reproof.workflow.supplies import Supplies
from reproof.workflow.unrecorded.call import Call
from reproof.workflow.unrecorded.code import Code
from reproof.workflow.unrecorded.inputs import Data, missing_names, put_in
from reproof.workflow.unrecorded.results import Results
from reproof.workflow.verify_options import VerifyOptions

# of an error, or of `python -m`: warnings of libraries that do without a module say the same words
_NO_MODULE = re.compile(r"(?:Error|/python[\d.]*): No module named '?([\w.]+)'?")
_TRIES = 20  # re-runs, each of which misses another input that ``--data`` then supplies


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A run with everything that was found out about it."""

    access: Access
    run: Run
    code: Code
    call: Call
    results: Results
    data: Data
    prepared: Prepared
    provision: Provision
    supplies: Supplies
    options: VerifyOptions
    assumed: tuple[Condition, ...]

    @property
    def trust(self) -> Trust:
        """Whose code it is."""
        return self.code.trust(given=self.options.trust)


def first_that_runs(room: Room, aim: Aim, case: Case, emit: Emit) -> tuple[Room, Rerun, list[Condition]]:
    """Re-run until it does not fail for want of an input that ``--data`` has; named places come first.

    Raises:
        MissingError: It fails for want of something that nobody supplies.
    """
    supplied: list[Condition] = []
    for name, place in case.supplies.named.items():
        room = _supplied(room, name, place, case, supplied)
    number = 2 if supplied else 1  # from the second on a room is laid out anew
    for _ in range(_TRIES):
        first = rerun_once(room, aim, number, emit)
        wanting = _wanting(
            room, first, case
        )  # of a run that failed, too: it may have failed for another reason
        if not wanting:
            break
        for name in wanting:
            found = _found_here(name, case)
            if found is None or any(line.value == f"`{name}`" for line in supplied):
                raise _no_data(name, case)
            room = _supplied(room, name, found, case, supplied)
        number += 1
    return room, first, supplied


def _found_here(name: str, case: Case) -> Path | None:
    """Where an input is that a re-run missed: supplied; or, of the user's own code, outside of every repository."""
    if not name.startswith("/"):
        return case.supplies.find(name)
    place = Path(name)
    outside = not place.is_relative_to(Path.home()) and not place.is_relative_to(case.code.source)
    return place if case.code.own and outside and place.is_file() else None


def _supplied(room: Room, name: str, place: Path, case: Case, told: list[Condition]) -> Room:
    artifacts, line = put_in(name, place, room.plan.store, case.data.entries)
    told.append(line)
    names = {each.name for each in artifacts}
    record = room.plan.record
    kept = (each for each in record.materials if each.name not in names)
    record = msgspec.structs.replace(record, materials=(*kept, *artifacts))
    return msgspec.structs.replace(room, plan=msgspec.structs.replace(room.plan, record=record))


def _wanting(room: Room, rerun: Rerun, case: Case) -> list[str]:
    """What a failed re-run failed for want of, below the top of the repository; a module or an argument is named.

    Raises:
        MissingError: A module or an argument was missing.
    """
    status = rerun.record.byproducts.exit_status
    if status in (0, None):
        return []
    lines = last_lines(Side(rerun.record, room.store))
    said = "\n".join(lines)
    module = _NO_MODULE.search(said)
    if module is not None:
        raise _no_module(module[1], room, case)
    usage = re.search(
        r"error: (the following arguments are required.*|unrecognized arguments.*)|Error: Missing .*", said
    )
    if usage is not None and not case.call.certain:
        raise MissingError(
            "command",
            "the arguments of the run are not known, and the script wants others",
            details=[("said", usage[0]), ("called", room.plan.record.project.command)],
            hint="give the whole command after `--`",
        )
    seen = observations.read(room.folder / f"run-{rerun.number}" / "observations.jsonl")
    opened = observations.opened_for_reading(seen)
    names = missing_names(said, opened, room.top, room.project)
    return list(dict.fromkeys(names))[:5]


def _no_module(name: str, room: Room, case: Case) -> MissingError:
    lock = room.plan.record.environment.lock
    origin = f"made from `{lock.source}`" if lock is not None else "the active one"
    return MissingError(
        "environment",
        f"the environment lacks the module `{name.partition('.')[0]}`",
        details=[("environment", origin), ("commit", case.code.commit)],
        hint="pass `--env PATH`, PATH being the lock or requirements that the run had",
    )


def _no_data(name: str, case: Case) -> MissingError:
    entry = next((path for path in case.data.entries if name == path or name.startswith(f"{path}/")), None)
    facts = [("commit", case.code.commit)]
    if entry is not None:
        facts.append(("DVC", case.data.lost.get(entry, f"`{case.data.entries[entry].source}` names it")))
    elsewhere = ", ".join(f"`{place}`" for place in (*case.supplies.places, *case.supplies.named.values()))
    facts += [("searched", elsewhere)] if elsewhere else []
    what = "DVC names it, and has it nowhere" if entry is not None else "neither Git nor DVC has it"
    if name.startswith("/"):
        hint = "bring it to that place"
    elif entry is None and case.code.own and (case.code.source / name).is_file():
        here = os.path.relpath(case.code.source / name)
        hint = f"if it is still what the run read, pass `--data {shlex.quote(f'{name}={here}')}`"
    else:
        hint = f"pass `--data {name}=PATH`, or `--data FOLDER` with a file that ends so"
    return MissingError("data", f"the run reads `{name}`, and {what}", details=facts, hint=hint)
