"""One stage: carried out, observed, recorded; its products put where DVC looks for them."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import threading
from pathlib import Path
from typing import Any

import msgspec

from reproof.base.git import git
from reproof.base.naming import Naming
from reproof.errors import ProjectError, ReproofError
from reproof.execute.protocol import Execution, Runner, Watch
from reproof.model.artifact import Artifact
from reproof.model.event import Emit
from reproof.model.pipeline import Stage, StageOut, is_within, overlaps
from reproof.model.recipe import Recipe
from reproof.model.record import Omission, ProjectSection, Record
from reproof.model.stages import StageContent, StageSection, patterns_of
from reproof.project.dvc import read_config
from reproof.project.dvc_graph import Pipeline
from reproof.project.dvc_lock import lock_entry, lock_of, write_stage
from reproof.store.dvc_put import DvcContent, put_content
from reproof.workflow.isolated import isolated
from reproof.workflow.materials import CHANGED, Origins
from reproof.workflow.observe import Evidence, Setup, observe
from reproof.workflow.pipeline.contents import Measuring, Reading, missing_out
from reproof.workflow.pipeline.places import remove_outs
from reproof.workflow.pipeline.undeclared import find_undeclared
from reproof.workflow.run import complete, now

SHELL = ("bash", "--noprofile", "--norc", "-c")


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What all stages of one run share.

    Attributes:
        top: Top of the repository.
        pipeline: The stages.
        setup: How a stage is carried out; recipe, scratch folder and origins are each stage's own.
        draft: The record as far as all stages share it.
        environment: See :func:`reproof.workflow.pipeline.skip.environment_key`.
        measuring: Measures what stages declare.
        record_env: Variables whose values are recorded besides those that always are.
        beside: Whether several stages run at once.
        seen: Paths that we read ourselves while stages run.
    """

    top: Path
    pipeline: Pipeline
    setup: Setup
    draft: Record
    environment: str
    measuring: Measuring
    record_env: tuple[str, ...] = ()
    beside: bool = False
    seen: set[str] = msgspec.field(default_factory=set)


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """A stage that has ended.

    Attributes:
        record: Its record, complete but for its id.
        evidence: What was seen.
        contents: Its outputs, as DVC names them.
        problem: Why it failed though its command did not.
    """

    record: Record
    evidence: Evidence
    contents: tuple[tuple[StageOut, DvcContent], ...] = ()
    problem: ReproofError | None = None

    @property
    def ok(self) -> bool:
        """Whether it ended well, with all its outputs."""
        return self.record.state == "finished" and self.problem is None


class _Forgetting:
    """Runs a recipe; what was read before it is read again after it."""

    def __init__(self, runner: Runner, reading: Reading) -> None:
        self.level = runner.level
        self._runner = runner
        self._reading = reading

    def run(self, recipe: Recipe, watch: Watch) -> Execution:
        """As the runner does."""
        try:
            return self._runner.run(recipe, watch)
        finally:
            self._reading.forget()


def script(stage: Stage, root: str) -> str:
    """The command of a stage for one shell that starts in the project's folder.

    Each line runs in a shell of its own, as under DVC; the first that fails ends the stage.
    """
    lines = [*stage.commands]
    if len(lines) > 1:
        lines = [shlex.join((*SHELL, line)) for line in lines]
    inner = os.path.relpath(stage.wdir or ".", root or ".")
    return " && ".join([*([] if inner == "." else [f"cd {shlex.quote(inner)}"]), *lines])


def project_section(stage: Stage, shared: ProjectSection) -> ProjectSection:
    """What the record of a stage says was run."""
    command = script(stage, shared.subdirectory)
    return msgspec.structs.replace(  # noqa: S604  # `shell` is a field of the record
        shared,
        entry_point=stage.address,
        command=command,
        argv=(*SHELL, command),
        shell=True,
        run_name=stage.address,
    )


def stage_draft(work: Work, stage: Stage) -> Record:
    """The record of a stage as far as it is known before it starts."""
    project = project_section(stage, work.draft.project)
    return msgspec.structs.replace(work.draft, nonce=secrets.token_hex(16), created=now(), project=project)


def run_stage(work: Work, stage: Stage, scratch: Path, emit: Emit) -> Done:
    """Carry out a stage where it is. Nothing is kept yet but content; see :func:`keep_outs`.

    Args:
        work: What all stages share, with the draft of this one's record: :func:`stage_draft`.
        stage: The stage; all that it depends on is there.
        scratch: An empty folder.
        emit: Told about the work.

    Raises:
        ProjectError: A dependency or parameter is missing.
        ExecutionError: The command could not be watched.
    """
    reading = Reading(work.setup.digesting, work.seen)
    params = work.measuring.params(stage)
    before = work.measuring.deps(stage, reading)
    removed = tuple(out.place for out in stage.outs if not out.persist)
    remove_outs(work.top, removed)
    project = work.draft.project
    evidence = observe(_setup(work, stage, project, scratch, reading), emit)
    made = work.measuring.outs(stage, reading)
    missing = next((out for out in made if isinstance(out, StageOut)), None)
    contents = tuple(each for each in made if not isinstance(each, StageOut))
    section = StageSection(
        address=stage.address,
        file=stage.file,
        cmd=json.dumps(stage.cmd),
        environment=work.environment,
        deps=_with_moves(work, stage, before, reading),
        params=json.dumps(params),
        outs=tuple(named for named, _ in contents),
        removed=removed,
    )
    record = _record(work, stage, section, project, evidence)
    problem = None
    if missing is not None and record.state == "finished":
        problem = missing_out(stage, missing)
        lost = Omission(subject=missing.place, reason="the stage did not make it", hides_results=True)
        record = msgspec.structs.replace(record, state="failed", omissions=(*record.omissions, lost))
    outs = {out.place: out for out in stage.outs}
    return Done(
        record=record,
        evidence=evidence,
        contents=tuple((outs[named.place], content) for named, content in contents),
        problem=problem,
    )


def _setup(work: Work, stage: Stage, project: ProjectSection, scratch: Path, reading: Reading) -> Setup:
    shared = work.setup
    root = work.top / project.subdirectory
    env = {**shared.recipe.env, "DVC_STAGE": stage.address, "DVC_ROOT": str(root)}
    places = (*(dep.place for dep in stage.deps), *(each.place for each in stage.params))
    patterns = [pattern for out in stage.outs for pattern in patterns_of(out.place)]
    placed = msgspec.structs.replace(
        shared,
        recipe=Recipe(argv=project.argv, env=env, cwd=str(root)),
        scratch=scratch,
    )
    placed = isolated(placed)  # before the runner is wrapped
    return msgspec.structs.replace(
        placed,
        naming=Naming(
            top=shared.naming.top,
            home=shared.naming.home,
            environment=shared.naming.environment,
            scratch=str(scratch),
        ),
        runner=_Forgetting(placed.runner, reading),
        origins=_origins(work, shared.origins, places),
        tracking={**shared.tracking, "REPROOF_RUN_NAME": stage.address},
        tracking_files=(*shared.tracking_files, *written_by_us(work.pipeline)),
        declared_products=(*shared.declared_products, *patterns),
        digesting=reading.digest_files,
        title=f"stage `{stage.address}`",
    )


def written_by_us(pipeline: Pipeline) -> tuple[str, ...]:
    """Names of what running a pipeline writes besides products."""
    ignores = {str(Path(out.place).parent / ".gitignore") for stage in pipeline.stages for out in stage.outs}
    return (*dict.fromkeys(lock_of(stage.file) for stage in pipeline.stages), *sorted(ignores))


def _origins(work: Work, shared: Origins, places: tuple[str, ...]) -> Origins:
    """Where inputs come from: what stages make comes from no version, whatever dvc.lock says of it."""
    made = tuple(out.place for stage in work.pipeline.stages if not stage.frozen for out in stage.outs)

    def is_given(name: str) -> bool:
        return not any(is_within(name, place) for place in made)

    declared = {name for place in places for name in _files(work.top, place)}
    return msgspec.structs.replace(
        shared,
        committed=frozenset(filter(is_given, shared.committed)) if made else shared.committed,
        captured={name: each for name, each in shared.captured.items() if is_given(name)},
        tracked={name: each for name, each in shared.tracked.items() if is_given(name)},
        declared=shared.declared | declared,
    )


def _files(top: Path, place: str) -> list[str]:
    path = top / place
    if not path.is_dir():
        return [place]
    found = (each for each in path.rglob("*") if each.is_file() and "__pycache__" not in each.parts)
    return [each.relative_to(top).as_posix() if path.is_relative_to(top) else str(each) for each in found]


def _with_moves(
    work: Work, stage: Stage, before: tuple[StageContent, ...], reading: Reading
) -> tuple[StageContent, ...]:
    """The content before the start, and beside it that after the end where it is another.

    Of a folder in which only byte code appeared, DVC is told the content after the end: it counts
    byte code, and would otherwise call the stage changed.
    """
    found = []
    for dep, content in zip(stage.deps, before, strict=True):
        after = work.measuring.named(dep, reading)
        if after is not None and after.identity == content.identity:
            found.append(after)
        else:
            found.append(msgspec.structs.replace(content, moved=after.identity if after else "gone"))
    return tuple(found)


def _record(
    work: Work, stage: Stage, section: StageSection, project: ProjectSection, evidence: Evidence
) -> Record:
    draft = msgspec.structs.replace(
        work.draft,
        created=evidence.execution.started.replace("+00:00", "Z"),
        project=project,
    )
    record = complete(draft, evidence, (*work.record_env, "DVC_STAGE", "DVC_ROOT"))
    others = _beside(work, stage) if work.beside else ()
    products = tuple(each for each in record.products if not _belongs(each, others))
    materials = tuple(
        _from_stage(each, work, stage)
        for each in record.materials
        if not (work.beside and _is_of_another(each, others, stage, work))
    )
    record = msgspec.structs.replace(record, products=products, materials=materials)
    undeclared = find_undeclared(work.pipeline, stage, record)
    moved = tuple(
        Omission(subject=each.path, reason=f"{CHANGED}: {each.md5[:8]} before, {str(each.moved)[:8]} after")
        for each in section.deps
        if each.moved is not None and each.nfiles is None
    )
    known = {omission.subject for omission in record.omissions}
    return msgspec.structs.replace(
        record,
        stage=msgspec.structs.replace(section, undeclared=undeclared),
        omissions=(*record.omissions, *(each for each in moved if each.subject not in known)),
    )


def _beside(work: Work, stage: Stage) -> tuple[Stage, ...]:
    """The stages that may run at the same time."""
    before = {each.address for each in work.pipeline.ancestors(stage)} | {stage.address}
    return tuple(
        each
        for each in work.pipeline.stages
        if each.address not in before
        and stage.address not in {parent.address for parent in work.pipeline.ancestors(each)}
    )


def _belongs(product: Artifact, others: tuple[Stage, ...]) -> bool:
    """Whether a file in the tree was made by a stage that ran at the same time."""
    return product.origin != "mlflow" and any(
        is_within(product.name, out.place) for each in others for out in each.outs
    )


def _is_of_another(material: Artifact, others: tuple[Stage, ...], stage: Stage, work: Work) -> bool:
    """Whether a file was probably opened by a stage that ran at the same time, or by ourselves for one."""
    if material.note != "opened by an unknown process":
        return False
    if any(is_within(material.name, dep.place) for dep in stage.deps):
        return False
    if material.name.startswith(".dvc/") or str(work.top / material.name) in work.seen:
        return True
    places = [dep.place for each in others for dep in each.deps]
    places += [place.place for each in others for place in each.params]
    places += [out.place for each in others for out in each.outs]
    return any(overlaps(material.name, place) for place in places)


def _from_stage(material: Artifact, work: Work, stage: Stage) -> Artifact:
    """A material that an earlier stage made, marked as such; its content is kept with that stage's record."""
    maker = work.pipeline.maker(material.name)
    if maker is None or maker.frozen or maker is stage or material.digest is None:
        return material
    if material.digest not in work.setup.store:
        work.setup.store.put(work.top / material.name)
    return msgspec.structs.replace(material, origin="stage", source=maker.address, kept=True, note=None)


class Keeper:
    """Keeps the products of stages where DVC looks for them; several threads may use one.

    Args:
        top: Top of the repository.
        root: The folder of the DVC repository, below the top.
    """

    def __init__(self, top: Path, root: str) -> None:
        self._top = top
        self._root = root
        self._lock = threading.Lock()

    def keep_outs(self, stage: Stage, done: Done) -> None:
        """Put the outputs of a stage into DVC's cache, and into dvc.lock what was there.

        Raises:
            StoreError: The cache cannot be written.
        """
        if any(out.cache for out, _ in done.contents):
            cache = Path(read_config(self._top / self._root).cache)
            for out, content in done.contents:
                if out.cache:
                    put_content(self._top / out.place, content, cache)
                    self._ignore(out.place)
        assert done.record.stage is not None
        self.write_lock(stage, done.record.stage)

    def write_lock(self, stage: Stage, section: StageSection) -> None:
        """Say in dvc.lock what a stage read and made; what was there before it started, byte for byte."""
        with self._lock:
            write_stage(self._top, stage, entry_of(stage, section))

    def _ignore(self, place: str) -> None:
        """Have Git ignore what DVC keeps, by the file that DVC itself would write it into."""
        path = self._top / place
        with self._lock:
            if git(self._top, "check-ignore", "-q", "--", place).ok:
                return
            file = path.parent / ".gitignore"
            try:
                text = file.read_text("utf-8") if file.exists() else ""
            except UnicodeDecodeError as error:
                raise ProjectError(f"`{file}` is not text in UTF-8") from error
            head = text if not text or text.endswith("\n") else text + "\n"
            file.write_text(f"{head}/{path.name}\n", "utf-8")


def entry_of(stage: Stage, section: StageSection) -> dict[str, Any]:
    """What dvc.lock says of a stage by its record."""
    return lock_entry(stage, section.deps, json.loads(section.params), section.outs)
