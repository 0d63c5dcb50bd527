"""Text for terminals and logs: readable without colour, one line for each thing compared."""

from __future__ import annotations

from collections.abc import Sequence

from reproof.model.difference import Difference, Outcome
from reproof.model.finding import Finding
from reproof.model.policy import Policy
from reproof.model.record import Record
from reproof.model.verdict import Verdict
from reproof.report import text_record
from reproof.report.chance import by_itself, draw_rows
from reproof.report.numbers import size_text
from reproof.report.protocol import ListedRun, Look, Sides
from reproof.report.safe import plain
from reproof.report.terminal import OUTCOME_WIDTH, Paint, columns, flow, pad, pairs, wrapped
from reproof.report.tree import Branch, Limits, cut
from reproof.report.view import (
    Group,
    Row,
    Values,
    factors_of,
    groups_of,
    label_of,
    set_aside,
    sides_of,
    summary_of,
    values_of,
)
from reproof.report.words import counts, date, exit_meaning, policy_lines, sentence, stability, timings

_ROWS = 200  # lines of one group; the worst come first
_ITEMS = 40  # lines of what was not checked, of factors and of canonicalisations
_NAME = 36  # columns for names; longer ones push the rest to the next line
_TEXT = 400  # characters of one foreign text
_SHORT = 60  # characters up to which two sides share a line
_LIMITS = Limits(depth=6, breadth=10, nodes=60)
#: Two records differ in many things, each of which deserves a line; their parts only a few.
_RECORDS = Limits(depth=4, breadth=4, nodes=240, top=60)
_INDENT = 2 + OUTCOME_WIDTH + 2


class TextRenderer:
    """Renders text of ``look.width`` columns; see :class:`reproof.report.protocol.Renderer`."""

    def __init__(self, look: Look) -> None:
        self._width = look.width
        self._paint = Paint(color=look.color)

    def verdict(self, verdict: Verdict, record: Record | None) -> str:
        """Headline, facts, one line for each thing compared, and everything that limits the answer."""
        head = f"{self._paint.verdict(verdict.word)}: {sentence(verdict)}"
        result = [head, *pairs(_facts(verdict, record), self._width)]
        draws = [(plain(place, _TEXT), plain(text, _TEXT)) for place, text in draw_rows(verdict)]
        result += self._section("entropy that was drawn, which may be why", draws)
        for found in groups_of(verdict, record):
            result += self._group(found, Sides())
        result += self._notes(verdict)
        status, meaning = exit_meaning(verdict)
        return "\n".join([*result, "", f"exit status {status}: {meaning}"]) + "\n"

    def difference(self, difference: Difference, sides: Sides) -> str:
        """One line and the tree below it; the canonicalisations last."""
        if difference.kind == "records":
            return self._records(difference, sides)
        row = Row(difference.subject, difference, accepted=False)
        result = self._row(row, (columns(plain(row.name, _TEXT)), 0), sides)
        result += self._set_aside((difference,))
        return "\n".join(result) + "\n"

    def _records(self, difference: Difference, sides: Sides) -> str:
        """Two records: a block for the set-up and one for the results, each thing on a line of its own."""
        outcome = self._paint.outcome(difference.outcome).rstrip()
        result = [f"{outcome}: {plain(difference.subject, _TEXT)}"]
        for branch in cut(difference, _RECORDS).branches:
            node = branch.difference
            result += ["", f"{plain(node.subject, _TEXT)}: {plain(node.summary, _TEXT)}"]
            result += self._tree(branch, 0, sides, margin=2)
        result += self._set_aside((difference,))
        return "\n".join(result) + "\n"

    def record(self, record: Record, identity: str) -> str:
        """Everything of a record that people ask for, section by section."""
        return text_record.record_text(record, identity, self._width, self._paint)

    def rows(self, rows: Sequence[ListedRun]) -> str:
        """A table, one run on a line."""
        return text_record.list_text(rows, self._paint)

    def findings(self, findings: Sequence[Finding]) -> str:
        """One line for each thing examined, and what follows where it is missing."""
        return text_record.findings_text(findings, self._width, self._paint)

    def _group(self, found: Group, sides: Sides) -> list[str]:
        first, rest = found.foremost(_ROWS)
        if found.title == "parameters" and found.outcome == Outcome.IDENTICAL:
            first, rest = (), ()
        widest = max((columns(plain(row.name, _TEXT)) for row in first), default=0)
        result = ["", self._title(found.title, counts(row.outcome for row in found.rows))]
        sizes = max((len(_size(row)) for row in first), default=0)
        for row in first:
            result += self._row(row, (min(widest, _NAME), sizes), sides)
        if rest:
            result.append(" " * _INDENT + f"{len(rest):,} more: {counts(row.outcome for row in rest)}")
        return result

    def _row(self, row: Row, widths: tuple[int, int], sides: Sides) -> list[str]:
        """Outcome, name and size in columns of `widths`, what there is to say, and the tree below."""
        difference = row.difference
        values = values_of(difference)
        name, size = plain(row.name, _TEXT), f"{_size(row):>{widths[1]}}  " if widths[1] else ""
        head = f"  {self._paint.outcome(row.outcome)}  {pad(name, widths[0])}  {size}"
        taken = _INDENT + max(columns(name), widths[0]) + 2 + len(size)
        if difference.kind == "metric" and values.expected is not None and values.actual is not None:
            text = _metric(difference, values)
        else:
            text = plain(summary_of(difference), _TEXT)
        result = flow(head, taken, text, self._width)
        if row.outcome > Outcome.EQUIVALENT:
            if difference.kind not in {"metric", "status"}:
                result += self._sides(difference, _INDENT + 2, sides)
            result += self._tree(cut(difference, _LIMITS), 1, sides)
        if row.accepted and row.outcome > Outcome.EQUIVALENT:
            result.append(" " * (_INDENT + 2) + "accepted by the policy")
        return result

    def _tree(self, branch: Branch, depth: int, sides: Sides, margin: int = _INDENT) -> list[str]:
        indent = margin + 2 * depth
        result = []
        for child in branch.branches:
            node = child.difference
            outcome = "" if node.outcome == branch.difference.outcome else f" ({node.outcome.word})"
            line = f"{plain(label_of(node, branch.difference), _TEXT)}: {plain(summary_of(node), _TEXT)}{outcome}"
            result += wrapped(line, self._width, indent)
            result += self._sides(node, indent + 2, sides)
            result += self._tree(child, depth + 1, sides, margin)
        if branch.more:
            result.append(" " * indent + branch.more)
        return result

    def _sides(self, node: Difference, indent: int, sides: Sides) -> list[str]:
        values = sides_of(node)
        if values is None:
            return []
        texts = [
            plain(text, _TEXT) if text is not None else "absent" for text in (values.expected, values.actual)
        ]
        if all(len(text) <= _SHORT for text in texts):
            distance = f"  {values.distance}" if values.distance else ""
            return wrapped(f"{texts[0]} -> {texts[1]}{distance}", self._width, indent)
        labels = (sides.expected, sides.actual)
        return pairs(list(zip(labels, texts, strict=True)), self._width, indent)

    def _notes(self, verdict: Verdict) -> list[str]:
        factors = [
            (f"{plain(f.section)}: {plain(f.name, _TEXT)}", _two_sides(f.expected, f.actual, f.summary))
            for f in factors_of(verdict.factors)
        ]
        result = self._section("differs between the recorded and the re-made set-up", factors)
        result += self._set_aside(verdict.differences)
        conditions = [
            (plain(c.name), plain(c.value) + (f" ({plain(c.note)})" if c.note else ""))
            for c in verdict.conditions
        ]
        result += self._section("conditions under which this holds", conditions)
        unchecked = [(plain(item.subject, _TEXT), plain(item.reason, _TEXT)) for item in verdict.not_checked]
        return result + self._section("not checked", unchecked)

    def _set_aside(self, differences: Sequence[Difference]) -> list[str]:
        items = [(plain(name, _TEXT), _subjects(names)) for name, names in set_aside(differences).items()]
        return self._section("set aside before comparing", items)

    def _section(self, title: str, items: list[tuple[str, str]]) -> list[str]:
        if not items:
            return []
        more = [f"  {len(items) - _ITEMS:,} more"] if len(items) > _ITEMS else []
        return ["", self._title(title), *pairs(items[:_ITEMS], self._width), *more]

    def _title(self, title: str, text: str = "") -> str:
        return self._paint(title, "bold") + (f": {text}" if text else "")


def _facts(verdict: Verdict, record: Record | None) -> list[tuple[str, str]]:
    run = f" of MLflow run {plain(verdict.run_id)}" if verdict.run_id else ""
    rules = policy_lines(Policy(rules=verdict.policy.rules))[1:]
    facts = [
        ("project", plain(verdict.project)),
        ("record", f"{plain(verdict.record[:12])}{run}"),
        ("recorded", plain(date(record.created)) if record is not None else ""),
        ("command", plain(record.project.command, _TEXT) if record is not None else ""),
        ("compared", counts(difference.outcome for difference in verdict.differences)),
        ("accepted", policy_lines(verdict.policy)[0][1]),
        *[(plain(pattern), plain(text)) for pattern, text in rules],
        ("stability", f"{verdict.stability}: {stability(verdict)}" if stability(verdict) else ""),
        ("by itself", plain(by_itself(verdict), _TEXT)),
        ("time", plain(timings(verdict))),
        ("clean room", plain(verdict.room or "")),
    ]
    return [(label, text) for label, text in facts if text]


def _size(row: Row) -> str:
    return size_text(row.size) if row.size is not None else ""


def _metric(difference: Difference, values: Values) -> str:
    """``38.11 -> 38.12  relative 1.5e-04, 3 ulp``; of several steps the last value and the summary."""
    expected, actual = (plain(side or "", _TEXT) for side in (values.expected, values.actual))
    text = expected if expected == actual else f"{expected} -> {actual}"
    if "steps" in difference.evidence:
        return f"{plain(summary_of(difference), _TEXT)}; last {text}"
    return f"{text}  {values.distance}".rstrip()


def _two_sides(expected: str | None, actual: str | None, summary: str) -> str:
    if expected is None and actual is None:
        return plain(summary, _TEXT)
    left, right = ("absent" if text is None else plain(text, 200) for text in (expected, actual))
    return f"{left} -> {right}"


def _subjects(names: list[str]) -> str:
    shown = ", ".join(plain(name, 120) for name in names[:3])
    return f"{shown} and {len(names) - 3:,} more" if len(names) > 3 else shown
