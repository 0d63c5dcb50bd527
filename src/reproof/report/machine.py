"""JSON: the value itself by its codec, with a part for readers that know no `float.hex`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from reproof.model.codec import encode
from reproof.model.difference import Difference
from reproof.model.finding import Finding
from reproof.model.record import Record
from reproof.model.verdict import Verdict
from reproof.report.chance import draw_rows
from reproof.report.numbers import number_in, parse
from reproof.report.protocol import ListedRun, Look, Sides
from reproof.report.safe import json_document, json_text
from reproof.report.tree import Limits, cut
from reproof.report.view import Row, count_by_outcome, groups_of
from reproof.report.words import exit_meaning

#: Name and version of the documents that are no verdict and no record.
DIFFERENCE_SCHEMA = "reproof/difference/1"
LIST_SCHEMA = "reproof/list/1"
FINDINGS_SCHEMA = "reproof/findings/1"

_DEEPEST = Limits(depth=60, breadth=100_000, nodes=1_000_000)


class JsonRenderer:
    """Renders JSON documents; `reproof.model.codec` reads verdicts and records back."""

    def __init__(self, look: Look) -> None:
        del look  # width and colour mean nothing here

    def verdict(self, verdict: Verdict, record: Record | None) -> str:
        """The verdict by its codec, and ``readable``: words, counts, exit status and numbers."""
        document = _builtins(verdict)
        document["readable"] = _readable(verdict, record)
        return json_document(document)

    def difference(self, difference: Difference, sides: Sides) -> str:
        """The tree as it is in a verdict, under its own schema, with the names of the sides."""
        document = {
            "schema": DIFFERENCE_SCHEMA,
            "sides": [sides.expected, sides.actual],
            "outcome": difference.outcome.word,
            "difference": _builtins(difference),
        }
        return json_document(document)

    def record(self, record: Record, identity: str) -> str:
        """The record as it is: the sha256 of these bytes is its id, unless active characters were escaped."""
        del identity
        return json_text(encode(record).decode())

    def rows(self, rows: Sequence[ListedRun]) -> str:
        """``{"schema": ..., "runs": [...]}``."""
        return json_document({"schema": LIST_SCHEMA, "runs": [msgspec.to_builtins(row) for row in rows]})

    def findings(self, findings: Sequence[Finding]) -> str:
        """``{"schema": ..., "findings": [...]}``."""
        return json_document(
            {"schema": FINDINGS_SCHEMA, "findings": [msgspec.structs.asdict(each) for each in findings]}
        )


def _readable(verdict: Verdict, record: Record | None) -> dict[str, Any]:
    status, meaning = exit_meaning(verdict)
    return {
        "outcome": verdict.outcome.word,
        "exit_status": status,
        "meaning": meaning,
        "accept": verdict.policy.accept.word,
        "by_itself": verdict.by_itself,
        "draws": [list(row) for row in draw_rows(verdict)],
        "counts": {o.word: n for o, n in count_by_outcome(d.outcome for d in verdict.differences).items()},
        "compared": {found.title: [_row(row) for row in found.rows] for found in groups_of(verdict, record)},
    }


def _row(row: Row) -> dict[str, Any]:
    difference = row.difference
    is_metric = difference.kind == "metric"
    expected, actual = (
        parse(side) if is_metric else None for side in (difference.expected, difference.actual)
    )
    result: dict[str, Any] = {
        "name": row.name,
        "outcome": row.outcome.word,
        "accepted": row.accepted,
        "summary": difference.summary,
    }
    if row.size is not None:
        result["size"] = row.size
    if difference.expected is not None or difference.actual is not None:
        result["expected"] = difference.expected if expected is None else _number(expected)
        result["actual"] = difference.actual if actual is None else _number(actual)
    for name in ("absolute", "relative", "ulp"):
        fact = number_in(difference.evidence, name)
        if is_metric and fact is not None:
            result[name] = fact
    return result


def _number(value: float) -> float | str:
    """JSON has no nan and no infinity: these become the strings of Python."""
    return value if math.isfinite(value) else str(value)


def _builtins(value: Verdict | Difference) -> dict[str, Any]:
    try:
        result: dict[str, Any] = msgspec.to_builtins(value)
    except RecursionError:  # a tree too deep for the codec, and for any reader of JSON
        result = msgspec.to_builtins(_shallow(value))
    return result


def _shallow(value: Verdict | Difference) -> Verdict | Difference:
    if isinstance(value, Difference):
        return _flattened(value)
    return msgspec.structs.replace(
        value,
        differences=tuple(_flattened(child) for child in value.differences),
        factors=tuple(_flattened(child) for child in value.factors),
    )


def _flattened(difference: Difference) -> Difference:
    """The tree cut at a depth that parsers of JSON stand; what is left out is counted."""
    pending = [(cut(difference, _DEEPEST), False)]
    done: list[Difference] = []
    while pending:
        branch, visited = pending.pop()
        if not visited:
            pending.append((branch, True))
            pending.extend((child, False) for child in reversed(branch.branches))
            continue
        count = len(branch.branches)
        children = tuple(done[len(done) - count :])
        del done[len(done) - count :]
        evidence = dict(branch.difference.evidence)
        if branch.hidden:
            evidence["left_out"] = len(branch.hidden)
        done.append(msgspec.structs.replace(branch.difference, children=children, evidence=evidence))
    return done[0]
