"""Markdown for comments on pull requests and job summaries (the dialect of GitHub and GitLab)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from reproof.model.difference import Difference, Outcome
from reproof.model.finding import Finding
from reproof.model.record import Record
from reproof.model.verdict import Verdict
from reproof.report.chance import by_itself, draw_rows
from reproof.report.essentials import artifact_text, essentials, metric_values
from reproof.report.numbers import count_text, seconds_text, size_text
from reproof.report.protocol import ListedRun, Look, Sides
from reproof.report.safe import plain
from reproof.report.tree import Branch, Limits, cut
from reproof.report.view import (
    Group,
    Row,
    factors_of,
    groups_of,
    label_of,
    set_aside,
    sides_of,
    summary_of,
    values_of,
)
from reproof.report.words import counts, date, policy_lines, sentence, stability, timings

_ROWS = 40  # rows of one table: a comment holds 65,536 characters
_TEXT = 200
_LIMITS = Limits(depth=4, breadth=8, nodes=20)
_TREES = 10  # details that are unfolded below the tables

_MARKS = re.compile(r"([\\`*_\[\]<|~&$])")
_TICKS = re.compile(r"`+")
_MENTION = re.compile(r"([@#])(?=\w)")

_BADGES = {
    "reproduced": "\N{WHITE HEAVY CHECK MARK}",
    "repeated": "\N{WHITE HEAVY CHECK MARK}",
    "reconstructed": "\N{WHITE HEAVY CHECK MARK}",
    "not reproduced": "\N{CROSS MARK}",
    "inconclusive": "\N{WHITE QUESTION MARK ORNAMENT}",
    "same result": "\N{WHITE HEAVY CHECK MARK}",
    "other result": "\N{CROSS MARK}",
}


class MarkdownRenderer:
    """Renders Markdown with tables and folded details."""

    def __init__(self, look: Look) -> None:
        del look  # Markdown is not wrapped

    def verdict(self, verdict: Verdict, record: Record | None) -> str:
        """Headline, a table for each group, what differs in detail, and everything that limits the answer."""
        groups = groups_of(verdict, record)
        made = f", made {escaped(date(record.created))}" if record is not None else ""
        run = f", MLflow run {code(verdict.run_id)}" if verdict.run_id else ""
        parts = [
            f"## {_BADGES[verdict.word]} {verdict.word}: {escaped(verdict.project)}".rstrip(": "),
            f"{sentence(verdict)} ({counts(d.outcome for d in verdict.differences)})",
            f"Record {code(verdict.record[:12])}{run}{made}.",
        ]
        if stability(verdict):
            parts.append(f"**{verdict.stability}**: {stability(verdict)}")
        parts.append(f"By itself: {escaped(by_itself(verdict))}")
        rows = [(escaped(place), escaped(text)) for place, text in draw_rows(verdict)]
        if rows:
            parts.append(_table(("drawn at", "entropy that may be why"), rows))
        parts += [part for group in groups for part in _group(group)]
        parts += _details(groups)
        parts += _limits_of(verdict)
        return "\n\n".join(part for part in parts if part) + "\n"

    def difference(self, difference: Difference, sides: Sides) -> str:
        """The tree as a nested list, then what was set aside."""
        lines = [
            f"**{difference.outcome.word}** {code(difference.subject)}: {escaped(summary_of(difference), _TEXT)}"
        ]
        lines.append("\n".join(_tree(cut(difference, Limits()), 0, sides)))
        aside = set_aside((difference,))
        if aside:
            lines.append("**Set aside before comparing:** " + ", ".join(escaped(name) for name in aside))
        return "\n\n".join(part for part in lines if part) + "\n"

    def record(self, record: Record, identity: str) -> str:
        """The essentials of a record as tables."""
        sections = essentials(record, identity)
        sections["parameters"] = list(record.project.parameters.items())
        sections["metrics"] = metric_values(record.metrics)
        sections["materials"] = [(a.name, artifact_text(a)) for a in record.materials]
        sections["products"] = [(a.name, artifact_text(a)) for a in record.products]
        parts = [f"## Record {code(identity[:12])}"]
        for title, items in sections.items():
            if items:
                rows = [(escaped(label), code(text)) for label, text in items]
                parts.append(f"### {title.capitalize()}\n\n" + _table(("", ""), rows))
        return "\n\n".join(parts) + "\n"

    def rows(self, rows: Sequence[ListedRun]) -> str:
        """A table of runs."""
        head = ("record", "made", "project", "entry point", "took", "state", "verdict", "MLflow run")
        cells = [
            (
                code(row.record[:12]),
                escaped(date(row.created)),
                escaped(row.project),
                code(row.entry_point),
                seconds_text(row.seconds) if row.seconds else "",
                escaped(row.state),
                row.verdict or "not verified",
                code(row.run_id or ""),
            )
            for row in rows
        ]
        return (_table(head, cells, _ROWS * 10) if rows else "no runs recorded here") + "\n"

    def findings(self, findings: Sequence[Finding]) -> str:
        """A table of what was examined."""
        cells = [
            (
                "ok" if finding.ok else "**missing**" if finding.required else "missing",
                escaped(finding.name),
                escaped(finding.value),
                escaped(finding.meaning),
            )
            for finding in findings
        ]
        return _table(("state", "what", "found", "what follows"), cells, _ROWS * 10) + "\n"


def escaped(text: str, limit: int | None = None) -> str:
    """Foreign text as Markdown that shows it as it is, and that mentions nobody."""
    return _MENTION.sub("\\1&#8203;", _MARKS.sub(r"\\\1", plain(text, limit)))


def code(text: str, limit: int = _TEXT) -> str:
    """Foreign text as a code span that also survives within a table; empty for the empty text."""
    safe = plain(text, limit).replace("|", "\\|")
    if not safe.strip():
        return ""
    fence = "`" * (max((len(run) for run in _TICKS.findall(safe)), default=0) + 1)
    space = " " if safe.startswith("`") or safe.endswith("`") else ""
    return f"{fence}{space}{safe}{space}{fence}"


def _group(group: Group) -> list[str]:
    title = f"### {group.title.capitalize()}: {counts(row.outcome for row in group.rows)}"
    if group.outcome == Outcome.IDENTICAL and group.title in ("parameters", "command"):
        return [title]
    first, rest = group.foremost(_ROWS)
    if group.title == "metrics":
        table = _table(
            ("outcome", "metric", "recorded", "re-run", "difference"), [_metric(row) for row in first]
        )
    elif group.title == "artifacts":
        table = _table(("outcome", "artifact", "size", ""), [_artifact(row) for row in first])
    elif group.title == "stages":
        table = _table(("outcome", "stage", ""), [_stage(row) for row in first])
    else:
        table = _table(("outcome", "", "recorded", "re-run"), [_metric(row)[:4] for row in first])
    more = f"{len(rest):,} more: {counts(row.outcome for row in rest)}" if rest else ""
    return [title, table, more]


def _metric(row: Row) -> tuple[str, ...]:
    values = values_of(row.difference)
    told = "steps" in row.difference.evidence or values.expected is None or values.actual is None
    note = escaped(summary_of(row.difference), _TEXT) if told else values.distance
    return (_outcome(row), code(row.name), code(values.expected or ""), code(values.actual or ""), note)


def _stage(row: Row) -> tuple[str, ...]:
    name = row.name.removeprefix("stage ")
    return (_outcome(row), code(name), escaped(summary_of(row.difference), _TEXT))


def _artifact(row: Row) -> tuple[str, ...]:
    size = size_text(row.size) if row.size is not None else ""
    return (_outcome(row), code(row.name), size, escaped(summary_of(row.difference), _TEXT))


def _outcome(row: Row) -> str:
    word = row.outcome.word
    return word if row.accepted else f"**{word}**"


def _details(groups: Iterable[Group]) -> list[str]:
    failed = [row for group in groups for row in group.rows if not row.accepted and row.difference.children]
    parts = []
    for row in failed[:_TREES]:
        tree = "\n".join(_tree(cut(row.difference, _LIMITS), 0, Sides()))
        parts.append(_folded(f"What differs in {code_html(row.name)}", tree))
    if len(failed) > _TREES:
        parts.append(f"{count_text(len(failed) - _TREES, 'more subject')} with details in the other formats")
    return parts


def _tree(branch: Branch, depth: int, sides: Sides) -> list[str]:
    indent = "  " * depth
    result = []
    for child in branch.branches:
        node = child.difference
        values = sides_of(node)
        line = f"{indent}- {code(label_of(node, branch.difference))}: {escaped(summary_of(node), _TEXT)}"
        if values is not None:
            left, right = (code(side) if side else "absent" for side in (values.expected, values.actual))
            line += f" ({sides.expected} {left}, {sides.actual} {right})"
        result += [line, *_tree(child, depth + 1, sides)]
    if branch.more:
        result.append(f"{indent}- {branch.more}")
    return result


def _limits_of(verdict: Verdict) -> list[str]:
    aside = [
        f"- {escaped(name, _TEXT)}: {count_text(len(names), 'subject')}"
        for name, names in set_aside(verdict.differences).items()
    ]
    conditions = [
        (escaped(c.name), escaped(c.value) + (f" ({escaped(c.note)})" if c.note else ""))
        for c in verdict.conditions
    ]
    conditions += [(escaped(name), escaped(text)) for name, text in policy_lines(verdict.policy)]
    conditions += [("time", escaped(timings(verdict)))] if verdict.seconds else []
    unchecked = [(code(item.subject), escaped(item.reason, _TEXT)) for item in verdict.not_checked]
    factors = [
        (escaped(f.section), code(f.name), code(f.expected or ""), code(f.actual or ""))
        for f in factors_of(verdict.factors)
    ]
    parts = []
    if factors:
        table = _table(("factor", "", "recorded", "re-run"), factors)
        parts.append(f"### Differs between the recorded and the re-made set-up\n\n{table}")
    if aside:
        parts.append(_folded("Set aside before comparing", "\n".join(aside[:_ROWS])))
    parts.append(_folded("Conditions under which this holds", _table(("", ""), conditions)))
    if unchecked:
        parts.append(_folded(f"Not checked: {len(unchecked):,}", _table(("subject", "reason"), unchecked)))
    return parts


def _folded(title: str, body: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"


def code_html(text: str) -> str:
    """Foreign text as a piece of HTML, for places where Markdown is not read."""
    from html import escape

    return f"<code>{escape(plain(text, _TEXT))}</code>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], limit: int = _ROWS) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
    lines += [f"| {' | '.join(row)} |" for row in rows[:limit]]
    if len(rows) > limit:
        lines.append(f"| {len(rows) - limit:,} more |" + " |" * (len(head) - 1))
    return "\n".join(lines)
