"""What one re-run occupies of a machine, and how many may therefore go on at the same time."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping

import msgspec

from reproof.capture import hardware
from reproof.model.event import Emit, Event
from reproof.model.record import Record

#: The name under which CPUs are asked for; workers of Dask offer them as `CPU`.
CPUS = "cpus"
_GPU = "gpu"


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What one re-run occupies.

    Attributes:
        cpus: CPUs, at least one.
        others: What else, by the name that workers offer it under, such as ``GPU``.
    """

    cpus: int = 1
    others: dict[str, float] = {}

    def __str__(self) -> str:
        return ", ".join(f"{name}={amount:g}" for name, amount in {CPUS: self.cpus, **self.others}.items())


def needs_of(
    record: Record | None, stated: Mapping[str, float] | None = None, asked: Mapping[str, float] | None = None
) -> Needs:
    """What a re-run of a record occupies.

    Args:
        record: The recorded run; it occupied as many CPUs as it used on average, which is its CPU time over
            its wall time, rounded. None where it is not known yet: one CPU.
        stated: By the project's settings, which go before the record.
        asked: By the user, which goes before both.
    """
    amounts = {**_plain(stated or {}), **_plain(asked or {})}
    measured = _used(record) if record is not None else 1
    cpus = math.ceil(amounts.pop(CPUS, measured))
    return Needs(cpus=max(1, cpus), others=amounts)


def largest(needs: list[Needs]) -> Needs:
    """What is enough for each of several."""
    names = {name for each in needs for name in each.others}
    return Needs(
        cpus=max((each.cpus for each in needs), default=1),
        others={name: max(each.others.get(name, 0.0) for each in needs) for name in sorted(names)},
    )


def fitting(count: int, needs: Needs, emit: Emit) -> int:
    """How many of `count` re-runs this machine has room for at the same time; at least one.

    Args:
        count: What the user would like.
        needs: What each occupies; of what is no CPU and no GPU this machine knows nothing.
        emit: Told where it is fewer.
    """
    cpus = len(os.sched_getaffinity(0))
    limits = {f"{needs.cpus} of {cpus} CPUs": cpus // needs.cpus}
    gpus = next((amount for name, amount in needs.others.items() if name.lower() == _GPU), 0.0)
    if gpus and count > 1:
        found = len(hardware.capture()[0].gpus)
        limits[f"{gpus:g} of {found} GPUs"] = int(found / gpus)
    reason, limit = min(limits.items(), key=lambda each: each[1])
    limit = max(1, limit)
    if limit >= count:
        return count
    emit(
        Event(
            kind="warning",
            subject="re-runs",
            message=f"{limit} at a time instead of {count}: each occupies {reason}",
            hint="pass `--resources cpus=1` if they may share them" if "CPU" in reason else None,
        )
    )
    return limit


def _plain(amounts: Mapping[str, float]) -> dict[str, float]:
    """Amounts with CPUs under one name, however they were spelled."""
    return {CPUS if name.lower() in {"cpu", CPUS} else name: amount for name, amount in amounts.items()}


def _used(record: Record) -> int:
    spent = record.byproducts
    return max(1, round(spent.cpu_seconds / spent.seconds)) if spent.seconds > 0 else 1
