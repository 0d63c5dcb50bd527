"""Keras 3 archives (`.keras`): a zip of metadata, configuration and weights."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from reproof.compare.collecting import Collector
from reproof.compare.documents import read_json
from reproof.compare.protocol import ContentError, Context, Source
from reproof.compare.trees import Numeral, Walk, compare_trees
from reproof.compare.walks import conclude_walk
from reproof.compare.zip_views import ZipViews, compare_containers, has_members, zip_views
from reproof.model.difference import Difference, Outcome

_METADATA, _CONFIG = "metadata.json", "config.json"
_DATE = re.compile(r"\d{4}-\d\d-\d\d@\d\d:\d\d:\d\d")
_SHARED = "shared_object_id"


class KerasComparator:
    """Keras archives: configuration by path, weights layer by layer, other members by kind."""

    name = "keras"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Zip files with the members that Keras writes."""
        return all(
            side.head(4) == b"PK\x03\x04" and has_members(side, _METADATA, _CONFIG)
            for side in (expected, actual)
        )

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """The date of saving, and addresses that name shared objects, are set aside by name."""
        with zip_views(expected, context) as one, zip_views(actual, context) as two:
            names, hidden = compare_containers(one, two)
            parts = Collector(context)
            parts.extend(hidden)
            for name in [*one.names, *(name for name in two.names if name not in one)]:
                if name in one and name in two:
                    parts.add(_compare_member(name, one, two, context))
                else:
                    summary = "is gone" if name in one else "is new"
                    parts.add(
                        Difference(subject=name, outcome=Outcome.DIFFERENT, summary=summary, kind="zip")
                    )
        aside = tuple(sorted(names))
        if parts.outcome is Outcome.IDENTICAL and not aside:
            aside = ("zip encoding",)
        return parts.difference(subject, kind=self.name, canonicalised=aside)


def _compare_member(name: str, one: ZipViews, two: ZipViews, context: Context) -> Difference:
    views = one.view(name), two.view(name)
    if views[0].nbytes == views[1].nbytes and bytes(views[0]) == bytes(views[1]):
        return Difference(subject=name, outcome=Outcome.IDENTICAL, summary="identical bytes", kind="bytes")
    if name not in (_METADATA, _CONFIG):
        sources = [Source(name=name, data=bytes(view)) for view in views]
        return context.compare(sources[0], sources[1], name)
    trees = [read_json(bytes(view), context) for view in views]
    walk = Walk(context)
    if name == _METADATA:
        _set_date_aside(trees[0], trees[1], walk.names)
    else:
        _number_shared(trees[0], trees[1], walk.names)
    compare_trees(trees[0], trees[1], context, walk)
    return conclude_walk(walk, name, "json")


def _set_date_aside(one: Any, two: Any, names: set[str]) -> None:
    field = "date_saved"
    if not isinstance(one, dict) or not isinstance(two, dict):
        raise ContentError("its metadata is no JSON object")
    values = [side.get(field) for side in (one, two)]
    if values[0] != values[1] and all(type(value) is str and _DATE.fullmatch(value) for value in values):
        del one[field], two[field]
        names.add("Keras date_saved")


def _number_shared(one: Any, two: Any, names: set[str]) -> None:
    """Replace each address of a shared object by its number in the order of the document."""
    before = []
    for tree in (one, two):
        numbers: dict[str, Numeral] = {}
        for holder in _holders(tree):
            address = holder[_SHARED]
            holder[_SHARED] = numbers.setdefault(address, Numeral(str(len(numbers))))
        before.append(list(numbers))
    if before[0] != before[1]:
        names.add("Keras shared_object_id")


def _holders(tree: Any) -> Iterator[dict[str, Any]]:
    """The descriptions of objects in `tree` that carry the address of a shared object."""
    pending = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            described = {"class_name", "config", "module"} <= node.keys()
            if described and isinstance(node.get(_SHARED), Numeral) and node[_SHARED].isdecimal():
                yield node
            pending.extend(reversed(list(node.values())))
        elif isinstance(node, list):
            pending.extend(reversed(node))
