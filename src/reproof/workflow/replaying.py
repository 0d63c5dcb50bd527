"""The recorded recipe, for a clean room: which command with which variables."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from reproof.base.naming import Naming
from reproof.capture import caches
from reproof.environment import conda
from reproof.execute.isolation import clean_environment
from reproof.model.artifact import Artifact
from reproof.model.recipe import Recipe
from reproof.model.record import Omission, Record
from reproof.workflow.materials import Origins
from reproof.workflow.provision import Provision

#: Recorded variables that a re-run does not get: they load code from outside the room, or only slow it.
NOT_REPLAYED = frozenset(
    {
        "LD_PRELOAD",
        "LD_AUDIT",
        "PYTHONHOME",
        "PYTHONSTARTUP",
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONPYCACHEPREFIX",
    }
)


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """Where a recipe is replayed.

    Attributes:
        naming: The room's folders.
        provision: Its environment.
        home: HOME.
        temporary: TMPDIR.
        project: The project's folder in it.
        trusted: False for a stranger's record: of its variables only those of the allow-list are set.
        network: The settings leave the network on.
        passed: Variables of whoever verifies that the settings hand on; the record has only their names.
    """

    naming: Naming
    provision: Provision
    home: Path
    temporary: Path
    project: Path
    trusted: bool = True
    network: bool = False
    passed: tuple[str, ...] = ()


def passed_on(record: Record, names: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Which of the variables named by `pass-env` a re-run gets from here, and which are not set here.

    What the recorded run did not have, a re-run does not get either.
    """
    wanted = [name for name in dict.fromkeys(names) if name in record.environment.variable_names]
    return (
        tuple(name for name in wanted if name in os.environ),
        tuple(name for name in wanted if name not in os.environ),
    )


def replay(record: Record, place: Replay) -> Recipe:
    """The recipe of `record` at `place`: the same words, with the room's own paths."""
    naming, provision = place.naming, place.provision
    others = _other_caches(record)
    recorded = {name: value for name, value in record.environment.variables.items() if name not in others}
    more = [name for name in recorded if name not in NOT_REPLAYED] if place.trusted else []
    env = clean_environment(
        recorded,
        scripts=provision.search,
        home=place.home,
        temporary=place.temporary,
        more=[*caches.VARIABLES, *caches.OFFLINE, *more],
    )
    contained = provision.contained
    if contained is not None:
        env = {**contained.image.variables, **contained.variables, **env}
        env["PATH"] = contained.image.path or env["PATH"]
    env = {name: naming.expand_in(value) for name, value in env.items()}
    if place.trusted:
        env |= {name: os.environ[name] for name in passed_on(record, place.passed)[0]}
    if not place.network:
        env |= dict.fromkeys(asked_in_vain(record), "1")
    if contained is None:
        env["VIRTUAL_ENV"] = str(provision.prefix)
    if provision.section.conda:
        had = record.environment.variable_names
        env |= {
            name: value
            for name, value in conda.variables(provision.environment.folder).items()
            if name in had
        }
    search = [*_editable_paths(record, place), *filter(None, env.get("PYTHONPATH", "").split(os.pathsep))]
    if search:
        env["PYTHONPATH"] = os.pathsep.join(search)
    argv = tuple(naming.expand_in(word) for word in record.project.argv)
    umask = int(record.environment.umask, 8) if record.environment.umask else None
    return Recipe(argv=argv, env=env, cwd=str(place.project), umask=umask)


def asked_in_vain(record: Record) -> tuple[str, ...]:
    """Variables that keep libraries from asking the hub for news of what the cache has.

    Without a network they would ask for minutes before they take what is there.
    """
    if not any(caches.is_of_hub(item.name) for item in record.materials):
        return ()
    return tuple(name for name in caches.OFFLINE if name not in record.environment.variables)


def _other_caches(record: Record) -> list[str]:
    """Variables of caches outside HOME and the project of which the run read nothing: none is written there."""
    variables = record.environment.variables
    found = []
    for name in caches.VARIABLES:
        folders = [part.rstrip("/") for part in variables.get(name, "").split(os.pathsep)]
        used = any(item.name.startswith(f"{folder}/") for folder in folders for item in record.materials)
        if any(folder.startswith("/") for folder in folders) and not used:
            found.append(name)
    return found


def _editable_paths(record: Record, place: Replay) -> list[str]:
    """Where packages that are installed as links into the project are in the room: they come first."""
    if place.provision.section.kind != "local":
        return []
    found = []
    for item in record.environment.distributions:
        if item.editable and item.source is not None and item.source.startswith("${PROJECT}"):
            base = Path(os.path.normpath(place.project / item.source.removeprefix("${PROJECT}").lstrip("/")))
            found += [str(path) for path in (base / "src", base) if path.is_dir()]
    return found


def with_leaks(record: Record, source: Path) -> Record:
    """A re-run that read the user's own tree proves nothing about the recorded commit."""
    leaks = tuple(
        Omission(
            subject=artifact.name,
            reason="read from the original work tree, not from the room",
            hides_results=True,
        )
        for artifact in record.materials
        if artifact.name.startswith(f"{source}/")
    )
    return msgspec.structs.replace(record, omissions=(*record.omissions, *leaks)) if leaks else record


def origins_again(record: Record, declared: frozenset[str]) -> Origins:
    """Where the inputs of a re-run come from: where those of the recorded run came from."""
    by_origin: dict[str, dict[str, Artifact]] = {"git": {}, "dvc": {}, "captured": {}}
    for artifact in record.materials:
        by_origin.setdefault(artifact.origin, {})[artifact.name] = artifact
    captured = {artifact.name: artifact for artifact in record.code.untracked}
    return Origins(
        committed=frozenset(by_origin["git"]),
        captured={**by_origin["captured"], **captured},
        tracked=by_origin["dvc"],
        declared=declared,
    )
