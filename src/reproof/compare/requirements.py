"""Lists of required packages, where the order of the lines says nothing: pip's and conda's files."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from reproof.compare.collecting import Collector
from reproof.compare.documents import read_yaml
from reproof.compare.protocol import ContentError, Context, Source
from reproof.compare.special import shown
from reproof.compare.text import looks_like_text
from reproof.compare.trees import Walk, compare_trees
from reproof.model.difference import Difference, Outcome

_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_COMMENT = re.compile(r"(^|\s)#.*")
_ORDER = "requirement order"
_LISTS = ("dependencies", "build_dependencies")


class RequirementsComparator:
    """pip's requirements files: packages by name; options, whose order counts, as they stand."""

    name = "requirements"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Text files that are called so."""
        return all(
            side.name.lower().endswith("requirements.txt") and looks_like_text(side.head())
            for side in (expected, actual)
        )

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """Children are named by package: ``numpy: numpy==2.1.0 -> numpy==2.1.1``."""
        limit = context.limits.max_bytes_in_memory // 8
        one, two = (_Lines(side.read(limit)) for side in (expected, actual))
        parts = Collector(context)
        if one.options != two.options:
            parts.add(_changed("options", "; ".join(one.options), "; ".join(two.options)))
        _compare_packages(one.packages, two.packages, parts)
        names: list[str] = []
        if parts.outcome <= Outcome.EQUIVALENT:
            if one.packages != two.packages:
                names.append(_ORDER)
            if one.comments != two.comments:
                names.append("requirement comments")
            if not names:
                names.append("requirement layout")
        summary = f"the same packages; set aside: {', '.join(names)}" if names else None
        return parts.difference(subject, kind=self.name, summary=summary, canonicalised=tuple(names))


class EnvironmentFileComparator:
    """``conda.yaml`` and ``python_env.yaml``: dependencies by package, everything else by path."""

    name = "conda"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """YAML files called so, with a list of dependencies."""
        return all(
            side.name.lower().endswith(("conda.yaml", "conda.yml", "python_env.yaml", "environment.yml"))
            and looks_like_text(side.head())
            and b"dependencies:" in side.head()
            for side in (expected, actual)
        )

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """Children are named by path: ``$.dependencies['pip:'].numpy``. The order of channels is content."""
        orders: list[list[str]] = []
        trees = [_environment(side, context, orders) for side in (expected, actual)]
        walk = Walk(context, shared=True)
        compare_trees(trees[0], trees[1], context, walk)
        walk.names.discard("key order")
        names: tuple[str, ...] = ()
        if walk.parts.outcome <= Outcome.EQUIVALENT:
            names = (_ORDER,) if orders[0] != orders[1] else ("yaml layout and comments",)
        summary = f"the same packages; set aside: {names[0]}" if names else None
        return walk.parts.difference(subject, kind=self.name, summary=summary, canonicalised=names)


class _Lines:
    """A requirements file taken apart.

    Attributes:
        packages: Requirements without comments, in their order, continued lines joined.
        options: Lines that begin with ``-``.
        comments: All comments.
    """

    def __init__(self, data: bytes) -> None:
        text = data.decode("utf-8", "surrogateescape").replace("\r\n", "\n")
        self.packages: list[str] = []
        self.options: list[str] = []
        self.comments: list[str] = []
        for line in re.sub(r"\\\n", " ", text).split("\n"):
            comment = _COMMENT.search(line)
            if comment:
                self.comments.append(comment[0])
            bare = " ".join(_COMMENT.sub("", line).split())
            if bare:
                (self.options if bare.startswith("-") else self.packages).append(bare)


def _package(line: str) -> str:
    match = _PACKAGE.match(line)
    return re.sub(r"[-_.]+", "-", match[0]).lower() if match else line


def _compare_packages(one: list[str], two: list[str], parts: Collector) -> None:
    left, right = Counter(one), Counter(two)
    gone, new = (left - right), (right - left)
    parts.count(Outcome.IDENTICAL, (left & right).total())
    before, after = _by_package(gone), _by_package(new)
    for name in sorted({*before, *after}):
        parts.add(_changed(name, before.get(name), after.get(name)))


def _by_package(lines: Counter[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines.elements():
        name = _package(line)
        found[name] = f"{found[name]}; {line}" if name in found else line
    return found


def _changed(subject: str, was: str | None, now: str | None) -> Difference:
    if was is None:
        summary = f"is new: {now}"
    elif now is None:
        summary = f"is gone; it was {was}"
    else:
        summary = f"{was} -> {now}"
    return Difference(
        subject=shown(subject),
        outcome=Outcome.DIFFERENT,
        summary=shown(summary[:500]),
        kind="requirement",
        expected=None if was is None else shown(was[:500]),
        actual=None if now is None else shown(now[:500]),
    )


def _environment(source: Source, context: Context, orders: list[list[str]]) -> dict[Any, Any]:
    documents = read_yaml(source.read(context.limits.max_bytes_in_memory // 8), context)
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise ContentError(f"`{source.name}` is no single YAML mapping")
    tree = documents[0]
    order: list[str] = []
    orders.append(order)
    for key in _LISTS:
        if isinstance(tree.get(key), list):
            tree[key] = _keyed(tree[key], order)
    return tree


def _keyed(items: list[Any], order: list[str]) -> dict[str, Any]:
    """A list of requirements as a mapping from package names; ``pip:`` lists within conda's too."""
    found: dict[str, Any] = {}
    for item in items:
        key: str
        value: Any
        if type(item) is str:
            key, value = _package(item), item
        elif isinstance(item, dict) and set(item) == {"pip"} and isinstance(item["pip"], list):
            key, value = "pip:", _keyed([each for each in item["pip"] if type(each) is str], order)
            found["(others in pip)"] = [each for each in item["pip"] if type(each) is not str]
        else:
            key, value = f"({len(found)})", item
        key = f"{key} (again)" if key in found else key
        found[key] = value
        order.append(key)
    return found
