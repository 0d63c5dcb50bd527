"""Everything that is known before a command starts: project, code, inputs, seed."""

from __future__ import annotations

import glob
import os
import secrets
import shlex
from collections.abc import Mapping
from pathlib import Path

import msgspec

from reproof.base import git
from reproof.base.cloning import clone
from reproof.base.locations import data_directory, own_folder
from reproof.base.naming import Naming, escape
from reproof.capture.code import CapturedCode, capture_code
from reproof.errors import ProjectError, UsageError
from reproof.model.artifact import Artifact
from reproof.model.determinism import Profile
from reproof.model.event import Emit, Event
from reproof.model.randomness import Entropy
from reproof.model.record import CodeSection, Omission, ProjectSection
from reproof.project.location import Location, locate
from reproof.project.mlproject import MLProject, read_mlproject
from reproof.project.rendering import Invocation, Places, render
from reproof.project.settings import Settings, read_settings
from reproof.store.directory import DirectoryStore
from reproof.workflow.code_parts import warn_of_pointers
from reproof.workflow.concealed import conceal
from reproof.workflow.materials import Origins
from reproof.workflow.tracked_data import stage_inputs, tracked_artifacts

_SEED_BITS = 32


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for on the command line or in a call, before the project is read.

    Attributes:
        uri: Folder or Git address.
        command: Words of a command; empty to run an entry point.
        entry_point: Name, or a script.
        parameters: Values by name.
        revision: Commit, branch or tag, for a clone aside.
        seed: A number, ``none``, or None for the settings' or a fresh one.
        determinism: A profile, or None for the settings' or ``default``.
        entropy: ``record``, ``control``, ``forbid``, or None for the settings'; by default ``control`` where a
            seed is applied, ``record`` where none is, or the profile is ``off``.
        require_clean: Refuse uncommitted changes.
        experiment: MLflow experiment.
        run_name: Name of the MLflow run.
    """

    uri: str = "."
    command: tuple[str, ...] = ()
    entry_point: str | None = None
    parameters: dict[str, str] = {}
    revision: str | None = None
    seed: int | str | None = None
    determinism: Profile | None = None
    entropy: Entropy | None = None
    require_clean: bool = False
    experiment: str | None = None
    run_name: str | None = None


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A project that is ready to run.

    Attributes:
        top: Top of the repository.
        folder: The project's folder: working directory of the command.
        own: The folder that records go to.
        store: Content of records.
        settings: `[tool.reproof]`.
        mlproject: What MLproject says; None without one.
        project: Section of the record.
        argv: The command for the system.
        code: The state of the work tree.
        code_section: Section of the record, with patch and untracked files kept.
        origins: Where inputs come from.
        seed: What is applied; None for nothing.
        seed_source: Who decided.
        profile: The determinism profile.
        entropy: What is done about draws of entropy.
        omissions: What is known not to be captured.
    """

    top: Path
    folder: Path
    own: Path
    store: DirectoryStore
    settings: Settings
    mlproject: MLProject | None
    project: ProjectSection
    argv: tuple[str, ...]
    code: CapturedCode
    code_section: CodeSection
    origins: Origins
    seed: int | None
    seed_source: str
    profile: Profile
    entropy: Entropy
    omissions: tuple[Omission, ...]


def prepare(wishes: Wishes, emit: Emit) -> Prepared:
    """Read the project and take down its state; starts nothing, changes nothing outside `.reproof/`.

    Raises:
        ProjectError: A file of the project is wrong, or its code cannot be identified.
        UsageError: What is asked for does not fit the project.
    """
    location = locate(wishes.uri, wishes.revision)
    folder, top = _find(location, emit)
    settings = read_settings(folder, top)
    mlproject = read_mlproject(folder)
    for warning in mlproject.warnings if mlproject is not None else ():
        emit(Event(kind="warning", subject="MLproject", message=warning))
    wishes = _with_settings(wishes, settings)
    project, argv = _invocation(wishes, mlproject, folder, top, emit)
    project = conceal(project, emit)
    warn_of_pointers(top, emit)
    code = capture_code(top, limit=settings.max_untracked_bytes)
    if wishes.require_clean and code.section.dirty:
        raise _dirty(code)
    own = own_folder(top)
    store = DirectoryStore(own)
    section, captured = _keep_code(top, code, store)
    seed, source = _choose_seed(wishes.seed, settings)
    profile = wishes.determinism or settings.determinism or "default"
    return Prepared(
        top=top,
        folder=folder,
        own=own,
        store=store,
        settings=settings,
        mlproject=mlproject,
        project=project,
        argv=argv,
        code=code,
        code_section=section,
        origins=Origins(
            committed=code.committed,
            captured=captured,
            tracked=tracked_artifacts(top),
            declared=_declared(project, folder, top)
            | declared_materials(settings, folder, Naming(top=str(top), home=str(Path.home()))),
            expected=stage_inputs(top),
        ),
        seed=seed,
        seed_source=source,
        profile=profile,
        entropy=_choose_entropy(wishes, settings, seed, profile),
        omissions=code.omissions,
    )


def _find(location: Location, emit: Emit) -> tuple[Path, Path]:
    """The project's folder and the top of its repository; clones what is not local."""
    if location.kind == "folder":
        assert location.folder is not None
        return location.folder, git.require_top(location.folder)
    assert location.address is not None
    address = location.address
    name = git.without_secrets(address).rstrip("/").rpartition("/")[2].removesuffix(".git") or "project"
    target = data_directory() / "projects" / f"{name}-{secrets.token_hex(4)}" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    emit(Event(kind="start", subject="clone", message=f"cloning `{git.without_secrets(address)}`"))
    clone(address, target, location.revision)
    emit(Event(kind="finish", subject="clone"))
    folder = target / location.subdirectory if location.subdirectory else target
    if not folder.is_dir():
        raise ProjectError(f"`{location.subdirectory}` is no folder of `{git.without_secrets(address)}`")
    return folder, target


def _invocation(
    wishes: Wishes, mlproject: MLProject | None, folder: Path, top: Path, emit: Emit
) -> tuple[ProjectSection, tuple[str, ...]]:
    subdirectory = "" if folder == top else folder.relative_to(top).as_posix()
    if wishes.command:
        if wishes.entry_point or wishes.parameters:
            raise UsageError("a command after `--` takes no entry point and no parameters")
        section = ProjectSection(
            name=mlproject.name if mlproject and mlproject.name else folder.name,
            subdirectory=subdirectory,
            command=shlex.join(wishes.command),
            argv=wishes.command,
            shell=False,
            experiment=wishes.experiment,
            run_name=wishes.run_name,
        )
        return section, wishes.command
    if mlproject is None and wishes.entry_point is None:
        raise ProjectError(
            f"there is no MLproject in `{folder}`, and no command to run",
            hint=_suggest_command(folder),
        )
    places = Places(folder=folder, top=top, cwd=Path.cwd(), home=Path.home())
    invocation = render(mlproject, wishes.entry_point or "main", wishes.parameters, places)
    for warning in invocation.warnings:
        emit(Event(kind="warning", subject="MLproject", message=warning))
    return _entry_point(wishes, mlproject, invocation, folder, top), ("bash", "-c", invocation.command)


def _suggest_command(folder: Path) -> str:
    """A hint for a folder without MLproject: one of its scripts, those with the usual names first."""
    scripts = sorted(path.name for path in folder.glob("*.py"))
    usual = [name for name in ("train.py", "main.py") if name in scripts]
    if not scripts:
        return "name a command after `--`, as in `reproof run -- make model`"
    return f"add `-- python {shlex.quote((usual or scripts)[0])}`"


def _entry_point(
    wishes: Wishes, mlproject: MLProject | None, invocation: Invocation, folder: Path, top: Path
) -> ProjectSection:
    naming = Naming(top=str(top), home=str(Path.home()))
    return ProjectSection(
        name=mlproject.name if mlproject and mlproject.name else folder.name,
        subdirectory="" if folder == top else folder.relative_to(top).as_posix(),
        entry_point=invocation.entry_point,
        parameters=invocation.parameters,
        command=naming.replace_in(invocation.command),
        argv=("bash", "-c", naming.replace_in(invocation.command)),
        shell=invocation.shell,
        mlproject=mlproject.text if mlproject else None,
        experiment=wishes.experiment,
        run_name=wishes.run_name,
        path_parameters=tuple(invocation.path_parameters),
    )


def _dirty(code: CapturedCode) -> ProjectError:
    changed = [
        line[6:].split(" b/")[0]
        for line in code.patch.decode("utf-8", "replace").splitlines()
        if line.startswith("diff --git a/")
    ]
    names = [*(name.split("/", 1)[-1] if name.startswith("a/") else name for name in changed), *code.loose]
    return ProjectError(
        "the work tree has uncommitted changes, and `--require-clean` refuses them",
        details=[
            ("changed", ", ".join(f"`{name}`" for name in names[:5]) + (" ..." if len(names) > 5 else ""))
        ],
        hint='run `git add -A && git commit -m "..."`',
    )


def _keep_code(
    top: Path, code: CapturedCode, store: DirectoryStore
) -> tuple[CodeSection, dict[str, Artifact]]:
    """Put patch and loose files into the store."""
    captured: dict[str, Artifact] = {}
    for loose in code.loose:
        path, name = top / loose, escape(loose)
        status = path.lstat()
        if path.is_symlink():
            captured[name] = Artifact(
                name=name, kind="symlink", origin="captured", target=str(path.readlink())
            )
            continue
        digest = store.put(path)
        captured[name] = Artifact(
            name=name,
            digests={digest.algorithm: digest.value},
            size=status.st_size,
            mode=status.st_mode & 0o7777,
            origin="captured",
            kept=True,
        )
    patch = None
    if code.patch:
        digest = store.put_bytes(code.patch)
        patch = Artifact(
            name="patch",
            digests={digest.algorithm: digest.value},
            size=len(code.patch),
            origin="captured",
            kept=True,
        )
    section = msgspec.structs.replace(code.section, patch=patch, untracked=tuple(captured.values()))
    return section, captured


def _declared(project: ProjectSection, folder: Path, top: Path) -> frozenset[str]:
    """Files that parameters of type path name, below the repository or (absolute) outside."""
    naming = Naming(top=str(top), home=str(Path.home()))
    found = set()
    for name in project.path_parameters:
        value = project.parameters[name]
        path = naming.find_file(value) if value.startswith(("/", "${")) else folder / value
        if path.is_file():
            found.add(naming.name_file(os.path.normpath(path)))
    return frozenset(found)


def declared_materials(settings: Settings, folder: Path, naming: Naming) -> frozenset[str]:
    """Names of the files that the settings call inputs, whoever opens them or does not.

    Args:
        settings: Their patterns start in `folder`, or are absolute or below ``~``; a folder stands
            for every file in it.
        folder: The project's folder.
        naming: Turns paths into names.
    """
    found: set[str] = set()
    for pattern in settings.materials:
        start = str(Path(naming.home) / pattern[2:]) if pattern.startswith("~/") else str(folder / pattern)
        for match in map(Path, glob.iglob(start, recursive=True, include_hidden=True)):  # noqa: PTH207  # may be absolute
            files = [match] if match.is_file() else filter(Path.is_file, match.rglob("*"))
            found.update(naming.name_file(os.path.normpath(path)) for path in files)
    return frozenset(found)


def declared_products(settings: Settings, subdirectory: str) -> tuple[str, ...]:
    """The settings' patterns of products as names below the top of the repository."""
    return tuple(f"{subdirectory}/{pattern}" if subdirectory else pattern for pattern in settings.products)


def _with_settings(wishes: Wishes, settings: Settings) -> Wishes:
    """The experiment of the settings, where neither the command line nor MLflow's variables name one."""
    named = (
        wishes.experiment
        or os.environ.get("MLFLOW_EXPERIMENT_NAME")
        or os.environ.get("MLFLOW_EXPERIMENT_ID")
    )
    return wishes if named else msgspec.structs.replace(wishes, experiment=settings.experiment)


def _choose_seed(wish: int | str | None, settings: Settings) -> tuple[int | None, str]:
    for value, source in ((wish, "option"), (settings.seed, "settings")):
        if value == "none":
            return None, "none"
        if value is not None:
            return int(value), source
    return secrets.randbits(_SEED_BITS), "fresh"


def _choose_entropy(wishes: Wishes, settings: Settings, seed: int | None, profile: Profile) -> Entropy:
    """What is done about draws of entropy; streams are derived from a seed, so without one there are none."""
    if wishes.entropy == "control" and seed is None:
        raise UsageError(
            "cannot control entropy without a seed: `--entropy control` derives its streams from it",
            hint="pass `--seed 42`, or `--entropy record`",
        )
    usual: Entropy = "record" if profile == "off" else "control"
    chosen: Entropy = wishes.entropy or settings.entropy or usual
    return "record" if chosen == "control" and seed is None else chosen


def environment_of(variables: Mapping[str, str], changes: Mapping[str, str]) -> dict[str, str]:
    """`variables` of a shell with `changes` on top, without what belongs to another run of reproof."""
    kept = {name: value for name, value in variables.items() if not name.startswith("REPROOF_")}
    kept.update(changes)
    return kept
