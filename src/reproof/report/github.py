"""Annotations of GitHub Actions: one line each, which the runner turns into notes at the run.

The syntax is that of workflow commands, ``::error title=TITLE::MESSAGE``.
"""

from __future__ import annotations

from collections.abc import Sequence

from reproof.model.difference import Difference
from reproof.model.record import Record
from reproof.model.verdict import Verdict
from reproof.report.protocol import Look, Sides
from reproof.report.safe import plain
from reproof.report.view import Group, Row, groups_of, sides_of, summary_of
from reproof.report.words import EXIT_STATUS, counts, sentence

_SHOWN = 10  # GitHub shows ten annotations of one level for a step, the headline included
_TEXT = 1000


class GitHubRenderer:
    """Renders workflow commands: the headline first, then what was not accepted, worst first."""

    def __init__(self, look: Look) -> None:
        self._accept = look.accept

    def verdict(self, verdict: Verdict, record: Record | None) -> str:
        """An error (or warning where nothing was decided) with the headline; a notice when all is well."""
        level = {0: "notice", 1: "error", 3: "warning"}[EXIT_STATUS[verdict.word]]
        text = f"{sentence(verdict)} ({counts(d.outcome for d in verdict.differences)})"
        result = [_command(level, f"{verdict.word}: {verdict.project or verdict.record[:12]}", text)]
        failed = [
            (group.title, row)
            for group in groups_of(verdict, record)
            for row in _worst_first(group)
            if not row.accepted
        ]
        room = _SHOWN - 1 if len(failed) < _SHOWN else _SHOWN - 2
        result += [_row(title, row) for title, row in failed[:room]]
        if len(failed) > room:
            outcomes = counts(row.outcome for _, row in failed[room:])
            result.append(_command("error", "and more", f"{len(failed) - room:,} more: {outcomes}"))
        if verdict.not_checked:
            result.append(
                _command("notice", "not checked", _subjects([item.subject for item in verdict.not_checked]))
            )
        return "\n".join(result) + "\n"

    def difference(self, difference: Difference, sides: Sides) -> str:
        """One line: a notice when both sides are the same, else an error."""
        del sides
        level = "notice" if difference.outcome <= self._accept else "error"
        title = f"{difference.outcome.word}: {difference.subject}"
        return _command(level, title, _text(difference)) + "\n"


def _worst_first(group: Group) -> list[Row]:
    return sorted(group.rows, key=lambda row: -row.outcome)


def _row(group: str, row: Row) -> str:
    return _command("error", f"{row.outcome.word} ({group}): {row.name}", _text(row.difference))


def _text(difference: Difference) -> str:
    values = sides_of(difference)
    text = plain(summary_of(difference), _TEXT)
    if values is None:
        return text
    sides = (plain(side, 200) if side is not None else "absent" for side in (values.expected, values.actual))
    return f"{text} ({' -> '.join(sides)})"


def _subjects(names: Sequence[str]) -> str:
    shown = ", ".join(plain(name, 100) for name in names[:10])
    return f"{shown} and {len(names) - 10:,} more" if len(names) > 10 else shown


def _command(level: str, title: str, message: str) -> str:
    name = plain(title, 200).replace("%", "%25").replace(":", "%3A").replace(",", "%2C")
    return f"::{level} title={name}::{message.replace('%', '%25')}"
