"""Carrying out a recipe and gathering all that can be seen of it, in a project or in a clean room."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from pathlib import Path

import msgspec

from reproof.base.digesting import digest_files
from reproof.base.naming import Naming
from reproof.capture import caches, native, observations
from reproof.capture.entropy import draws
from reproof.capture.first_reads import FirstRead, FirstReads
from reproof.capture.observations import Observations
from reproof.capture.readings import readings
from reproof.capture.tree import EXCLUDED, Tree, scan
from reproof.capture.watch import Watch as NativeWatch
from reproof.execute.protocol import Execution, Interrupted, Runner, Stopper, Watch
from reproof.model.artifact import Artifact
from reproof.model.event import Emit, Event
from reproof.model.randomness import Entropy, RandomnessSection
from reproof.model.recipe import Recipe
from reproof.model.record import Byproducts, NativeLibrary, Omission
from reproof.model.tracked import TrackedSection
from reproof.store.directory import DirectoryStore
from reproof.store.manifest import Digesting
from reproof.workflow.byproducts import describe_byproducts, left_in_home
from reproof.workflow.confinement import Isolating
from reproof.workflow.earlier_runs import artifacts_read, with_known_content
from reproof.workflow.lending import Lent, binds
from reproof.workflow.logged import Logged, gather_logged
from reproof.workflow.mapping import here
from reproof.workflow.materials import (
    SYSTEM,
    Origins,
    Reads,
    asked_at_first_open,
    digest_before,
    gather_materials,
)
from reproof.workflow.objects_read import object_materials
from reproof.workflow.products import Keeping, gather_products
from reproof.workflow.tracked_reads import TrackedReads, gather_reads
from reproof.workflow.tracking_files import find_tracking_files
from reproof.workflow.web_reads import web_materials


class Attention(msgspec.Struct, frozen=True, kw_only=True):
    """How the command is watched.

    Attributes:
        echo: Pass its output through as it comes.
        terminal: Give it a terminal of its own (ours is one).
        timeout: Seconds after which it is ended; None for never.
        sweep: End what it left behind in the background.
        stopper: Ends it from another thread.
    """

    echo: bool = False
    terminal: bool = False
    timeout: float | None = None
    sweep: bool = False
    stopper: Stopper | None = None


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides how a recipe is carried out and what is kept of it.

    Attributes:
        recipe: What is run; our own variables are added here.
        naming: The folders that names are relative to.
        scratch: An empty folder for observations, logs and logged files.
        store: Receives content.
        runner: How it is run.
        isolating: What keeps it apart, not yet applied: :func:`reproof.workflow.isolated.isolated` does.
        home: Its private HOME; None where it has the user's own.
        attention: How it is watched.
        origins: Where inputs are known to come from.
        seed: What is applied; None for nothing.
        profile: Name of the determinism profile, for what is decided within the program.
        profile_variables: What the profile sets in the environment.
        entropy: What is done about draws of entropy.
        tracking: Variables for MLflow in the child.
        tracking_files: Names of what belongs to the tracking store.
        max_kept_bytes: Bytes of products that are kept.
        declared_products: Patterns from the settings.
        environment: Prefixes whose files are packages, not inputs.
        ignored: Further folders whose files are not inputs.
        guarded: Folders that the run must not write, wherever they are.
        digesting: Where digests of inputs come from; reads them by default.
        reads_first: Read inputs that nobody declared when they are first opened.
        title: What the work is called while it goes on.
        mapped: Folders of the container that it runs in, and where they are on this machine; everything
            else there belongs to the image. None where it sees this machine's own files.
        lent: Inputs that the run sees in its tree and that lie elsewhere, with what they hold.
        libraries: Describes the shared libraries that it loaded, where they are not this machine's.
    """

    recipe: Recipe
    naming: Naming
    scratch: Path
    store: DirectoryStore
    runner: Runner
    isolating: Isolating | None = None
    home: Path | None = None
    attention: Attention = Attention()
    origins: Origins = Origins()
    seed: int | None = None
    profile: str = "off"
    profile_variables: dict[str, str] = {}
    entropy: Entropy = "record"
    tracking: dict[str, str] = {}
    tracking_files: tuple[str, ...] = ()
    max_kept_bytes: int = 1 << 30
    declared_products: tuple[str, ...] = ()
    environment: tuple[Path, ...] = ()
    ignored: tuple[Path, ...] = ()
    guarded: tuple[Path, ...] = ()
    digesting: Digesting = digest_files
    reads_first: bool = True
    title: str = "running the command"
    mapped: tuple[tuple[str, str], ...] | None = None
    lent: tuple[Lent, ...] = ()
    libraries: Callable[[Iterable[str]], tuple[NativeLibrary, ...]] | None = None


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen, in the terms of a record."""

    execution: Execution
    interrupted: bool
    materials: tuple[Artifact, ...]
    products: tuple[Artifact, ...]
    logged: Logged
    native: tuple[NativeLibrary, ...]
    byproducts: Byproducts
    randomness: RandomnessSection
    variables: dict[str, str]
    redirected: tuple[str, ...]
    omissions: tuple[Omission, ...]
    tracked: TrackedSection | None = None


class _Seen(msgspec.Struct, frozen=True):
    """The raw material: trees before and after, lines of the child, files seen to be opened."""

    before: Tree
    after: Tree
    lines: Observations
    opened: frozenset[str]
    cached: frozenset[str]
    written_first: frozenset[str]
    omissions: tuple[Omission, ...]
    started: float
    inputs: dict[str, dict[str, str]]
    first: dict[str, FirstRead]


def observe(setup: Setup, emit: Emit) -> Evidence:
    """Run the recipe of `setup` to its end and gather the evidence.

    Ctrl-C ends the child, not the gathering: the evidence then says `interrupted`.

    Raises:
        ExecutionError: The command could not be started or watched.
    """
    for name in ("artifacts", "logs"):
        (setup.scratch / name).mkdir(parents=True)
    top = Path(setup.naming.top)
    inputs = digest_before(setup.origins, setup.naming, setup.digesting)
    inputs |= {each.name: each.digests for each in setup.lent}
    before = scan(top)
    started = time.time()
    with ExitStack() as further:
        first = further.enter_context(_first_reads(setup, inputs))
        elsewhere = {str(target.relative_to(top)): place for place, target in binds(setup.lent)}
        watch = further.enter_context(NativeWatch(top, tree=before, first=first, elsewhere=elsewhere))
        cached = [further.enter_context(each) for each in _watched_caches(setup)]
        emit(Event(kind="start", subject="command", message=setup.title))
        execution, interrupted = _run(setup)
        emit(Event(kind="finish", subject="command", message=setup.title))
    seen = _Seen(
        before,
        scan(top),
        observations.read(setup.scratch / "observations.jsonl"),
        frozenset(watch.opened_paths),
        frozenset(path for each in cached for path in each.opened_paths),
        frozenset(watch.written_first),
        (*watch.omissions, *before.omissions),
        started,
        inputs,
        first.found if first is not None else {},
    )
    emit(Event(kind="start", subject="evidence", message="gathering what was read and written"))
    evidence = _gather(setup, seen, execution, interrupted=interrupted)
    emit(Event(kind="finish", subject="evidence"))
    return evidence


def _watched_caches(setup: Setup) -> Iterator[NativeWatch]:
    """Caches of models outside the project: libraries in C++ and Rust read them past Python."""
    if setup.mapped is None:
        top = Path(setup.naming.top)
        for place in caches.places(setup.recipe.env, Path(setup.naming.home)):
            if not place.is_relative_to(top):
                yield NativeWatch(place, (*EXCLUDED, *caches.UNWATCHED))


def _first_reads(setup: Setup, known: dict[str, dict[str, str]]) -> AbstractContextManager[FirstReads | None]:
    """What reads inputs at their first open; nothing where every input was laid out and digested by us."""
    if not setup.reads_first:
        return nullcontext()
    wanted = asked_at_first_open(setup.origins, setup.naming, _not_inputs(setup, setup.tracking_files), known)
    told = setup.scratch / "observations.jsonl" if setup.mapped is None else None
    return FirstReads(wanted, told, Path(setup.naming.top))


def _not_inputs(setup: Setup, tracking_files: Iterable[str]) -> tuple[str, ...]:
    """Absolute folders and files that are not inputs, whoever reads them."""
    naming = setup.naming
    return (
        str(setup.scratch),
        *(str(folder) for folder in (*setup.environment, *setup.ignored, *_own_code(naming.top))),
        *(str(naming.find_file(name)) for name in tracking_files),
    )


def _run(setup: Setup) -> tuple[Execution, bool]:
    attention = setup.attention
    watch = Watch(
        stdout=setup.scratch / "logs/stdout",
        stderr=setup.scratch / "logs/stderr",
        echo=attention.echo,
        terminal=attention.terminal,
        timeout=attention.timeout,
        end_left_behind=attention.sweep,
        stopper=attention.stopper,
    )
    try:
        return setup.runner.run(setup.recipe.with_env(_variables(setup)), watch), False
    except Interrupted as interruption:
        return interruption.execution, True


def _variables(setup: Setup) -> dict[str, str | None]:
    ours: dict[str, str | None] = {
        "REPROOF_OBSERVATIONS": str(setup.scratch / "observations.jsonl"),
        "REPROOF_ARTIFACTS": str(setup.scratch / "artifacts"),
        "REPROOF_PROJECT": setup.naming.top,
        "REPROOF_ARTIFACT_LIMIT": str(setup.max_kept_bytes),
        "REPROOF_MLFLOW": "1",
        **setup.tracking,
        **_result_variables(setup),
        "REPROOF_DETERMINISM": setup.profile,
        "REPROOF_ENTROPY": setup.entropy,
        "REPROOF_SET": " ".join(setup.profile_variables),
    }
    if setup.seed is not None:
        ours["REPROOF_SEED"] = str(setup.seed)
    return ours


def _result_variables(setup: Setup) -> dict[str, str]:
    """What reproof sets and results may depend on. The hash seed has 32 bits, and must be set before a start."""
    seed = {} if setup.seed is None else {"PYTHONHASHSEED": str(setup.seed % 2**32)}
    # A re-run that varies one of the profile's variables has said so in its recipe.
    profile = {name: setup.recipe.env.get(name, value) for name, value in setup.profile_variables.items()}
    return {**profile, **seed}


def _gather(setup: Setup, seen: _Seen, execution: Execution, *, interrupted: bool) -> Evidence:
    """Bring all that was seen into the sections of a record."""
    naming = setup.naming
    logged = gather_logged(seen.lines.lines, setup.scratch / "artifacts", setup.store, naming)
    tracked = gather_reads(seen.lines, logged.ids, setup.scratch / "artifacts", setup.store, naming)
    tracking_files = (*setup.tracking_files, *find_tracking_files(seen.lines, naming, Path(setup.recipe.cwd)))
    keeping = Keeping(
        store=setup.store,
        limit=setup.max_kept_bytes,
        declared=setup.declared_products,
        leave_out=tracking_files,
    )
    products = gather_products(Path(naming.top), seen.before, seen.after, keeping)
    reads = _reads(setup, seen, tracked, tracking_files)
    names = {artifact.name for artifact in products.artifacts}
    materials, unclear = gather_materials(reads, setup.origins, naming, names)
    web, changed = web_materials(seen.lines, setup.tracking.values())
    objects, moved = object_materials(seen.lines)
    stores = [str(naming.find_file(name)) for name in tracking_files]
    read = reads.reported - here(setup.mapped, tracked.places)
    earlier = with_known_content(artifacts_read(read, stores, naming, seen.started), tracked.materials)
    loaded = observations.native_libraries(seen.lines)
    describe = setup.libraries or partial(native.describe, env_prefix=Path(naming.environment or "/nowhere"))
    return Evidence(
        execution=execution,
        interrupted=interrupted,
        materials=(*materials, *earlier, *tracked.materials, *web, *objects),
        products=tuple(sorted((*products.artifacts, *logged.artifacts), key=lambda artifact: artifact.name)),
        logged=logged,
        native=native.with_pools(
            describe(loaded), observations.pools(seen.lines), Path(naming.environment or "/nowhere")
        ),
        byproducts=describe_byproducts(naming, setup.scratch, setup.store, seen.lines, execution),
        randomness=_randomness(setup, seen.lines),
        variables={
            name: naming.replace_in(value)
            for name, value in {**setup.recipe.env, **_result_variables(setup)}.items()
        },
        redirected=observations.redirected(seen.lines),
        omissions=(
            *observations.omissions(seen.lines),
            *seen.omissions,
            *products.omissions,
            *_written_outside(setup, seen, tracking_files),
            *left_in_home(setup.home),
            *unclear,
            *changed,
            *moved,
            *logged.omissions,
            *tracked.omissions,
        ),
        tracked=tracked.section,
    )


def _reads(setup: Setup, seen: _Seen, tracked: TrackedReads, tracking_files: tuple[str, ...]) -> Reads:
    """Which files were opened, and what is known of them."""
    # inotify sees an open, not what for: what Python says it opened to write was not read by others
    written = here(setup.mapped, observations.opened_for_writing(seen.lines))
    reported = here(setup.mapped, observations.opened_for_reading(seen.lines))
    return Reads(
        reported=reported,
        cached=frozenset(caches.belonging(reported, {*seen.cached, *seen.opened} - written)),
        seen=seen.opened - written,
        ignored=(*_not_inputs(setup, tracking_files), *here(setup.mapped, tracked.places)),
        there=seen.before.entries,
        started=seen.started,
        written=written,
        written_first=seen.written_first | observations.written_before_read(seen.lines),
        before=seen.inputs,
        first=seen.first,
        digesting=setup.digesting,
        home=setup.naming.home,
    )


def _own_code(top: str) -> Iterator[Path]:
    """Where reproof itself lies, which MLflow imports as a plug-in; unless it is the project."""
    folder = Path(__file__).parents[1]
    if not folder.is_relative_to(top):
        yield folder


def _written_outside(setup: Setup, seen: _Seen, tracking_files: tuple[str, ...]) -> Iterator[Omission]:
    """Files that the run left outside the project: they may be results, and nobody compares them."""
    naming = setup.naming
    ours = (
        *(str(folder) for folder in (*setup.environment, *setup.ignored, setup.scratch)),
        *(str(naming.find_file(name)) for name in tracking_files),
    )
    for path in sorted(here(setup.mapped, observations.opened_for_writing(seen.lines))):
        name = naming.name_file(path)
        guarded = any(path.startswith(f"{folder}/") for folder in setup.guarded)
        outside = name.startswith(("/", "${HOME}/")) and not name.startswith((*SYSTEM, "/tmp/", "${HOME}/."))  # noqa: S108  # named, not used
        if not (outside or guarded) or any(
            path.startswith(folder + "/") or path == folder for folder in ours
        ):
            continue
        try:
            status = os.stat(path)  # noqa: PTH116  # a str may hold bytes that are no UTF-8
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode) and status.st_mtime >= seen.started:
            reason = "written outside the project: products are looked for below the project only"
            yield Omission(subject=name, reason=reason, hides_results=True)


def _randomness(setup: Setup, lines: Observations) -> RandomnessSection:
    applied, seeded = observations.randomness(lines)
    return RandomnessSection(
        seed=setup.seed,
        profile=setup.profile,
        variables=setup.profile_variables,
        applied=applied,
        seeded=seeded,
        unseeded=draws(lines),
        entropy=setup.entropy,
        readings=readings(lines),
    )
