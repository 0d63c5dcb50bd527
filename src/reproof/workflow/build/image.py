"""`build --image`: a container image built twice, compared by its id and its uncompressed layers."""

from __future__ import annotations

import re
import time
from pathlib import Path

import msgspec

from reproof.base.files import copy_private, write_atomic
from reproof.build.causes import cause
from reproof.build.conditions import control, other_locale, varied
from reproof.build.images import (
    BuiltImage,
    Engine,
    ImageRequest,
    choose_engine,
    config_file,
    digest_of,
    layer_files,
)
from reproof.build.trees import copy_tree, settle
from reproof.compare import compare
from reproof.environment import LockSource, make_lock
from reproof.environment.requirements import read_lines
from reproof.errors import ProjectError
from reproof.model.build import BuildInfo, BuildReport, BuildTools, Cause, Grade, NotExercised, Output
from reproof.model.difference import Difference, Outcome, combine
from reproof.model.event import Emit, Event, silent
from reproof.workflow.build.build import (
    BuildOptions,
    build_with_tools,
    encode_info,
    prepare_build,
    tools_of_project,
    workshop,
)
from reproof.workflow.build.check import read_info
from reproof.workflow.build.environment import choose_python
from reproof.workflow.build.source import Source, SourceRequest, clone_source

_FROM = re.compile(r"(?im)^\s*FROM\s+(?:--\S+\s+)*(?P<name>\S+)(?:\s+AS\s+(?P<stage>\S+))?")
_EXERCISED = ("path", "modification times", "time zone", "locale", "umask")
_NOT_EXERCISED = (
    NotExercised("clock", "instructions see the clock of this machine; it went on between the builds"),
    NotExercised("user", "the program that builds images gives instructions their user"),
    NotExercised("CPU count", "it is that of this machine"),
)
#: Written where a project has no Dockerfile of its own.
_GENERATED = """\
FROM {base}
ARG SOURCE_DATE_EPOCH
COPY requirements.txt {wheel} /tmp/reproof/
RUN python3 -m venv /opt/app \\
    && /opt/app/bin/python -m pip install --no-cache-dir --no-compile --no-deps --require-hashes \\
        -r /tmp/reproof/requirements.txt \\
    && /opt/app/bin/python -m pip install --no-cache-dir --no-compile --no-deps --no-index /tmp/reproof/{wheel} \\
    && {bytecode} \\
    && rm -rf /tmp/reproof
ENV PATH=/opt/app/bin:$PATH
"""
_BYTECODE = {
    # a file's time is rewritten in the image: byte code that names it would be stale, so it names nothing
    True: "/opt/app/bin/python -m compileall -q -f --invalidation-mode unchecked-hash /opt/app/lib",
    False: "find /opt/app -name __pycache__ -prune -exec rm -rf {} +",
}


class ImageOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to build an image.

    Attributes:
        build: Project, revision, what is uncommitted, offline, limits.
        engine: ``buildah``, ``podman`` or ``docker``; None for the first that can.
        file: The Dockerfile, below the project; None for `Dockerfile`, or a generated one.
        base: Base image of a generated Dockerfile.
        bytecode: Compile Python files in a generated one.
        volumes: Folders that instructions see, ``HERE:THERE[:ro]``.
        tag: Name for the image; made from the project's when None.
    """

    build: BuildOptions
    engine: str | None = None
    file: str | None = None
    base: str | None = None
    bytecode: bool = False
    volumes: tuple[str, ...] = ()
    tag: str | None = None


class _Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What an image is built with, and from: builds get copies of the context with its Dockerfile."""

    engine: Engine
    options: ImageOptions
    source: Source
    context: Path
    file: str = "Dockerfile"
    generated: bool = False

    @property
    def text(self) -> str:
        """The text of the Dockerfile."""
        return (self.context / self.file).read_text("utf-8", "replace")


def build_image(options: ImageOptions, emit: Emit = silent) -> BuildReport:
    """Build an image twice, the second time from another place, and compare ids and layers.

    Raises:
        ProjectError: There is nothing to build from, or an instruction fails.
        ExecutionError: No program here can build it.
    """
    engine = choose_engine(options.engine)
    with workshop() as root:
        clock = time.monotonic()
        plan = _prepare(engine, options, root, emit)
        first = _build(plan, root / "1", emit)
        single = time.monotonic() - clock
        second = _build(plan, root / "2", emit, again=True)
        grade: Grade = "identical" if first == second else "different"
        difference, causes = (None, ()) if grade == "identical" else _explain(engine, (first, second), root)
        if grade == "different":
            for image in (first, second):
                engine.discard(image)
        name = options.tag or f"localhost/{_name(plan)}:{plan.source.facts.commit[:12]}"
        info = _describe(plan, first, name, grade)
        folder = document = ""
        if grade == "identical":
            engine.tag(first, name)
            folder, document = str(options.build.target), f"{_name(plan)}.image.buildinfo.json"
            write_atomic(options.build.target / document, encode_info(info))
        return BuildReport(
            project=_name(plan),
            info=info,
            folder=folder,
            document=document,
            causes=causes,
            findings=tuple(_findings(plan)),
            difference=difference,
            seconds={"first": single, "second": time.monotonic() - clock - single},
        )


def check_image(document: Path, options: ImageOptions, emit: Emit = silent) -> BuildReport:
    """Build the image that a document describes once more, and compare ids and layers.

    Raises:
        ProjectError: The document cannot be read or describes no image, or the image cannot be built.
    """
    info = read_info(document)
    wanted = next((output for output in info.outputs if output.kind == "image"), None)
    if wanted is None:
        raise ProjectError(f"`{document.name}` describes no image", hint="leave `--image` away")
    chosen = msgspec.structs.replace(
        options,
        build=msgspec.structs.replace(
            options.build,
            revision=None if info.source.dirty else info.source.commit,
            dirty=bool(info.source.dirty),
        ),
        file=info.options.get("file") or None,
        base=info.options.get("base") or options.base,
        bytecode=bool(info.options.get("bytecode")),
    )
    engine = choose_engine(options.engine or info.tools.backend)
    with workshop() as root:
        plan = _prepare(engine, chosen, root, emit)
        built = _build(plan, root / "1", emit)
        same = built.id == wanted.sha256 and built.layers == wanted.layers
        grade: Grade = "identical" if same else "different"
        if built.id != wanted.sha256:  # else it may be the very image that has the name
            engine.discard(built)
        now = _describe(plan, built, wanted.name, grade)
        changed = [] if engine.version in info.tools.programs.values() else ["another version of the program"]
        now = msgspec.structs.replace(
            now, exercised=(), not_exercised=(), conditions=(*now.conditions, *changed)
        )
        return BuildReport(
            project=_name(plan),
            info=now,
            difference=None if same else _by_digests(wanted, built),
            checked=document.name,
            builds=1,
        )


def _prepare(engine: Engine, options: ImageOptions, root: Path, emit: Emit) -> _Plan:
    """The context: the project's own with its Dockerfile, or one for its wheel with a generated one."""
    wanted = options.build
    own = options.file or "Dockerfile"
    if (wanted.folder / own).is_file() or options.file is not None:
        request = SourceRequest(
            folder=wanted.folder, revision=wanted.revision, dirty=wanted.dirty, outputs=wanted.target
        )
        source = clone_source(request, root / "pristine")
        if not (source.project / own).is_file():
            raise ProjectError(f"there is no `{own}` in the commit", hint="pass `--file NAME`")
        return _Plan(engine=engine, options=options, source=source, context=source.project, file=own)
    return _generate(engine, options, root, emit)


def _generate(engine: Engine, options: ImageOptions, root: Path, emit: Emit) -> _Plan:
    ready = prepare_build(options.build, root, emit, tools_of_project)
    ready, (built,) = build_with_tools(ready, options.build, [control(ready.source.epoch)], emit)
    context = root / "context"
    context.mkdir()
    wheel = built.files["wheel"]
    copy_private(wheel, context / wheel.name, mode=0o644)
    python = choose_python(ready.site.system, options.build.python)
    source = LockSource(kind="pyproject", folder=ready.source.project, file="pyproject.toml")
    lock = make_lock(source, python, offline=options.build.offline, emit=emit)
    lines = read_lines(lock.text.splitlines(), ready.source.project, "pyproject.toml")
    text = "".join(f"{line.render()}\n" for line in lines if line.requirement and line.path is None)
    (context / "requirements.txt").write_text(text)
    base = options.base or f"python:{'.'.join(python.version.split('.')[:2])}-slim"
    (context / "Dockerfile").write_text(
        _GENERATED.format(base=base, wheel=wheel.name, bytecode=_BYTECODE[options.bytecode])
    )
    return _Plan(engine=engine, options=options, source=ready.source, context=context, generated=True)


def _build(plan: _Plan, place: Path, emit: Emit, *, again: bool = False) -> BuiltImage:
    engine, options = plan.engine, plan.options
    conditions = control(plan.source.epoch)
    if again:
        conditions = varied(conditions, ["path", "time zone", "locale", "modification times"])
    context = place / conditions.place / "context"
    copy_tree(plan.context, context)
    # modes are copied into the image: they stay those of Git, whatever the mask of the builder
    settle(context, umask=0o022, epoch=conditions.epoch, touched=conditions.touched)
    aside = place / "aside"
    aside.mkdir()
    request = ImageRequest(
        context=context,
        file=context / plan.file,
        epoch=conditions.epoch,
        umask=0o077 if again else 0o022,
        env={"TZ": conditions.zone, **dict(other_locale() if again else conditions.locale)},
        volumes=options.volumes,
        network=not options.build.offline,
        timeout=options.build.timeout,
    )
    which = "the second time" if again else "once"
    emit(Event(kind="start", subject="image", message=f"building the image {which} with {engine.name}"))
    built = engine.build(request, aside)
    emit(Event(kind="finish", subject="image", message=f"built the image {which}"))
    return built


def _describe(plan: _Plan, built: BuiltImage, name: str, grade: Grade) -> BuildInfo:
    engine, options = plan.engine, plan.options
    conditions = list(plan.source.conditions)
    if not options.build.offline:
        conditions.append(
            "instructions had the network: what they fetch is locked only where they check hashes"
        )
    conditions += [f"instructions saw `{volume.split(':')[1]}` of this machine" for volume in options.volumes]
    return BuildInfo(
        source=plan.source.facts,
        tools=BuildTools(backend=engine.name, programs={engine.name: engine.version}),
        source_date_epoch=control(plan.source.epoch).epoch,
        outputs=(Output(name=name, kind="image", sha256=built.id, layers=built.layers),),
        grade=grade,
        exercised=_EXERCISED,
        not_exercised=_NOT_EXERCISED,
        conditions=tuple(conditions),
        options={
            "file": "" if plan.generated else plan.file,
            "dockerfile": digest_of(plan.context / plan.file),
            "base": options.base if plan.generated else None,
            "bytecode": options.bytecode,
        },
    )


def _findings(plan: _Plan) -> list[Cause]:
    """Base images that a name decides, which can move."""
    stages = {match["stage"] for match in _FROM.finditer(plan.text)}
    names = [
        match["name"]
        for match in _FROM.finditer(plan.text)
        if match["name"] not in stages and match["name"] != "scratch" and "@sha256:" not in match["name"]
    ]
    return [cause("base-not-by-digest", [f"{plan.file}: FROM {name}" for name in names])] if names else []


def _explain(
    engine: Engine, pair: tuple[BuiltImage, BuiltImage], root: Path
) -> tuple[Difference, tuple[Cause, ...]]:
    """The first layer that differs, and in which files; the configuration where no layer does."""
    folders = root / "first.oci", root / "second.oci"
    for image, folder in zip(pair, folders, strict=True):
        engine.export(image, folder)
    sides = [layer_files(folder) for folder in folders]
    for number, (one, two) in enumerate(zip(pair[0].layers, pair[1].layers, strict=False)):
        if one != two:
            found = compare(sides[0][number], sides[1][number], subject=f"layer {number + 1}")
            return combine("image", [found], kind="image"), _causes_of(found)
    found = compare(*(config_file(folder) for folder in folders), subject="configuration")
    return combine("image", [found], kind="image"), (cause("image-history", ["configuration"]),)


def _causes_of(layer: Difference) -> tuple[Cause, ...]:
    """Names for what differs within a layer."""
    found: dict[str, list[str]] = {}
    # a compressed layer is a tar within something
    archive = next((node for node in layer.walk() if node.kind == "tar"), layer)
    for part in archive.children:
        if part.outcome is not Outcome.IDENTICAL:
            found.setdefault(_name_of(part.subject), []).append(f"{layer.subject}: {part.subject}")
    if not found:
        found["layer-dates"] = [layer.subject]
    return tuple(cause(name, files) for name, files in found.items())


def _name_of(member: str) -> str:
    path = member.lstrip("./")
    if path.endswith(".pyc"):
        return "pyc-time"
    if path.endswith("uv_cache.json"):
        return "uv-cache-json"
    if path.startswith(("var/log/", "var/cache/", "var/lib/apt/", "var/lib/dpkg/")):
        return "package-manager-state"
    if path in ("etc/shadow", "etc/shadow-"):
        return "account-date"
    return "changes-each-time"


def _by_digests(wanted: Output, built: BuiltImage) -> Difference:
    """Two images of which only one is here."""
    parts = []
    for number in range(max(len(wanted.layers), len(built.layers))):
        was, now = (
            layers[number] if number < len(layers) else "none" for layers in (wanted.layers, built.layers)
        )
        same = was == now
        parts.append(
            Difference(
                subject=f"layer {number + 1}",
                outcome=Outcome.IDENTICAL if same else Outcome.DIFFERENT,
                summary="the same sha256" if same else "another sha256",
                kind="image",
                expected=was,
                actual=now,
            )
        )
    if wanted.layers == built.layers:
        parts.append(
            Difference(
                subject="configuration", outcome=Outcome.DIFFERENT, summary="another image id", kind="image"
            )
        )
    return combine(wanted.name, parts, kind="image")


def _name(plan: _Plan) -> str:
    return re.sub(r"[^a-z0-9]+", "-", plan.source.folder.name.lower()).strip("-") or "image"
