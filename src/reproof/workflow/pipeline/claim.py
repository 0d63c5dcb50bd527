"""What dvc.lock claims, in the form of records: so that it can be re-run and judged like a recorded run."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from reproof.base.digesting import digest_file
from reproof.errors import ProjectError, ReproofError
from reproof.model.artifact import Artifact
from reproof.model.difference import Difference, Outcome
from reproof.model.dvc import DvcEntry
from reproof.model.event import Emit, Event
from reproof.model.pipeline import Stage, is_within
from reproof.model.record import Byproducts, Record
from reproof.model.stages import StageContent, StageSection
from reproof.project.dvc_graph import Pipeline
from reproof.project.dvc_lock import LockedContent, LockedStage, lock_of, read_lock
from reproof.store.directory import DirectoryStore
from reproof.store.dvc_cache import DvcSources, restore
from reproof.store.dvc_put import measure_as
from reproof.workflow.judge import Judgement
from reproof.workflow.pipeline.one_stage import project_section

#: What a difference says of two digests of which the content of one is nowhere.
DIGEST_ONLY = "digest only: the claimed bytes are not here to compare"


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What a dvc.lock says of one stage, and the record made of it.

    Attributes:
        stage: The stage.
        locked: What dvc.lock says.
        record: The same as a record; its products are those that dvc.lock names.
        entries: The outputs as DVC names them.
    """

    stage: Stage
    locked: LockedStage
    record: Record
    entries: tuple[DvcEntry, ...] = ()


class Claims:
    """Turns what dvc.lock says into records.

    Args:
        top: Top of the repository that has dvc.lock.
        pipeline: Its stages.
        draft: The record as far as all stages share it.
        store: Receives claimed content that can be had.
    """

    def __init__(self, top: Path, pipeline: Pipeline, draft: Record, store: DirectoryStore) -> None:
        self._top = top
        self._pipeline = pipeline
        self._draft = draft
        self._store = store

    def read(self, sources: DvcSources, scratch: Path, emit: Emit) -> dict[str, Claim]:
        """The claims by address of stage; content is fetched where a cache or remote has it.

        Args:
            sources: Where claimed content is looked for.
            scratch: An empty folder.
            emit: Told about the work.

        Raises:
            ProjectError: A dvc.lock is malformed, or says nothing of a stage that it should know.
        """
        found: dict[str, Claim] = {}
        locks = {stage.file: read_lock(self._top, lock_of(stage.file)) for stage in self._pipeline.stages}
        for number, stage in enumerate(self._pipeline.stages):
            locked = locks[stage.file].get(stage.name)
            if stage.frozen or locked is None:
                continue
            entries = tuple(self._entries(stage, locked))
            products = [
                each
                for index, entry in enumerate(entries)
                for each in self._content(entry, sources, scratch / f"{number}-{index}", emit)
            ]
            found[stage.address] = self._claim(stage, locked, entries, products, found)
        if not found:
            raise ProjectError(
                f"`{lock_of(self._pipeline.files[0])}` says nothing of any stage",
                hint="run `dvc repro` or `reproof run`, and commit what they write",
            )
        return found

    def _entries(self, stage: Stage, locked: LockedStage) -> Iterator[DvcEntry]:
        """What dvc.lock says of the outputs, as DVC's entries."""
        known = {each.path: each for each in locked.outs}
        for out in stage.outs:
            content = known.get(out.path)
            if content is None or not content.md5:
                where = f"`{lock_of(stage.file)}`"
                raise ProjectError(f"{where}: stage `{stage.name}` has no digest for its output `{out.path}`")
            yield DvcEntry(
                path=out.place,
                md5=content.md5.removesuffix(".dir"),
                is_dir=content.md5.endswith(".dir"),
                size=content.size,
                hash_name=content.hash_name,
                source=lock_of(stage.file),
                root=self._pipeline.root,
                cached=out.cache,
            )

    def _content(self, entry: DvcEntry, sources: DvcSources, place: Path, emit: Emit) -> list[Artifact]:
        """The files of an output, kept where they can be had; else what dvc.lock says of it, alone."""
        bare = Artifact(
            name=entry.path,
            digests={entry.hash_name: entry.id},
            size=entry.size or 0,
            kind="directory" if entry.is_dir else "file",
            origin="dvc",
            source=entry.source,
        )
        committed = self._committed(entry, bare)
        if committed is not None:
            return [committed]
        try:
            place.mkdir(parents=True)
            restored = restore(entry, place, sources, emit)
        except ReproofError:
            emit(Event(kind="note", subject=entry.path, message=f"`{entry.path}`: only its digest is here"))
            return [bare]
        return [self._kept(each, place / each.name) for each in restored.members or (restored.artifact,)]

    def _committed(self, entry: DvcEntry, bare: Artifact) -> Artifact | None:
        """A file that is not in DVC's cache but in the work tree, where that is what dvc.lock says."""
        path = self._top / entry.path
        if entry.cached or not path.is_file():
            return None
        same = digest_file(path, (entry.hash_name,))[entry.hash_name] == entry.md5
        return self._kept(bare, path) if same else None

    def _kept(self, artifact: Artifact, path: Path) -> Artifact:
        digest = self._store.put(path)
        digests = {**artifact.digests, digest.algorithm: digest.value}
        return msgspec.structs.replace(
            artifact, digests=digests, size=path.stat().st_size, kept=True, mode=None
        )

    def _claim(
        self,
        stage: Stage,
        locked: LockedStage,
        entries: tuple[DvcEntry, ...],
        products: list[Artifact],
        earlier: dict[str, Claim],
    ) -> Claim:
        section = StageSection(
            address=stage.address,
            file=stage.file,
            cmd=json.dumps(stage.cmd),
            deps=tuple(_content_of(dep.path, dep.place, locked.deps) for dep in stage.deps),
            params=json.dumps(locked.params),
            outs=tuple(_content_of(out.path, out.place, locked.outs) for out in stage.outs),
            removed=tuple(out.place for out in stage.outs if not out.persist),
        )
        record = msgspec.structs.replace(
            self._draft,
            state="finished",
            nonce=secrets.token_hex(16),
            project=project_section(stage, self._draft.project),
            materials=tuple(_made_earlier(stage, earlier.values())),
            products=tuple(products),
            byproducts=Byproducts(exit_status=0),
            stage=section,
        )
        return Claim(stage=stage, locked=locked, record=record, entries=entries)


def _content_of(path: str, place: str, locked: Iterable[LockedContent]) -> StageContent:
    found = next((each for each in locked if each.path == path), None)
    return StageContent(
        path=path, place=place, md5=found.md5 if found else "", size=(found.size or 0) if found else 0
    )


def _made_earlier(stage: Stage, earlier: Iterable[Claim]) -> Iterator[Artifact]:
    """The files that earlier stages are claimed to have made and that this one declares to read."""
    places = [dep.place for dep in stage.deps]
    for claim in earlier:
        for product in claim.record.products:
            if any(is_within(product.name, place) or is_within(place, product.name) for place in places):
                yield msgspec.structs.replace(product, origin="stage", source=claim.stage.address)


def measure_as_claimed(top: Path, claim: Claim, record: Record) -> Record:
    """The record of a re-run with digests of the kind that dvc.lock has, and only what it speaks of.

    Args:
        top: Top of the room's clone, where the outputs lie.
        claim: What dvc.lock says.
        record: The record of the re-run.
    """
    bare = {each.name: each for each in claim.record.products if each.kind == "directory"}
    products = []
    for product in record.products:
        entry = next((each for each in claim.entries if is_within(product.name, each.path)), None)
        if entry is None or entry.path in bare:
            continue
        try:
            digests = digest_file(top / product.name, (entry.hash_name,))
        except OSError:
            digests = {}
        products.append(msgspec.structs.replace(product, digests={**digests, **product.digests}, mode=None))
    for entry in claim.entries:
        if entry.path in bare:
            products += _measured(top, entry, bare[entry.path])
    return msgspec.structs.replace(record, products=tuple(products), runs=(), metrics=(), parameters=())


def _measured(top: Path, entry: DvcEntry, bare: Artifact) -> list[Artifact]:
    content = measure_as(top / entry.path, entry.hash_name)
    if content is None:
        return []
    return [msgspec.structs.replace(bare, digests={entry.hash_name: content.md5}, size=content.size)]


def judge_claim(claim: Claim, top: Path, judgement: Judgement) -> Judgement:
    """What a comparison says of a claim: a digest that differs is a difference, bytes or not.

    Besides: what the stage read is not what dvc.lock says that it read.
    """
    decided = [
        msgspec.structs.replace(
            each,
            outcome=Outcome.DIFFERENT,
            summary=DIGEST_ONLY,
            evidence={**each.evidence, "digest only": True},
        )
        if each.outcome is Outcome.UNKNOWN and each.kind == "bytes"
        else each
        for each in judgement.differences
    ]
    return msgspec.structs.replace(judgement, differences=(*decided, *_inputs(claim, top)))


def _inputs(claim: Claim, top: Path) -> Iterator[Difference]:
    """Inputs that no stage makes and that are not what dvc.lock says; params and command likewise."""
    stage, locked = claim.stage, claim.locked
    made = {each.name for each in claim.record.materials if each.origin == "stage"}
    known = {each.path: each for each in locked.deps}
    for dep in stage.deps:
        then = known.get(dep.path)
        if then is None or any(is_within(name, dep.place) or is_within(dep.place, name) for name in made):
            continue
        entry = DvcEntry(path=dep.place, md5="", hash_name=then.hash_name, source="")
        found = _measured(top, entry, Artifact(name=dep.place))
        now = found[0].digests[then.hash_name] if found else "nothing"
        if now != then.md5:
            yield _claimed(f"dependency {dep.path}", then.md5, now)
    if locked.cmd != stage.cmd:
        yield _claimed("command", json.dumps(locked.cmd), json.dumps(stage.cmd))
    values = {each.place: each for each in stage.params}
    for place, params in values.items():
        yield from _params(top, place, params.path, locked)


def _params(top: Path, place: str, path: str, locked: LockedStage) -> Iterator[Difference]:
    from reproof.project.params_files import read_params_file, select_values

    then = locked.params.get(path, {})
    try:
        now, _ = select_values(read_params_file(top / place, place), then)
    except ProjectError:
        now = {}
    for name, value in then.items():
        if now.get(name) != value:
            yield _claimed(f"parameter {name} of {path}", json.dumps(value), json.dumps(now.get(name)))


def _claimed(subject: str, then: str, now: str) -> Difference:
    return Difference(
        subject=subject,
        outcome=Outcome.DIFFERENT,
        kind="claim",
        summary=f"dvc.lock says `{then}`, here it is `{now}`",
        expected=then,
        actual=now,
    )


def raw_entries(pipeline: Pipeline, stages: Iterable[Stage]) -> tuple[DvcEntry, ...]:
    """What ``.dvc`` files name and these stages read."""
    places = [dep.place for stage in stages for dep in stage.deps]
    return tuple(
        entry
        for entry in pipeline.data
        if any(is_within(entry.path, place) or is_within(place, entry.path) for place in places)
    )
