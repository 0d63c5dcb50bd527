"""Trees of differences cut to a size that people can take in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reproof.model.difference import Difference, Outcome


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a tree is shown: levels below the top, children of one node, nodes in all.

    `top` is the number of children on the first two levels, where it is larger than `breadth`.
    """

    depth: int = 6
    breadth: int = 10
    nodes: int = 60
    top: int = 0


@dataclass(frozen=True, slots=True)
class Branch:
    """A node of a cut tree.

    Attributes:
        difference: The node itself.
        branches: Its children worth showing, in their order.
        hidden: Children that are not identical and not shown.
    """

    difference: Difference
    branches: tuple[Branch, ...] = ()
    hidden: tuple[Difference, ...] = ()

    @property
    def hidden_counts(self) -> dict[Outcome, int]:
        """How many children are not shown, by outcome, worst first; what a comparator only counted too."""
        counts: dict[Outcome, int] = {}
        for node in self.hidden:
            told = {Outcome[name.upper()]: number for name, number in _counted(node).items()}
            for outcome, number in (told or {node.outcome: 1}).items():
                counts[outcome] = counts.get(outcome, 0) + number
        return dict(sorted(counts.items(), reverse=True))

    @property
    def more(self) -> str:
        """``1,204 more: 1,200 different, 4 unknown``; empty when all is shown."""
        counts = self.hidden_counts
        words = ", ".join(f"{number:,} {outcome.word}" for outcome, number in counts.items())
        return f"{sum(counts.values()):,} more: {words}" if counts else ""


def cut(difference: Difference, limits: Limits) -> Branch:
    """The tree below `difference` without what is identical, cut to `limits`.

    Where children must be left out, the worst stay and come first. Works without recursion on input of any depth;
    the result is at most ``limits.depth`` deep.
    """
    budget = limits.nodes
    shown: dict[int, tuple[list[Difference], list[Difference]]] = {}
    level = [difference]
    for depth in range(limits.depth + 1):
        following: list[Difference] = []
        for node in level:
            widest = max(limits.breadth, limits.top if depth < 2 else 0)
            breadth = min(widest, budget) if depth < limits.depth else 0
            first, rest = _split(node.children, breadth)
            shown[id(node)] = (first, rest)
            budget -= len(first)
            following.extend(first)
        level = following
    return _branch(difference, shown)


def foremost(outcomes: Sequence[Outcome], limit: int) -> tuple[list[int], list[int]]:
    """Which places to show and which to leave out: all in their order, or the `limit` worst, worst first.

    Returns:
        Indexes into `outcomes`: those to show, and the others.
    """
    places = list(range(len(outcomes)))
    if len(outcomes) > limit:
        places.sort(key=lambda place: -outcomes[place])
    return places[: max(limit, 0)], places[max(limit, 0) :]


def _branch(node: Difference, shown: dict[int, tuple[list[Difference], list[Difference]]]) -> Branch:
    first, rest = shown.get(id(node), ([], []))
    return Branch(node, tuple(_branch(child, shown) for child in first), tuple(rest))


def _split(children: Sequence[Difference], breadth: int) -> tuple[list[Difference], list[Difference]]:
    unequal = [child for child in children if child.outcome > Outcome.IDENTICAL and child.kind != "count"]
    first, rest = foremost([child.outcome for child in unequal], breadth)
    counted = [child for child in children if child.kind == "count"]
    return [unequal[place] for place in first], [unequal[place] for place in rest] + counted


def _counted(node: Difference) -> dict[str, int]:
    """The counts of a node that stands for parts which the comparator left out."""
    if node.kind != "count":
        return {}
    return {
        outcome.word: number
        for outcome in Outcome
        if isinstance(number := node.evidence.get(outcome.word), int) and number > 0
    }
