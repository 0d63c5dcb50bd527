"""What a re-run may touch, and how much of the machine it may use."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec

from reproof.errors import ExecutionError
from reproof.execute.bubblewrap import visible
from reproof.execute.docker import Container
from reproof.execute.protocol import Confinement, Limits
from reproof.execute.select import Choice, Isolation, choose, sandbox

_PROCESSES = 4096
_LARGEST = 64 << 30  # bytes on disk
#: Seconds that code of a stranger may run, where no --timeout says otherwise.
PATIENCE = 4 * 3600.0


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """The folders of one re-run.

    Attributes:
        writable: Those that are its own: each is given alone, never the folder around them. What else
            lies there (content, logs, other re-runs) is ours to read afterwards.
        sealed: What it may read within `writable`, but not change.
        shown: What it may read besides.
        lent: Files within `writable` that it reads from elsewhere: place, and where it finds them.
        environment: The room's own environment.
        network: The project asks for the network.
        trusted: The record is the user's own, or they said so.
    """

    writable: tuple[Path, ...]
    sealed: tuple[Path, ...] = ()
    shown: tuple[Path, ...] = ()
    lent: tuple[tuple[Path, Path], ...] = ()
    environment: tuple[Path, ...] = ()
    network: bool = False
    trusted: bool = True


class Isolating(msgspec.Struct, frozen=True, kw_only=True):
    """How runs in the user's own tree are kept apart; what each needs of its own is added to it.

    Attributes:
        isolation: The level.
        writable: Folders that they may change: the project, and where it logs to.
        sealed: What they may only read within these.
        shown: What they may read besides.
        environment: The environment, where it is one of ours.
        network: The project asks for the network.
        scripts: Folders that stand first on PATH.
        passed: Patterns of variables that they get besides the allow-list.
        links: Inputs below HOME: name in the private HOME, and place.
    """

    isolation: Isolation
    writable: tuple[Path, ...] = ()
    sealed: tuple[Path, ...] = ()
    shown: tuple[Path, ...] = ()
    environment: tuple[Path, ...] = ()
    network: bool = False
    scripts: tuple[Path, ...] = ()
    passed: tuple[str, ...] = ()
    links: tuple[tuple[str, Path], ...] = ()


def confine(site: Site) -> Confinement:
    """The confinement for a re-run.

    Code that is not trusted gets no network, no devices, an environment that it cannot change, and
    limits; a trusted one may compile modules into the room's own environment.
    """
    if not site.trusted:
        return Confinement(
            writable=site.writable,
            read_only=(*visible([*site.shown, *site.environment]), *site.sealed),
            lent=site.lent,
            limits=limits_for(site.writable[0]),
        )
    return Confinement(
        writable=(*site.writable, *site.environment),
        read_only=(*visible(site.shown), *site.sealed),
        lent=site.lent,
        network=site.network,
        devices=tuple(sorted(Path("/dev").glob("nvidia*"))),
    )


def choose_isolation(
    isolation: Isolation, confinement: Confinement, container: Container | None = None, *, trusted: bool
) -> Choice:
    """The runner for a re-run.

    Raises:
        ExecutionError: It cannot be had here, or would not hold code that is not trusted.
    """
    if trusted:
        limits = confinement.limits
        if isolation == "docker" or container is not None:
            limits = msgspec.structs.replace(limits_for(Path("/")), disk=None)
        return choose(isolation, msgspec.structs.replace(confinement, limits=limits), container)
    if isolation in ("none", "process"):
        raise ExecutionError(
            f"cannot isolate by `{isolation}`: the record was not made by you on this machine",
            details=[("why", f"its code is a stranger's, and `{isolation}` prevents nothing")],
            hint="pass `--isolation bubblewrap`, or `--trust` if you trust who made it",
        )
    if isolation == "auto" and container is None:
        return sandbox(confinement)
    return choose(isolation, confinement, container)


def limits_for(folder: Path) -> Limits:
    """How much a stranger's code may use: three quarters of memory, half of what is free on the disk."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    disk = min(_LARGEST, shutil.disk_usage(folder).free // 2)
    return Limits(memory=pages * size // 4 * 3, processes=_PROCESSES, disk=disk)
