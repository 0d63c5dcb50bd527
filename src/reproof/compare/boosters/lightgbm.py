"""LightGBM's text models: a header, trees, importances and parameters, each value by name.

Format: what LightGBM's `GBDT::SaveModelToString` writes.
"""

from __future__ import annotations

import re
from typing import Any

from reproof.compare.protocol import ContentError, Context, Source
from reproof.compare.trees import Numeral, Walk, compare_trees
from reproof.compare.walks import conclude_walk
from reproof.model.difference import Difference, Outcome

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:nan|inf)")
_PARAMETER = re.compile(r"\[([^:\]]+): ?(.*)\]")
_TITLES = {"feature_importances:": "importances", "parameters:": "parameters"}
_ENDS = ("end of trees", "end of parameters")


class LightgbmComparator:
    """LightGBM text: children are named by tree and value: ``$.trees[3].leaf_value[0]``."""

    name = "lightgbm"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Both begin with the word ``tree`` and a version."""
        return all(re.match(rb"tree\r?\nversion=v\d+", side.head(64)) for side in (expected, actual))

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """Numbers are compared by value and exactly; another notation of one is set aside by name."""
        limit = context.limits.max_bytes_in_memory * 2
        one, two = (Model(side.read(limit), context) for side in (expected, actual))
        walk = Walk(context)
        if len(one.trees) != len(two.trees):
            words = f"{len(one.trees):,} trees -> {len(two.trees):,} trees"
            walk.parts.add(
                Difference(subject="$.trees", outcome=Outcome.DIFFERENT, summary=words, kind="length")
            )
        for number, (left, right) in enumerate(zip(one.trees, two.trees, strict=False)):
            _compare_section(f"$.trees[{number}]", left, right, context, walk)
        for name in ("header", "parameters", "importances"):
            _compare_section(f"$.{name}", one.sections[name], two.sections[name], context, walk)
        walk.root = "$.rest"
        compare_trees(one.rest, two.rest, context, walk)
        if one.ending != two.ending:
            walk.names.add("line endings")
        return conclude_walk(walk, subject, self.name, otherwise="blank lines")


class Model:
    """A model taken apart; values are the text behind their names.

    Attributes:
        trees: The values of each tree.
        sections: The values of ``header``, ``parameters`` and ``importances``.
        rest: Lines that name no value, in their order.
        ending: What ends a line.

    Raises:
        ContentError: A line fits into none of them.
    """

    def __init__(self, data: bytes, context: Context) -> None:
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ContentError(f"no text: {error}") from None
        self.trees: list[dict[str, str]] = []
        self.sections: dict[str, dict[str, str]] = {"header": {}, "parameters": {}, "importances": {}}
        self.rest: list[str] = []
        self.ending = "\r\n" if "\r\n" in text else "\n"
        self._name = "header"
        for number, line in enumerate(text.split(self.ending), 1):
            if number % 4096 == 0:
                context.spending.check_time()
            if line:
                self._take(line, number)

    def _take(self, line: str, number: int) -> None:
        if line.startswith("Tree="):
            if line != f"Tree={len(self.trees)}":
                raise ContentError(f"line {number}: the trees are not numbered one after the other")
            self._name = "tree"
            self.trees.append({})
        elif line in _TITLES or line in _ENDS:
            self._name = _TITLES.get(line, "end")
            self.rest.append(line)
        elif self._name == "parameters":
            match = _PARAMETER.fullmatch(line)
            if match is None:
                raise ContentError(f"line {number} is no parameter")
            _put(self.sections["parameters"], match[1], match[2], number)
        elif self._name == "end":
            self.rest.append(line)
        else:
            self._keep(line, number)

    def _keep(self, line: str, number: int) -> None:
        key, equals, value = line.partition("=")
        if self._name == "tree":
            if not equals:
                raise ContentError(f"line {number} is no value of a tree")
            _put(self.trees[-1], key, value, number)
        else:
            _put(self.sections[self._name], key, value if equals else "(given)", number)


def _put(section: dict[str, str], key: str, value: str, number: int) -> None:
    if key in section:
        raise ContentError(f"line {number} names `{key[:80]}` a second time")
    section[key] = value


def _compare_section(
    root: str, one: dict[str, str], two: dict[str, str], context: Context, walk: Walk
) -> None:
    """Only what differs as text is taken apart into numbers."""
    if one == two:
        if list(one) != list(two):
            walk.names.add("key order")
        return
    walk.root = root
    same = {key for key, value in one.items() if two.get(key) == value}
    sides = [{key: _values(value) for key, value in side.items() if key not in same} for side in (one, two)]
    compare_trees(sides[0], sides[1], context, walk)


def _values(text: str) -> Any:
    """Numbers separated by single blanks as a list, one number as itself, all else as text."""
    words = text.split(" ")
    if not all(_NUMBER.fullmatch(word) for word in words):
        return text
    return [Numeral(word) for word in words] if len(words) > 1 else Numeral(words[0])
