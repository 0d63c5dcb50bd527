"""`status` and `dag`: which stages are out of date, how they depend on each other, how they came out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from reproof.base import git
from reproof.base.locations import FOLDER
from reproof.errors import ProjectError, ReproofError
from reproof.model.event import Emit, silent
from reproof.model.pipeline import Graph, GraphNode, Stage
from reproof.model.stages import StageOutcome
from reproof.model.verdict import Verdict
from reproof.project.dvc_graph import Pipeline, read_pipeline
from reproof.store.digest_cache import cached_where_it_pays
from reproof.store.records import RecordStore
from reproof.workflow.begin import RunOptions, begin, scratch_folder
from reproof.workflow.pipeline.contents import Measuring, Reading
from reproof.workflow.pipeline.skip import LastRecords, Now, environment_key, why_run
from reproof.workflow.prepare import prepare


def pipeline_status(directory: Path, emit: Emit = silent, *, offline: bool = False) -> Graph:
    """Which stages of the project at `directory` would run now, and why.

    Args:
        directory: The project's folder.
        emit: Told about the work: the environment is made where it is not cached.
        offline: Take packages from the cache alone.

    Raises:
        ProjectError: There is no pipeline, or a file of it is wrong.
        EnvironmentBuildError: The environment cannot be made.
    """
    options = RunOptions(uri=str(directory), command=("dvc", "repro"), log=False, offline=offline)
    prepared = prepare(options, emit)
    pipeline = _require(read_pipeline(prepared.top, prepared.project.subdirectory), directory)
    measuring = Measuring(prepared.top, pipeline.root)
    last = LastRecords(RecordStore(prepared.own), pipeline.root)
    with scratch_folder() as scratch, cached_where_it_pays(prepared.own) as digesting:
        plain = RunOptions(uri=options.uri, log=False, offline=offline)
        begun = begin(plain, prepared, scratch, emit)
        environment = environment_key(begun.provision.section)
        fixed = prepared.seed if prepared.seed_source == "settings" else None
        reasons: dict[str, str | None] = {}
        for stage in pipeline.stages:
            found = last.find(stage.address)
            now = Now(
                stage=stage,
                environment=environment,
                seed=fixed,
                measuring=measuring,
                reading=Reading(digesting),
                naming=begun.setup.naming,
            )
            reasons[stage.address] = _why(pipeline, stage, reasons) or why_run(
                now, found.record if found else None
            )
    nodes = [*_data(pipeline), *(_by_reason(stage, reasons[stage.address]) for stage in pipeline.stages)]
    return Graph(title="what is out of date", nodes=tuple(nodes), edges=pipeline.edges())


def pipeline_graph(directory: Path) -> Graph:
    """The stages of the project at `directory`, with the outcomes of the last verdict on a run of them.

    Raises:
        ProjectError: There is no pipeline, or a file of it is wrong.
    """
    top = git.require_top(directory, reading=True)
    folder = directory.resolve()
    root = "" if folder == top.resolve() else folder.relative_to(top.resolve()).as_posix()
    pipeline = _require(read_pipeline(top, root), directory)
    verdict = _last_verdict(RecordStore(top / FOLDER))
    outcomes = {each.address: each for each in verdict.stages} if verdict is not None else {}
    nodes = [
        *_data(pipeline),
        *(_by_outcome(stage, outcomes.get(stage.address)) for stage in pipeline.stages),
    ]
    title = f"verdict of {verdict.created}: {verdict.word}" if verdict is not None else "not verified yet"
    return Graph(title=title, nodes=tuple(nodes), edges=pipeline.edges())


def _require(pipeline: Pipeline, directory: Path) -> Pipeline:
    if not pipeline.stages:
        raise ProjectError(
            f"there is no dvc.yaml with a stage in `{directory}`",
            hint="go to the folder of a project that has one",
        )
    return pipeline


def _last_verdict(records: RecordStore) -> Verdict | None:
    """The newest verdict on a whole pipeline; damaged records are passed over."""
    for row in records.list():
        if row.verdict is None or row.trouble is not None:
            continue
        try:
            verdicts = [each for each in records.verdicts(row.id) if each.stages]
        except ReproofError:
            continue
        if verdicts:
            return verdicts[-1]
    return None


def _data(pipeline: Pipeline) -> Iterator[GraphNode]:
    read = {source for source, _ in pipeline.edges()}
    for entry in pipeline.data:
        if entry.source in read:
            yield GraphNode(name=entry.source, kind="data")


def _why(pipeline: Pipeline, stage: Stage, reasons: dict[str, str | None]) -> str | None:
    late = [parent.address for parent in pipeline.parents(stage) if reasons.get(parent.address)]
    return f"{', '.join(f'`{name}`' for name in late)} before it is out of date" if late else None


def _by_reason(stage: Stage, reason: str | None) -> GraphNode:
    if stage.frozen:
        return GraphNode(name=stage.address, state="frozen", detail="it is not run")
    state = "out of date" if reason else "unchanged"
    return GraphNode(
        name=stage.address, state=state, tone="unsure" if reason else "good", detail=reason or ""
    )


def _by_outcome(stage: Stage, outcome: StageOutcome | None) -> GraphNode:
    if outcome is None:
        return GraphNode(name=stage.address, state="frozen" if stage.frozen else "")
    tone: Literal["good", "bad", "unsure", "plain"] = "plain"
    tone = {"same": "good", "differs": "bad", "inherited": "unsure"}.get(outcome.state, "plain")  # type: ignore[assignment]
    detail = {
        "differs": "by itself" + (f", {outcome.stability}" if outcome.stability != "not tried" else ""),
        "inherited": f"inherited from {', '.join(outcome.sources)}",
    }.get(outcome.state, "")
    return GraphNode(name=stage.address, state=outcome.outcome, tone=tone, detail=detail)
