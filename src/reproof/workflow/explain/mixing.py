"""Records between two: the recipe of A with some of it swapped for that of B."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

import msgspec
from msgspec.structs import replace

from reproof.base import git
from reproof.errors import EnvironmentBuildError, ProjectError, StoreError
from reproof.model.artifact import Artifact
from reproof.model.randomness import RandomnessSection
from reproof.model.record import EnvironmentSection, Lock, ProjectSection, Record
from reproof.store.directory import DirectoryStore
from reproof.workflow.explain.arguments import correspond, mix_arguments, of_arguments
from reproof.workflow.explain.atoms import (
    LEADER,
    Atom,
    hash_seed_is_tied,
    of_chance,
    of_environment,
    of_libraries,
    of_machine,
    of_variables,
    other_python,
    threads_that_follow,
)
from reproof.workflow.explain.code import CodeMix
from reproof.workflow.explain.data import DataMix, naming_of
from reproof.workflow.explain.packages import Fitting, as_requirements, mix_distributions, mix_locks
from reproof.workflow.explain.trees import Trees
from reproof.workflow.provision import find_recorded_python

_PACKAGE = "package:"


class Mixed(msgspec.Struct, frozen=True, kw_only=True):
    """A record between A and B, and what a record cannot say.

    Attributes:
        record: To be re-created.
        parameters: Values with which the command is rendered anew; None where it stands in the record.
        cpus: CPUs that the command gets; None for all.
    """

    record: Record
    parameters: dict[str, str] | None = None
    cpus: int | None = None


def of_parameters(before: ProjectSection, after: ProjectSection) -> Iterator[Atom]:
    """Parameters one by one, arguments of a plain command one by one, else the command as a whole."""
    plain = before.entry_point is None
    if before.entry_point != after.entry_point or (plain and not correspond(before.argv, after.argv)):
        sides = before.command, after.command
        yield Atom(
            id="command", kind="command", name="command", group="parameters", before=sides[0], after=sides[1]
        )
        return
    if plain:
        yield from of_arguments(before.argv, after.argv)
        return
    for name in sorted({*before.parameters, *after.parameters}):
        one, two = before.parameters.get(name), after.parameters.get(name)
        if one != two:
            yield Atom(
                id=f"parameter:{name}", kind="parameter", name=name, group="parameters", before=one, after=two
            )


class Mixer:
    """Two records, what differs between them, and every record in between.

    Attributes:
        sides: A and B.
        code: Their code.
        atoms: Everything that differs.
    """

    def __init__(self, sides: tuple[Record, Record], store: DirectoryStore, top: Path, scratch: Path) -> None:
        self.sides = sides
        self._store = store
        self._top = top
        self._locks = self._requirements()
        self.code = CodeMix(Trees(scratch / "trees", [top]), sides, store, self._tied())
        self._data = DataMix(sides, store, naming_of(top))
        self.atoms: tuple[Atom, ...] = tuple(self._list())
        self._fitting = Fitting({}, ({}, {}))
        self.swappable = frozenset(each.id for each in self.atoms if each.obstacle is None)

    def _list(self) -> Iterator[Atom]:
        one, two = self.sides
        yield from of_parameters(one.project, two.project)
        yield from self.code.atoms()
        yield from self._data.atoms()
        yield from of_chance(one, two)
        obstacle = self._python_obstacle()
        yield from of_environment(one, two, divisible=self._locks is not None, pythons=obstacle)
        yield from of_variables(one, two)
        yield from of_machine(one.hardware, two.hardware, len(os.sched_getaffinity(0)))
        if not other_python(one.environment, two.environment):
            yield from of_libraries(one.environment, two.environment)

    def learn(self, needs: tuple[Mapping[str, Sequence[str]], Mapping[str, Sequence[str]]]) -> None:
        """Hear what the packages of A and of B need: what does not fit together is swapped together."""
        versions = {
            each.name: (each.before, each.after) for each in self.atoms if each.id.startswith(_PACKAGE)
        }
        self._fitting = Fitting(versions, needs)

    def grown(self, swapped: AbstractSet[str]) -> frozenset[str]:
        """A mixture, with what its packages of B need of B besides."""
        return self._settled(swapped, self._fitting.grown)

    def shrunk(self, swapped: AbstractSet[str]) -> frozenset[str]:
        """A mixture, without packages of B that do not fit to those of A in it."""
        return self._settled(swapped, self._fitting.shrunk)

    def _settled(
        self, swapped: AbstractSet[str], settle: Callable[[AbstractSet[str]], frozenset[str]]
    ) -> frozenset[str]:
        names = {each.removeprefix(_PACKAGE) for each in swapped if each.startswith(_PACKAGE)}
        others = {each for each in swapped if not each.startswith(_PACKAGE)}
        return frozenset(others.union(f"{_PACKAGE}{name}" for name in settle(names)))

    def mix(self, swapped: AbstractSet[str]) -> Mixed:
        """The record of A with `swapped`, ids of atoms, as in B.

        Raises:
            ReproofError: There is no such thing: what is mixed does not fit together.
        """
        one, two = self.sides
        cpus = self._cpus(swapped)
        if not swapped:
            return Mixed(record=one, cpus=cpus)
        if swapped == self.swappable and git.has_commit(self._top, two.code.commit):
            return Mixed(record=two, cpus=cpus)
        project, parameters = self._project(swapped)
        variables = self._variables(swapped)
        record = replace(
            one,
            project=project,
            code=self.code.section(swapped),
            environment=replace(self._environment(swapped), variables=variables, umask=self._umask(swapped)),
            randomness=self._randomness(swapped, variables),
            materials=self._data.materials(swapped),
        )
        return Mixed(record=record, parameters=parameters, cpus=cpus)

    def _project(self, swapped: AbstractSet[str]) -> tuple[ProjectSection, dict[str, str] | None]:
        one, two = (side.project for side in self.sides)
        if "command" in swapped:
            return two, None
        if one.entry_point is None:
            if not correspond(one.argv, two.argv):
                return one, None
            argv = mix_arguments(one.argv, two.argv, swapped)
            known = {side.argv: side.command for side in (two, one)}
            return replace(one, argv=argv, command=known.get(argv) or shlex.join(argv)), None
        names = {each.partition(":")[2] for each in swapped if each.startswith("parameter:")}
        values = {
            name: (two if name in names else one).parameters.get(name)
            for name in dict.fromkeys((*one.parameters, *two.parameters))
        }
        given = {name: value for name, value in values.items() if value is not None}
        file = f"{one.subdirectory}/MLproject".lstrip("/")
        text = self.code.text(swapped, file) if one.mlproject is not None else None
        for side in (one, two):
            if (side.parameters, side.mlproject) == (given, text):
                return side, None
        return replace(one, parameters=given, mlproject=text), given

    def _environment(self, swapped: AbstractSet[str]) -> EnvironmentSection:
        one, two = (side.environment for side in self.sides)
        if "environment" in swapped:
            return two
        names = {each.partition(":")[2] for each in swapped if each.startswith("package:")}
        python = (two if "python" in swapped else one).python
        if self._locks is None or (not names and one.lock is not None and one.lock.format == "requirements"):
            return replace(one, python=python)
        assert one.lock is not None
        assert two.lock is not None
        data = mix_locks(*self._locks, names).encode()
        digest = self._store.put_bytes(data)
        artifact = Artifact(
            name=one.lock.source,
            digests={digest.algorithm: digest.value},
            size=len(data),
            origin="captured",
            kept=True,
        )
        lock = Lock(
            format="requirements",
            source=one.lock.source,
            artifact=artifact,
            resolved=True,
            unhashed=one.lock.unhashed,
        )
        installed = mix_distributions(one.distributions, two.distributions, names)
        return replace(one, python=python, lock=lock, distributions=installed)

    def _variables(self, swapped: AbstractSet[str]) -> dict[str, str]:
        one, two = (side.environment.variables for side in self.sides)
        names = {each.partition(":")[2] for each in swapped if each.startswith("variable:")}
        if "seed" in swapped and hash_seed_is_tied(*self.sides):
            names.add("PYTHONHASHSEED")
        if LEADER in names:
            names |= threads_that_follow(*self.sides)
        found = {name: (two if name in names else one).get(name) for name in sorted({*one, *two})}
        return {name: value for name, value in found.items() if value is not None}

    def _umask(self, swapped: AbstractSet[str]) -> str:
        return self.sides["umask" in swapped].environment.umask

    def _randomness(self, swapped: AbstractSet[str], variables: dict[str, str]) -> RandomnessSection:
        one, two = (side.randomness for side in self.sides)
        seeded, profiled, drawn = (two if kind in swapped else one for kind in ("seed", "profile", "entropy"))
        return replace(
            one,
            seed=seeded.seed,
            seed_source=seeded.seed_source,
            profile=profiled.profile,
            entropy=drawn.entropy,
            variables={name: variables[name] for name in profiled.variables if name in variables},
        )

    def _cpus(self, swapped: AbstractSet[str]) -> int | None:
        if "cpus" not in self.swappable:
            return None
        return self.sides["cpus" in swapped].hardware.affinity

    def _tied(self) -> dict[str, str]:
        """Lock files that must be in the room as the environment is made from them."""
        if self._locks is not None:
            return {}
        locks = [(side, side.environment.lock) for side in self.sides]
        return {
            f"{side.project.subdirectory}/{lock.source}".lstrip("/"): "environment"
            for side, lock in locks
            if lock is not None and lock.format != "requirements"
        }

    def _requirements(self) -> tuple[str, str] | None:
        """The locks of both sides as requirements with hashes; None where they cannot be mixed."""
        found = []
        for side in self.sides:
            section = side.environment
            if section.kind != "uv" or section.lock is None or section.lock.artifact.digest is None:
                return None
            try:
                text = self._store.get_bytes(section.lock.artifact.digest).decode()
                found.append(as_requirements(section.lock, text, self._pyproject(side)))
            except (StoreError, EnvironmentBuildError, ProjectError):
                return None
        return found[0], found[1]

    def _pyproject(self, side: Record) -> bytes | None:
        """The file that a uv.lock belongs to; None for a project that is a package itself: it is not in requirements."""
        if side.environment.lock is None or side.environment.lock.format != "uv.lock":
            return None
        path = f"{side.project.subdirectory}/pyproject.toml".lstrip("/")
        data = git.git_bytes(self._top, "show", f"{side.code.commit}:{path}")
        return None if b"[build-system]" in data else data

    def _python_obstacle(self) -> str | None:
        for side in self.sides:
            if side.environment.kind != "uv" or side.environment.python is None:
                continue
            try:
                find_recorded_python(side.environment.python, None)
            except EnvironmentBuildError as error:
                return error.message
        return None
