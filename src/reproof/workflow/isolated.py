"""A run in the user's own tree, kept apart from the rest of the machine: `reproof run --isolation`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from reproof.capture import caches
from reproof.environment.values import Environment
from reproof.errors import ExecutionError, UsageError
from reproof.execute.bubblewrap import visible
from reproof.execute.isolation import clean_environment
from reproof.execute.protocol import Level
from reproof.execute.select import Isolation
from reproof.model.record import RunIsolation
from reproof.project.dvc import read_config
from reproof.tracking.address import Address
from reproof.workflow.confinement import Isolating, Site, choose_isolation, confine
from reproof.workflow.observe import Setup
from reproof.workflow.prepare import Prepared
from reproof.workflow.provision import Provision
from reproof.workflow.reach import require_interpreter

#: Variables that a run gets besides those of the allow-list: what makes it log where it is to log, and says which
#: environment is active.
_PASSED = ("MLFLOW_*", "VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "DVC_STAGE", "DVC_ROOT")


class Neighbours(msgspec.Struct, frozen=True, kw_only=True):
    """What a run may touch besides its project.

    Attributes:
        writable: Folders of a local tracking store outside the project.
        address: The tracking store; None without one.
    """

    writable: tuple[Path, ...] = ()
    address: Address | None = None


def isolate(
    isolation: Isolation, setup: Setup, prepared: Prepared, provision: Provision, beside: Neighbours
) -> tuple[Setup, RunIsolation | None]:
    """`setup` with all that keeps its run apart, not yet applied, and what the record says of it.

    Args:
        isolation: ``none`` leaves everything as it is; ``auto`` takes the best there is.
        setup: How the run would be carried out otherwise.
        prepared: The project; its settings say whether the network stays on.
        provision: Its environment, no image.
        beside: What it may touch besides.

    Raises:
        ExecutionError: The isolation cannot be had here.
        EnvironmentBuildError: The sandbox cannot start the interpreter.
        UsageError: The run would need the network, and does not get it.
    """
    if isolation == "none":
        return setup, None
    network = prepared.settings.network
    handed_on = (*prepared.settings.pass_env, *prepared.settings.record_env)
    declared = [setup.naming.find_file(name) for name in setup.origins.declared]
    outside = [path for path in declared if not path.is_relative_to(prepared.top) and path.exists()]
    prefixes = [path for path in provision.prefixes if not path.is_relative_to(prepared.top)]
    environment = provision.environment.folder
    own = provision.section.kind == "uv" and not environment.is_relative_to(prepared.top)
    isolating = Isolating(
        isolation=isolation,
        writable=(prepared.top, *beside.writable),
        sealed=(prepared.own,) if prepared.own.is_relative_to(prepared.top) else (),
        shown=(*prefixes, *visible([*outside, *_beyond(prepared.top)])),
        environment=(environment,) if own else (),
        network=network,
        scripts=provision.search,
        passed=(*_PASSED, *handed_on, *caches.VARIABLES, *caches.OFFLINE),
        links=tuple(_below(Path(setup.naming.home), outside)),
    )
    level, reason = _probe(isolating, setup.scratch, provision.environment)
    if level in ("bubblewrap", "docker") and not network:
        _require_local(beside.address, provision)
    open_network = network or level == "process"
    section = RunIsolation(level=level, network=open_network, reason=reason)
    isolating = msgspec.structs.replace(isolating, isolation=level)
    return msgspec.structs.replace(setup, isolating=isolating), section


def isolated(setup: Setup) -> Setup:
    """`setup` as its isolation makes it, for one run: its runner, its variables, a HOME of its own."""
    how = setup.isolating
    if how is None:
        return setup
    home, temporary = setup.scratch / "home", setup.scratch / "t"
    for folder in (home, temporary):
        folder.mkdir(parents=True, exist_ok=True)
    for name, place in how.links:
        link = home / name
        link.parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(link):
            link.symlink_to(place)
    env = clean_environment(
        setup.recipe.env,
        scripts=how.scripts,
        home=home,
        temporary=temporary,
        more=[*how.passed, *setup.profile_variables],
    )
    return msgspec.structs.replace(
        setup,
        recipe=msgspec.structs.replace(setup.recipe, env=env),
        runner=choose_isolation(how.isolation, confine(_site(how, setup.scratch)), trusted=True).runner,
        home=home,
    )


def _site(how: Isolating, scratch: Path) -> Site:
    return Site(
        writable=(*how.writable, scratch),
        sealed=(*how.sealed, scratch / "logs"),
        shown=how.shown,
        environment=how.environment,
        network=how.network,
    )


def _probe(how: Isolating, scratch: Path, environment: Environment) -> tuple[Level, str]:
    """The level that can be had, and why it is no better; the interpreter was started in it."""
    (scratch / "logs").mkdir(parents=True, exist_ok=True)
    confinement = confine(_site(how, scratch))
    try:
        choice = choose_isolation(how.isolation, confinement, trusted=True)
        require_interpreter(choice, confinement, environment)
    finally:
        (scratch / "logs").rmdir()
    return choice.level, "" if choice.reason == "asked for" else choice.reason


def _beyond(top: Path) -> Iterator[Path]:
    """What files of the project lead to, outside of it: a cache of DVC, the repository of a linked work tree."""
    if (top / ".dvc").is_dir():
        cache = Path(read_config(top).cache)
        if cache.exists() and not cache.resolve().is_relative_to(top.resolve()):
            yield cache
    if (top / ".git").is_file():
        line = (top / ".git").read_text("utf-8", "replace").removeprefix("gitdir:").strip()
        place = (top / line).resolve()
        yield from (each for each in (place, place.parent.parent) if each.exists())


def _below(home: Path, paths: Iterable[Path]) -> Iterator[tuple[str, Path]]:
    """Inputs below HOME, by their names there: the private HOME gets links to them."""
    for path in paths:
        if path.is_relative_to(home):
            yield str(path.relative_to(home)), path


def _require_local(address: Address | None, provision: Provision) -> None:
    """A run without network must not be sent to a tracking server, where it would wait for minutes."""
    packages = {item.name for item in provision.section.distributions}
    if address is not None and address.path is None and packages & {"mlflow", "mlflow-skinny"}:
        raise UsageError(
            f"cannot log to `{address.uri}` from a run without network",
            details=[("why", "`--isolation` takes it away, unless the project asks for it")],
            hint="write `network = true` under [tool.reproof] of pyproject.toml, or pass `--isolation process`",
        )


def isolate_contained(isolation: Isolation) -> bool:
    """Whether a run in a container image is sealed as a room is.

    Raises:
        ExecutionError: Another level is asked for than that of containers.
    """
    if isolation in ("process", "bubblewrap"):
        raise ExecutionError(
            f"cannot isolate by `{isolation}`: the project runs in a container image",
            hint="pass `--isolation docker`",
        )
    return isolation != "none"
