"""Comparators: turn two artifacts into one tree of differences."""

from __future__ import annotations

from pathlib import Path

from reproof.compare.protocol import Comparator, ContentError, Context, LimitError, Limits, Source, Spending
from reproof.compare.registry import compare_sources
from reproof.compare.special import MISSING, trouble_of
from reproof.model.difference import Difference, Outcome
from reproof.model.policy import EXACT, Policy, Tolerance

__all__ = [
    "Comparator",
    "ContentError",
    "Context",
    "LimitError",
    "Limits",
    "Source",
    "compare",
    "compare_files",
    "compare_folders",
    "new_context",
]


def compare(
    expected: Path,
    actual: Path,
    *,
    subject: str = "",
    tolerance: Tolerance = EXACT,
    policy: Policy | None = None,
) -> Difference:
    """Compare two files or folders by what they contain. Never raises on their content.

    Symlinks given here are followed; those within folders are compared by their targets.

    Args:
        expected: The recorded side.
        actual: The other side.
        subject: What the difference is about; the name of `expected` by default.
        tolerance: Bounds for numbers.
        policy: Rules for the members of folders by their path; `tolerance` holds for the others.

    Returns:
        IDENTICAL only when all bytes (of folders: also all names, targets and executable bits) are
        equal. A side that is missing is DIFFERENT, one that cannot be read UNKNOWN.
    """
    name = subject or expected.name or str(expected)
    troubles = trouble_of(expected), trouble_of(actual)
    if any(troubles):
        return _not_comparable(name, troubles)
    sides = Source.of(expected), Source.of(actual)
    return compare_sources(*sides, name, new_context(*sides, tolerance=tolerance, policy=policy))


def compare_files(
    expected: Path, actual: Path, *, subject: str = "", tolerance: Tolerance = EXACT
) -> Difference:
    """Compare two files; see :func:`compare`."""
    return compare(expected, actual, subject=subject, tolerance=tolerance)


def compare_folders(
    expected: Path,
    actual: Path,
    *,
    subject: str = "",
    tolerance: Tolerance = EXACT,
    policy: Policy | None = None,
) -> Difference:
    """Compare two folders member by member; see :func:`compare`.

    Members whose rule says ``ignore`` or ``stable = "name"`` are not compared by content: each is a
    child that is EQUIVALENT, with the rule named in `canonicalised` and its reason in the summary.
    """
    return compare(expected, actual, subject=subject, tolerance=tolerance, policy=policy)


def new_context(
    expected: Source,
    actual: Source,
    *,
    tolerance: Tolerance = EXACT,
    policy: Policy | None = None,
    limits: Limits | None = None,
) -> Context:
    """The context in which a comparison of these two sides starts; its clock runs from now."""
    bounds = limits or Limits()
    spending = Spending(bounds)
    for side in (expected, actual):
        spending.allow(0 if side.is_folder else side.size)
    return Context(
        nested=compare_sources,
        spending=spending,
        tolerance=tolerance,
        policy=policy or Policy(tolerance=tolerance),
        limits=bounds,
    )


def _not_comparable(subject: str, troubles: tuple[str | None, str | None]) -> Difference:
    sides = ("expected", "actual")
    words = [f"the {side} side {trouble}" for side, trouble in zip(sides, troubles, strict=True) if trouble]
    one_missing = troubles in {(MISSING, None), (None, MISSING)}
    return Difference(
        subject=subject,
        outcome=Outcome.DIFFERENT if one_missing else Outcome.UNKNOWN,
        summary="; ".join(words),
        kind="unreadable",
        evidence={side: trouble for side, trouble in zip(sides, troubles, strict=True) if trouble},
    )
