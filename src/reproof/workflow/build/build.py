"""`build`: wheel and source archive under control, proven by a second build with everything varied."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from reproof.base.files import copy_private, remove_tree, write_atomic
from reproof.base.locations import cache_directory
from reproof.base.programs import call, find
from reproof.build.causes import findings_of
from reproof.build.conditions import Conditions, available, control, varied
from reproof.build.system import read_build_system
from reproof.compare import compare
from reproof.environment import Environment
from reproof.environment.uv import run_uv
from reproof.errors import ProjectError, UsageError
from reproof.execute import bubblewrap
from reproof.model.build import BuildInfo, BuildReport, BuildTools, Cause, Grade, NotExercised, Output
from reproof.model.difference import Difference, combine
from reproof.model.event import Emit, Event, silent
from reproof.workflow.build.environment import Tools, ToolsRequest, make_tools
from reproof.workflow.build.faults import faults
from reproof.workflow.build.once import THROUGH, Built, Site, delta, failure
from reproof.workflow.build.search import Found, build_all, search
from reproof.workflow.build.source import Source, SourceRequest, clone_source

_LOCK_FILE = "constraints.txt"
_ROUNDS = 3  # a backend that asks for more each time is not asked for ever


class BuildOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to build.

    Attributes:
        folder: Folder of the project.
        outputs: Where outputs go; `dist` in the project when None.
        revision: Commit, branch or tag; None for what is checked out.
        dirty: Build what is not committed, too.
        constraints: File that locks the build requirements; None to look for one in the project.
        lock: Write `constraints.txt` with what building needs today, and use it.
        python: Version of Python.
        offline: Take packages from uv's cache alone.
        network: Leave the network to the build.
        isolation: ``auto``, ``none``, ``process`` or ``bubblewrap``.
        timeout: Seconds for one build.
    """

    folder: Path = Path()
    outputs: Path | None = None
    revision: str | None = None
    dirty: bool = False
    constraints: Path | None = None
    lock: bool = False
    python: str | None = None
    offline: bool = False
    network: bool = False
    isolation: str = "auto"
    timeout: float | None = None

    @property
    def target(self) -> Path:
        """Where outputs go."""
        return self.outputs or self.folder / "dist"


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A project that is ready to be built.

    Attributes:
        source: What is built.
        site: Where and with what.
        exercised: What can be varied here.
        not_exercised: What cannot.
        level: The isolation that builds have.
    """

    source: Source
    site: Site
    exercised: tuple[str, ...]
    not_exercised: tuple[NotExercised, ...]
    level: str


def build(options: BuildOptions, emit: Emit = silent) -> BuildReport:
    """Build wheel and source archive twice, the second time with everything varied, and compare.

    Where the bytes agree, or differ only by what the controlled build holds, both and their
    ``*.buildinfo.json`` are put into the folder of outputs.

    Raises:
        ProjectError: The project cannot be built: no or a wrong pyproject.toml, uncommitted changes,
            a backend that cannot be loaded, a build that needs the network.
        EnvironmentBuildError: What it needs cannot be installed as locked.
    """
    clock = time.monotonic()
    with workshop() as root:
        ready = prepare_build(options, root, emit, tools_of_project)
        prepared = time.monotonic()
        base = control(ready.source.epoch)
        ready, (first, second) = build_with_tools(ready, options, [base, varied(base, ready.exercised)], emit)
        if options.lock:
            write_atomic(
                options.constraints or options.folder / _LOCK_FILE, ready.site.tools.lock.text.text.encode()
            )
        pair = first, second
        built = time.monotonic()
        found = _judge(ready, pair, emit)
        report = _report(ready, pair, found, options)
        seconds = {
            "preparing": prepared - clock,
            "building": built - prepared,
            "comparing": time.monotonic() - built,
        }
        return msgspec.structs.replace(report, seconds=seconds)


@contextmanager
def workshop() -> Iterator[Path]:
    """A folder for the builds of one call, removed in the end."""
    root = cache_directory() / "builds" / secrets.token_hex(6)
    root.mkdir(parents=True)
    try:
        yield root.resolve()
    finally:
        remove_tree(root)


def prepare_build(
    options: BuildOptions, root: Path, emit: Emit, tools_from: Callable[[ToolsRequest, Emit], Tools]
) -> Prepared:
    """Clone the source, and make the environment that builds it by `tools_from`.

    Args:
        options: What is to be built.
        root: An empty folder for everything that this and the builds write.
        emit: Told of each step.
        tools_from: Makes the environment.

    Raises:
        ProjectError: The source cannot be cloned, or the isolation asked for cannot be had here.
        UsageError: The isolation is none that builds know.
    """
    emit(Event(kind="start", subject="source", message="cloning the source"))
    request = SourceRequest(
        folder=options.folder, revision=options.revision, dirty=options.dirty, outputs=options.target
    )
    source = clone_source(request, root / "pristine")
    emit(Event(kind="finish", subject="source", message=f"cloned {source.facts.commit[:12]}"))
    wanted = tools_request(options, source)
    tools = tools_from(wanted, emit)
    if options.isolation not in ("auto", "none", "process", "bubblewrap"):
        raise UsageError(
            f"builds cannot be isolated by {options.isolation}", hint="pass `--isolation bubblewrap`"
        )
    reason = "asked for" if options.isolation in ("none", "process") else bubblewrap.probe()
    if reason is not None and options.isolation == "bubblewrap":
        raise ProjectError("cannot isolate builds by bubblewrap here", details=[("reason", reason)])
    exercised, missing = available(sandboxed=reason is None)
    site = Site(
        root=root,
        pristine=source.pristine,
        subdirectory=source.facts.subdirectory,
        system=wanted.system,
        tools=tools,
        sandboxed=reason is None,
        network=options.network,
        timeout=options.timeout,
    )
    level = "bubblewrap" if reason is None else "process"
    return Prepared(source=source, site=site, exercised=exercised, not_exercised=missing, level=level)


def tools_request(options: BuildOptions, source: Source) -> ToolsRequest:
    """What is asked for in the way of tools."""
    return ToolsRequest(
        system=read_build_system(source.project),
        folder=source.project,
        constraints=options.constraints,
        python=options.python,
        offline=options.offline,
        unlocked=options.lock,
    )


def tools_of_project(request: ToolsRequest, emit: Emit) -> Tools:
    """What pyproject.toml asks for."""
    return make_tools(request, (), emit)


def build_with_tools(
    ready: Prepared, options: BuildOptions, wanted: Sequence[Conditions], emit: Emit
) -> tuple[Prepared, list[Built]]:
    """A build for each of `wanted`; made again where the backend asks for more than pyproject.toml says.

    Raises:
        ProjectError: The first of them, the controlled one, failed.
    """
    name = ready.site.system.backend
    emit(Event(kind="start", subject="build", message=f"building with `{name}`"))
    dynamic: list[str] = []
    for _ in range(_ROUNDS):
        made = build_all(ready.site, wanted)
        if made[0].problem != "requires":
            break
        dynamic += made[0].requires
        tools = make_tools(tools_request(options, ready.source), dynamic, emit)
        ready = msgspec.structs.replace(ready, site=msgspec.structs.replace(ready.site, tools=tools))
    if made[0].problem:
        raise failure(ready.site, made[0])
    emit(Event(kind="finish", subject="build", message=f"built with `{name}`"))
    return ready, made


def _judge(ready: Prepared, pair: tuple[Built, Built], emit: Emit) -> Found:
    if not delta(*pair):
        return Found(grade="identical", causes=(), builds=2)
    return search(ready.site, pair, ready.exercised, emit)


def _report(ready: Prepared, pair: tuple[Built, Built], found: Found, options: BuildOptions) -> BuildReport:
    first, _ = pair
    info = describe(ready, first, found.grade, found.causes)
    difference = None
    folder = document = ""
    if found.grade == "different":
        difference = difference_of(pair)
    else:
        folder, document = _put(first, info, options.target)
    return BuildReport(
        project=ready.site.system.name or info.outputs[0].name.split("-")[0],
        info=info,
        folder=folder,
        document=document,
        causes=found.causes,
        findings=(*faults(ready.source, ready.site, first), *findings_of(first.files["wheel"])),
        difference=difference,
        builds=found.builds,
    )


def difference_of(pair: tuple[Built, Built]) -> Difference:
    """How the archives of two builds differ, through the comparators; a failed build has none."""
    first, second = pair
    if second.problem:
        words = second.words.strip().splitlines()[-1:] or ["no message"]
        return combine(
            "build",
            [],
            kind="build",
            summary=f"the second build failed: {words[0]}",
            evidence={"failed": True},
        )
    parts = [compare(path, second.files[kind], subject=path.name) for kind, path in first.files.items()]
    return combine("builds", parts, kind="build")


def describe(ready: Prepared, built: Built, grade: Grade, causes: tuple[Cause, ...] = ()) -> BuildInfo:
    """The document for what was built.

    Args:
        ready: From what, with what.
        built: The archives, and under which conditions they were made.
        grade: How a second build compares.
        causes: Why it differs, where it does.
    """
    site = ready.site
    conditions = list(ready.source.conditions)
    conditions += site.tools.environment.conditions
    if not site.system.tested:
        conditions.append(f"the backend `{site.system.backend}` is not among those that are tested")
    if site.network:
        conditions.append("the build had the network: what it fetched is locked by nothing")
    elif not site.sandboxed:
        conditions.append("nothing kept the build from the network and from files outside of its folder")
    if site.tools.lock.source is None:
        conditions.append("no committed file locks the build requirements: they are those of today")
    return BuildInfo(
        source=ready.source.facts,
        tools=tools_of(site.system.backend, site.tools, built),
        source_date_epoch=built.conditions.epoch,
        outputs=outputs_of(built),
        grade=grade,
        exercised=ready.exercised,
        not_exercised=ready.not_exercised,
        causes=causes,
        conditions=tuple(conditions),
    )


def outputs_of(built: Built) -> tuple[Output, ...]:
    """Name, size and digest of each archive."""
    return tuple(
        Output(
            name=path.name,
            kind="wheel" if kind == "wheel" else "sdist",
            size=path.stat().st_size,
            sha256=built.listings[kind].digest,
            adjusted=built.adjusted.get(kind, ()),
        )
        for kind, path in sorted(built.files.items())
        if kind != THROUGH
    )


def tools_of(backend: str, tools: Tools, built: Built) -> BuildTools:
    """What built it; of the compiler only where something was compiled."""
    environment = tools.environment
    base = environment.base.build
    programs = {"zlib": _zlib(environment), "uv": _version(run_uv("--version", cwd=Path("/")).text)}
    if any(part.head.startswith(b"\x7fELF") for part in built.listings["wheel"].parts.values()):
        compiler = find("cc")
        if compiler is not None:
            programs["cc"] = call([compiler, "--version"]).text.partition("\n")[0]
    return BuildTools(
        backend=backend,
        requirements=tools.lock.text.text,
        locked_by=tools.lock.source,
        python=environment.base.version,
        python_build=f"{base.build} ({base.compiler})",
        platform=base.platform,
        programs=programs,
    )


def _zlib(environment: Environment) -> str:
    """Version of the library that compresses: another one may write other bytes."""
    words = "import zlib; print(zlib.ZLIB_RUNTIME_VERSION)"
    return call([environment.python, "-I", "-S", "-c", words]).text.strip()


def _version(text: str) -> str:
    match = re.search(r"\d+(\.\d+)+\S*", text)
    return match[0] if match else text.strip()


def _put(built: Built, info: BuildInfo, target: Path) -> tuple[str, str]:
    """Put the archives and the document into the folder of outputs."""
    target.mkdir(parents=True, exist_ok=True)
    for path in built.files.values():
        place = target / path.name
        place.unlink(missing_ok=True)
        copy_private(path, place, mode=0o644)
    stem = "-".join(built.files["wheel"].name.split("-")[:2])
    document = target / f"{stem}.buildinfo.json"
    write_atomic(document, encode_info(info))
    return str(target), document.name


def encode_info(info: BuildInfo) -> bytes:
    """The document's exact bytes: indented JSON with a final newline."""
    return msgspec.json.format(msgspec.json.encode(info), indent=1) + b"\n"
