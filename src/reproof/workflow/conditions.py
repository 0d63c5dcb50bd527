"""Under which equality a verdict holds, read off the two records and the room."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from reproof.execute.limits import describe
from reproof.model.record import Record
from reproof.model.verdict import Condition
from reproof.report.chance import covered
from reproof.report.numbers import count_text
from reproof.workflow.confinement import limits_for
from reproof.workflow.lending import WORTH, amount
from reproof.workflow.objects_read import pinned_objects
from reproof.workflow.replaying import asked_in_vain, passed_on
from reproof.workflow.room import Room
from reproof.workflow.web_reads import changed_addresses

_NETWORK = "`network = true` in `[tool.reproof]` lets a re-run ask for it"


class Circumstances(msgspec.Struct, frozen=True, kw_only=True):
    """What the conditions are read off."""

    recorded: Record
    rerun: Record
    room: Room
    redirected: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()

    def used_again(self) -> tuple[str, ...]:
        """What was not re-created: with any of it the word is *repeated*, not *reproduced*."""
        found = []
        if self.room.provision.used_again:
            found.append(self.room.provision.used_again)
        found += [f"data in its original place: {name}" for name in self.room.restored.used_again]
        pinned = pinned_objects(self.recorded, self.rerun)
        found += [
            f"data of the web: {name}"
            for name in changed_addresses(self.recorded, self.rerun)
            if name not in pinned
        ]
        found += [
            f"a process that could not be watched: {' '.join(process.argv) or process.pid}"
            for process in self.recorded.byproducts.processes
            if not process.reached
        ]
        found += [
            f"what was not watched: {omission.reason}"
            for omission in self.recorded.omissions
            if omission.subject == "processes"
        ]
        return tuple(found)


def list_conditions(circumstances: Circumstances) -> tuple[Condition, ...]:
    """All conditions of a verdict, in the order of the report."""
    return (
        *_place(circumstances),
        *_trust(circumstances.room),
        *_machine(circumstances.recorded, circumstances.rerun),
        *_environment(circumstances),
        *_variables(circumstances),
        *_randomness(circumstances.recorded),
        *_determinism(circumstances.recorded, circumstances.rerun),
        *_materials(circumstances),
        *_tracking(circumstances),
    )


def _place(circumstances: Circumstances) -> Iterator[Condition]:
    choice = circumstances.room.choice
    limits = {
        "docker": "no network; only the room could be written",
        "bubblewrap": "no network; only the room could be written",
        "process": "network and writes outside the room were not prevented",
        "none": "nothing was prevented",
    }
    note = limits[choice.level]
    if circumstances.room.plan.settings.network:
        note = "the network was on: the settings ask for it"
    yield Condition("isolation", choice.level, f"{note}{f' ({choice.reason})' if choice.reason else ''}")
    asked = [each for each in circumstances.rerun.byproducts.network if not _is_here(each)]
    if asked and note.startswith("no network"):
        some = ", ".join(f"`{each}`" for each in asked[:3]) + (", ..." if len(asked) > 3 else "")
        yield Condition("network", "off here", f"the re-run asked for {some} in vain; {_NETWORK}")
    status = circumstances.recorded.byproducts.exit_status
    if status:
        yield Condition(
            "recorded run", "failed", f"with exit status {status}: a re-run that fails likewise is the same"
        )
    yield Condition("path", "another", "private HOME and temporary folder")


def _is_here(address: str) -> bool:
    """Whether an address is the machine's own, which answers without a network."""
    return address.startswith(("127.", "localhost", "[::1]", "0.0.0.0"))  # noqa: S104 - compared, not bound


def _trust(room: Room) -> Iterator[Condition]:
    if room.plan.trust == "given":
        yield Condition("record", "not made here", "`--trust` was passed: its code was treated like your own")
    elif room.plan.trust == "none":
        bounds = describe(limits_for(room.folder))
        yield Condition(
            "record",
            "not made here",
            "its code had no network, no devices, wheels only; " + ", ".join(bounds),
        )


def _machine(recorded: Record, rerun: Record) -> Iterator[Condition]:
    before, after = recorded.hardware, rerun.hardware
    yield Condition("host", "same" if before.host and before.host == after.host else "another")
    same = (before.cpu_model, before.cpu_flags) == (after.cpu_model, after.cpu_flags)
    note = None if before.affinity == after.affinity else f"{after.affinity} CPUs, recorded {before.affinity}"
    known = before.cpu_model and after.cpu_model
    word = ("same" if same else f"another: {after.cpu_model}") if known else "not known"
    yield Condition("CPU type", word, note)
    if before.gpus or after.gpus:
        yield Condition("GPUs", "same" if before.gpus == after.gpus else "others", ", ".join(after.gpus))


def _environment(circumstances: Circumstances) -> Iterator[Condition]:
    """In which environment the verdict holds: used again, an image, or re-created by hash."""
    section = circumstances.rerun.environment
    if section.python is not None:
        recorded = circumstances.recorded.environment.python
        same = recorded is not None and recorded.build == section.python.build
        note = "the same build" if same else "another build"
        if recorded is not None and recorded.version != section.python.version:
            note = f"recorded {recorded.version}; `--allow-python {circumstances.room.plan.allow_python}`"
        yield Condition("Python", section.python.version, note)
    provision = circumstances.room.provision
    if provision.used_again:
        yield Condition("environment", "used again", provision.used_again)
        for line in provision.conditions:
            yield Condition("packages", line)
        return
    if section.image is not None:
        identity = section.image.digest or section.image.id
        yield Condition("environment", "the recorded image", f"`{section.image.reference}`, {identity}")
        for line in provision.conditions:
            yield Condition("container", line)
        return
    lock = section.lock
    origin = f"from `{lock.source}`" if lock is not None else None
    if lock is not None and lock.resolved:
        other = any(each.startswith("environment ") for each in circumstances.replaced)
        origin = f"{origin}, as resolved {'now' if other else 'for the recorded run'}"
    yield Condition(
        "environment", f"re-created, {count_text(len(section.distributions), 'package')} by hash", origin
    )
    left_out = sorted(
        {"LD_PRELOAD", "LD_AUDIT", "PYTHONHOME"} & set(circumstances.recorded.environment.variables)
    )
    if left_out:
        yield Condition("variables not replayed", ", ".join(left_out), "they load code from outside the room")
    for line in provision.conditions:
        yield Condition("not locked by hash", line)


def _variables(circumstances: Circumstances) -> Iterator[Condition]:
    """Variables that are no part of the record, because `pass-env` hands them on as they are here."""
    plan = circumstances.room.plan
    handed, missing = passed_on(circumstances.recorded, plan.settings.pass_env)
    if handed and plan.trust == "none":
        handed, missing = (), (*handed, *missing)
    if handed:
        yield Condition("variables", "as set here", f"{', '.join(handed)}: their values are not recorded")
    if missing:
        why = (
            "`pass-env` hands them on to records that are trusted" if plan.trust == "none" else "not set here"
        )
        yield Condition("variables", "missing", f"{', '.join(missing)}: {why}")


def _determinism(recorded: Record, rerun: Record) -> Iterator[Condition]:
    """The profile, and what libraries say of themselves now that they did not say of the recorded run."""
    profile = recorded.randomness.profile
    if profile in ("seeds", "off"):
        return
    before = {each.what: each.answer for each in recorded.randomness.readings}
    others = [
        f"{each.what}: {each.answer}, recorded {before[each.what]}"
        for each in rerun.randomness.readings
        if each.what in before and each.answer != before[each.what]
    ]
    threads = recorded.randomness.variables.get("OMP_NUM_THREADS")
    notes = [f"threads: {threads}"] if threads else []
    yield Condition("determinism", profile, "; ".join([*notes, *others[:5]]) or None)


def _randomness(recorded: Record) -> Iterator[Condition]:
    chance = recorded.randomness
    if chance.seed is None:
        yield Condition("seed", "none applied by reproof")
        return
    yield Condition(
        "seed", str(chance.seed), f"applied to {', '.join(chance.applied) or 'nothing that was used'}"
    )
    names = covered(chance)
    if names:
        yield Condition(
            "chance", "under reproof's control", f"holds with reproof's seed for: {', '.join(names)}"
        )


def _materials(circumstances: Circumstances) -> Iterator[Condition]:
    restored = circumstances.room.restored
    parts = [f"{count} {origin}" for origin, count in sorted(restored.counts.items())]
    yield Condition("materials", "restored by digest", ", ".join(parts) or "none were read")
    if restored.lent:
        said = amount(len(restored.lent), sum(each.size for each in restored.lent))
        yield Condition("data", "from its original place", f"{said}: bound read-only")
    files, size = restored.copied
    if size >= WORTH:
        yield Condition("data", "from its original place", f"{amount(files, size)}: copied")
    for line in circumstances.used_again():
        yield Condition("used again", line)
    pinned = pinned_objects(circumstances.recorded, circumstances.rerun)
    for name, differs in changed_addresses(circumstances.recorded, circumstances.rerun).items():
        if differs is None:
            yield Condition(
                "data of the web", "not read again", f"`{name}`, which the recorded run read; {_NETWORK}"
            )
        else:
            same = "the recorded version" if name in pinned else "the same"
            yield Condition(
                "data of the web", "other content than recorded" if differs else same, f"`{name}`"
            )
    for line in restored.corrupted:
        yield Condition("corrupted object", line)
    added = asked_in_vain(circumstances.recorded)
    if added and not circumstances.room.plan.settings.network:
        yield Condition(
            "model cache",
            "as recorded",
            f"the hub was not asked: {', '.join(f'`{name}=1`' for name in added)}",
        )


def _tracking(circumstances: Circumstances) -> Iterator[Condition]:
    for address in circumstances.redirected:
        yield Condition("MLflow store", "the room's own", f"the code names `{address}`")
    section = circumstances.recorded.tracked
    for each in section.versions if section is not None else ():
        names = [f"{each.name}@{alias}" for alias in each.aliases] or [f"{each.name}/{each.version}"]
        again = f"models:/{each.name}/{each.version}" in circumstances.room.shelf.made
        yield Condition(
            "model registry",
            "the room's own",
            f"{', '.join(f'`models:/{name}`' for name in names)} was version {each.version}, "
            + ("made again by an earlier stage" if again else "served from the record"),
        )
