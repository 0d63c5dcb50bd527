"""A verdict arranged for reading: groups of rows, values, factors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from reproof.compare.numbers import compare_numbers
from reproof.model.difference import Difference, Outcome
from reproof.model.policy import Policy
from reproof.model.record import Record
from reproof.model.verdict import Verdict, accepted
from reproof.report.numbers import distance_text, number_in, parse, shortest
from reproof.report.tree import foremost

#: Titles of the groups, in the order of the report.
TITLES = ("stages", "metrics", "parameters", "artifacts", "command")

_PREFIXES = {"metric:": "metrics", "parameter:": "parameters", "param:": "parameters"}
_KINDS = {
    "stage": "stages",
    "metric": "metrics",
    "parameter": "parameters",
    "param": "parameters",
    "status": "command",
}


@dataclass(frozen=True, slots=True)
class Values:
    """The two sides of a number (or short text), for people.

    Attributes:
        expected: The recorded side; shortest decimal for floats.
        actual: The side of the re-run.
        distance: ``relative 1.5e-04, 3 ulp``; empty when equal or no numbers.
        relative: The relative difference, None where there is none.
    """

    expected: str | None
    actual: str | None
    distance: str = ""
    relative: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One compared subject: a metric, a parameter, an artifact, the exit status.

    Attributes:
        name: The subject without its ``metric:``.
        difference: What was found.
        accepted: Whether the policy lets it pass.
        size: Bytes of an artifact, None where unknown.
    """

    name: str
    difference: Difference
    accepted: bool
    size: int | None = None

    @property
    def outcome(self) -> Outcome:
        """The outcome of the comparison."""
        return self.difference.outcome


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of one sort, in the order of the verdict."""

    title: str
    rows: tuple[Row, ...]

    @property
    def outcome(self) -> Outcome:
        """The worst outcome of the rows."""
        return Outcome.worst(row.outcome for row in self.rows)

    def foremost(self, limit: int) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
        """All rows in their order; or the `limit` worst, worst first, and the rest."""
        first, rest = foremost([row.outcome for row in self.rows], limit)
        return tuple(self.rows[place] for place in first), tuple(self.rows[place] for place in rest)


def groups_of(verdict: Verdict, record: Record | None) -> tuple[Group, ...]:
    """The differences of a verdict by sort, empty groups left out; sizes from the record's products."""
    sizes = {artifact.name: artifact.size for artifact in record.products} if record else {}
    return group(verdict.differences, verdict.policy, sizes)


def group(differences: Iterable[Difference], policy: Policy, sizes: dict[str, int]) -> tuple[Group, ...]:
    """Any differences by sort; see :func:`groups_of`."""
    found: dict[str, list[Row]] = {title: [] for title in TITLES}
    for difference in differences:
        title, name = _sort(difference)
        size = sizes.get(difference.subject, _size_in(difference)) if title == "artifacts" else None
        found[title].append(Row(name, difference, accepted(difference, policy), size))
    return tuple(Group(title, tuple(rows)) for title, rows in found.items() if rows)


def values_of(difference: Difference) -> Values:
    """The two sides as people read them; a distance where both are numbers that differ.

    The distance is the one that the comparator noted; where it noted none, that of two doubles.
    """
    expected, actual = difference.expected, difference.actual
    first, second = parse(expected), parse(actual)
    left, right = (shortest(side) if side is not None else None for side in (expected, actual))
    if expected is None or actual is None or difference.outcome == Outcome.IDENTICAL:
        return Values(left, right)
    facts = difference.evidence
    if first is not None and second is not None and not _has_distance(facts) and _is_real(expected + actual):
        facts = compare_numbers(first, second)[1]
        if difference.kind != "metric":
            facts.pop("ulp", None)  # the width of these numbers is not known
    return Values(left, right, distance_text(facts), number_in(facts, "relative"))


def count_by_outcome(outcomes: Iterable[Outcome]) -> dict[Outcome, int]:
    """How often each outcome occurs, worst first."""
    counts: dict[Outcome, int] = {}
    for outcome in outcomes:
        counts[outcome] = counts.get(outcome, 0) + 1
    return {outcome: counts[outcome] for outcome in sorted(counts, reverse=True)}


def set_aside(differences: Iterable[Difference]) -> dict[str, list[str]]:
    """Each canonicalisation that was applied, with the subjects (of the top level) it was applied to."""
    found: dict[str, list[str]] = {}
    for difference in differences:
        for name in difference.canonicalisations:
            found.setdefault(name, []).append(difference.subject)
    return dict(sorted(found.items()))


@dataclass(frozen=True, slots=True)
class Factor:
    """One thing that differs between the recorded and the re-made set-up.

    Attributes:
        section: Part of the record: ``environment``, ``hardware``.
        name: What differs: ``package numpy``.
        expected: The recorded side, None where it was absent.
        actual: The side of the re-run, None where it was absent.
        summary: What is known where there are no two sides.
    """

    section: str
    name: str
    expected: str | None
    actual: str | None
    summary: str


def factors_of(differences: Iterable[Difference]) -> list[Factor]:
    """The leaves of the factors that are not identical, each with the section it belongs to."""
    return [
        Factor(top.subject, node.subject, node.expected, node.actual, node.summary)
        for top in differences
        for node in top.walk()
        if not node.children and node.outcome > Outcome.IDENTICAL
    ]


def summary_of(difference: Difference) -> str:
    """The summary without the subject in front, for places where the subject stands already."""
    return difference.summary.removeprefix(f"{difference.subject}: ")


def label_of(difference: Difference, parent: Difference) -> str:
    """The subject, without what the parent says already: ``step 3`` for ``metric:rmse@step 3``."""
    return difference.subject.removeprefix(f"{parent.subject}@")


def sides_of(difference: Difference) -> Values | None:
    """The two sides, where there are any and the summary does not show them already."""
    values = values_of(difference)
    if values.expected is None and values.actual is None:
        return None
    summary = difference.summary
    shown = (difference.expected, values.expected), (difference.actual, values.actual)
    if all(any(text is None or text in summary for text in side) for side in shown):
        return None
    return values


def _sort(difference: Difference) -> tuple[str, str]:
    for prefix, title in _PREFIXES.items():
        if difference.subject.startswith(prefix):
            return title, difference.subject.removeprefix(prefix)
    title = "command" if difference.subject == "exit status" else _KINDS.get(difference.kind, "artifacts")
    return title, difference.subject


def _has_distance(facts: Mapping[str, Any]) -> bool:
    return number_in(facts, "ulp") is not None or number_in(facts, "relative") is not None


def _is_real(text: str) -> bool:
    """Not whole numbers only: of counts and seeds a distance in doubles tells nothing."""
    return any(character in text for character in ".xeE")


def _size_in(difference: Difference) -> int | None:
    sizes = difference.evidence.get("sizes")
    size = sizes[0] if isinstance(sizes, (list, tuple)) and sizes else difference.evidence.get("size")
    return size if isinstance(size, int) and not isinstance(size, bool) else None
