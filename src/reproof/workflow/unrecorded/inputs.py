"""What a run that reproof did not record ran in and on: packages and data, from its commit or from what is supplied."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

import msgspec

from reproof.base.digesting import digest_file
from reproof.environment.other_locks import OTHER_LOCKS
from reproof.environment.python import allows, find_python
from reproof.errors import (
    EnvironmentBuildError,
    MaterialError,
    MissingError,
    ProjectError,
    StoreError,
)
from reproof.model.artifact import Artifact
from reproof.model.dvc import DvcEntry
from reproof.model.event import Emit
from reproof.model.verdict import Condition
from reproof.project.dvc import read_config, tracked
from reproof.project.mlproject import MLProject
from reproof.project.settings import EnvironmentSettings
from reproof.store.directory import DirectoryStore
from reproof.store.dvc_cache import DvcSources, restore
from reproof.workflow.begin import wanted_by
from reproof.workflow.provision import Wanted

_LOCKED = ("uv.lock", "pylock.toml", *sorted(OTHER_LOCKS))
#: Lines that say that a file is not there, and what in them may be its name.
_ABSENT = re.compile(r"No such file|FileNotFoundError|does not exist|[Nn]ot found|[Ff]ailed to open")
_QUOTED = re.compile(r"['\"`]([^'\"`\n]*[/.][^'\"`\n]*)['\"`]|\s(/?[\w.-]+/[\w./-]+)")


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """Inputs that are laid into the room.

    Attributes:
        materials: By name below the top of the repository.
        entries: What DVC names, by path, restored or not.
        lost: Paths that DVC names and that could not be restored, with the reason.
        assumed: What the verdict says of them.
    """

    materials: tuple[Artifact, ...] = ()
    entries: dict[str, DvcEntry] = {}
    lost: dict[str, str] = {}
    assumed: tuple[Condition, ...] = ()


def wanted_packages(
    folder: Path, mlproject: MLProject | None, settings: EnvironmentSettings, as_of: str, emit: Emit
) -> tuple[Wanted, tuple[Condition, ...]]:
    """What the commit's files say of the environment; what is not exact is resolved as of the run's start.

    Raises:
        MissingError: They say nothing, and no environment is active.
        ProjectError: A file is missing or wrong.
    """
    wanted = wanted_by(folder, mlproject, settings, emit)
    source = wanted.source
    if source is None or source.lines == ("# no packages",):
        active = os.environ.get("VIRTUAL_ENV") or os.environ.get("CONDA_PREFIX")
        if not active:
            raise MissingError(
                "environment",
                "the packages of the run are not known: its commit has no lock, requirements or pyproject.toml",
                details=[
                    (
                        "searched",
                        f"{', '.join(_LOCKED)}, requirements.txt, pyproject.toml, python_env.yaml",
                    )
                ],
                hint="pass `--env requirements.txt`, or activate the environment that the run had",
            )
        note = "the commit names no packages; which ones the run had is not known"
        return Wanted(source=None), (Condition("assumed environment", "the active one", note),)
    return dated(wanted, as_of)


def dated(wanted: Wanted, as_of: str) -> tuple[Wanted, tuple[Condition, ...]]:
    """The same as of a date, and what the verdict says of that."""
    assert wanted.source is not None
    source = msgspec.structs.replace(wanted.source, as_of=as_of or None)
    if source.kind in _LOCKED:
        lines = (
            Condition(
                "assumed packages", f"those of `{source.file}`", "whether the run had them is not known"
            ),
        )
    else:
        note = f"what `{source.file}` does not pin, as it was when the run started"
        lines = (Condition("assumed packages", f"as of {as_of or 'today'}", note),)
    return msgspec.structs.replace(wanted, source=source), lines


def python_for(asked: str | None, named: tuple[str, str] | None) -> tuple[str | None, Condition]:
    """Which Python to ask for, and why.

    A range such as ``>=3.11`` leaves open which one ran; a model that names one within it says so.

    Args:
        asked: What the commit asks for; None when it does not say.
        named: Version and file of a logged model, as of :class:`~reproof.workflow.unrecorded.stated.Stated`.

    Returns:
        That of the model where the commit allows it and the machine has it, or else has another patch
        release of it; then what the commit asks for.
    """
    if named is not None and (asked is None or allows(asked, named[0])):
        version, file = named
        likely = (version, ".".join(version.split(".")[:2]) + ".*")
        here = [request for request in likely if _is_here(request)]
        if here or asked is None:
            request = (here or likely[-1:])[0]
            return request, Condition("assumed Python", request, f"`{file}` of the run names {version}")
    if asked is not None:
        return asked, Condition("assumed Python", asked, "the commit asks for it")
    return None, Condition("assumed Python", "the one that runs reproof", "nothing names another")


def _is_here(request: str) -> bool:
    try:
        find_python(request)
    except EnvironmentBuildError:
        return False
    return True


def tracked_data(aside: Path, top: Path, caches: tuple[str, ...], emit: Emit, *, offline: bool) -> Data:
    """What DVC names in the commit, restored into a clone from the caches and remotes of its repository.

    Args:
        aside: Top of the clone.
        top: Top of the repository, whose DVC cache is looked into.
        caches: Further caches.
        emit: Told about the work.
        offline: Ask no remote.
    """
    materials: list[Artifact] = []
    lost: dict[str, str] = {}
    entries = {entry.path: entry for entry in tracked(aside)}
    for entry in entries.values():
        if (aside / entry.path).exists():
            continue
        config = read_config(top / entry.root)
        sources = DvcSources(
            caches=(Path(config.cache), *map(Path, caches)), remotes=config.remotes, offline=offline
        )
        try:
            restored = restore(entry, aside, sources, emit)
        except (MaterialError, StoreError, ProjectError) as error:
            lost[entry.path] = error.message
            continue
        materials += restored.members or (restored.artifact,)
    lines = []
    if entries:
        note = f"{len(entries) - len(lost)} of {len(entries)} restored by digest"
        lines.append(Condition("assumed data", "what the commit's DVC files name", note))
    return Data(materials=tuple(materials), entries=entries, lost=lost, assumed=tuple(lines))


def put_in(
    name: str, place: Path, store: DirectoryStore, known: dict[str, DvcEntry]
) -> tuple[tuple[Artifact, ...], Condition]:
    """Keep a file or folder that the user supplied as the input `name`.

    Args:
        name: Below the top of the repository.
        place: Where it is.
        store: Receives the content.
        known: What DVC names.
    """
    if name.startswith("/"):  # read where it is: no room has such a place
        artifact = Artifact(
            name=name, digests=digest_file(place), size=place.stat().st_size, origin="external"
        )
        note = "in its place; whether it is what the run read is not known"
        return (artifact,), Condition("assumed data", f"`{name}`", note)
    files = [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())
    artifacts = []
    for path in files:
        digest = store.put(path)
        inner = name if place.is_file() else f"{name}/{path.relative_to(place).as_posix()}"
        artifacts.append(
            Artifact(
                name=inner,
                digests={digest.algorithm: digest.value},
                size=path.stat().st_size,
                origin="external",
                kept=True,
            )
        )
    return tuple(artifacts), Condition("assumed data", f"`{name}`", _told(name, place, known))


def _told(name: str, place: Path, known: dict[str, DvcEntry]) -> str:
    entry = known.get(name)
    if entry is None or not place.is_file():
        return f"from `{place}`: neither Git nor DVC has it, so whether it is what the run read is not known"
    same = digest_file(place, (entry.hash_name,))[entry.hash_name] == entry.md5
    return f"from `{place}`: {'what' if same else 'not what'} `{entry.source}` names"


def hold_places(aside: Path, names: Iterable[str]) -> None:
    """Empty files in the clone, where paths among the parameters are only named; Git does not see them."""
    exclude = aside / ".git" / "info" / "exclude"
    exclude.parent.mkdir(exist_ok=True)
    for name in names:
        place = aside / name
        if not place.exists() and _is_inside(place, aside):
            with exclude.open("a") as file:
                file.write(f"/{name}\n")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()


def _is_inside(place: Path, top: Path) -> bool:
    """Whether no link in a commit, which may be a stranger's, leads `place` out of its clone."""
    return place.resolve().is_relative_to(top.resolve())


def missing_names(said: str, opened: Iterable[str], top: Path, folder: Path) -> Iterator[str]:
    """Inputs that a re-run failed for want of: paths that its last words name and that are not there.

    Args:
        said: The end of what it wrote to standard error.
        opened: Paths that it tried to open.
        top: Top of the room's clone.
        folder: Where it was started.

    Yields:
        Names below the top, or absolute paths outside of it.
    """
    tried = [path for path in opened if not path.startswith(f"{top}/") or not Path(path).exists()]
    for line in said.splitlines():
        if not _ABSENT.search(line):
            continue
        for match in _QUOTED.finditer(line):
            word = match[1] or match[2]
            ending = "/" + str(PurePosixPath(word)).lstrip("./")
            found = [path for path in tried if path.endswith(ending)] or [os.path.normpath(folder / word)]
            inside = found[0].startswith(f"{top}/")
            if "\0" not in word and not (inside and os.path.exists(found[0])):  # noqa: PTH110 - never raises
                yield found[0].removeprefix(f"{top}/")
