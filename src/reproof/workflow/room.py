"""The clean room: a fresh place in which a run is re-created from its record, and nothing else."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import msgspec

from reproof.base.cloning import Checkout, apply_patch, clone_at
from reproof.base.files import remove_tree
from reproof.base.locations import cache_directory
from reproof.base.naming import Naming
from reproof.capture import hardware, variables
from reproof.errors import InternalError
from reproof.execute.process import ProcessRunner
from reproof.execute.protocol import Confinement
from reproof.execute.select import Choice, Isolation
from reproof.model.artifact import Artifact
from reproof.model.event import Emit, Event
from reproof.model.parcel import Parcel
from reproof.model.recipe import Recipe
from reproof.model.record import Record, Tool
from reproof.project.settings import Settings, read_settings
from reproof.store.directory import DirectoryStore
from reproof.workflow.code_parts import require_submodules
from reproof.workflow.confinement import PATIENCE, Site, choose_isolation, confine
from reproof.workflow.earlier_runs import Shelf, require_kept
from reproof.workflow.imaged import contain, provide_image_again, sealed_container
from reproof.workflow.leftovers import occupied
from reproof.workflow.lending import binds, can_lend, digesting
from reproof.workflow.objects_read import pins, with_doubts
from reproof.workflow.observe import Attention, Evidence, Setup, observe
from reproof.workflow.pipeline.places import remove_outs
from reproof.workflow.prepare import declared_materials, declared_products
from reproof.workflow.provision import Original, Provision, provide_again
from reproof.workflow.reach import require_interpreter
from reproof.workflow.replaying import Replay, origins_again, replay, with_leaks
from reproof.workflow.restore import Restored, Sources, restore_materials
from reproof.workflow.room_store import lay_out_store, store_folder
from reproof.workflow.run import complete, now

#: ``own``: made by this user on this host; ``given``: they said that they trust it; ``none``.
Trust = Literal["own", "given", "none"]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a room is made from and how it is used.

    Attributes:
        record: The record to re-create.
        source: Top of the repository that has the commit.
        store: Content of the record.
        settings: `[tool.reproof]` of the recorded project.
        isolation: How the re-run is kept apart.
        timeout: Seconds for one re-run.
        offline: Take packages from the cache alone.
        stores: Further folders to look for content in.
        cached: Take the environment that is cached for the lock, checked as `run` does, instead of one of
            the room's own: enough for what is not to prove that the run can be re-created.
        rooms: Folder that the room is made in.
        trust: Whether the record's code is a stranger's.
        allow_python: Versions of Python, ``3.11.*``, that may stand in for the recorded one.
        wheels: A folder of wheels; packages come from there alone.
        lend: Large inputs that no version names may be shown from their original place: in the first re-run,
            which is then not to be repeated, and not in a room that is kept.
        served: The recorded run logged to a server, which names runs itself; a local store has the process do it.
        parcel: Where everything is once the plan has travelled: `source`, `store` and `stores` are places of the
            machine that it comes from then; see :func:`reproof.workflow.parcel.settle`.
    """

    record: Record
    source: Path
    store: DirectoryStore
    settings: Settings
    isolation: Isolation = "auto"
    timeout: float | None = None
    offline: bool = False
    stores: tuple[str, ...] = ()
    cached: bool = False
    rooms: Path | None = None
    trust: Trust = "own"
    allow_python: str | None = None
    wheels: Path | None = None
    lend: bool = False
    served: bool = False
    parcel: Parcel | None = None


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """A furnished room.

    Attributes:
        folder: Everything of the room is below it, but for its TMPDIR.
        temporary: TMPDIR of the re-runs: in the system's own, because its path must be short. The address of a
            Unix socket has at most 107 bytes, and a program whose sockets have none left waits for ever.
        plan: What it was made from.
        provision: Its environment.
        choice: Its isolation, as it could be had.
        restored: Where its materials came from.
        shelf: What the MLflow store of a re-run starts from.
    """

    folder: Path
    temporary: Path
    plan: Plan
    provision: Provision
    choice: Choice
    restored: Restored
    shelf: Shelf = Shelf()

    @property
    def store(self) -> DirectoryStore:
        """Content of the re-runs."""
        return DirectoryStore(self.folder / "store")

    @property
    def top(self) -> Path:
        """Top of the room's clone."""
        return _top(self.plan, self.folder)

    @property
    def project(self) -> Path:
        """The project's folder in it."""
        return _project(self.plan, self.folder)


@contextmanager
def clean_room(plan: Plan, *, keep: bool, emit: Emit) -> Iterator[Room]:
    """Make a room, and remove it afterwards unless it is to be kept.

    Raises:
        MaterialError: An input is missing or not what was recorded.
        EnvironmentBuildError: The environment cannot be made.
        ProjectError: The repository does not have the commit.
        ExecutionError: The isolation that was asked for cannot be had.
    """
    require_kept(plan.record, plan.store)
    folder = (plan.rooms or cache_directory() / "rooms") / secrets.token_hex(6)
    with occupied(folder, keep=keep) as temporary:
        yield _furnish(plan, folder, temporary, emit)


def _furnish(plan: Plan, folder: Path, temporary: Path, emit: Emit) -> Room:
    """Fill an empty folder: tree, environment, and the isolation last, which has to show the environment."""
    for name in ("home", "mlflow", "store"):
        (folder / name).mkdir()
    restored = lay_out(plan, folder, emit)
    # What the recorded project said of itself, not what the user's work tree says today.
    plan = msgspec.structs.replace(plan, settings=read_settings(_project(plan, folder), _top(plan, folder)))
    emit(Event(kind="start", subject="environment", message="making the environment from the lock"))
    provide = provide_image_again if plan.record.environment.kind == "docker" else provide_again
    provision = provide(
        Original(
            section=plan.record.environment,
            store=plan.store,
            naming=Naming(top=str(plan.source), home=str(Path.home())),
            folder=_project(plan, folder),
            top=_top(plan, folder),
            target=None if plan.cached else folder / "environment",
            offline=plan.offline,
            groups=plan.settings.environment.groups,
            extras=plan.settings.environment.extras,
            trusted=plan.trust != "none",
            allow_python=plan.allow_python,
            wheels=plan.wheels,
        ),
        emit,
    )
    emit(Event(kind="finish", subject="environment"))
    room = Room(
        folder=folder,
        temporary=temporary,
        plan=plan,
        provision=provision,
        choice=Choice(runner=ProcessRunner(), level="process"),
        restored=restored,
    )
    confinement, choice = _confined(room), _choose(room)
    if provision.contained is None:
        require_interpreter(choice, confinement, provision.environment)
    return msgspec.structs.replace(room, choice=choice)


def _choose(room: Room, scratch: Path | None = None) -> Choice:
    """The isolation of one re-run; without a `scratch`, whether it can be had."""
    contained, plan = room.provision.contained, room.plan
    container = sealed_container(contained) if contained is not None else None
    return choose_isolation(plan.isolation, _confined(room, scratch), container, trusted=plan.trust != "none")


def _confined(room: Room, scratch: Path | None = None) -> Confinement:
    """What one re-run may touch."""
    folder, plan = room.folder, room.plan
    own = [room.top, folder / "home", room.temporary]
    own += [scratch, store_folder(folder)] if scratch is not None else []
    environment = room.provision.environment.folder
    inner = environment.is_relative_to(folder) and room.provision.contained is None
    prefixes = [path for path in room.provision.prefixes if not path.is_relative_to(folder)]
    site = Site(
        writable=tuple(path for path in own if path.exists()),
        sealed=(scratch / "logs",) if scratch is not None else (),
        shown=(*prefixes, *room.restored.in_place),
        lent=binds(room.restored.lent),
        environment=(environment,) if inner else (),
        network=plan.settings.network,
        trusted=plan.trust != "none",
    )
    return confine(site)


def lay_out(plan: Plan, folder: Path, emit: Emit) -> Restored:
    """Put code and materials into the room, in place of whatever an earlier re-run left there."""
    top = _top(plan, folder)
    remove_tree(top)
    emit(Event(kind="start", subject="code", message=f"cloning commit {plan.record.code.commit[:12]}"))
    code = plan.record.code
    checkout = Checkout(settings=code.checkout, submodules=code.submodules, branch=code.branch)
    require_submodules(clone_at(plan.source, top, code.commit, checkout), code, plan.source)
    if code.patch is not None:
        apply_patch(top, _content(plan.store, code.patch))
    emit(Event(kind="finish", subject="code"))
    sources = Sources(
        store=plan.store,
        top=plan.source,
        home=Path.home(),
        stores=plan.stores,
        offline=plan.offline,
        lend=plan.lend and plan.trust != "none" and can_lend(plan.record, plan.isolation),
    )
    restored = restore_materials(plan.record, sources, _naming(plan, folder, None, None), emit)
    if plan.record.stage is not None:
        remove_outs(top, plan.record.stage.removed)
    return restored


def refresh(room: Room, emit: Emit) -> Room:
    """Put everything of a room in its place anew, after a re-run: code, materials, HOME and TMPDIR.

    Nothing is lent any more: what this one reads is its own, whatever it does to it.
    """
    for place in (room.folder / "home", room.temporary):
        _empty(place)
    plan = msgspec.structs.replace(room.plan, lend=False)
    return msgspec.structs.replace(room, plan=plan, restored=lay_out(plan, room.folder, emit))


def rerun(
    room: Room,
    number: int,
    emit: Emit,
    *,
    laid_out: bool = False,
    alter: Callable[[Recipe], Recipe] | None = None,
) -> tuple[Record, Evidence]:
    """Carry out the recorded recipe in the room; the re-run gets a record of its own.

    Args:
        room: The room; from the second re-run on it is laid out anew first.
        number: 1 for the first.
        emit: Told about the work.
        laid_out: Everything is in its place already: of a pipeline, one stage after the other.
        alter: Makes another recipe of the recorded one.

    Raises:
        KeyboardInterrupt: Ctrl-C.
    """
    plan, folder = room.plan, room.folder
    if number > 1 and not laid_out:
        room = refresh(room, emit)
    scratch = folder / f"run-{number}"
    scratch.mkdir()
    record = plan.record
    tracking = lay_out_store(room, emit)  # which makes a folder that it may write
    setup = _setup(room, scratch, {**tracking, **pins(record, scratch)})
    if alter is not None:
        setup = msgspec.structs.replace(setup, recipe=alter(setup.recipe))
    evidence = observe(setup, emit)
    if evidence.interrupted:
        raise KeyboardInterrupt
    if evidence.execution.exceeded:
        message = f"the re-run was ended: {evidence.execution.exceeded}"
        emit(Event(kind="warning", subject="limits", message=message))
    done = complete(_draft(room), evidence, tuple(record.environment.variables))
    return with_doubts(with_leaks(done, plan.source), record), evidence


def _setup(room: Room, scratch: Path, tracking: dict[str, str]) -> Setup:
    """How the recorded recipe is carried out in the room."""
    plan, folder, record = room.plan, room.folder, room.plan.record
    naming = _naming(plan, folder, room.provision, scratch)
    recipe = _recipe(room, naming)
    patience = PATIENCE if plan.timeout is None and plan.trust == "none" else plan.timeout
    setup = Setup(
        recipe=recipe,
        naming=naming,
        scratch=scratch,
        store=room.store,
        runner=_choose(room, scratch).runner,
        attention=Attention(timeout=patience, sweep=True),
        origins=origins_again(record, declared_materials(plan.settings, _project(plan, folder), naming)),
        seed=record.randomness.seed,
        profile=record.randomness.profile,
        # Those that the room lets in at all: a record may be a stranger's.
        profile_variables={
            name: recipe.env[name] for name in record.randomness.variables if name in recipe.env
        },
        entropy=record.randomness.entropy,
        tracking=tracking,
        max_kept_bytes=plan.settings.max_kept_bytes,
        declared_products=(
            *declared_products(plan.settings, record.project.subdirectory),
            *(record.stage.patterns if record.stage is not None else ()),
        ),
        environment=room.provision.prefixes,
        lent=room.restored.lent,
        digesting=digesting(room.restored.lent),
        ignored=(folder / "mlflow", room.temporary),
        guarded=(plan.source,),
        reads_first=False,  # all were put in their places by us, and are digested again at the end
        title="re-running the recorded command",
    )
    contained = room.provision.contained
    if contained is None:
        return setup
    return contain(setup, contained, (store_folder(folder), folder / "home"))


def _empty(folder: Path) -> None:
    """Leave a folder with nothing in it; links are removed, not followed."""
    for path in folder.iterdir():
        remove_tree(path)


def _recipe(room: Room, naming: Naming) -> Recipe:
    plan = room.plan
    return replay(
        plan.record,
        Replay(
            naming=naming,
            provision=room.provision,
            home=room.folder / "home",
            temporary=room.temporary,
            project=room.project,
            trusted=plan.trust != "none",
            network=plan.settings.network,
            passed=plan.settings.pass_env,
        ),
    )


def _draft(room: Room) -> Record:
    machine, omissions = hardware.capture()
    recorded = room.plan.record
    return msgspec.structs.replace(
        recorded,
        tool=Tool(version=version("reproof")),
        created=now(),
        nonce=secrets.token_hex(16),
        environment=msgspec.structs.replace(
            room.provision.section, umask=recorded.environment.umask or variables.umask()
        ),
        hardware=machine,
        omissions=omissions,
    )


def _top(plan: Plan, folder: Path) -> Path:
    """The clone has the name of the original's folder: some programs read it."""
    return folder / "work" / plan.source.name


def _project(plan: Plan, folder: Path) -> Path:
    return _top(plan, folder) / plan.record.project.subdirectory


def _naming(plan: Plan, folder: Path, provision: Provision | None, scratch: Path | None) -> Naming:
    return Naming(
        top=str(_top(plan, folder)),
        home=str(folder / "home"),
        environment=str(provision.environment.folder)
        if provision is not None and provision.contained is None
        else None,
        scratch=str(scratch) if scratch is not None else None,
    )


def _content(store: DirectoryStore, artifact: Artifact) -> bytes:
    if artifact.digest is None:
        raise InternalError(f"the recorded `{artifact.name}` has no digest")
    return store.get_bytes(artifact.digest)
