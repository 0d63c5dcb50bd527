"""Comparing two records, result by result: exit status, metrics, parameters, artifacts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import msgspec

from reproof.base.files import remove_tree
from reproof.capture.secrets import conceal_in
from reproof.compare import compare_files, hydra
from reproof.compare.metrics import compare_metrics, compare_parameters
from reproof.errors import StoreError
from reproof.model.artifact import Artifact
from reproof.model.difference import Difference, Outcome
from reproof.model.policy import Policy, Rule
from reproof.model.record import Record
from reproof.model.verdict import NotChecked
from reproof.store.directory import DirectoryStore
from reproof.workflow.run_folders import pair_folders, without_times


class Side(msgspec.Struct, frozen=True):
    """One of the two things compared: a record, and the store that holds its content."""

    record: Record
    store: DirectoryStore


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """All differences, in the order of the report, and what was not compared."""

    differences: tuple[Difference, ...] = ()
    not_checked: tuple[NotChecked, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """The worst outcome of all."""
        return Outcome.worst(difference.outcome for difference in self.differences)


def judge(expected: Side, actual: Side, policy: Policy, scratch: Path) -> Judgement:
    """Compare the results of two records.

    Args:
        expected: The recorded side.
        actual: The re-run's side.
        policy: Tolerances and rules; a rule with `ignore` moves its subjects to `not_checked`.
        scratch: Empty folder; content is laid out there under its own name while it is compared.
    """
    differences = [
        _compare_status(expected, actual),
        *compare_metrics(expected.record.metrics, actual.record.metrics, policy),
        *compare_parameters(expected.record.parameters, actual.record.parameters, policy),
        *_compare_products(expected, actual, policy, scratch),
        *_hidden("recorded run", expected.record),
        *_hidden("re-run", actual.record),
    ]
    differences += _nothing_compared(differences, expected.record)
    kept, ignored = [], []
    for difference in differences:
        reason = policy.rule_for(difference.subject).ignore
        if reason is None:
            kept.append(difference)
        else:
            ignored.append(NotChecked(difference.subject, f"ignored by rule: {reason}"))
    omitted = [
        NotChecked(omission.subject, omission.reason)
        for omission in expected.record.omissions
        if not omission.hides_results
    ]
    return Judgement(differences=tuple(kept), not_checked=(*ignored, *omitted))


def _hidden(side: str, record: Record) -> Iterator[Difference]:
    """What may be missing from a result cannot have been compared: UNKNOWN, never passed over."""
    for omission in record.omissions:
        if omission.hides_results:
            yield Difference(
                subject=omission.subject,
                outcome=Outcome.UNKNOWN,
                kind="omission",
                summary=f"not captured in the {side}: {omission.reason}",
            )


def _nothing_compared(differences: list[Difference], record: Record) -> list[Difference]:
    """A successful run without any result proves nothing by ending with the same status."""
    if len(differences) > 1 or record.byproducts.exit_status != 0:
        return []
    return [
        Difference(
            subject="results",
            outcome=Outcome.UNKNOWN,
            kind="omission",
            summary="the run left no metric, parameter, artifact or file: there is nothing to compare",
        )
    ]


def _compare_status(expected: Side, actual: Side) -> Difference:
    before, after = expected.record.byproducts.exit_status, actual.record.byproducts.exit_status
    same = before == after
    return Difference(
        subject="exit status",
        outcome=Outcome.IDENTICAL if same else Outcome.DIFFERENT,
        summary=f"both ended with {before}" if same else f"ended with {after}, recorded {before}",
        kind="status",
        expected=str(before),
        actual=str(after),
        children=() if same else _last_words(actual),
    )


def _last_words(side: Side) -> tuple[Difference, ...]:
    """The end of what a re-run said when it ended otherwise: mostly the reason."""
    return tuple(
        Difference(subject=name, outcome=Outcome.DIFFERENT, summary=line, kind="log")
        for name, line in _last_of_logs(side)
    )


def last_lines(side: Side) -> tuple[str, ...]:
    """At most five lines: the end of what a run wrote to standard error, or else to standard output."""
    return tuple(line for _, line in _last_of_logs(side))


def _last_of_logs(side: Side) -> list[tuple[str, str]]:
    byproducts = side.record.byproducts
    for log in (byproducts.stderr, byproducts.stdout):
        if log is None or log.digest is None or not log.size:
            continue
        try:
            lines = side.store.get_bytes(log.digest)[-8192:].decode("utf-8", "replace").strip().splitlines()
        except StoreError:
            continue
        return [(log.name, conceal_in(line)) for line in lines[-5:] if line.strip()]
    return []


class _Content(msgspec.Struct, frozen=True):
    """An artifact of one side, where its bytes are, and what belongs beside it to understand it."""

    artifact: Artifact
    side: Side
    beside: tuple[Artifact, ...] = ()
    names: frozenset[str] = frozenset()

    @property
    def store(self) -> DirectoryStore:
        """Where the bytes are."""
        return self.side.store

    @property
    def is_here(self) -> bool:
        """Whether the bytes were kept, and can be had."""
        digest = self.artifact.digest
        return self.artifact.kept and digest is not None and digest in self.store

    def lay_out(self, folder: Path) -> Path:
        """Verified private copies under their own file names, which recognisers look at too."""
        remove_tree(folder)
        base = PurePosixPath(self.artifact.name).parent
        for artifact in (self.artifact, *self.beside):
            if artifact.digest is not None and artifact.digest in self.store:
                self.store.get(artifact.digest, folder / PurePosixPath(artifact.name).relative_to(base))
        return folder / PurePosixPath(self.artifact.name).name

    def without(self, kind: str, copy: Path) -> bool:
        """Take out of a private copy what hydra wrote of place and time; whether there was any."""
        return hydra.set_aside(copy, kind, lambda path: without_times(path, self.side.record))


def _compare_products(expected: Side, actual: Side, policy: Policy, scratch: Path) -> Iterator[Difference]:
    before, after = _contents(expected), _contents(actual)
    pairs = pair_folders(expected.record, actual.record)
    for name in sorted({*before, *after} - pairs.taken):
        rule = policy.rule_for(name)
        other = pairs.names.get(name)
        if name in pairs.doubtful:
            yield _doubtful((before.get(name) or after[name]).artifact)
        elif other is not None:
            found = _compare_one(before[name], after[other], rule, scratch)
            summary = f"{found.summary}; the re-run made it as `{other}`"
            yield _set_aside(found, pairs.reasons[name], summary)
        elif name not in after:
            yield _one_sided(before[name].artifact, "the re-run did not make it")
        elif name not in before:
            yield _one_sided(after[name].artifact, "only the re-run made it")
        else:
            yield _compare_one(before[name], after[name], rule, scratch)


def _compare_one(before: _Content, after: _Content, rule: Rule, scratch: Path) -> Difference:
    if rule.stable == "name" or rule.ignore is not None:
        return Difference(
            subject=before.artifact.name,
            outcome=Outcome.EQUIVALENT,
            kind="name",
            summary="present on both sides",
            canonicalised=("content (declared stable by name only)",),
        )
    return _compare_pair(before, after, rule, scratch)


def _set_aside(difference: Difference, names: tuple[str, ...], summary: str) -> Difference:
    """The same with something more set aside: nothing is identical then."""
    return msgspec.structs.replace(
        difference,
        outcome=max(difference.outcome, Outcome.EQUIVALENT),
        summary=summary,
        canonicalised=(*difference.canonicalised, *names),
    )


def _doubtful(artifact: Artifact) -> Difference:
    return Difference(
        subject=artifact.name,
        outcome=Outcome.UNKNOWN,
        kind="artifact",
        summary="both runs made it in folders named by time or number, and in several: which belong together is not known",
        evidence={"size": artifact.size},
    )


def _contents(side: Side) -> dict[str, _Content]:
    """The products by name; the description of a model comes with the model's other files."""
    products = side.record.products
    names = frozenset(each.name for each in products)
    return {
        artifact.name: _Content(artifact, side, _beside(artifact, products), names) for artifact in products
    }


def _beside(artifact: Artifact, products: tuple[Artifact, ...]) -> tuple[Artifact, ...]:
    folder, _, name = artifact.name.rpartition("/")
    if name != "MLmodel":
        return ()
    return tuple(each for each in products if each.name.startswith(f"{folder}/") and each != artifact)


def _one_sided(artifact: Artifact, what: str) -> Difference:
    return Difference(
        subject=artifact.name,
        outcome=Outcome.DIFFERENT,
        kind="artifact",
        summary=what,
        evidence={"size": artifact.size},
    )


def _compare_pair(before: _Content, after: _Content, rule: Rule, scratch: Path) -> Difference:
    expected, actual = before.artifact, after.artifact
    if expected.kind != actual.kind or expected.target != actual.target:
        return _different_kind(expected, actual)
    content = _compare_content(before, after, rule, scratch)
    if _is_executable(expected) != _is_executable(actual):
        return msgspec.structs.replace(
            content,
            outcome=Outcome.DIFFERENT,
            summary="the permission to execute differs; " + content.summary,
        )
    return content


def _different_kind(expected: Artifact, actual: Artifact) -> Difference:
    def say(artifact: Artifact) -> str:
        return f"symlink to {artifact.target}" if artifact.kind == "symlink" else artifact.kind

    return Difference(
        subject=expected.name,
        outcome=Outcome.DIFFERENT,
        kind="artifact",
        summary=f"{say(actual)}, recorded {say(expected)}",
        expected=say(expected),
        actual=say(actual),
    )


def _compare_content(before: _Content, after: _Content, rule: Rule, scratch: Path) -> Difference:
    """Two files by a digest that both have; where none is the same, by content, if that of both is here."""
    expected, actual = before.artifact, after.artifact
    shared = sorted(set(expected.digests) & set(actual.digests))
    if expected.kind == "symlink" or any(expected.digests[name] == actual.digests[name] for name in shared):
        return Difference(
            subject=expected.name,
            outcome=Outcome.IDENTICAL,
            kind="bytes",
            summary="same bytes",
            evidence={"size": expected.size, **{name: expected.digests[name] for name in shared}},
        )
    if not (before.is_here and after.is_here):
        return Difference(
            subject=expected.name,
            outcome=Outcome.UNKNOWN,
            kind="bytes",
            summary="the bytes differ, and the content of one side is not here: only digests can be compared",
            expected=str(expected.digest),
            actual=str(actual.digest),
        )
    left, right = before.lay_out(scratch / "expected"), after.lay_out(scratch / "actual")
    kind = hydra.kind_of(expected.name, before.names)
    done = [each.without(kind, copy) for each, copy in ((before, left), (after, right)) if kind is not None]
    found = compare_files(left, right, subject=expected.name, tolerance=rule.tolerance)
    if kind is None or not any(done):
        return found
    same = found.outcome is Outcome.IDENTICAL
    return _set_aside(found, (kind,), f"the same but for {kind}" if same else found.summary)


def _is_executable(artifact: Artifact) -> bool:
    return bool((artifact.mode or 0) & 0o111)
