"""LightGBM's text models: a header, trees, importances and parameters, each value by name."""

from __future__ import annotations

import re
from typing import Any

from reproof.compare.protocol import ContentError, Context, Source
from reproof.compare.trees import Numeral, Walk, compare_trees
from reproof.compare.walks import conclude_walk
from reproof.model.difference import Difference

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:nan|inf)")
_PARAMETER = re.compile(r"\[([^:\]]+): ?(.*)\]")
_START = b"tree\n"


class LightgbmComparator:
    """LightGBM text: children are named by tree and value: ``$.trees[3].leaf_value[0]``."""

    name = "lightgbm"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Both begin with the word ``tree`` and a version."""
        return all(re.match(rb"tree\r?\nversion=v\d+", side.head(64)) for side in (expected, actual))

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """Numbers are compared by value and exactly; another notation of one is set aside by name."""
        limit = context.limits.max_bytes_in_memory * 2
        trees = [read_model(side.read(limit), context) for side in (expected, actual)]
        walk = Walk(context)
        compare_trees(trees[0], trees[1], context, walk)
        return conclude_walk(walk, subject, self.name, otherwise="blank lines")


def read_model(data: bytes, context: Context) -> dict[str, Any]:
    """The model as a tree of text and numerals.

    Sections: ``trees`` (a list), ``header``, ``importances``, ``parameters``, ``end`` (what follows).

    Raises:
        ContentError: A line fits into none of them.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ContentError(f"no text: {error}") from None
    reader = _Sections()
    for number, line in enumerate(text.split("\n")):
        if number % 4096 == 0:
            context.spending.check_time()
        reader.take(line, number)
    return reader.model


class _Sections:
    """Takes the lines of a model one after the other."""

    def __init__(self) -> None:
        self.model: dict[str, Any] = {
            "trees": [],
            "header": {},
            "importances": [],
            "parameters": {},
            "end": [],
        }
        self._name = "header"
        self._section: dict[str, Any] = self.model["header"]

    def take(self, line: str, number: int) -> None:
        if line.startswith("Tree="):
            self._section = {}
            self.model["trees"].append(self._section)
            self._name = "tree"
            if line != f"Tree={len(self.model['trees']) - 1}":
                raise ContentError(f"line {number + 1}: the trees are not numbered one after the other")
        elif line in ("end of trees", "feature_importances:", "parameters:", "end of parameters"):
            self._name = {"end of trees": "end", "end of parameters": "end"}.get(line, line.removesuffix(":"))
            self.model["end"].append(line)
        elif line:
            self._keep(line, number)

    def _keep(self, line: str, number: int) -> None:
        if self._name == "parameters":
            match = _PARAMETER.fullmatch(line)
            if match is None:
                raise ContentError(f"line {number + 1} is no parameter")
            _put(self.model["parameters"], match[1], match[2], number)
        elif self._name == "feature_importances":
            self.model["importances"].append(line)
        elif self._name == "end":
            self.model["end"].append(line)
        elif "=" in line:
            key, _, value = line.partition("=")
            _put(self._section, key, _values(value), number)
        elif self._name == "header":
            _put(self._section, line, True, number)
        else:
            raise ContentError(f"line {number + 1} is no value of a tree")


def _put(section: dict[str, Any], key: str, value: Any, number: int) -> None:
    if key in section:
        raise ContentError(f"line {number + 1} names `{key[:80]}` a second time")
    section[key] = value


def _values(text: str) -> Any:
    """Numbers separated by single blanks as a list, one number as itself, all else as text."""
    words = text.split(" ")
    if not all(_NUMBER.fullmatch(word) for word in words):
        return text
    return [Numeral(word) for word in words] if len(words) > 1 else Numeral(words[0])
