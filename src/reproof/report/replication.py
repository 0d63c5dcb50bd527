"""A replication as text and JSON; the page is in :mod:`reproof.report.replication_page`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from reproof.model.replication import (
    Arm,
    Contrast,
    Interval,
    Replicate,
    Replication,
    ReplicationWord,
    Spread,
)
from reproof.report.forms import in_form
from reproof.report.numbers import count_text, seconds_text
from reproof.report.safe import json_document, lines, plain
from reproof.report.terminal import Paint, columns, pad, pairs, wrapped

_STYLES: dict[ReplicationWord, str] = {
    "consistent": "bold green",
    "not consistent": "bold red",
    "too few runs": "bold yellow",
}
_MEANING = {
    "consistent": "the recorded result lies where runs with other seeds lie",
    "not consistent": "the recorded result does not stand with other seeds",
    "too few runs": "nothing can be said with so few runs",
}
_MEANING_AGAINST = {
    "consistent": "what the recorded runs say of each other holds with other seeds",
    "not consistent": "what the recorded runs say of each other does not hold with other seeds",
    "too few runs": "nothing can be said with so few runs",
}
_SHOWN = 12  # failed or missing runs that are listed one by one


def render_replication(
    replication: Replication,
    format: str,  # noqa: A002  # the word of the command line
    *,
    width: int = 100,
    color: bool = False,
) -> str:
    """A replication, ending with one newline.

    Args:
        replication: What to show.
        format: ``text``, ``json`` or ``html``.
        width: Columns, for text.
        color: ANSI colours, for text.

    Raises:
        UsageError: There is no such format.
    """

    def page() -> str:
        from reproof.report.replication_page import render_replication_page

        return render_replication_page(replication)

    return in_form(
        format,
        {
            "text": lambda: "\n".join(_text(replication, width, Paint(color=color))) + "\n",
            "json": lambda: json_document(replication),
            "html": page,
        },
    )


def headline(replication: Replication) -> str:
    """What the word means here, without final full stop."""
    return (_MEANING_AGAINST if replication.contrasts else _MEANING)[replication.word]


def progress_words(arm: Arm) -> str:
    """``8 finished, 1 failed, 1 missing``: all planned runs."""
    states = [each.state for each in arm.replicates]
    parts = [
        f"{states.count(state)} {state}" for state in ("finished", "failed", "missing") if state in states
    ]
    return ", ".join(parts)


def number_text(value: float | None, digits: int = 6) -> str:
    """A statistic for people; what is exact elsewhere is rounded here."""
    if value is None:
        return "-"
    return f"{value:.{digits}g}" if math.isfinite(value) else repr(value)


def interval_text(interval: Interval | None) -> str:
    """``58.9 .. 59.1``: just enough digits to tell the ends apart."""
    if interval is None:
        return "-"
    size = max(abs(interval.low), abs(interval.high))
    gap = interval.high - interval.low
    digits = 6 if not size or not gap else min(17, max(4, math.ceil(math.log10(size / gap)) + 3))
    return f"{number_text(interval.low, digits)} .. {number_text(interval.high, digits)}"


def not_finished(arm: Arm) -> tuple[Replicate, ...]:
    """The runs that have no result to count."""
    return tuple(each for each in arm.replicates if each.state != "finished")


def _text(replication: Replication, width: int, paint: Paint) -> Iterator[str]:
    word = paint(replication.word, _STYLES[replication.word])
    yield f"replicated: {word}"
    yield from wrapped(headline(replication), width, 2)
    for reason in replication.reasons:
        yield from wrapped(plain(reason), width, 4)
    for arm in replication.arms:
        yield ""
        name = f"{arm.label}  " if len(replication.arms) > 1 else ""
        yield f"{paint(name + arm.record[:12], 'bold')}  {plain(arm.description, 200)}"
        yield from _replicates(arm, width, paint)
        yield from _table(_spread_rows(arm), paint)
    if replication.contrasts:
        yield ""
        yield paint("B less A, seed by seed", "bold")
        yield from _table(_contrast_rows(replication.contrasts), paint)
    for note in replication.notes:
        yield ""
        yield from wrapped(f"note: {plain(note)}", width, 0)
    yield ""
    yield "conditions under which this holds"
    yield from pairs([(plain(name), plain(value)) for name, value in replication.conditions], width)


def _replicates(arm: Arm, width: int, paint: Paint) -> Iterator[str]:
    seconds = sum(each.seconds for each in arm.replicates)
    yield f"  {count_text(len(arm.replicates), 'run')}: {progress_words(arm)}; {seconds_text(seconds)} in all"
    rest = not_finished(arm)
    for each in rest[:_SHOWN]:
        status = f", exit status {each.exit_status}" if each.exit_status is not None else ""
        yield f"  {paint(each.state, 'red')}  seed {each.seed}{status}"
        for line in lines(each.problem or "")[-3:]:
            yield from wrapped(line, width, 6)
    if len(rest) > _SHOWN:
        yield f"  and {len(rest) - _SHOWN:,} more"


_Row = tuple[str, ...]


def _spread_rows(arm: Arm) -> list[_Row]:
    rows: list[_Row] = [
        ("metric", "mean", "sd", "median", "IQM", "interval of the mean", "recorded", "percentile", "")
    ]
    return rows + [_spread_row(spread) for spread in arm.spreads]


def _spread_row(spread: Spread) -> _Row:
    return (
        plain(spread.metric, 40),
        *(number_text(value) for value in (spread.mean, spread.sd, spread.median, spread.iqm)),
        interval_text(spread.interval),
        number_text(spread.original),
        number_text(spread.percentile, 3),
        f"{spread.word or 'not judged'}{', constant' if spread.constant else ''}",
    )


def _contrast_rows(contrasts: Sequence[Contrast]) -> list[_Row]:
    rows: list[_Row] = [
        ("metric", "recorded", "pairs", "mean", "interval of the mean", "p", "P(improvement)", "needs", "")
    ]
    return rows + [
        (
            plain(each.metric, 40),
            f"{number_text(each.recorded)} ({each.claim})",
            str(len(each.differences)),
            number_text(each.mean),
            interval_text(each.interval),
            number_text(each.p_value, 2),
            number_text(each.probability, 3),
            f"{each.seeds_needed:,} seeds" if each.seeds_needed is not None else "-",
            each.word,
        )
        for each in contrasts
    ]


def _table(rows: Sequence[_Row], paint: Paint) -> Iterator[str]:
    """Columns as wide as they must be; the first and the last to the left, numbers to the right."""
    if len(rows) < 2:
        yield "  no metric"
        return
    widths = [max(columns(row[index]) for row in rows) for index in range(len(rows[0]))]
    for number, row in enumerate(rows):
        middle = "  ".join(
            f"{' ' * (width - columns(text))}{text}"
            for text, width in zip(row[1:-1], widths[1:-1], strict=True)
        )
        last = row[-1]
        style = next((style for word, style in _STYLES.items() if last.startswith(word)), "dim")
        head = f"  {pad(row[0], widths[0])}  {middle}"
        yield paint(head, "dim") if number == 0 else f"{head}  {paint(last, style)}".rstrip()
