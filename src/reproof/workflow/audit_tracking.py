"""Holding what MLflow shows now against what was signed: values, parameters, tags, artifacts, models."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from reproof.attest.claims import TrackedRuns
from reproof.attest.examine import Entry
from reproof.base.digesting import digest_bytes, digest_file
from reproof.base.naming import Naming
from reproof.capture.secrets import CONCEALED
from reproof.errors import TrackingError
from reproof.model.artifact import Artifact
from reproof.model.audit import AuditFinding, Unchecked
from reproof.model.event import Emit, Event
from reproof.model.record import Record
from reproof.tracking.address import Address, parse, resolve
from reproof.tracking.history import (
    RunState,
    canonical,
    model_folders,
    read_state,
    registered_versions,
    runs_with_records,
)
from reproof.tracking.lookup import artifact_paths, local_folder, read_artifact
from reproof.tracking.values import RECORD_ARTIFACT, Access, Run

#: Shortest value that a store may have cut off.
_CUT = 250
_OURS = ("mlflow.", "reproof.")


def check_tracking(
    entries: Sequence[Entry], records: Mapping[str, Record], top: Path, emit: Emit
) -> tuple[list[AuditFinding], list[Unchecked]]:
    """Compare every run of the log with its store.

    Returns:
        What differs, and what could not be looked at.
    """
    findings: list[AuditFinding] = []
    unchecked: list[Unchecked] = []
    ended = [entry for entry in entries if entry.kind == "finished" and entry.tracked.runs]
    signed = {run: entry.record for entry in ended for run in entry.tracked.runs[:1]}
    stores: dict[str, Access] = {}
    emit(Event(kind="start", subject="MLflow", message="comparing with MLflow", total=len(ended)))
    for done, entry in enumerate(ended, 1):
        tracked = entry.tracked
        access = stores.setdefault(tracked.uri, _access(tracked.uri, top))
        record = records.get(entry.record)
        if record is None:
            unchecked.append(Unchecked(f"MLflow run {tracked.runs[0]}", "its record is not here"))
            continue
        try:
            findings += _Comparison(entry.record, record, tracked, access, top).findings()
        except TrackingError as error:
            unchecked.append(Unchecked(f"MLflow run {tracked.runs[0]}", error.message))
        emit(Event(kind="advance", subject="MLflow", done=done, total=len(ended)))
    for uri, access in stores.items():
        try:
            findings += [*_attached(access, signed), *_misattributed(access, signed)]
        except TrackingError as error:
            unchecked.append(Unchecked(f"runs in `{uri}`", error.message))
    emit(Event(kind="finish", subject="MLflow"))
    return findings, unchecked


def _access(uri: str, top: Path) -> Access:
    named = resolve(None, os.environ, top)
    address: Address = named if named.uri == uri else parse(uri, top)
    return Access(address=address, environment=dict(os.environ), directory=top)


def _attached(access: Access, signed: Mapping[str, str]) -> Iterator[AuditFinding]:
    """Runs that carry a record which was signed for another one."""
    owners = {record: run for run, record in signed.items()}
    for run, record in sorted(runs_with_records(access).items()):
        if run in signed and record != signed[run]:
            yield AuditFinding(
                name="run-attached",
                subject=f"MLflow run {run}",
                summary="it carries another record than the one that was signed for it",
                expected=signed[run],
                actual=record,
            )
        elif run not in signed and record in owners:
            yield AuditFinding(
                name="run-attached",
                subject=f"MLflow run {run}",
                summary=f"it carries record {record[:12]}, which was signed for run {owners[record]}",
                expected=owners[record],
                actual=run,
            )


def _misattributed(access: Access, signed: Mapping[str, str]) -> Iterator[AuditFinding]:
    for each in registered_versions(access):
        if each.made_by and each.made_by != each.run_id and {each.made_by, each.run_id} & signed.keys():
            yield AuditFinding(
                name="model-misattributed",
                subject=f"model {each.name} version {each.version}",
                summary=f"it names run {each.run_id or 'none'}; its files are those of run {each.made_by}",
                expected=each.made_by,
                actual=each.run_id,
            )


class _Comparison:
    """One record against the runs that it was written to."""

    def __init__(
        self, identity: str, record: Record, tracked: TrackedRuns, access: Access, top: Path
    ) -> None:
        self._identity = identity
        self._record = record
        self._tracked = tracked
        self._access = access
        self._naming = Naming(top=str(top), home=str(Path.home()))

    def findings(self) -> Iterator[AuditFinding]:
        """All that differs."""
        for number, run_id in enumerate(self._tracked.runs):
            state = read_state(self._access, run_id)
            if state is None:
                yield AuditFinding(
                    name="run-removed",
                    subject=f"MLflow run {run_id}",
                    summary="the store has no such run any more",
                )
                continue
            yield from self._metrics(number, state)
            yield from self._parameters(number, state)
            yield from self._tags(number, state)
            yield from self._artifacts(number, state)
        yield from self._models()

    def _metrics(self, number: int, state: RunState) -> Iterator[AuditFinding]:
        """Hold each value that MLflow shows against those that were signed, as often as each was logged."""
        signed = Counter(
            (each.key, each.step, canonical(_parse(each.value)))
            for each in self._record.metrics
            if each.run == number
        )
        points = [each for each in state.points if not each.key.startswith("system/")]
        shown = Counter((each.key, each.step, each.value) for each in points)
        lost = {(key, step): value for key, step, value in signed if (key, step, value) not in shown}
        for (key, step, value), count in sorted(shown.items()):
            if count <= signed[key, step, value]:
                continue
            where = f"metric {key} at step {step} of MLflow run {state.run.run_id}"
            before = lost.pop((key, step), None)
            if before is not None:
                yield _changed("metric", where, _decimal(before), _decimal(value))
                continue
            late = [each.time for each in points if (each.key, each.step, each.value) == (key, step, value)]
            after = state.ended is not None and max(late) > state.ended
            summary = "added after the run had ended" if after else "the run did not log it"
            yield AuditFinding(name="metric-added", subject=where, summary=summary, actual=_decimal(value))
        for (key, step), value in sorted(lost.items()):
            where = f"metric {key} at step {step} of MLflow run {state.run.run_id}"
            yield AuditFinding(
                name="metric-removed",
                subject=where,
                summary="it was logged, and is gone",
                expected=_decimal(value),
            )
        yield from self._latest(state, {key: value for key, _, value in signed}, signed)

    def _latest(
        self, state: RunState, last: Mapping[str, str], signed: Counter[tuple[str, int, str]]
    ) -> Iterator[AuditFinding]:
        """The table that lists and plots are made from may say something else than the history."""
        values = {(key, value) for key, _, value in signed}
        for key, value in sorted(state.latest.items()):
            if key in last and (key, value) not in values:
                where = f"metric {key}, as shown in lists, of MLflow run {state.run.run_id}"
                yield _changed("metric", where, _decimal(last[key]), _decimal(value))

    def _parameters(self, number: int, state: RunState) -> Iterator[AuditFinding]:
        signed = dict(self._record.project.parameters) if number == 0 else {}
        signed |= {each.key: each.value for each in self._record.parameters if each.run == number}
        yield from self._pairs("parameter", signed, state.run.parameters, state.run.run_id)

    def _tags(self, number: int, state: RunState) -> Iterator[AuditFinding]:
        runs = self._record.runs
        signed = dict(runs[number].tags) if number < len(runs) else {}
        signed = {key: value for key, value in signed.items() if not key.startswith(_OURS)}
        shown = {key: value for key, value in state.run.tags.items() if not key.startswith(_OURS)}
        for finding in self._pairs("tag", signed, shown, state.run.run_id):
            # people add notes and labels to finished runs: told, and no reason to distrust
            added = finding.name == "tag-added"
            yield msgspec.structs.replace(finding, severity="warning") if added else finding

    def _pairs(
        self, kind: str, signed: Mapping[str, str], shown: Mapping[str, str], run: str
    ) -> Iterator[AuditFinding]:
        for key in sorted({*signed, *shown}):
            where = f"{kind} {key} of MLflow run {run}"
            if key not in shown:
                name = f"{kind}-changed" if kind == "tag" else f"{kind}-removed"
                yield AuditFinding(
                    name=name, subject=where, summary="it was set, and is gone", expected=signed[key]
                )
            elif key not in signed:
                yield AuditFinding(
                    name=f"{kind}-added",
                    subject=where,
                    summary="the run did not set it",
                    actual=shown[key][:200],
                )
            elif not self._same(signed[key], shown[key]):
                yield _changed(kind, where, signed[key][:200], shown[key][:200])

    def _same(self, signed: str, shown: str) -> bool:
        """Equal, up to this machine's paths, the length that a store keeps, and secrets, which were not signed."""
        if signed == CONCEALED:
            return True
        cut = len(shown) >= _CUT and self._naming.expand_in(signed).startswith(shown)
        return cut or signed == shown or signed == self._naming.replace_in(shown)

    def _artifacts(self, number: int, state: RunState) -> Iterator[AuditFinding]:
        prefix = "mlflow/artifacts/" if number == 0 else f"mlflow/run-{number}/artifacts/"
        signed = {
            each.name.removeprefix(prefix): each
            for each in self._record.products
            if each.name.startswith(prefix)
        }
        where = f"of MLflow run {state.run.run_id}"
        yield from self._files(signed, state.run, where)
        if number == 0:
            own = Artifact(name=RECORD_ARTIFACT, digests={"sha256": self._identity})
            yield from self._files({RECORD_ARTIFACT: own}, state.run, where, optional=True)
        for path in artifact_paths(self._access, state.run):
            if path not in signed and not path.startswith("reproof/"):
                yield AuditFinding(
                    name="artifact-added",
                    severity="warning",
                    subject=f"{path} {where}",
                    summary="the run did not log it",
                )

    def _models(self) -> Iterator[AuditFinding]:
        folders = model_folders(self._access, tuple(self._tracked.models)) if self._tracked.models else {}
        for model, name in self._tracked.models.items():
            prefix = f"mlflow/models/{name}/"
            signed = {
                each.name.removeprefix(prefix): each
                for each in self._record.products
                if each.name.startswith(prefix)
            }
            root = Run(run_id=model, artifact_uri=folders.get(model, ""))
            if not root.artifact_uri:
                if signed:
                    yield AuditFinding(
                        name="artifact-removed",
                        subject=f"model {name} ({model})",
                        summary="the store has it no more",
                    )
                continue
            yield from self._files(signed, root, f"of model {name} ({model})")

    def _files(
        self, signed: Mapping[str, Artifact], run: Run, where: str, *, optional: bool = False
    ) -> Iterator[AuditFinding]:
        for path, artifact in sorted(signed.items()):
            found = self._digests(run, path, tuple(artifact.digests))
            if found is None:
                if not optional:
                    yield AuditFinding(
                        name="artifact-removed",
                        subject=f"{path} {where}",
                        summary="it was logged, and is gone",
                    )
            elif any(found[name] != value for name, value in artifact.digests.items()):
                name = next(name for name, value in artifact.digests.items() if found[name] != value)
                yield _changed(
                    "artifact", f"{path} {where}", f"{name}:{artifact.digests[name]}", f"{name}:{found[name]}"
                )

    def _digests(self, run: Run, path: str, algorithms: tuple[str, ...]) -> dict[str, str] | None:
        """Digests of an artifact as it is now; None where it is gone."""
        folder = local_folder(run.artifact_uri)
        if folder is not None:
            try:
                return digest_file(folder / path, algorithms)
            except OSError:
                return None
        data = read_artifact(self._access, run, path)
        return None if data is None else digest_bytes(data, algorithms)


def _changed(kind: str, subject: str, expected: str, actual: str) -> AuditFinding:
    return AuditFinding(
        name=f"{kind}-changed",
        subject=subject,
        summary=f"signed {expected}, now {actual}",
        expected=expected,
        actual=actual,
    )


def _parse(text: str) -> float:
    return float("nan") if text.startswith("nan") else float.fromhex(text)


def _decimal(value: str) -> str:
    """The canonical form of a number, for people: the shortest decimal that is this very number."""
    return value if value in {"nan", "inf", "-inf"} else repr(float.fromhex(value))
