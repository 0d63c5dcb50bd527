"""What a result depends on, as text, JSON and a page."""

from __future__ import annotations

from collections.abc import Iterator

from reproof.model.stress import LEVELS, Exercise, StressOutcome, StressReport
from reproof.report.forms import in_form
from reproof.report.numbers import count_text
from reproof.report.safe import json_document, plain
from reproof.report.terminal import Paint, pad, pairs, wrapped

_STYLES: dict[StressOutcome, str] = {
    "same": "green",
    "differs": "bold red",
    "fails": "bold red",
    "unresolved": "bold yellow",
    "not exercised": "dim",
}
_TONES: dict[StressOutcome, str] = {
    "same": "identical",
    "differs": "different",
    "fails": "different",
    "unresolved": "close",
    "not exercised": "unknown",
}
_WIDTH = max(map(len, _STYLES)) + 2
_MANY = 3  # variations that are left out for one reason, and still get a line each
_SHOWN = 6  # results that one variation names


def render_stress(
    report: StressReport,
    format: str,  # noqa: A002  # the word of the command line
    *,
    width: int = 100,
    color: bool = False,
) -> str:
    """A report, ending with one newline; `format` is ``text``, ``json`` or ``html``.

    Raises:
        UsageError: There is no such format.
    """
    return in_form(
        format,
        {
            "text": lambda: "\n".join(_text(report, width, Paint(color=color))) + "\n",
            "json": lambda: json_document(report),
            "html": lambda: _page(report),
        },
    )


def headline(report: StressReport) -> str:
    """The level, or what the result depends on: one line."""
    names = [each.name for each in report.dependences]
    if report.level is None:
        return "nothing could be exercised"
    if names == ["repeat"]:
        return "the result varies by itself"
    sure = [each.name for each in report.dependences if each.outcome != "unresolved"]
    if names and not sure:
        return f"depends on one of {', '.join(names)}" if len(names) > 1 else f"depends on {names[0]}"
    left_open = "" if len(sure) == len(names) else ", more is unresolved"
    return f"depends on {', '.join(sure)}{left_open}" if sure else report.level


def not_tried(report: StressReport) -> tuple[str, ...]:
    """Circumstances that the level does not speak of, where it speaks of circumstances."""
    if report.level is None or LEVELS.index(report.level) < LEVELS.index("independent of circumstances"):
        return ()
    return tuple(
        each.name
        for each in report.exercises
        if each.group == "circumstances" and each.outcome == "not exercised"
    )


def _same_reason(report: StressReport) -> dict[str, list[str]]:
    """Long rows of variations that were left out for one reason."""
    found: dict[str, list[str]] = {}
    for each in report.exercises:
        if each.outcome == "not exercised":
            found.setdefault(each.reason, []).append(each.name)
    return {reason: names for reason, names in found.items() if len(names) > _MANY}


def _listed(report: StressReport) -> list[Exercise]:
    """The variations that get a line of their own."""
    folded = _same_reason(report)
    return [each for each in report.exercises if each.outcome != "not exercised" or each.reason not in folded]


def _text(report: StressReport, width: int, paint: Paint) -> Iterator[str]:
    bad = bool(report.dependences)
    yield f"stressed: {paint(headline(report), 'bold red' if bad else 'bold green')}"
    yield f"  record  {plain(report.record[:12])} of {plain(report.project)}"
    reached = LEVELS.index(report.level) if report.level is not None else -1
    marks = " < ".join(
        paint(level, "bold") if index == reached else level for index, level in enumerate(LEVELS) if index
    )
    yield f"  level   {report.level or 'none'}  ({marks})"
    if untried := not_tried(report):
        yield from wrapped(f"circumstances that were not exercised: {', '.join(untried)}", width, 10)
    budget = f" of {report.budget}" if report.budget is not None else ""
    yield (
        f"  made    {count_text(report.runs, 're-run')}{budget}, {count_text(len(report.subjects), 'result')} compared"
    )
    yield ""
    for each in _listed(report):
        yield from _exercise(each, width, paint)
    for reason, names in _same_reason(report).items():
        yield from wrapped(f"not exercised: {', '.join(names)}: {plain(reason)}", width, 2)
    yield ""
    yield "conditions under which this holds"
    yield from pairs([(plain(name), plain(value)) for name, value in report.conditions], width)


def _exercise(exercise: Exercise, width: int, paint: Paint) -> Iterator[str]:
    told = exercise.group == "informative" and exercise.outcome == "differs"
    word = paint(exercise.outcome, "cyan" if told else _STYLES[exercise.outcome]) + " " * (
        _WIDTH - len(exercise.outcome)
    )
    detail = exercise.reason or exercise.what
    yield f"  {word}{pad(exercise.name, 19)}{plain(detail)}"
    if exercise.together_with:
        yield from wrapped(f"only together with {', '.join(exercise.together_with)}", width, _WIDTH + 4)
    for change in exercise.changes[:_SHOWN]:
        yield from wrapped(f"{plain(change.subject)}: {plain(change.summary, 200)}", width, _WIDTH + 4)
    if len(exercise.changes) > _SHOWN:
        yield f"{' ' * (_WIDTH + 4)}and {len(exercise.changes) - _SHOWN:,} more"
    if exercise.remedy:
        yield from wrapped(f"remedy: {exercise.remedy}", width, _WIDTH + 4)


def _page(report: StressReport) -> str:
    from reproof.report.page import render_page
    from reproof.report.page_parts import Page
    from reproof.report.protocol import Sides
    from reproof.report.words import date

    subjects = list(
        dict.fromkeys((*report.subjects, *(c.subject for each in report.exercises for c in each.changes)))
    )
    changed = [s for s in subjects if any(s == c.subject for each in report.exercises for c in each.changes)]
    rows = [
        {
            "name": each.name,
            "group": each.group,
            "what": plain(each.what),
            "outcome": each.outcome,
            "tone": "equivalent" if each.group == "informative" else _TONES[each.outcome],
            "reason": plain(each.reason),
            "remedy": plain(each.remedy),
            "together": ", ".join(each.together_with),
            "changes": [(plain(change.subject), plain(change.summary, 400)) for change in each.changes],
        }
        for each in report.exercises
    ]
    tone = "bad" if report.dependences else "good" if report.level is not None else "unsure"
    return render_page(
        "stress.html",
        Page(Sides()),
        title=f"stressed: {headline(report)}: {plain(report.project)}",
        tone=tone,
        report=report,
        headline=headline(report),
        made=plain(date(report.created)),
        counted=f"{count_text(report.runs, 're-run')} and {count_text(len(report.subjects), 'result')}",
        levels=LEVELS[1:],
        untried=not_tried(report),
        reached=LEVELS.index(report.level) if report.level is not None else -1,
        rows=rows,
        changed=[plain(each) for each in changed],
        untouched=len(subjects) - len(changed),
        conditions=[(plain(name), plain(value)) for name, value in report.conditions],
    )
