"""JSON, JSON lines, YAML and TOML, value by value, named by path."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

from msgspec.structs import replace

from reproof.compare.documents import SyntaxProblem, read_json, read_toml, read_yaml
from reproof.compare.protocol import Context, LimitError, Source
from reproof.compare.text import compare_text, looks_like_text
from reproof.compare.trees import Walk, compare_trees
from reproof.model.difference import Difference, Outcome

_BLANK = b" \t\r\n"


class JsonComparator:
    """JSON: numbers by value and exactly, key order and layout set aside."""

    name = "json"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Text that begins like an object or a list, or is called so."""
        return all(_may_be_json(side) for side in (expected, actual))

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """Children are named by path (``$.metrics.rmse``)."""
        return _compare(self.name, _one_document(read_json), (expected, actual), subject, context)


class YamlComparator:
    """YAML: as JSON; comments, styles and anchors are layout; tags are compared, never obeyed."""

    name = "yaml"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Text that is called so."""
        return all(_named(side, ".yaml", ".yml", "mlmodel", "mlproject") for side in (expected, actual))

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """Children are named by path; further documents of one stream as ``document 2 $``."""
        return _compare(self.name, read_yaml, (expected, actual), subject, context)


class TomlComparator:
    """TOML: as JSON; integers and floats are types of their own."""

    name = "toml"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Text that is called so."""
        return all(_named(side, ".toml") for side in (expected, actual))

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """Children are named by path."""
        return _compare(self.name, _one_document(read_toml), (expected, actual), subject, context)


class JsonLinesComparator:
    """One JSON document on each line; streamed, so that size does not matter."""

    name = "jsonl"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Text that is called so."""
        return all(_named(side, ".jsonl", ".ndjson") for side in (expected, actual))

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """Children are named by line and path: ``line 3 $.loss``."""
        walk = Walk(context)
        counts = [0, 0]
        with expected.open() as left, actual.open() as right:
            pairs = _lockstep(_lines(left, context), _lines(right, context))
            for number, (one, two) in enumerate(pairs, 1):
                counts[0] += one is not None
                counts[1] += two is not None
                if number % 1024 == 0:
                    context.spending.check_time()
                if one is None or two is None:
                    walk.parts.add(_line_of_one_side(number, gone=two is None))
                elif one != two:
                    _compare_line(number, one, two, context, walk)
        return _finish(self.name, walk, subject, {"lines": counts})


def _compare(
    kind: str,
    read: Callable[[bytes, Context], list[Any]],
    sides: tuple[Source, Source],
    subject: str,
    context: Context,
) -> Difference:
    """Compare documents as trees; what only begins like one, or is broken, is compared as text."""
    limit = context.limits.max_bytes_in_memory
    one, two = (side.read(limit) for side in sides)
    trees: list[list[Any]] = []
    problems: list[str | None] = []
    for data in (one, two):
        try:
            trees.append(read(data, context))
            problems.append(None)
        except SyntaxProblem as problem:
            problems.append(str(problem))
    if all(problems) and not any(_named(side, f".{kind}", ".yml", ".ipynb", ".geojson") for side in sides):
        return compare_text(one, two, subject)  # it only begins like a document
    if any(problems):
        return _broken(kind, (one, two), problems, subject)
    walk = Walk(context, shared=kind == "yaml")
    both = min(map(len, trees))
    for number in range(both):
        walk.root = "$" if number == 0 else f"document {number + 1} $"
        compare_trees(trees[0][number], trees[1][number], context, walk)
    walk.root = "further documents"
    compare_trees(trees[0][both:], trees[1][both:], context, walk)
    if walk.parts.outcome < Outcome.UNKNOWN:
        exact = walk.parts.outcome <= Outcome.EQUIVALENT
        walk.names.update(_layout(kind, one, two, walk.names, exact=exact))
    return _finish(kind, walk, subject, {})


def _finish(kind: str, walk: Walk, subject: str, evidence: dict[str, Any]) -> Difference:
    names = tuple(sorted(walk.names))
    if walk.parts.outcome >= Outcome.CLOSE:
        summary = f"{walk.parts.differing:,} values differ" if walk.parts.differing > 1 else "1 value differs"
        first = next(part for part in walk.parts.children() if part.outcome is walk.parts.outcome)
        summary += f": {first.subject} {first.summary}"
    else:
        summary = f"same values, other {' and '.join(names)}"
    return walk.parts.difference(subject, kind=kind, summary=summary, canonicalised=names, evidence=evidence)


def _layout(kind: str, one: bytes, two: bytes, found: set[str], *, exact: bool) -> set[str]:
    """What else was set aside, seen from how often its characters occur on the two sides.

    `exact` says that no value differs, so that something must have been.
    """
    names = set()
    if kind == "json":
        if one.count(b"\\") != two.count(b"\\"):
            names.add("string escapes")
        if one[:3] != two[:3] and (b"\xef\xbb\xbf" in (one[:3], two[:3]) or 0 in (*one[:4], *two[:4])):
            names.add("encoding")
    if [one.count(blank) for blank in (b" ", b"\t", b"\r", b"\n")] != [
        two.count(blank) for blank in (b" ", b"\t", b"\r", b"\n")
    ] or (exact and not (names or found)):
        names.add("layout" if kind == "json" else f"{kind} layout and comments")
    return names


def _broken(kind: str, data: tuple[bytes, bytes], problems: list[str | None], subject: str) -> Difference:
    """Text that does not follow its format is compared as text."""
    found = compare_text(*data, subject, kind)
    words = [
        f"the {side} side is not {kind} ({problem[:200]})"
        for side, problem in zip(("expected", "actual"), problems, strict=True)
        if problem
    ]
    return replace(found, summary=f"{'; '.join(words)}; compared as text: {found.summary}")


def _one_document(read: Callable[[bytes, Context], Any]) -> Callable[[bytes, Context], list[Any]]:
    return lambda data, context: [read(data, context)]


def _compare_line(number: int, one: bytes, two: bytes, context: Context, walk: Walk) -> None:
    walk.root = f"line {number} $"
    try:
        trees = read_json(one, context), read_json(two, context)
    except SyntaxProblem:
        same = one.strip(_BLANK) == two.strip(_BLANK)
        if same:
            walk.names.add("layout")
        else:
            walk.parts.add(replace(compare_text(one, two, f"line {number}", "jsonl"), evidence={}))
        return
    before = set(walk.names)
    compare_trees(*trees, context, walk)
    if walk.names == before:
        exact = walk.parts.outcome <= Outcome.EQUIVALENT
        walk.names.update(_layout("json", one, two, set(), exact=True) if exact else ())


def _line_of_one_side(number: int, *, gone: bool) -> Difference:
    return Difference(
        subject=f"line {number}",
        outcome=Outcome.DIFFERENT,
        summary="is gone" if gone else "is new",
        kind="jsonl",
    )


def _lines(file: Any, context: Context) -> Iterator[bytes]:
    limit = context.limits.max_bytes_in_memory // 4
    reader = file if isinstance(file, io.BytesIO) else io.BufferedReader(file, 1 << 20)
    while line := reader.readline(limit + 1):
        if len(line) > limit:
            raise LimitError(f"a line has more than {limit:,} bytes")
        yield line


def _lockstep(one: Iterator[bytes], two: Iterator[bytes]) -> Iterator[tuple[bytes | None, bytes | None]]:
    while True:
        left, right = next(one, None), next(two, None)
        if left is None and right is None:
            return
        yield left, right


def _may_be_json(source: Source) -> bool:
    head = source.head()
    return looks_like_text(head) and (
        source.name.lower().endswith((".json", ".ipynb", ".geojson"))
        or head.lstrip(_BLANK)[:1] in (b"{", b"[")
    )


def _named(source: Source, *endings: str) -> bool:
    return source.name.lower().endswith(endings) and looks_like_text(source.head())
