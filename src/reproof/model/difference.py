"""What comparing yields: one recursive value, which renderers only walk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Any

import msgspec


class Outcome(IntEnum):
    """How two things relate, ordered so that the worst of several is their maximum.

    IDENTICAL: the same bytes (or the same exact value).
    EQUIVALENT: the same content bit for bit after a canonicalisation that is named.
    CLOSE: numbers differ within a tolerance that was declared.
    UNKNOWN: could not be compared; never passes as reproduced.
    DIFFERENT: the content differs.
    """

    IDENTICAL = 0
    EQUIVALENT = 1
    CLOSE = 2
    UNKNOWN = 3
    DIFFERENT = 4

    @classmethod
    def worst(cls, outcomes: Iterable[Outcome]) -> Outcome:
        """The worst of `outcomes`; IDENTICAL when there are none."""
        return max(outcomes, default=cls.IDENTICAL)

    @property
    def word(self) -> str:
        """The name as people read it: ``identical``, ``different`` ..."""
        return self.name.lower()


class Difference(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How one subject of the record relates to the same subject of the re-run.

    A tree: the outcome of a node is never better than the worst of its children.

    Attributes:
        subject: What was compared: a path, a key, ``$.metrics.rmse``, ``steps[1].n_estimators``.
        outcome: How the two sides relate.
        summary: One line that stands alone.
        kind: Which comparator spoke: ``bytes``, ``json``, ``metric``, ``pickle`` ...
        expected: Short text of the recorded side, where it helps.
        actual: Short text of the re-run's side.
        canonicalised: What was set aside before comparing, each named (``zip member dates``).
        evidence: Facts for machines: offsets, counts, largest differences; JSON values only.
        children: Parts, worst first only if the comparator's order is not meaningful.
    """

    subject: str
    outcome: Outcome
    summary: str
    kind: str = ""
    expected: str | None = None
    actual: str | None = None
    canonicalised: tuple[str, ...] = ()
    evidence: dict[str, Any] = {}
    children: tuple[Difference, ...] = ()

    def walk(self) -> Iterator[Difference]:
        """This node and all below it, depth first, without recursion."""
        pending = [self]
        while pending:
            node = pending.pop()
            yield node
            pending.extend(reversed(node.children))

    @property
    def canonicalisations(self) -> tuple[str, ...]:
        """Every canonicalisation named in the tree, sorted, each once."""
        return tuple(sorted({name for node in self.walk() for name in node.canonicalised}))

    def named(self, subject: str) -> Difference:
        """The same difference under another subject."""
        return msgspec.structs.replace(self, subject=subject)


def combine(  # noqa: PLR0913  # mirrors the fields of the value it makes
    subject: str,
    children: Iterable[Difference],
    *,
    kind: str,
    summary: str | None = None,
    canonicalised: tuple[str, ...] = (),
    evidence: dict[str, Any] | None = None,
) -> Difference:
    """Fold `children` into their parent.

    The outcome is the worst of the children, and at least EQUIVALENT when something was
    canonicalised. Without a `summary` the counts of the outcomes are the summary.
    """
    parts = tuple(children)
    outcome = Outcome.worst(part.outcome for part in parts)
    if canonicalised:
        outcome = max(outcome, Outcome.EQUIVALENT)
    return Difference(
        subject=subject,
        outcome=outcome,
        summary=summary if summary is not None else count_outcomes(parts),
        kind=kind,
        canonicalised=canonicalised,
        evidence=evidence or {},
        children=parts,
    )


def count_outcomes(parts: Iterable[Difference]) -> str:
    """``3 identical, 1 different``: the outcomes of `parts`, best first; ``empty`` for none."""
    counts: dict[Outcome, int] = {}
    for part in parts:
        counts[part.outcome] = counts.get(part.outcome, 0) + 1
    return ", ".join(f"{counts[outcome]} {outcome.word}" for outcome in sorted(counts)) or "empty"
