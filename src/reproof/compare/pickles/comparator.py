"""The comparator for pickle files of every make: pickle, joblib, cloudpickle."""

from __future__ import annotations

from reproof.compare.pickles.comparing import Sides
from reproof.compare.pickles.nodes import Raw
from reproof.compare.pickles.reading import Content, looks_like_pickle, opened, read_all
from reproof.compare.protocol import Context, Source
from reproof.compare.torch_legacy import torch_folder
from reproof.model.difference import Difference, Outcome


class PickleComparator:
    """Pickles by what they hold; children are named by attribute: ``steps[1].regressor.n_estimators``."""

    name = "pickle"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Both begin like pickles, decompressed where joblib has compressed them."""
        return looks_like_pickle(expected) and looks_like_pickle(actual)

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """Protocol, framing, memo, order of dicts and sets are set aside; see `rules` for what else."""
        check = context.spending.check_time
        with opened(expected, context) as (one, method), opened(actual, context) as (two, other):
            sides = compare_pickles(
                read_all(one, context, compressed=method is not None),
                read_all(two, context, compressed=other is not None),
                Sides(context, (torch_folder(check), torch_folder(check))),
            )
            if method != other:
                sides.names.add("compression")
            return conclude(sides, subject, self.name)


def compare_pickles(one: Content, two: Content, sides: Sides) -> Sides:
    """Compare what two files hold; the result is in `sides`."""
    sides.shared = (one.shared, two.shared)
    several = len(one.roots) > 1 or len(two.roots) > 1
    if len(one.roots) != len(two.roots):
        words = f"{len(one.roots):,} pickles -> {len(two.roots):,} pickles"
        sides.add(None, Outcome.DIFFERENT, words, kind="length")
    for number, (left, right) in enumerate(zip(one.roots, two.roots, strict=False)):
        sides.compare(left, right, (None, "text", f"pickle {number}") if several else None)
    for number, (left, right) in enumerate(zip(one.loose, two.loose, strict=False)):
        sides.compare(left, right, (None, "text", f"(effect {number})"))
    if len(one.loose) != len(two.loose):
        sides.add(None, Outcome.DIFFERENT, "other calls without a result", kind="length")
    if one.rest != two.rest:
        sides.raw((None, "text", "(behind the pickle)"), Raw("bytes", one.rest), Raw("bytes", two.rest), None)
    if one.anomalies != two.anomalies:
        found = "; ".join([*one.anomalies, *two.anomalies][:3])
        reason = f"written by no known pickler, or damaged: {found}"
        sides.add(
            (None, "text", "(encoding)"), Outcome.UNKNOWN, reason, kind="pickle", evidence={"reason": reason}
        )
    sides.finish()
    if one.protocols != two.protocols:
        sides.names.add("pickle protocol")
    return sides


def conclude(sides: Sides, subject: str, kind: str) -> Difference:
    """The difference of two files from what was found in them."""
    parts = sides.parts
    if parts.outcome <= Outcome.EQUIVALENT and not sides.names:
        sides.names.add(f"{kind} encoding")
    names = tuple(sorted(sides.names))
    if parts.outcome <= Outcome.EQUIVALENT:
        return parts.difference(
            subject, kind=kind, summary=f"same content; set aside: {', '.join(names)}", canonicalised=names
        )
    first = next(part for part in parts.children() if part.outcome is parts.outcome)
    count = f"{parts.differing:,} places" if parts.differing > 1 else "1 place"
    summary = f"{count} {'differ' if parts.differing > 1 else 'differs'}: {first.subject}: {first.summary}"
    return parts.difference(subject, kind=kind, summary=summary[:300], canonicalised=names)
