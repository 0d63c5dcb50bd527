"""`verify --against dvc.lock`: a claim of somebody else, re-created and compared, with no record at all."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from reproof.base.digesting import digest_file
from reproof.base.git import git_text
from reproof.errors import ProjectError, UsageError
from reproof.model.event import Emit, silent
from reproof.model.record import Record
from reproof.model.stages import PipelineSection, StageLink
from reproof.model.verdict import Condition, NotChecked, Verdict
from reproof.project.dvc import read_config
from reproof.project.dvc_graph import Pipeline, read_pipeline
from reproof.project.environment_files import find_environment
from reproof.store.directory import DirectoryStore
from reproof.store.dvc_cache import DvcSources, restore
from reproof.store.records import Found
from reproof.workflow.begin import RunOptions, begin, scratch_folder
from reproof.workflow.fetch import places_of
from reproof.workflow.judge import Judgement
from reproof.workflow.pipeline.chain import Chain, Expectations
from reproof.workflow.pipeline.claim import Claim, Claims, judge_claim, measure_as_claimed, raw_entries
from reproof.workflow.pipeline.places import remove_outs
from reproof.workflow.pipeline.verify import decide
from reproof.workflow.prepare import Prepared, prepare
from reproof.workflow.room import Plan, Room, clean_room
from reproof.workflow.verdicts import make_policy


class AgainstOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What verifying a claim may be told.

    Attributes:
        uri: Folder or Git address of the project.
        lock: The claim: a path that ends in ``dvc.lock``, below the project's folder.
        revision: Commit, branch or tag.
        accept: The worst outcome that passes.
        rtol: Relative tolerance.
        atol: Absolute tolerance.
        keep: Leave the room in place.
        isolation: How the re-run is kept apart.
        timeout: Seconds for one stage.
        offline: Ask nothing over the network for packages and data.
        stores: Further DVC caches.
    """

    uri: str = "."
    lock: str = "dvc.lock"
    revision: str | None = None
    accept: str | None = None
    rtol: float | None = None
    atol: float | None = None
    keep: bool = False
    isolation: str = "auto"
    timeout: float | None = None
    offline: bool = False
    stores: tuple[str, ...] = ()


def verify_against(options: AgainstOptions, emit: Emit = silent) -> tuple[Verdict, Record]:
    """Re-run every stage that dvc.lock speaks of, from the raw data, and compare with what it says.

    Returns:
        The verdict, and the claim in the form of a record. Neither is kept.

    Raises:
        ProjectError, UsageError: There is no such claim, or it is malformed.
        MaterialError: Raw data is nowhere.
        EnvironmentBuildError: The environment cannot be made.
        ExecutionError: The isolation cannot be had.
    """
    if not options.lock.endswith("dvc.lock"):
        raise UsageError(
            f"`{options.lock}` is no claim that can be verified: it must be a dvc.lock",
            hint="pass `--against dvc.lock`",
        )
    wishes = RunOptions(
        uri=options.uri,
        revision=options.revision,
        command=("dvc", "repro"),
        seed="none",
        offline=options.offline,
        log=False,
        timeout=options.timeout,
    )
    prepared = prepare(wishes, emit)
    root = prepared.project.subdirectory
    lock = prepared.folder / options.lock
    if not lock.is_file():
        raise ProjectError(f"there is no `{options.lock}` in `{prepared.folder}`")
    pipeline = read_pipeline(prepared.top, root)
    as_of = _commit_time(prepared) if _has_no_lock(prepared) else None
    wishes = msgspec.structs.replace(wishes, command=(), as_of=as_of)
    with scratch_folder() as scratch:
        begun = begin(wishes, prepared, scratch, emit)
        store = DirectoryStore(scratch / "claims")
        sources = _sources(prepared, options)
        claims = Claims(prepared.top, pipeline, begun.draft, store).read(sources, scratch / "out", emit)
        identity = digest_file(lock, ("sha256",))["sha256"]
        found = Found(id=identity, record=_parent(begun.draft, pipeline, claims, identity), path=lock)
        plan = _plan(found.record, prepared, options)
        verdict = _verify(found, plan, _Case(pipeline, claims, store, sources), options, emit)
    return _with_time(verdict, as_of), found.record


class _Case(msgspec.Struct, frozen=True):
    """A claim, and what is needed to judge it."""

    pipeline: Pipeline
    claims: dict[str, Claim]
    store: DirectoryStore
    sources: DvcSources


def _verify(found: Found, plan: Plan, case: _Case, options: AgainstOptions, emit: Emit) -> Verdict:
    started = time.monotonic()
    policy = make_policy(plan.settings.policy, options.accept, options.rtol, options.atol)
    with clean_room(plan, keep=options.keep, emit=emit) as room:
        _furnish(room, case, emit)
        seconds = {"room": round(time.monotonic() - started, 2)}
        records = {
            address: Found(id=found.id, record=claim.record, path=found.path)
            for address, claim in case.claims.items()
        }
        chain = Chain(room, policy, _expectations(room, case, records), emit)
        assert found.record.pipeline is not None
        tried = [chain.run(link) for link in found.record.pipeline.stages if link.address in records]
        for done in tried:
            seconds[f"stage {done.link.address}"] = done.record.byproducts.seconds
        verdict = decide(found, room, tried, policy, seconds)
    unknown = tuple(_unclaimed(case))
    return msgspec.structs.replace(
        verdict,
        not_checked=(*unknown, *verdict.not_checked),
        conditions=(
            Condition("claim", f"`{options.lock}`", "no record: what was read besides is not known"),
            *verdict.conditions,
        ),
        room=str(room.folder) if options.keep else None,
    )


def _expectations(room: Room, case: _Case, records: dict[str, Found]) -> Expectations:
    def claim_of(found: Found) -> Claim:
        assert found.record.stage is not None
        return case.claims[found.record.stage.address]

    def measured(found: Found, record: Record) -> Record:
        return measure_as_claimed(room.top, claim_of(found), record)

    def decided(found: Found, judgement: Judgement) -> Judgement:
        return judge_claim(claim_of(found), room.top, judgement)

    return Expectations(records=records, store=case.store, measure=measured, decide=decided)


def _furnish(room: Room, case: _Case, emit: Emit) -> None:
    """Put raw data into the room, and take out what stages are about to make."""
    for stage in case.pipeline.stages:
        if stage.address in case.claims:
            remove_outs(room.top, tuple(out.place for out in stage.outs if not out.persist))
    for entry in raw_entries(case.pipeline, case.pipeline.stages):
        if not (room.top / entry.path).exists():
            restore(entry, room.top, case.sources, emit)


def _unclaimed(case: _Case) -> Iterator[NotChecked]:
    for stage in case.pipeline.stages:
        if stage.address not in case.claims:
            reason = "it is frozen" if stage.frozen else "dvc.lock says nothing of it"
            yield NotChecked(f"stage {stage.address}", reason)
    yield NotChecked("files that no stage declares", "dvc.lock does not speak of them")


def _sources(prepared: Prepared, options: AgainstOptions) -> DvcSources:
    config = read_config(prepared.folder)
    return DvcSources(
        caches=(Path(config.cache), *(Path(store) for store in places_of(options.stores))),
        remotes=config.remotes,
        offline=options.offline,
    )


def _parent(draft: Record, pipeline: Pipeline, claims: dict[str, Claim], identity: str) -> Record:
    links = tuple(
        StageLink(
            address=stage.address,
            state="frozen" if stage.frozen else "ran" if stage.address in claims else "not run",
            record=identity,
            parents=tuple(each.address for each in pipeline.parents(stage)),
        )
        for stage in pipeline.stages
    )
    return msgspec.structs.replace(
        draft, state="finished", pipeline=PipelineSection(files=pipeline.files, stages=links)
    )


def _plan(record: Record, prepared: Prepared, options: AgainstOptions) -> Plan:
    return Plan(
        record=record,
        source=prepared.top,
        store=prepared.store,
        settings=prepared.settings,
        isolation=options.isolation,  # type: ignore[arg-type]  # the command line offers the same words
        timeout=options.timeout,
        offline=options.offline,
        stores=places_of(options.stores),
        trust="given",
    )


def _has_no_lock(prepared: Prepared) -> bool:
    """Whether the project's packages are named without exact versions and hashes."""
    found = find_environment(prepared.folder, prepared.mlproject)
    return found.lock_kind in ("requirements", "pyproject")


def _commit_time(prepared: Prepared) -> str:
    seconds = int(git_text(prepared.top, "show", "--no-patch", "--format=%ct", "HEAD").strip())
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat().replace("+00:00", "Z")


def _with_time(verdict: Verdict, as_of: str | None) -> Verdict:
    if as_of is None:
        return verdict
    line = Condition(
        "packages", f"as of {as_of}", "the date of the commit, where the project gives no hashes"
    )
    return msgspec.structs.replace(verdict, conditions=(*verdict.conditions, line))
