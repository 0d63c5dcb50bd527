"""From what walking documents has found to one difference."""

from __future__ import annotations

from reproof.compare.trees import Walk
from reproof.model.difference import Difference, Outcome


def conclude_walk(walk: Walk, subject: str, kind: str, *, otherwise: str = "layout") -> Difference:
    """The difference of two documents whose bytes differ.

    Args:
        walk: What was found.
        subject: What was compared.
        kind: Which comparator speaks.
        otherwise: What is said to be set aside where the values are the same and nothing else was.
    """
    parts = walk.parts
    names = tuple(sorted(walk.names))
    if parts.outcome <= Outcome.EQUIVALENT:
        names = names or (otherwise,)
        summary = f"same content; set aside: {', '.join(names)}"
        return parts.difference(subject, kind=kind, summary=summary, canonicalised=names)
    first = next(part for part in parts.children() if part.outcome is parts.outcome)
    count = "1 value differs" if parts.differing == 1 else f"{parts.differing:,} values differ"
    summary = f"{count}: {first.subject}: {first.summary}"
    return parts.difference(subject, kind=kind, summary=summary[:300], canonicalised=names)
