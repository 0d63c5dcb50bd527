"""The parts of an HTML page, within a budget, so that no run makes a page that browsers choke on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from reproof.model.difference import Difference, Outcome
from reproof.report.numbers import size_text
from reproof.report.protocol import Sides
from reproof.report.safe import plain
from reproof.report.tree import Branch, Limits, cut
from reproof.report.view import Factor, Group, Row, label_of, sides_of, summary_of, values_of
from reproof.report.words import counts

_ROWS = 200  # of each list; the others are unfolded by the script, or only counted
_UNFOLDED = 40  # longer lists of what is not the result itself are folded
_LIMITS = Limits(depth=12, breadth=200, nodes=400)
_TEXT = 400  # characters of one foreign text
_SHORT = 26  # characters of a value that is never broken into two lines
_OPEN_DEPTH = 3  # levels of a tree that are unfolded from the start
_RENDERED = 2_000_000  # characters of rendered nodes on one page
_NODE = 500  # characters of markup around one node
_CRAMPED = 60  # characters of one foreign text when that is used up
_KEPT = 2_000_000  # characters of what the script may unfold
_SMALLEST = 16  # decimal digits of a double: the left end of the logarithmic scale

Json = dict[str, Any]


class Page:
    """Collects the parts of one page and keeps count of their size."""

    def __init__(self, sides: Sides) -> None:
        self._sides = sides
        self._rendered = _RENDERED
        self._kept = _KEPT
        self._rest: dict[str, list[msgspec.Raw]] = {}

    def group(self, group: Group) -> Json:
        """A group of rows for the template."""
        first, rest = group.foremost(_ROWS)
        folded = group.outcome == Outcome.IDENTICAL and group.title in ("parameters", "command")
        lines = [[row.outcome.word, row.name, _one_line(row.difference)] for row in rest]
        return {
            "title": group.title,
            "counts": counts(row.outcome for row in group.rows),
            "total": len(group.rows),
            "folded": folded,
            "wide": group.title == "metrics" and group.outcome > Outcome.IDENTICAL,
            "rows": [self._row(row) for row in first],
            "more": self._more(
                lines, f"{len(rest):,} more: {counts(row.outcome for row in rest)}", group.title
            ),
        }

    def items(self, items: Sequence[tuple[str, str]], key: str) -> Json:
        """A list of (name, text) pairs for the template."""
        rest = [["", name, text] for name, text in items[_ROWS:]]
        return {
            "count": len(items),
            "total": f"{len(items):,}",
            "long": len(items) > _UNFOLDED,
            "rows": [(self._text(name), self._text(text)) for name, text in items[:_ROWS]],
            "more": self._more(rest, f"{len(rest):,} more", key),
        }

    def factors(self, factors: Sequence[Factor]) -> Json:
        """What differs between two set-ups, side by side."""
        rest = [
            [factor.section, factor.name, f"{factor.expected or 'absent'} -> {factor.actual or 'absent'}"]
            for factor in factors[_ROWS:]
        ]
        return {
            "total": f"{len(factors):,}" if factors else "",
            "rows": [
                {
                    "section": self._text(factor.section),
                    "name": self._text(factor.name),
                    "expected": self._side(factor.expected),
                    "actual": self._side(factor.actual),
                    "summary": self._text(factor.summary),
                    "sided": factor.expected is not None or factor.actual is not None,
                }
                for factor in factors[:_ROWS]
            ],
            "more": self._more(rest, f"{len(rest):,} more", "factors"),
        }

    def tree(self, difference: Difference) -> Json:
        """A tree of differences for the template."""
        return self._node(cut(difference, _LIMITS), None, 0)

    def rest_json(self) -> str:
        """What the script may unfold, as JSON that can stand within a script element."""
        return msgspec.json.encode(self._rest).decode()

    def _text(self, text: str) -> str:
        """Foreign text for the page, short when the page is long already."""
        safe = plain(text, _TEXT if self._rendered > 0 else _CRAMPED)
        self._rendered -= len(safe) + 5 * sum(safe.count(character) for character in "&<>\"'")
        return safe

    def _side(self, text: str | None) -> str:
        return "absent" if text is None else self._text(text)

    def _row(self, row: Row) -> Json:
        self._rendered -= _NODE
        difference = row.difference
        values = values_of(difference)
        worse = row.outcome > Outcome.EQUIVALENT
        several = "steps" in difference.evidence
        told = difference.kind == "metric" and values.expected == values.actual and not several
        return {
            "outcome": row.outcome.word,
            "name": self._text(row.name),
            "kind": plain(difference.kind, 40),
            "size": size_text(row.size) if row.size is not None else "",
            "accepted": row.accepted,
            "excused": row.accepted and worse,
            "summary": "" if told else self._text(summary_of(difference)),
            "expected": self._side(values.expected),
            "actual": self._side(values.actual),
            "short": all(len(side or "") <= _SHORT for side in (values.expected, values.actual)),
            "distance": values.distance,
            "several": several,
            "bar": _bar(values.relative) if worse else None,
            "open": worse,
            "node": self.tree(difference),
        }

    def _node(self, branch: Branch, parent: Branch | None, depth: int) -> Json:
        node = branch.difference
        subject = label_of(node, parent.difference) if parent is not None else node.subject
        values = sides_of(node) if parent is not None else None
        texts = [self._text(subject), self._text(summary_of(node))]
        sides = [self._side(values.expected), self._side(values.actual)] if values else ["", ""]
        self._rendered -= _NODE
        shown: tuple[Branch, ...] = branch.branches if self._rendered > 0 else ()
        hidden = (*(child.difference for child in branch.branches[len(shown) :]), *branch.hidden)
        left = Branch(node, (), hidden)
        lines = [
            [child.outcome.word, child.subject, _one_line(child)] for child in hidden if child.kind != "count"
        ]
        return {
            "outcome": node.outcome.word,
            "subject": texts[0],
            "summary": texts[1],
            "sided": values is not None,
            "expected": sides[0],
            "actual": sides[1],
            "distance": values.distance if values else "",
            "open": depth < _OPEN_DEPTH and node.outcome > Outcome.EQUIVALENT,
            "children": [self._node(child, branch, depth + 1) for child in shown],
            "more": self._more(lines, left.more, "node"),
        }

    def _more(self, lines: Iterable[list[str]], words: str, key: str) -> Json | None:
        """What stands below a list that is not shown to its end; None when it is."""
        kept: list[msgspec.Raw] = []
        total = 0
        for line in lines:
            total += 1
            if self._kept > 0:
                data = _script_json([line[0], plain(line[1], 200), plain(line[2], 200)])
                self._kept -= len(data) + 1
                kept.append(msgspec.Raw(data))
        if not total and (not words or words.startswith("0 ")):
            return None
        name = f"{key} {len(self._rest)}"
        if kept:
            self._rest[name] = kept
        return {"words": words, "key": name if kept else "", "complete": len(kept) == total}


def _script_json(value: list[str]) -> bytes:
    """JSON in which nothing can end the script element that it stands in."""
    data = msgspec.json.encode(value)
    return data.replace(b"&", b"\\u0026").replace(b"<", b"\\u003c").replace(b">", b"\\u003e")


def _one_line(difference: Difference) -> str:
    values = sides_of(difference)
    text = summary_of(difference)
    return text if values is None else f"{text}: {_side(values.expected)} -> {_side(values.actual)}"


def _side(text: str | None) -> str:
    return "absent" if text is None else plain(text, 200)


def _bar(relative: float | None) -> float | None:
    """Length of the bar in percent: 1e-16 is its left end, 1 (or more) fills it."""
    if relative is None or relative <= 0:
        return None
    return round(min(max((_SMALLEST + math.log10(relative)) / _SMALLEST, 0.02), 1.0) * 100, 1)
