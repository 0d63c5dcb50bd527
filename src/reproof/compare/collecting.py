"""Gathering parts into a node: all are counted, the worst and first are kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from reproof.compare.protocol import Context, Limits, Spending
from reproof.model.difference import Difference, Outcome, combine

_ALWAYS = 3  # parts kept for every node even when the tree is full


class Collector:
    """Collects the parts of one node within the limits on the size of the tree.

    Identical parts are only counted. Of the others at most ``limits.max_children`` are kept, worse
    outcomes before better ones; what is left out is counted in one last child.
    """

    def __init__(self, context: Context | None = None) -> None:
        """Start empty; the limits and the account of kept parts are those of `context`, or its own."""
        self._limits = context.limits if context else Limits()
        self._spending = context.spending if context else Spending(self._limits)
        self._kept: dict[Outcome, list[tuple[int, Difference]]] = {}
        self._counts: dict[Outcome, int] = {}
        self._names: set[str] = set()
        self._seen = 0

    def add(self, part: Difference) -> None:
        """Count `part`, and keep it where there is room."""
        self._seen += 1
        self.count(part.outcome)
        if part.outcome is Outcome.IDENTICAL:
            return
        if self.has_room(part.outcome):
            kept = self._kept.setdefault(part.outcome, [])
            kept.append((self._seen, part))
            self._spending.nodes += 1
        else:
            self._names.update(part.canonicalisations)

    def extend(self, parts: Iterable[Difference]) -> None:
        """Add each of `parts`."""
        for part in parts:
            self.add(part)

    def has_room(self, outcome: Outcome) -> bool:
        """Whether a part of this outcome would be kept; if not, counting it is enough."""
        full = self._spending.nodes >= self._limits.max_nodes
        return len(self._kept.get(outcome, ())) < (_ALWAYS if full else self._limits.max_children)

    def count(self, outcome: Outcome, number: int = 1) -> None:
        """Count `number` parts that need no node of their own."""
        self._counts[outcome] = self._counts.get(outcome, 0) + number

    @property
    def outcome(self) -> Outcome:
        """The worst outcome so far."""
        return Outcome.worst(self._counts)

    @property
    def differing(self) -> int:
        """How many parts were not identical."""
        return sum(number for outcome, number in self._counts.items() if outcome is not Outcome.IDENTICAL)

    @property
    def total(self) -> int:
        """How many parts there were."""
        return sum(self._counts.values())

    def words(self) -> str:
        """``3 identical, 1 different``; ``nothing to compare`` for none."""
        ordered = sorted(self._counts)
        return ", ".join(f"{self._counts[each]:,} {each.word}" for each in ordered) or "nothing to compare"

    def children(self) -> tuple[Difference, ...]:
        """The kept parts in the order in which they came, then what was left out."""
        room = self._limits.max_children
        chosen: list[tuple[int, Difference]] = []
        for outcome in sorted(self._kept, reverse=True):
            fitting = max(0, room - len(chosen))
            for _, part in self._kept[outcome][fitting:]:
                self._names.update(part.canonicalisations)
            chosen += self._kept[outcome][:fitting]
        parts = [part for _, part in sorted(chosen, key=lambda pair: pair[0])]
        left_out = self._left_out(parts)
        return (*parts, left_out) if left_out else tuple(parts)

    def difference(
        self,
        subject: str,
        *,
        kind: str,
        summary: str | None = None,
        canonicalised: tuple[str, ...] = (),
        evidence: dict[str, Any] | None = None,
    ) -> Difference:
        """The node: see :func:`reproof.model.difference.combine`; the counts are part of the evidence."""
        facts = {"parts": {outcome.word: self._counts[outcome] for outcome in sorted(self._counts)}}
        return combine(
            subject,
            self.children(),
            kind=kind,
            summary=summary if summary is not None else self.words(),
            canonicalised=canonicalised,
            evidence={**facts, **(evidence or {})},
        )

    def _left_out(self, parts: list[Difference]) -> Difference | None:
        shown: dict[Outcome, int] = {}
        for part in parts:
            shown[part.outcome] = shown.get(part.outcome, 0) + 1
        rest = {
            outcome: number - shown.get(outcome, 0)
            for outcome, number in self._counts.items()
            if outcome is not Outcome.IDENTICAL and number > shown.get(outcome, 0)
        }
        if not rest:
            return None
        words = ", ".join(f"{rest[outcome]:,} {outcome.word}" for outcome in sorted(rest, reverse=True))
        return Difference(
            subject="(more)",
            outcome=Outcome.worst(rest),
            summary=f"{words} not shown",
            kind="count",
            canonicalised=tuple(sorted(self._names)),
            evidence={outcome.word: number for outcome, number in rest.items()},
        )
