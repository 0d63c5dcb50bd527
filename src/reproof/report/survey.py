"""What came of verifying an experiment, as text, JSON and a page: one row for each run."""

from __future__ import annotations

from collections.abc import Iterator

from reproof.model.survey import Survey, SurveyRow, exit_status_of
from reproof.report.forms import in_form
from reproof.report.numbers import count_text
from reproof.report.safe import json_document, plain
from reproof.report.terminal import Paint, columns, pad, wrapped
from reproof.report.words import date

FORMATS = ("text", "json", "html")

_ID = 12
_NAME = 24
_MEANING = {
    0: "every run came out the same",
    1: "at least one run was checked and not reproduced",
    3: "inconclusive: not every run could be compared",
}
_TONES = {0: "good", 1: "bad", 3: "unsure"}


def render_survey(
    survey: Survey,
    format: str,  # noqa: A002  # the word of the command line
    *,
    width: int = 100,
    color: bool = False,
) -> str:
    """A survey, ending with one newline; `format` is one of :data:`FORMATS`.

    Raises:
        UsageError: There is no such format.
    """
    return in_form(
        format,
        {
            "text": lambda: "\n".join(_text(survey, width, Paint(color=color))) + "\n",
            "json": lambda: json_document(survey),
            "html": lambda: _page(survey),
        },
    )


def headline(survey: Survey) -> str:
    """``8 of 12 runs came out the same``."""
    same = sum(row.same for row in survey.rows)
    return f"{same:,} of {count_text(len(survey.rows), 'run')} came out the same"


def _text(survey: Survey, width: int, paint: Paint) -> Iterator[str]:
    yield f"experiment {plain(survey.experiment)}: {headline(survey)}"
    yield f"  store   {plain(survey.store)}"
    if survey.since:
        yield f"  since   {plain(survey.since)}"
    if survey.kept:
        yield f"  kept    {count_text(survey.kept, 'verdict')} of an earlier call; `--again` tries them anew"
    if survey.nested:
        yield f"  nested  {count_text(survey.nested, 'run')}, compared with the run that they are part of"
    yield ""
    words = max((len(_word(row)) for row in survey.rows), default=0)
    names = min(max((columns(plain(row.name)) for row in survey.rows), default=0), _NAME)
    for row in survey.rows:
        yield from _row(row, (words, names), width, paint)
    if survey.rows:
        yield ""
    for word, count in survey.counts().items():
        yield f"  {count:>6,}  {word}"
    status = exit_status_of(survey)
    yield ""
    yield f"exit status {status}: {_MEANING[status] if survey.rows else 'there is no run to compare'}"


def _word(row: SurveyRow) -> str:
    return row.word or f"missing: {row.missing}"


def _row(row: SurveyRow, widths: tuple[int, int], width: int, paint: Paint) -> Iterator[str]:
    word = _word(row)
    shown = (paint.verdict(row.word) if row.word else paint(word, "yellow")) + " " * (widths[0] - len(word))
    when = date(row.started)[:16]
    yield f"  {row.run_id[:_ID]}  {when:<16}  {pad(plain(row.name, _NAME), widths[1])}  {shown}".rstrip()
    for text in (row.detail, row.reason, f"hint: {row.hint}" if row.hint else ""):
        if text:
            yield from wrapped(plain(text), width, _ID + 6)


def _page(survey: Survey) -> str:
    from reproof.report.page import render_page
    from reproof.report.page_parts import Page
    from reproof.report.protocol import Sides

    status = exit_status_of(survey)
    rows = [
        {
            "run": row.run_id,
            "started": date(row.started),
            "name": plain(row.name),
            "kind": row.kind,
            "word": _word(row),
            "tone": "good" if row.same else "bad" if row.decided else "unsure",
            "detail": plain(row.detail or row.reason),
            "hint": plain(row.hint or ""),
            "commit": plain(row.commit[:_ID]),
        }
        for row in survey.rows
    ]
    return render_page(
        "survey.html",
        Page(Sides()),
        title=f"{headline(survey)}: {plain(survey.experiment)}",
        tone=_TONES[status],
        headline=headline(survey),
        experiment=plain(survey.experiment),
        store=plain(survey.store),
        made=date(survey.created),
        since=plain(survey.since),
        counts=list(survey.counts().items()),
        nested=survey.nested,
        kept=survey.kept,
        rows=rows,
        status=status,
        meaning=_MEANING[status] if rows else "there is no run to compare",
    )
