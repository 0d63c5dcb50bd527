"""Pins: what varies by itself from run to run, held fast in one re-run; the duals of variations."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

import msgspec

from reproof.execute.profiles import THREADS
from reproof.model.randomness import EntropyDraw
from reproof.model.recipe import Recipe
from reproof.workflow.altering import Setting, Variation
from reproof.workflow.variations import (
    fixed_addresses,
    needs_cpus,
    needs_shim,
    no_fixed_addresses,
    one_cpu,
    with_variables,
)

_NAMESPACE = "unshare --map-root-user --pid --fork --mount-proc"
_DAYS = (1_700_000_000, 1_712_345_678, 1_655_555_555)  # seconds since the epoch


class Pin(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that may be another in each run.

    Attributes:
        kind: Name of the class of causes.
        value: Holds it fast.
        others: Hold it fast elsewhere: what depends on it comes out otherwise.
    """

    kind: str
    value: Variation
    others: tuple[Variation, ...] = ()


def _by_variable(kind: str, name: str, variable: str, values: Sequence[str]) -> Pin:
    value, *others = (
        Variation(
            name=f"{kind} pinned" if number == 0 else f"{kind} pinned at {each}",
            group="pins",
            what=name,
            apply=with_variables(**{variable: each}),
            obstacle=_hash_seed_is_fixed if kind == "hash-seed" else lambda _: None,
        )
        for number, each in enumerate(values)
    )
    return Pin(kind=kind, value=value, others=tuple(others))


def _by_shim(kind: str, name: str, shim: str, values: Sequence[str]) -> Pin:
    value, *others = (
        Variation(
            name=f"{kind} pinned" if number == 0 else f"{kind} pinned at {each}",
            group="pins",
            what=name,
            obstacle=needs_shim(shim),
            shim=(shim, each),
        )
        for number, each in enumerate(values)
    )
    return Pin(kind=kind, value=value, others=tuple(others))


def _hash_seed_is_fixed(setting: Setting) -> str | None:
    given = setting.record.environment.variables.get("PYTHONHASHSEED", "random")
    if setting.record.randomness.seed is not None or given != "random":
        return "the recorded run has a fixed one"
    return None


def _serial(recipe: Recipe, setting: Setting) -> Recipe:
    """Threads and pools one after the other, one thread for each native library, on one CPU."""
    serial = recipe.with_env({"REPROOF_SERIAL": "1", **dict.fromkeys(THREADS, "1")})
    return serial if needs_cpus(setting) is not None else one_cpu(serial, setting)


def _numbers_anew(recipe: Recipe, setting: Setting) -> Recipe:  # noqa: ARG001
    """Process ids are counted from the start, where the system allows it; a shell is the first, as programs expect."""
    text = f'if {_NAMESPACE} true 2>/dev/null; then exec {_NAMESPACE} sh -c \'"$@"; exit $?\' sh "$@"; fi; exec "$@"'
    return recipe.wrapped("sh", "-c", text, "sh")


def _no_namespace(setting: Setting) -> str | None:  # noqa: ARG001
    return None if shutil.which("unshare") else "there is no `unshare` here (apt-get install util-linux)"


#: In the order in which they are tried: each before those that hold its own cause fast as well. Entropy
#: holds the hash seed, fixed addresses what fresh memory holds.
PINS: tuple[Pin, ...] = (
    _by_variable("hash-seed", "the seed of Python's hashes", "PYTHONHASHSEED", ("0", "1", "2")),
    _by_shim("entropy", "the system's entropy", "entropy", ("11", "12", "13")),
    _by_shim("clock", "the date", "clock", [f"pinned:{day}" for day in _DAYS]),
    _by_variable("memory", "what fresh memory holds", "MALLOC_PERTURB_", ("165", "85", "23")),
    Pin(
        kind="aslr",
        value=Variation(
            name="aslr pinned",
            group="pins",
            what="addresses of objects",
            apply=fixed_addresses,
            obstacle=no_fixed_addresses,
            shim=("witness", "on"),
        ),
    ),
    Pin(
        kind="threads",
        value=Variation(
            name="threads pinned",
            group="pins",
            what="the order in which threads and processes finish",
            apply=_serial,
        ),
    ),
    _by_shim("readdir", "the order of folders", "readdir", ("sorted", "reversed", "shuffled:3")),
    Pin(
        kind="process-id",
        value=Variation(
            name="process-id pinned",
            group="pins",
            what="the numbers of the processes",
            apply=_numbers_anew,
            obstacle=_no_namespace,
        ),
    ),
    _by_shim("duration", "how long something takes", "clock", [f"still:{day}" for day in _DAYS]),
)

#: The class of what a variation varies, where it has another name.
KIND_OF = {
    "process-ids": "process-id",
    "readdir-order": "readdir",
    "environment-size": "memory",
    "malloc-fill": "memory",
    "one-cpu": "cpu-count",
    "cpu-mask": "isa",
}


def in_order(draws: Sequence[EntropyDraw]) -> tuple[Pin, ...]:
    """The pins, those first that the recorded draws point to; the hash seed before all, for entropy holds it too."""
    hinted = {kind_of(each) for each in draws if each.control == "uncontrolled"}
    return tuple(sorted(PINS, key=lambda pin: (pin.kind != "hash-seed", pin.kind not in hinted)))


def kind_of(draw: EntropyDraw) -> str:
    """The class of a recorded draw: a seed may have been taken from the clock or the process id."""
    if " by the " not in draw.what:
        return "entropy"
    origin = draw.what.rpartition(" by the ")[2]
    if "clock" in origin or "time" in origin:
        return "clock"
    if "hash" in origin:
        return "hash-seed"
    return "process-id" if "process" in origin else "entropy"
